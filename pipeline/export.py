"""One export: load, quantize, export, check, report, in order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from mnist_export.core.errors import InputError
from mnist_export.core.kinds import Precision
from mnist_export.core.memory import give_back
from mnist_export.core.side_files import SideFiles, check_side_files
from mnist_export.pipeline.jobs.progress import SILENT
from mnist_export.pipeline.on_devices import devices_for, run_on_devices, with_devices
from mnist_export.pipeline.stages import Stages

if TYPE_CHECKING:
    from mnist_export.core.graph import Graph
    from mnist_export.data import Dataset, Split
    from mnist_export.data.picture_options import PictureOptions
    from mnist_export.export.artifacts import WrittenRun
    from mnist_export.models.loading import LoadedModel
    from mnist_export.parity.on_devices import OnDevice
    from mnist_export.parity.results import CheckResult
    from mnist_export.pipeline.jobs.job import Job
    from mnist_export.pipeline.jobs.progress import Progress
    from mnist_export.report.schema import Report
    from mnist_export.runtime.devices.device import Device


_RANGE_IMAGES = 500


def run_job(job: Job, progress: Progress = SILENT, side_files: SideFiles | None = None) -> Report:
    """Load, quantize, export, check, report.

    Args:
        job: what to do.
        progress: told what is being done.
        side_files: what to write beside the report.

    Returns:
        The report, which was written beside the artifacts.

    Raises:
        MnistExportError: bad input, an unsupported layer, an output folder that cannot be written;
            the folder is then as it was.
    """
    from mnist_export.core.files import output_folder
    from mnist_export.models.loading import require_model
    from mnist_export.runtime.runners.opening import MAX_THREADS

    side = side_files or SideFiles()
    require_model(job.model)
    check_side_files(
        {"`junit`": side.junit, "`summary`": side.summary},
        {"the model": job.model, "the data": job.data_path},
    )
    if side.page is not None:
        from mnist_export.pipeline.drawing_page import require_page

        require_page(job)
    if job.threads > MAX_THREADS:
        raise InputError(f"`threads`: expected 1 to {MAX_THREADS}, found {job.threads}.")
    from mnist_export.pipeline.memory import before_loading, require_memory

    require_memory(job, before_loading(job.model), "exporting it")
    devices = devices_for(job)
    stages = Stages(progress=progress, total=8)
    with output_folder(job.output), stages.bar():
        return _run(job, progress, stages, side, devices)


def _run(job: Job, progress: Progress, stages: Stages, side: SideFiles, devices: Sequence[Device]) -> Report:
    from mnist_export.core.known import remember
    from mnist_export.export.artifacts import write_artifacts
    from mnist_export.export.described import Described
    from mnist_export.models.judging import VALUES
    from mnist_export.pipeline.findings import with_findings
    from mnist_export.pipeline.heads import outputs_of
    from mnist_export.pipeline.methods.method import Source
    from mnist_export.pipeline.methods.pixels import with_pixels
    from mnist_export.pipeline.network import make_network
    from mnist_export.pipeline.reporting import build_report, write_report
    from mnist_export.pipeline.usage import beside_of, with_usage
    from mnist_export.quantize.lowering import lower
    from mnist_export.report.reworded import reworded

    with stages.stage("data", "data"):
        dataset = _data(job, progress)
    with stages.stage("import tensorflow", "starting TensorFlow"):
        from mnist_export.models.structure.engine import tensorflow

        tensorflow()  # timed on its own: it is the longest stage of a short run
    with stages.stage("model", "model"):
        job, loaded, dataset = _model(job, dataset, progress)
    with stages.stage("lower", "lowering"):
        graph = lower(loaded.model, tuple(loaded.input_shape), [output.name for output in loaded.outputs])
    give_back()
    job, graph = with_pixels(job, graph)
    _require_memory(job, graph, dataset)
    with stages.stage("quantize", f"quantizing to {job.scheme.precision}"):
        calibration = _calibration(job, dataset, progress)
        source = Source(loaded=loaded, graph=graph, dataset=dataset, calibration=calibration)
        made = make_network(job, source, progress)
        network = made.network
    with stages.stage("export", "writing files"):
        described = Described(
            name=loaded.name,
            data=dataset.name if loaded.source.kind != "file" else None,
            class_names=outputs_of(loaded, dataset) if job.until is None else dataset.class_names,
            source_sha256=loaded.source.sha256,
            data_sha256=dataset.provenance.sha256,
            seed=job.seed,
            head=loaded.head if job.until is None else VALUES,
            threshold=loaded.threshold,
            outputs=loaded.outputs,
        )
        from mnist_export.pipeline.equality import certificate_json

        written = write_artifacts(
            network,
            described,
            job.formats,
            job.output,
            io=job.io,
            target=job.target,
            opset=job.opset,
            certify=certificate_json if job.extra.exact else None,
            deployment=job.deployment,
            beside=beside_of(job, loaded, network.input_range.span, described.class_names),
        )
        remember(item.sha256 for item in written.artifacts)
    with stages.stage("check", "checking parity and latency"):
        from mnist_export.core.scratch import scratch_folder
        from mnist_export.pipeline.float_files import write_float_files

        paths = [item.path for item in written.artifacts]
        with scratch_folder() as folder:
            floats = write_float_files(job, source, described, folder) if job.until is None else []
            result, on_devices = _check(job, loaded, dataset, paths, floats, progress, devices)
    with stages.stage("report", "report"):
        report = build_report(job, loaded, dataset, network, written, result, dict(stages.seconds))
        report = with_findings(report, made, dataset, result)
        report = _judged(report, job, written, result, dataset, loaded, progress)
        report = reworded(with_devices(report, on_devices, job), progress.wording)
        report = with_usage(report, job)
        write_report(report, result, dataset, job.output, side, loaded=loaded, stem=written.stem)
        _write_page(side, written, dataset, progress)
    return report


def _write_page(side: SideFiles, written: WrittenRun, dataset: Dataset, progress: Progress) -> None:
    if side.page is None:
        return
    from mnist_export.pipeline.drawing_page import write_drawing_page

    path = next(item.path for item in written.artifacts if item.path.suffix == ".onnx")
    progress.note(f"page: {write_drawing_page(path, dataset, side.page, trust=True).index}")


def _model(job: Job, dataset: Dataset, progress: Progress) -> tuple[Job, LoadedModel, Dataset]:
    """Load the model; take the data's y for what its outputs are, and the pixels as its input does."""
    from mnist_export.core.pixels import InputRange
    from mnist_export.data.targets import as_two_classes
    from mnist_export.models.judging import CLASSES
    from mnist_export.pipeline.heads import require_head
    from mnist_export.pipeline.outputs import require_single
    from mnist_export.train.obtaining import load_or_train

    loaded = load_or_train(
        job.model,
        dataset,
        trust=job.trust,
        notify=progress.note,
        until=job.until,
        beside=job.beside,
        head=job.head,
        threshold=job.threshold,
        output_name=job.output_name,
        several=True,
    )
    require_single(job, loaded)
    if loaded.takes_raw_pixels and not job.range_stated:
        raw = InputRange(lo=0.0, hi=255.0)
        job = replace(job, input_range=raw, range_stated=True, scheme=replace(job.scheme, input_range=raw))
    if loaded.head == CLASSES:
        dataset = as_two_classes(dataset)
    require_head(job, loaded)
    if job.until is None and loaded.head == CLASSES:
        _check_range(job, loaded, dataset, progress)
    return job, loaded, dataset


