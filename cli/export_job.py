"""What ``mnist-export`` does with its arguments: one pass through the rooms, in their order."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mnist_export.cli.common import Console
from mnist_export.cli.export_quantize_options import QuantizeOptions
from mnist_export.cli.side_files import check_side_files
from mnist_export.core.errors import InputError
from mnist_export.core.kinds import Format, IoType, Precision

if TYPE_CHECKING:
    from mnist_export.core.pixels import InputRange
    from mnist_export.data import Dataset, Split
    from mnist_export.quantize import SchemeConfig
    from mnist_export.quantize.rewrites import Target
    from mnist_export.report.schema import Report
    from mnist_export.runtime.parity.comparison import Thresholds
    from mnist_export.runtime.parity.results import CheckResult
    from mnist_export.train.loading import LoadedModel


_RANGE_IMAGES = 500


@dataclass(frozen=True, kw_only=True)
class ExportJob:
    """One run of ``mnist-export``, checked.

    Attributes:
        model: an architecture's name or a model file.
        formats: what to write, in this order.
        scheme: the number format and how to get there.
        data: what ``--data`` said.
        output: the folder that files go to.
        input_range: what pixel values 0 and 255 become for the model.
        io: type of integer files' inputs and outputs; None takes each format's own.
        calibration_samples: how many training images set the ranges.
        seed: chooses the calibration images.
        thresholds: what the verdict is measured against.
        threads: threads of one inference.
        trust: a SavedModel may be opened.
        until: export the sub-model that ends at this layer.
        target: the runtime whose form files get; None takes each format's own.
        prepare: rewrite the float network before quantization.
        extra: training, search and diagnosis.
        junit: also write JUnit XML there.
        summary: append a Markdown summary there.
        command: the command line, for the report.
    """

    model: str
    formats: tuple[Format, ...]
    scheme: SchemeConfig
    data: str
    output: Path
    input_range: InputRange
    io: IoType | None
    calibration_samples: int
    seed: int
    thresholds: Thresholds
    threads: int = 1
    trust: bool = False
    until: str | None = None
    target: Target | None = None
    prepare: bool = True
    extra: QuantizeOptions = field(default_factory=QuantizeOptions)
    junit: Path | None = None
    summary: Path | None = None
    command: str = ""


@dataclass(kw_only=True)
class Stages:
    """Times each stage and says it on stderr, with a bar where somebody watches.

    Attributes:
        console: where to.
        total: how many stages there are.
        seconds: stage to seconds, in order.
    """

    console: Console
    total: int
    seconds: dict[str, float] = field(default_factory=dict)
    _bar: Any = None

    @contextmanager
    def bar(self) -> Iterator[None]:
        """Show a bar over the stages while the block runs."""
        from tqdm import tqdm

        with tqdm(
            total=self.total,
            disable=not self.console.progress,
            leave=False,
            bar_format="{l_bar}{bar}| {elapsed}",
        ) as self._bar:
            yield

    @contextmanager
    def stage(self, name: str, doing: str) -> Iterator[None]:
        """Run one stage.

        Args:
            name: its key in the report's timings.
            doing: what is being done, for the bar and with -v.
        """
        if self._bar is not None:
            self._bar.set_description(doing)
        self.console.detail(doing)
        started = time.perf_counter()
        yield
        self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - started
        if self._bar is not None:
            self._bar.update()


def run_job(job: ExportJob, console: Console) -> Report:
    """Load, quantize, export, check, report.

    Args:
        job: what to do.
        console: told what is being done.

    Returns:
        The report, which was written beside the artifacts.

    Raises:
        MnistExportError: bad input, an unsupported layer, an output folder that cannot be written;
            the folder is then as it was.
    """
    from mnist_export.core.files import output_folder
    from mnist_export.runtime.runners.opening import MAX_THREADS
    from mnist_export.train.loading import require_model

    require_model(job.model)
    check_side_files(
        {"--junit": job.junit, "--summary": job.summary}, {"the model": job.model, "the data": job.data}
    )
    if job.threads > MAX_THREADS:
        raise InputError(f"--threads: expected 1 to {MAX_THREADS}, found {job.threads}.")
    stages = Stages(console=console, total=8)
    with output_folder(job.output), stages.bar():
        return _run(job, console, stages)


def _run(job: ExportJob, console: Console, stages: Stages) -> Report:
    from mnist_export.cli.export_findings import with_findings
    from mnist_export.cli.export_quantize import make_network
    from mnist_export.cli.export_report import build_report, write_report
    from mnist_export.core.known import remember
    from mnist_export.export.artifacts import Described, write_artifacts
    from mnist_export.quantize.lowering import lower
    from mnist_export.train.loading import load_model

    with stages.stage("data", "data"):
        from mnist_export.data import load_dataset

        dataset = load_dataset(job.data, seed=job.seed, notify=console.warn)
    with stages.stage("import tensorflow", "starting TensorFlow"):
        from mnist_export.train.engine import tensorflow

        tensorflow()  # timed on its own: it is the longest stage of a short run
    with stages.stage("model", "model"):
        loaded = load_model(job.model, dataset, trust=job.trust, notify=console.note, until=job.until)
        if job.until is None:
            _check_range(job, loaded, dataset, console)
    with stages.stage("lower", "lowering"):
        graph = lower(loaded.model, tuple(loaded.input_shape))
    with stages.stage("quantize", f"quantizing to {job.scheme.precision}"):
        calibration = _calibration(job, dataset, console)
        made = make_network(
            job, loaded, graph=graph, dataset=dataset, calibration=calibration, console=console
        )
        network = made.network
    with stages.stage("export", "writing files"):
        described = Described(
            name=loaded.name,
            data=dataset.name if loaded.source.kind != "file" else None,
            class_names=dataset.class_names,
            source_sha256=loaded.source.sha256,
            data_sha256=dataset.provenance.sha256,
            seed=job.seed,
        )
        from mnist_export.cli.export_exact import certificate_json, judged_by_equality

        written = write_artifacts(
            network,
            described,
            job.formats,
            job.output,
            io=job.io,
            target=job.target,
            certify=certificate_json if job.extra.exact else None,
        )
        remember(item.sha256 for item in written.artifacts)
    with stages.stage("check", "checking parity and latency"):
        result = _check(job, loaded, dataset, [item.path for item in written.artifacts], console)
    with stages.stage("report", "report"):
        report = build_report(job, loaded, dataset, network, written, result, dict(stages.seconds))
        report = with_findings(report, made, dataset, result)
        if job.extra.exact:
            report = judged_by_equality(report, written, dataset, console)
        if job.until is not None:
            from mnist_export.cli.export_features import judged_by_values

            report = judged_by_values(report)
        write_report(report, result, dataset, job, loaded=loaded, stem=written.stem)
    return report


def _check_range(job: ExportJob, loaded: LoadedModel, dataset: Dataset, console: Console) -> None:
    from mnist_export.data import stratified_sample
    from mnist_export.runtime.parity.input_ranges import check_range

    if not len(dataset.test):
        raise InputError(f"checking on '{dataset.name}': expected test images, found none. Use other data.")
    some = dataset.test.take(stratified_sample(dataset.test, min(_RANGE_IMAGES, len(dataset.test)), job.seed))
    found = check_range(
        lambda images: loaded.model(images, training=False),
        some.images,
        some.labels,
        job.input_range,
        input_shape=tuple(loaded.input_shape),
    )
    if found.wrong:
        raise InputError(f"{loaded.name}: {found.message()}")
    if text := found.message():
        console.warn(f"{loaded.name}: {text}")


def _calibration(job: ExportJob, dataset: Dataset, console: Console) -> Split | None:
    if job.scheme.precision not in {Precision.INT8, Precision.INT16X8}:
        return None
    from mnist_export.data import stratified_sample
    from mnist_export.data.checks import Severity, check_calibration

    if not len(dataset.train):
        raise InputError(
            f"calibration on '{dataset.name}': expected training images, found none. Use other data."
        )
    count = min(job.calibration_samples, len(dataset.train))
    split = dataset.train.take(stratified_sample(dataset.train, count, job.seed))
    for finding in check_calibration(split.images, split.labels, dataset):
        if finding.severity is Severity.ERROR:
            raise InputError(finding.message)
        console.warn(finding.message)
    return split


def _check(
    job: ExportJob, loaded: LoadedModel, dataset: Dataset, paths: list[Path], console: Console
) -> CheckResult:
    from contextlib import ExitStack

    from mnist_export.runtime import open_runner
    from mnist_export.runtime.parity.checking import check
    from mnist_export.runtime.runners.keras import KerasRunner

    with ExitStack() as stack:
        reference = stack.enter_context(
            KerasRunner.of(loaded, threads=job.threads, input_range=job.input_range)
        )
        candidates = [
            stack.enter_context(open_runner(path, threads=job.threads, trust=True)) for path in paths
        ]
        if job.until is None:
            return check(
                reference, candidates, dataset.test, thresholds=job.thresholds, notify=console.detail
            )
        from mnist_export.cli.export_features import unlabelled
        from mnist_export.runtime.parity.comparison import Thresholds

        images = unlabelled(reference, dataset.test)
        anything = Thresholds(max_drop_pp=100.0, min_agreement=0.0)
        return check(reference, candidates, images, thresholds=anything, notify=console.detail)
