"""A pytest fixture: whether exported files still give the original's answers, in a test of three lines.

Example::

    def test_the_edge_gives_the_original_answers(parity):
        parity("lenet5.golden.npz", "lenet5.int8.tflite", "lenet5.int8.onnx", max_drop=0.2)

    def test_the_edge_gives_the_files_own_integers(parity):
        parity("integers.npz", "lenet5.int8.tflite")
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from mnist_export.core.pixels import InputRange
    from mnist_export.parity.integer_check import IntegersResult
    from mnist_export.parity.results import CheckResult

Spec = str | Path


def check_files(
    reference: Spec,
    *candidates: Spec,
    data: str | None = None,
    max_drop: float | None = None,
    min_agreement: float | None = None,
    input_range: tuple[float, float] | None = None,
    kernels: str = "default",
    trust: bool = False,
    isolate: bool = False,
    head: str = "auto",
    threshold: float | Sequence[float] | None = None,
    max_error: float | None = None,
) -> CheckResult | IntegersResult:
    """Compare files with their original and fail the test where a verdict fails.

    Args:
        reference: golden .npz (of integers: each has to be equal), .keras, .h5, SavedModel, .tflite, .onnx.
        candidates: .tflite and .onnx files, at least one.
        data: as ``--data`` takes it; None takes the recording's own, else ``auto``.
        max_drop: largest loss of top-1, percentage points; None takes ``parity.toml``, else 0.5.
        min_agreement: smallest share of equal labels, percent; None takes ``parity.toml``, else 99.
        input_range: what pixels 0 and 255 become; None takes the files' own.
        kernels: of LiteRT or ONNX Runtime, for all files.
        trust: skip the trial run of files that no manifest vouches for.
        isolate: measure latency too, each model in a process of its own; without it nothing is timed.
        head: what the outputs are: ``auto``, ``classes``, ``labels`` or ``values``.
        threshold: of sigmoids; None takes the files' own, else 0.5.
        max_error: largest error of outputs that are numbers; None allows an RMSE of 5 % of their spread.

    Returns:
        All figures, for further assertions.
    """
    import contextlib

    from mnist_export.core.kinds import Verdict
    from mnist_export.core.pixels import InputRange
    from mnist_export.data import Dataset, load_dataset
    from mnist_export.data.picture_options import pictures_for
    from mnist_export.models.thresholds import parse_threshold
    from mnist_export.parity.checking import check
    from mnist_export.parity.choosing import stated_head, stated_limit
    from mnist_export.parity.integer_golden import is_integers
    from mnist_export.parity.opening import Opening, Shape, open_all
    from mnist_export.parity.thresholds import thresholds_from

    pixels = InputRange(lo=input_range[0], hi=input_range[1]) if input_range else None
    how = Opening(
        kernels=(kernels, kernels),
        input_range=pixels,
        trust=trust,
        head=stated_head(head),
        threshold=None if threshold is None else parse_threshold(threshold),
        max_error=stated_limit(max_error),
    )
    limits = thresholds_from(max_drop=max_drop, min_agreement=min_agreement)
    if is_integers(reference):
        return _check_integers(reference, candidates, pixels, kernels=kernels, trust=trust)

    def load(recorded: str | None, shape: Callable[[], Shape]) -> Dataset:
        files = data is not None and Path(data).is_dir()
        pictures = pictures_for(shape()) if files else None
        return load_dataset(data or recorded or "auto", pictures=pictures, trust=trust, head=head)

    with contextlib.ExitStack() as stack:
        opened = open_all(stack, str(reference), [str(path) for path in candidates], load, how)
        result = check(
            opened.reference,
            opened.candidates,
            opened.dataset.test,
            thresholds=limits,
            head=opened.head,
            timed=isolate,
            isolate=isolate,
        )
    failed = [c for c in result.candidates if c.parity.verdict is Verdict.FAIL]
    if failed:
        lines = [f"{c.label}: {c.parity.why} {c.diagnosis}".rstrip() for c in failed]
        pytest.fail("\n".join(lines), pytrace=False)
    return result


def _check_integers(
    reference: Spec, candidates: tuple[Spec, ...], pixels: InputRange | None, *, kernels: str, trust: bool
) -> IntegersResult:
    import contextlib

    from mnist_export.parity.integer_check import check_integers
    from mnist_export.parity.integer_golden import load_integers
    from mnist_export.runtime.runners.opening import open_runner

    golden = load_integers(reference)
    with contextlib.ExitStack() as stack:
        runners = [
            stack.enter_context(
                open_runner(path, kernels=kernels, input_range=pixels or golden.meta.rule, trust=trust)
            )
            for path in candidates
        ]
        result = check_integers(golden, runners)
    failed = [row for row in result.rows if row.verdict == "fail"]
    if failed:
        pytest.fail("\n".join(f"{row.file}: {row.why}" for row in failed), pytrace=False)
    return result


@pytest.fixture(scope="session")
def parity() -> Callable[..., Any]:
    """A function that compares exported files with their original; see `check_files`."""
    return check_files