def _judged(
    report: Report,
    job: Job,
    written: WrittenRun,
    result: CheckResult,
    dataset: Dataset,
    loaded: LoadedModel,
    progress: Progress,
) -> Report:
    """Judge by what else was asked for, or by what the outputs are."""
    from mnist_export.models.judging import CLASSES
    from mnist_export.pipeline.equality import judged_by_equality
    from mnist_export.pipeline.heads import in_terms_of_head
    from mnist_export.pipeline.outputs import with_outputs
    from mnist_export.pipeline.submodel import judged_by_values

    if job.extra.exact:
        report = judged_by_equality(report, written, dataset, progress)
    if job.until is not None:
        return judged_by_values(report)
    if loaded.outputs:
        return with_outputs(report, result, dataset, loaded, job)
    if loaded.head != CLASSES:
        return in_terms_of_head(report, result, dataset, loaded, progress)
    return report


def _require_memory(job: Job, graph: Graph, dataset: Dataset) -> None:
    from mnist_export.pipeline.memory import before_quantizing, require_memory
    from mnist_export.quantize.training.finetune import default_recipe

    trains = job.extra.trains or job.extra.qat_epochs is not None
    batch = default_recipe(dataset.image_shape).batch_size if trains else 0
    require_memory(job, before_quantizing(graph, training_batch=batch), "quantizing it")


