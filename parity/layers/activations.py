"""What each layer of a model computes on a few images, in real units, for any runtime."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from mnist_export.core.batches import fitting
from mnist_export.core.errors import InputError
from mnist_export.core.images import Images
from mnist_export.core.registry import LazyRegistry
from mnist_export.runtime.runners.runner import Runner

DEFAULT_IMAGES: Final = 32
_KEPT_BYTES: Final = 1 << 28
_ALL_ACTIVATIONS: Final = 256
"""Bytes of every layer's output over those of the input: 250 for a MobileNetV2 whose layers are not fused."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Activation:
    """The output of one layer.

    Attributes:
        name: of the layer or tensor, as the model calls it.
        kind: operator or layer class, empty where it is not known.
        values: float32 (n, ...), dequantized.
        step: real units per step of a quantized tensor, None for float.
        qrange: smallest and largest real value that the quantized tensor can hold, None for float.
    """

    name: str
    kind: str
    values: npt.NDArray[np.float32]
    step: float | None = None
    qrange: tuple[float, float] | None = None


Reader = Callable[[Any, npt.NDArray[np.uint8]], list[Activation]]

# Runner's name to the function that reads its intermediate tensors.
READERS: Final[LazyRegistry[Reader]] = LazyRegistry(
    "runtime with intermediate tensors",
    {
        "litert": "mnist_export.parity.layers.litert:read",
        "onnxruntime": "mnist_export.parity.layers.ort:read",
        "keras": "mnist_export.parity.layers.keras:read",
        "golden": "mnist_export.parity.layers.activations:read_golden",
    },
)


def default_images(images: Images) -> int:
    """How many images' layers are kept where nobody says: `DEFAULT_IMAGES`, fewer where they are large."""
    pixels = int(np.prod(images.shape[1:]))
    return fitting(pixels * 4 * _ALL_ACTIVATIONS, budget_bytes=_KEPT_BYTES, largest=DEFAULT_IMAGES)


def activations_of(runner: Runner, images: Images, *, count: int | None = None) -> list[Activation]:
    """Run the first images and keep what every layer gives, in execution order.

    Layers that only move values (reshape, flatten, dropout) are left out.

    Args:
        runner: any runner; a golden one replays what was recorded.
        images: uint8 (n, H, W, C).
        count: how many of the images to run; None takes `default_images`.

    Raises:
        InputError: no layers can be read, or a value is not finite.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        some = images[: count or default_images(images)]
        found = [_by_image(kept, len(some)) for kept in READERS.get(runner.name)(runner, some)]
    if not found:
        raise InputError(f"{runner.label}: has no layers that can be read.")
    for activation in found:
        if not np.all(np.isfinite(activation.values)):
            raise InputError(
                f"{runner.label}: layer '{activation.name}' gives values that are not finite. It is the "
                "first that does: look at its weights."
            )
    return found


def _by_image(kept: Activation, images: int) -> Activation:
    """A layer's values with one row an image: windows of attention have several, one image after another."""
    rows = len(kept.values)
    if not images or rows == images or rows % images:
        return kept
    return replace(kept, values=kept.values.reshape(images, rows // images, *kept.values.shape[1:]))


def read_golden(runner: Any, images: npt.NDArray[np.uint8]) -> list[Activation]:
    """Replay recorded activations; see `activations_of`."""
    golden = runner.golden
    if not golden.layers:
        raise InputError(
            f"{runner.label}: the recording holds no layers. Record it again: mnist-parity record MODEL "
            "--layers -o GOLDEN.npz"
        )
    return [
        Activation(name=name, kind="", values=np.asarray(values[: len(images)], np.float32))
        for name, values in golden.layers.items()
    ]
