"""From the float model to the network that is exported: training, search, diagnosis."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from mnist_export.report.context import Finding

if TYPE_CHECKING:
    from mnist_export.cli.common import Console
    from mnist_export.cli.export_job import ExportJob
    from mnist_export.core.graph import Graph
    from mnist_export.data import Dataset, Split
    from mnist_export.quantize import QuantizedModel
    from mnist_export.quantize.diagnosis.debug import Diagnosis
    from mnist_export.quantize.rewrites import Applied
    from mnist_export.train.loading import LoadedModel


@dataclass(frozen=True, kw_only=True, eq=False)
class Made:
    """The network, and what was found on the way to it.

    Attributes:
        network: what is exported.
        findings: for the report.
        fake_quant: the model that simulates the integers in float, after quantization-aware training.
        diagnosis: every layer's error, where it was asked for.
        compressed: whether weights were pruned or clustered.
        history: training figures by name, for the report.
    """

    network: QuantizedModel
    findings: tuple[Finding, ...] = ()
    fake_quant: Any = None
    diagnosis: Diagnosis | None = None
    compressed: bool = False
    history: dict[str, tuple[float | None, ...]] | None = None


def make_network(
    job: ExportJob,
    loaded: LoadedModel,
    *,
    graph: Graph,
    dataset: Dataset,
    calibration: Split | None,
    console: Console,
) -> Made:
    """Carry out everything that was asked for between the float graph and the integers.

    Args:
        job: what was asked for.
        loaded: the original.
        graph: its float graph.
        dataset: training and validation data.
        calibration: images that set ranges; None for float precisions.
        console: told about long steps.
    """
    findings = _about_calibration(job, graph, calibration)
    if job.extra.exact:
        from mnist_export.cli.export_exact import exact_network

        made = Made(network=exact_network(job, loaded, graph, dataset, console))
    elif job.extra.trains:
        made = _trained(job, loaded, dataset, calibration, console)
    elif job.extra.auto and calibration is not None:
        made = _searched(job, graph, dataset, calibration, console)
    else:
        from mnist_export.quantize import quantize

        graph, applied = _rewritten(job, graph)
        network = quantize(graph, job.scheme, calibration.images if calibration else None)
        made = Made(network=_with_rewrites(network, applied))
    findings += (*made.findings, *_about_overflow(job, made.network))
    diagnosis = None
    if job.extra.debug_layers and calibration is not None:
        diagnosis, said = _diagnosed(made.network, graph, calibration, console)
        findings += said
    return replace(made, findings=findings, diagnosis=diagnosis)


def _about_calibration(job: ExportJob, graph: Graph, calibration: Split | None) -> tuple[Finding, ...]:
    if calibration is None:
        return ()
    from mnist_export.quantize.ranges.calibration_check import scale_movement

    found: list[Finding] = []
    if len(calibration) >= 2:
        moved = scale_movement(
            graph, calibration.images, input_range=job.input_range, method=job.scheme.calibration_method
        )
        level = "info" if moved.is_stable else "warning"
        found.append(Finding(text=moved.sentence(), level=level, where="calibration"))
    return tuple(found)


def _rewritten(job: ExportJob, graph: Graph) -> tuple[Graph, tuple[Applied, ...]]:
    from mnist_export.quantize.rewrites import prepare

    return prepare(graph, job.scheme.precision) if job.prepare else (graph, ())


def _with_rewrites(network: QuantizedModel, applied: tuple[Applied, ...]) -> QuantizedModel:
    return replace(
        network,
        notes=(*network.notes, *(rewrite.sentence() for rewrite in applied)),
        rewrites=tuple(rewrite.name for rewrite in applied),
    )


def _trained(
    job: ExportJob, loaded: LoadedModel, dataset: Dataset, calibration: Split | None, console: Console
) -> Made:
    from mnist_export.quantize import quantize
    from mnist_export.quantize.lowering import lower
    from mnist_export.quantize.rewrites import round_alike
    from mnist_export.quantize.training.compress import CompressionConfig, compress
    from mnist_export.quantize.training.finetune import FineTuning
    from mnist_export.quantize.training.qat import VARIANT, train_quantized
    from mnist_export.quantize.training.rebuild import check_equal, rebuild
    from mnist_export.train.recipe import Recipe

    config = CompressionConfig(sparsity=job.extra.sparsity, clusters=job.extra.clusters)
    shape = tuple(loaded.input_shape)
    rebuilt = rebuild(loaded.model, shape, for_int8=not config.wanted)
    equality = check_equal(loaded.model, rebuilt, dataset.train.images[:256], job.input_range)
    console.note(equality.sentence())
    how = FineTuning(
        dataset=dataset,
        epochs=job.extra.epochs,
        recipe=Recipe.from_json(loaded.card.recipe) if loaded.card else None,
        pixels=job.input_range,
        seed=job.seed,
        teacher=rebuilt,
        distillation=job.extra.distillation,
        notify=console.note,
    )
    notes: tuple[str, ...] = (equality.sentence(),)
    if not job.thresholds.min_agreement:
        notes += ("training changes answers on purpose: the drop is judged, agreement is only shown",)
    history: dict[str, tuple[float | None, ...]] = {}
    model = rebuilt
    if config.wanted:
        compressed = compress(rebuilt, config, how)
        model, notes = compressed.model, (*notes, *compressed.notes)
        history |= {f"{name} val_accuracy": tuned.val_accuracy for name, tuned in compressed.tuned.items()}
    images = calibration.images if calibration is not None else None
    if job.extra.qat_epochs is None or images is None:
        graph, applied = _rewritten(job, lower(model, shape))
        network = _with_rewrites(quantize(graph, job.scheme, images), applied)
        network = replace(network, variant=config.variant, notes=(*notes, *network.notes))
        return Made(network=network, compressed=True, history=history)
    variant = f"{config.variant}-{VARIANT}" if config.wanted else VARIANT
    result = train_quantized(
        rebuild(model, shape) if config.wanted else model,
        replace(how, epochs=job.extra.qat_epochs),
        images,
        scheme=config.scheme(),
        variant=variant,
    )
    history["val_accuracy"] = result.tuned.val_accuracy
    network = round_alike(result.model) if job.prepare else result.model
    return Made(
        network=replace(network, notes=(*notes, *network.notes)),
        fake_quant=result.fake_quant,
        compressed=config.wanted,
        history=history,
    )


def _searched(job: ExportJob, graph: Graph, dataset: Dataset, calibration: Split, console: Console) -> Made:
    from mnist_export.quantize.auto import search

    graph, applied = _rewritten(job, graph)
    found = search(
        graph,
        job.scheme,
        calibration.images,
        dataset.validation,
        max_drop_pp=job.thresholds.max_drop_pp,
        min_agreement=job.thresholds.min_agreement,
        notify=console.note,
    )
    if not found.met:
        console.warn(f"{found.model.notes[-1]}; the nearest was kept")
    trials = tuple(
        Finding(text=f"tried {trial.sentence()}{'; chosen' if trial is found.chosen else ''}", where="--auto")
        for trial in found.trials
    )
    return Made(network=_with_rewrites(found.model, applied), findings=trials)


def _about_overflow(job: ExportJob, network: QuantizedModel) -> tuple[Finding, ...]:
    from mnist_export.core.kinds import Format
    from mnist_export.quantize.diagnosis.overflow import check_overflow

    if Format.ONNX not in job.formats:
        return ()
    risks = check_overflow(network.graph)
    return tuple(Finding(text=risk.sentence(), where="16-bit pairs") for risk in risks if not risk.is_safe)


def _diagnosed(
    network: QuantizedModel, graph: Graph, calibration: Split, console: Console
) -> tuple[Diagnosis, tuple[Finding, ...]]:
    from mnist_export.quantize.diagnosis.debug import diagnose

    found = diagnose(network.source or graph, network, calibration.images)
    console.note(f"layers, the most harmful first ({found.images} images):")
    for layer in found.layers:
        console.note(f"  {layer.name}: {layer.sentence()}")
    for text in found.advice:
        console.note(f"  {text}")
    level = "info" if found.logits_sqnr_db > 20 else "warning"
    said = [Finding(text=text, level=level, where="--debug-layers") for text in found.advice]
    said += [Finding(text=layer.sentence(), where=layer.name) for layer in found.layers]
    return found, tuple(said)
