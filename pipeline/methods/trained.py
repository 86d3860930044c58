"""Quantization-aware training, pruning and weight clustering, alone or together."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from mnist_export.pipeline.jobs.option import Option
from mnist_export.pipeline.jobs.options import DEFAULT_DISTILLATION, DEFAULT_EPOCHS
from mnist_export.pipeline.methods.method import Method, QuantizedNetwork, rewritten, with_rewrites
from mnist_export.pipeline.methods.pixels import training_rule, with_pixels

if TYPE_CHECKING:
    from mnist_export.pipeline.jobs.job import Job
    from mnist_export.pipeline.jobs.progress import Progress
    from mnist_export.pipeline.methods.method import Source


def _make(job: Job, source: Source, progress: Progress) -> QuantizedNetwork:
    from mnist_export.models.recipe import Recipe
    from mnist_export.quantize import quantize
    from mnist_export.quantize.lowering import lower
    from mnist_export.quantize.rewrites import without_rounding_differences
    from mnist_export.quantize.training.aims import aim_of, with_targets
    from mnist_export.quantize.training.compress import CompressionConfig, compress
    from mnist_export.quantize.training.finetune import FineTuning
    from mnist_export.quantize.training.pixel_layer import with_rule_layer
    from mnist_export.quantize.training.qat import VARIANT, train_quantized
    from mnist_export.quantize.training.rebuild import check_equal, rebuild

    loaded, dataset, calibration = source.loaded, source.dataset, source.calibration
    dataset = with_targets(dataset, loaded.head, loaded.num_classes)
    config = CompressionConfig(sparsity=job.extra.sparsity, clusters=job.extra.clusters)
    shape = tuple(loaded.input_shape)
    rebuilt = rebuild(loaded.model, shape, for_int8=not config.wanted)
    equality = check_equal(loaded.model, rebuilt, dataset.train.images[:256], job.input_range)
    progress.note(equality.sentence())
    how = FineTuning(
        dataset=dataset,
        epochs=job.extra.epochs,
        recipe=Recipe.from_json(loaded.card.recipe) if loaded.card else None,
        pixels=job.input_range,
        seed=job.seed,
        teacher=rebuilt,
        distillation=job.extra.distillation,
        notify=progress.note,
        aim=aim_of(loaded.head, loaded.num_classes, loaded.threshold, dataset),
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
    images = calibration.array if calibration is not None else None
    if job.extra.qat_epochs is None or images is None:
        graph, applied = rewritten(job, with_pixels(job, lower(model, shape))[1])
        network = with_rewrites(quantize(graph, job.scheme, images), applied)
        network = replace(network, variant=config.variant, notes=(*notes, *network.notes))
        return QuantizedNetwork(network=network, compressed=True, history=history)
    variant = f"{config.variant}-{VARIANT}" if config.wanted else VARIANT
    rule, pixels = training_rule(job)
    how = replace(how, epochs=job.extra.qat_epochs, pixels=pixels)
    if rule is not None:
        how = replace(how, teacher=with_rule_layer(rebuilt, rule))
        model = with_rule_layer(model, rule)
    result = train_quantized(
        rebuild(model, shape) if config.wanted or rule is not None else model,
        how,
        images,
        scheme=config.scheme(),
        variant=variant,
    )
    history["val_accuracy"] = result.tuned.val_accuracy
    network = without_rounding_differences(result.model) if job.prepare else result.model
    return QuantizedNetwork(
        network=replace(network, notes=(*notes, *network.notes)),
        fake_quant=result.fake_quant,
        compressed=config.wanted,
        history=history,
    )


METHOD = Method(
    title="trained",
    wanted=lambda job: job.extra.trains,
    make=_make,
    options=(
        Option(
            name="qat",
            help=f"quantization-aware training, then int8 (default {DEFAULT_EPOCHS} epochs)",
            topic="training",
            kind=int,
            metavar="EPOCHS",
            bare=DEFAULT_EPOCHS,
            first=True,
        ),
        Option(
            name="sparsity",
            help="prune this share of weights, such as 0.8, with training",
            topic="training",
            kind=float,
            metavar="S",
        ),
        Option(
            name="clusters",
            help="share weights in N distinct values a layer, with training",
            topic="training",
            kind=int,
            metavar="N",
        ),
        Option(
            name="tune_epochs",
            help=f"epochs of each step of pruning and clustering (default {DEFAULT_EPOCHS})",
            topic="training",
            kind=int,
            metavar="N",
        ),
        Option(
            name="distill",
            help="how much of this training follows the original's answers, the rest the labels "
            f"(0 to 1, default {DEFAULT_DISTILLATION:g})",
            topic="training",
            kind=float,
            metavar="SHARE",
        ),
    ),
)
