"""Names the damage that answers look like: permuted classes, scaled input, shifted outputs, other kernels.

Each hypothesis is tried on the images and kept only where it explains what was seen; a sentence that begins
"looks like" is a finding of a test, not proof.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from mnist_export.core.kinds import Verdict
from mnist_export.core.pixel_rules import PRESETS, PixelRule, between
from mnist_export.parity.comparison import Parity
from mnist_export.runtime.runners.runner import Runner

if TYPE_CHECKING:
    from mnist_export.data.dataset import Split

_SAMPLE: Final = 256
_KERNEL_STEPS: Final = 4.01  # rounding that differs by a step in a layer grows by about one a layer
_EXPLAINED: Final = 0.95  # agreement from which on a hypothesis counts as the explanation
_UNDECIDED: Final = 0.8  # below this agreement more than close answers is wrong
_CLOSE_STEPS: Final = 5.0
_RULES: Final[dict[str, PixelRule]] = {
    "pixels scaled to 0..1": between(0, 1),
    "pixels 0..255": between(0, 255),
    "pixels scaled to -1..1": between(-1, 1),
    "pixels scaled to -0.5..0.5": between(-0.5, 0.5),
    "inverted pixels": between(1, 0),
}
_COLOUR_RULES: Final[dict[str, PixelRule]] = {
    "channels in the order BGR": between(0, 1, reverse=True),
    "Caffe's rule": PRESETS["caffe"],
    "torchvision's rule": PRESETS["torch"],
}


def diagnose(
    runner: Runner,
    reference: npt.NDArray[np.float32],
    candidate: npt.NDArray[np.float32],
    parity: Parity,
    split: Split,
) -> str:
    """Say in a sentence what the candidate's answers look like.

    Args:
        runner: the candidate, still open.
        reference: float32 (n, classes).
        candidate: float32 (n, classes).
        parity: their comparison.
        split: the images and labels.

    Returns:
        One sentence, or the empty string where the candidate passes and nothing is remarkable.
    """
    kernels = _other_kernels(reference, parity)
    shift = _shifted(reference, candidate, parity)
    if parity.verdict is Verdict.PASS or kernels:
        return kernels or shift
    for found in (
        _permuted(parity),
        _constant(candidate),
        _undecided(reference, candidate, parity),
        shift,
        _scaled_input(runner, reference, split),
    ):
        if found:
            return found
    if parity.agreement >= _EXPLAINED:
        return "to see where they part: mnist-parity layers REFERENCE CANDIDATE"
    return (
        "the weights or the quantization of some layer are damaged, or it is another model; "
        "to see where they part: mnist-parity layers REFERENCE CANDIDATE"
    )


def _undecided(reference: npt.NDArray[np.float32], candidate: npt.NDArray[np.float32], parity: Parity) -> str:
    """The images with other labels are those on which the reference itself hardly decides."""
    step = parity.logits.step
    if not step or parity.logits.domain != "logits" or reference.ndim != 2 or reference.shape[1] < 2:
        return ""
    best = np.sort(reference, axis=1)[:, -2:]
    margin = (best[:, 1] - best[:, 0]).astype(np.float64)
    apart = margin[reference.argmax(axis=1) != candidate.argmax(axis=1)]
    if not apart.size or parity.agreement < _UNDECIDED:
        return ""
    widest = float(apart.max())
    share = float(np.mean(margin <= widest))
    if widest > _CLOSE_STEPS * step:
        return ""
    return (
        "on the images with other labels the reference's own two best answers lie at most "
        f"{widest:.2g} apart, {widest / step:.1f} steps of this file's 8-bit outputs, "
        f"as on {share:.0%} of all images: it hardly decides them. "
        'Train it further, or export with `auto=True`, `keep_float` or `precision="float16"`'
    )


def _other_kernels(reference: npt.NDArray[np.float32], parity: Parity) -> str:
    """The reference lies on the candidate's own grid, and is a few steps off here and there."""
    errors = parity.logits
    if not errors.step or not errors.different or errors.domain != "logits":
        return ""
    steps = reference.astype(np.float64) / errors.step
    on_grid = float(np.abs(steps - np.rint(steps)).max()) < 1e-2
    few = errors.max_error_steps is not None and errors.max_error_steps <= _KERNEL_STEPS
    biased = abs(errors.mean_error) > 0.5 * errors.step
    if not on_grid or not few or biased:
        return ""
    share = errors.different / reference.size
    return (
        f"looks like the same integers under other kernels: {share:.2%} of the outputs differ, by at most "
        f"{round(errors.max_error_steps or 0)} steps of the output's scale"
    )


