"""Which images a golden keeps: few that show as many faults of the file as they can.

Chosen is from the original file and its images alone, greedily: each time the image that shows most of what
no chosen one shows yet. What can be shown is a sample of single-bit faults of the dense layers that the file
ends in (`faults`), and for every layer's channels whether they reach their smallest code, their largest, and
each quarter between; where nothing more is gained, images whose two best classes are closest come first. Half
of the images that are looked at are windows on four test images side by side, which let units meet that no
test image wakes together.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from mnist_export.core.batches import fitting
from mnist_export.core.errors import MnistExportError
from mnist_export.parity.goldens.faults import Faults, dense_tail, logits_of
from mnist_export.parity.layers.activations import READERS, Activation, activations_of

if TYPE_CHECKING:
    from mnist_export.core.images import Images
    from mnist_export.parity.goldens.faults import Dense
    from mnist_export.runtime.runners.runner import Runner

POOL: Final = 8_000
_PIXELS: Final = 200_000_000  # of all images that are looked at
_OPERATIONS: Final = 250_000_000_000  # of all faults on all images: half a minute
_ITEMS_BYTES: Final = 1 << 28
_SAME: Final = 0.99
_KEPT_BYTES: Final = 1 << 28
_ALL_ACTIVATIONS: Final = 256


@dataclass(frozen=True, kw_only=True, eq=False)
class Choice:
    """Images for a golden.

    Attributes:
        images: uint8 (n, H, W, C), in the order in which they were chosen.
        places: of the images among those given, -1 for one that was composed.
        how: in a few words.
    """

    images: npt.NDArray[np.uint8]
    places: npt.NDArray[np.int64]
    how: str


def choose(
    runner: Runner,
    images: Images,
    count: int,
    *,
    pool: int = POOL,
    composed: bool = True,
    seed: int = 0,
    notify: Callable[[str], None] = lambda _: None,
) -> Choice:
    """Choose images; the same file and images give the same choice.

    Args:
        runner: the file, open.
        images: uint8 (n, H, W, C).
        count: how many to choose; all, where there are no more and none are composed.
        pool: most images to look at.
        composed: let half of them be windows on four images side by side.
        seed: of what is composed and of the faults.
        notify: told what is being done.
    """
    tail = dense_tail(runner)
    faults = Faults(tail, seed=seed) if tail else None
    size = min(pool, _PIXELS // int(np.prod(images.shape[1:])))
    if faults is not None:
        size = min(size, _OPERATIONS // max(1, faults.cost()))
    size = max(min(size, 2 * len(images) if composed else len(images)), count)
    taken = min(len(images), size if not composed else -(-size // 2))
    looked = images[:taken]
    places = np.arange(taken, dtype=np.int64)
    if composed:
        rng = np.random.default_rng(seed)
        looked = np.concatenate([looked, windows(looked, size - taken, rng)])
        places = np.concatenate([places, np.full(size - taken, -1)])
        order = rng.permutation(len(looked))  # so that a bound on memory leaves some of both
        looked, places = looked[order], places[order]
    if count >= len(looked):
        return Choice(images=looked, places=places, how="all")
    notify(f"{runner.label}: choosing {count:,} of {len(looked):,} images")
    items, known = _items(runner, looked, faults)
    looked = looked[: len(items)]
    codes = np.asarray(runner.run_integers(looked), np.int64)
    two = np.sort(codes, axis=1)[:, -2:]
    chosen = np.asarray(_greedy(items, two[:, 1] - two[:, 0], count), np.int64)
    how = "closest decisions"
    if items.shape[1]:
        how = f"greedy cover of {'dense weights and of ' if known else ''}each channel's codes"
    return Choice(images=looked[chosen], places=places[chosen], how=f"{how}, of {len(looked):,} images")


def windows(images: npt.NDArray[np.uint8], count: int, rng: np.random.Generator) -> npt.NDArray[np.uint8]:
    """Windows of the images' size on four of them side by side, at random places.

    Args:
        images: uint8 (n, H, W, C), n > 0.
        count: how many windows.
        rng: draws them.
    """
    height, width = images.shape[1:3]
    found = np.empty((count, *images.shape[1:]), np.uint8)
    four = rng.integers(0, len(images), (count, 4))
    downs, rights = rng.integers(0, height, count), rng.integers(0, width, count)
    for place, (a, b, c, d) in enumerate(four):
        upper = np.concatenate([images[a], images[b]], axis=1)
        lower = np.concatenate([images[c], images[d]], axis=1)
        down, right = downs[place], rights[place]
        found[place] = np.concatenate([upper, lower])[down : down + height, right : right + width]
    return found


def _greedy(items: npt.NDArray[np.bool_], margins: npt.NDArray[np.int64], count: int) -> list[int]:
    """The order of images: most new items first, then closest decisions, then the first of equals."""
    left = np.ones(items.shape[1], np.bool_)
    free = np.ones(len(items), np.bool_)
    tie = margins / (float(margins.max(initial=0)) + 1.0)
    gains = items.sum(axis=1, dtype=np.int64)
    chosen: list[int] = []
    for _ in range(count):
        best = int(np.where(free, gains - tie, -np.inf).argmax())
        chosen.append(best)
        free[best] = False
        new = items[best] & left
        if new.any():
            gains -= items[:, new].sum(axis=1, dtype=np.int64)
            left &= ~new
    return chosen


def _items(
    runner: Runner, images: npt.NDArray[np.uint8], faults: Faults | None
) -> tuple[npt.NDArray[np.bool_], bool]:
    """What each image shows, (images, items), of fewer images where items are many; whether of faults too."""
    if runner.name not in READERS:
        return np.zeros((len(images), 0), np.bool_), False
    pixels = int(np.prod(images.shape[1:]))
    step = fitting(pixels * 4 * _ALL_ACTIVATIONS, budget_bytes=_KEPT_BYTES)
    rows: list[npt.NDArray[np.bool_]] = []
    known = faults is not None
    most = len(images)
    for start in range(0, len(images), step):
        if rows:
            most = max(len(rows[0]), _ITEMS_BYTES // max(1, rows[0].shape[1]))
        piece = images[start : min(start + step, most)]
        if not len(piece):
            break
        try:
            layers = activations_of(runner, piece, count=len(piece))
        except MnistExportError:  # kernels that keep no tensors: chosen by decisions alone
            return np.zeros((len(images), 0), np.bool_), False
        axis = 1 if runner.name == "onnxruntime" else -1
        parts = [_quarters(layer, axis) for layer in layers if layer.qrange is not None]
        codes = _dense_input(layers, faults.layers, runner.run_integers(piece)) if faults else None
        if faults is not None and codes is not None:
            parts.append(np.array([faults.shown(row) for row in codes]))
        else:
            known, faults = False, None
        rows.append(np.concatenate([np.zeros((len(piece), 0), np.bool_), *parts], axis=1))
    width = min(row.shape[1] for row in rows)
    return np.concatenate([row[:, :width] for row in rows]), known


def _quarters(layer: Activation, axis: int) -> npt.NDArray[np.bool_]:
    """For each channel, whether its values are at the smallest code, the largest, or in a quarter between."""
    low, high = layer.qrange or (0.0, 1.0)
    last = np.moveaxis(layer.values, axis, -1)
    values = last.reshape(len(last), -1, last.shape[-1])
    step = layer.step or (high - low) / 255
    within = np.floor((values - low) / (high - low) * 4).astype(np.int8)
    marks = [
        values <= low + step / 2,
        values >= high - step / 2,
        *(within == quarter for quarter in range(4)),
    ]
    return np.concatenate([mark.any(axis=1) for mark in marks], axis=1)


def _dense_input(
    layers: list[Activation], tail: tuple[Dense, ...], logits: npt.NDArray[Any]
) -> npt.NDArray[np.float32] | None:
    """Input codes of the first dense layer: the activation that its formula turns into the file's logits."""
    size = tail[0].weights.shape[1]
    for layer in reversed(layers):
        if layer.step is None or layer.values[0].size != size:
            continue
        orders = [layer.values, np.moveaxis(layer.values, 1, -1)]  # as it is, and NHWC of an .onnx's NCHW
        for values in orders[: 2 if layer.values.ndim > 2 else 1]:
            steps = np.rint(values.reshape(-1, size) / layer.step)
            codes = np.asarray(steps + tail[0].source, np.float32)
            if (np.abs(logits_of(tail, codes) - logits.astype(np.float32)) <= 1).mean() >= _SAME:
                return codes
    return None