def _data(job: Job, progress: Progress) -> Dataset:
    from mnist_export.data import load_dataset

    if not isinstance(job.data, str):
        return job.data
    return load_dataset(
        job.data,
        seed=job.seed,
        notify=progress.warn,
        pictures=_pictures(job),
        trust=job.trust,
        head=job.head,
    )


def _pictures(job: Job) -> PictureOptions:
    """Channels and size that the model takes, where the data may be pictures in files."""
    from mnist_export.data.picture_options import Resize, pictures_for
    from mnist_export.data.picture_table import has_pictures
    from mnist_export.models.loading import input_shape_of

    resize = Resize.parse(job.resize)
    files = isinstance(job.data, str) and has_pictures(Path(job.data))
    if not files:
        return pictures_for(None, resize)
    return pictures_for(input_shape_of(job.model, trust=job.trust, beside=job.beside), resize)


def _check_range(job: Job, loaded: LoadedModel, dataset: Dataset, progress: Progress) -> None:
    from mnist_export.data import stratified_sample
    from mnist_export.parity.input_ranges import check_range
    from mnist_export.runtime.runners.keras import KerasRunner

    if not len(dataset.test):
        raise InputError(f"checking on '{dataset.name}': expected test images, found none. Use other data.")
    some = dataset.test.take(stratified_sample(dataset.test, min(_RANGE_IMAGES, len(dataset.test)), job.seed))
    found = check_range(
        # compiled: called eagerly, Keras keeps every layer's output until the last
        KerasRunner.of(loaded, threads=job.threads, input_range=job.input_range).invoke,
        some.array,
        some.labels,
        job.input_range,
        input_shape=tuple(loaded.input_shape),
    )
    if found.wrong and not job.range_stated:
        raise InputError(
            f"{loaded.name}: {found.message()} To insist on the default, give {job.input_range.parameters()}."
        )
    if text := found.message():
        progress.warn(f"{loaded.name}: {text}")


def _calibration(job: Job, dataset: Dataset, progress: Progress) -> Split | None:
    if job.scheme.precision not in {Precision.INT8, Precision.INT16X8}:
        return None
    from mnist_export.data import stratified_sample
    from mnist_export.data.checks import Severity, check_calibration

    if not len(dataset.train):
        raise InputError(
            f"calibration on '{dataset.name}': expected training images, found none. Use other data."
        )
    count = min(job.calibration_samples, len(dataset.train))
    split = dataset.train.take(stratified_sample(dataset.train, count, job.seed)).in_memory()
    labels = split.labels if split.targets is None else None
    for finding in check_calibration(split.images, labels, dataset):
        if finding.severity is Severity.ERROR:
            raise InputError(finding.message)
        progress.warn(finding.message)
    return split


def _check(
    job: Job,
    loaded: LoadedModel,
    dataset: Dataset,
    paths: list[Path],
    float_paths: list[Path],
    progress: Progress,
    devices: Sequence[Device],
) -> tuple[CheckResult, tuple[OnDevice, ...]]:
    from contextlib import ExitStack

    from mnist_export.parity.checking import check
    from mnist_export.pipeline.heads import head_of
    from mnist_export.pipeline.reference import open_reference
    from mnist_export.runtime.runners.opening import open_runner

    with ExitStack() as stack:
        reference = open_reference(job, loaded, stack)
        several = bool(loaded.outputs)
        candidates, floats = (
            [
                stack.enter_context(open_runner(path, threads=job.threads, trust=True, several=several))
                for path in group
            ]
            for group in (paths, float_paths)
        )
        if job.until is None and not loaded.outputs:
            head = head_of(loaded, job)
            result = check(
                reference,
                candidates,
                dataset.test,
                thresholds=job.thresholds,
                head=head,
                floats=floats,
                notify=progress.detail,
            )
            logits = result.reference.logits
            return result, run_on_devices(job, devices, candidates, dataset, logits, head, progress)
        from mnist_export.parity.heads import ANYTHING
        from mnist_export.pipeline.submodel import unlabelled

        images = unlabelled(reference, dataset.test)
        found = check(
            reference, candidates, images, thresholds=ANYTHING, floats=floats, notify=progress.detail
        )
        return found, ()