def _permuted(parity: Parity) -> str:
    """A permutation of the classes: each true class goes almost always to one other output."""
    counts = parity.candidate_confusion
    present = counts.sum(axis=1) > 0
    target = counts.argmax(axis=1)
    hits = counts.max(axis=1)[present].sum() / max(1, counts.sum())
    moved = [int(i) for i in np.flatnonzero(present & (target != np.arange(len(target))))]
    one_to_one = len(set(target[present].tolist())) == int(present.sum())
    if not moved or not one_to_one or hits < min(_EXPLAINED, parity.reference_top1 - 0.03):
        return ""
    pairs = ", ".join(f"{i} as {int(target[i])}" for i in moved[:6])
    return f"looks like permuted classes: {pairs}{' and more' if len(moved) > 6 else ''}"


def _constant(candidate: npt.NDArray[np.float32]) -> str:
    if float(np.ptp(candidate, axis=0).max()) == 0.0 and len(candidate) > 1:
        return "answers every image with the same values: the input does not reach the output"
    return ""


def _shifted(reference: npt.NDArray[np.float32], candidate: npt.NDArray[np.float32], parity: Parity) -> str:
    """All outputs off by about one whole number of steps: the output's zero point."""
    step = parity.logits.step
    if not step or parity.logits.domain != "logits" or len(candidate) < 20:
        return ""
    steps = (candidate.astype(np.float64) - reference) / step
    # values at the ends of the range are cut off there and would pull the mean
    inside = (candidate > candidate.min()) & (candidate < candidate.max())
    per_class = np.array([steps[inside[:, i], i].mean() for i in range(steps.shape[1]) if inside[:, i].any()])
    offset = float(per_class.mean()) if len(per_class) else 0.0
    whole = round(offset)
    # rounded weights move single classes by over half a step, but not all of them one way
    one_way = bool(np.all(np.sign(per_class) == np.sign(offset)))
    if not whole or not one_way or abs(offset - whole) > 0.25 or float(np.ptp(per_class)) > 2:
        return ""
    direction = "above" if whole > 0 else "below"
    return (
        f"all outputs lie about {abs(whole)} step{'s' if abs(whole) > 1 else ''} {direction} the "
        "reference's: looks like an output zero point that is off"
    )


def _agreement(runner: Runner, images: npt.NDArray[np.uint8], labels: npt.NDArray[np.int64]) -> float:
    return float(np.mean(runner.run_integers(images).argmax(axis=1) == labels))


def _scaled_input(runner: Runner, reference: npt.NDArray[np.float32], split: Split) -> str:
    """Another pixel rule restores the answers."""
    images, wanted = split.images[:_SAMPLE], reference[:_SAMPLE].argmax(axis=1)
    now = _agreement(runner, images, wanted)
    best, name = now, ""
    kept = runner.input_range, runner.metadata
    try:
        rules = _RULES | (_COLOUR_RULES if images.shape[-1] == 3 else {})
        for text, trial in rules.items():
            runner.input_range = trial
            if runner.input.dtype.kind != "f":
                runner.metadata = None  # quantize the real values instead of passing pixels
            found = _agreement(runner, images, wanted)
            if found > best + 0.02:
                best, name = found, text
    finally:
        runner.input_range, runner.metadata = kept
    if not name or best < 0.9:
        return ""
    hint = f" ({(_RULES | _COLOUR_RULES)[name].parameters()})"
    return (
        f"looks like an input that is scaled twice or not at all: with {name}{hint} agreement is "
        f"{best:.1%} instead of {now:.1%}"
    )
