"""What the exact scheme keeps of the float network's activations on the calibration images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from mnist_export.core.batches import fitting
from mnist_export.core.errors import InputError
from mnist_export.core.graph.memory import all_activation_bytes
from mnist_export.quantize.exact.prepare import Prepared
from mnist_export.quantize.network.operators import WEIGHTED
from mnist_export.quantize.ranges.calibration import run_activations

MEMORY_BYTES: Final = 512 << 20
SAMPLES_A_BATCH: Final = 4096
_BATCH: Final = 32


@dataclass(frozen=True, kw_only=True, eq=False)
class Observed:
    """The float network on the calibration images.

    Attributes:
        images: uint8, as many of those given as memory allows.
        inputs: activations that weighted layers read, whole, by tensor index.
        samples: a sample of every activation's values, one-dimensional, by tensor index.
    """

    images: npt.NDArray[np.uint8]
    inputs: dict[int, npt.NDArray[np.float32]]
    samples: dict[int, npt.NDArray[np.float32]]


def observe(prepared: Prepared, images: npt.NDArray[np.uint8], *, seed: int = 0) -> Observed:
    """Run the prepared float graph and keep what the later steps need.

    Args:
        prepared: the graph.
        images: calibration images, uint8 of shape (n, H, W, C).
        seed: chooses which values are sampled.

    Raises:
        InputError: no images.
        ConversionError: an activation is not finite.
    """
    if not len(images):
        raise InputError("exact int8: expected calibration images, found none. Use `data`.")
    graph = prepared.graph
    read = {op.inputs[0] for op in graph.ops if op.kind in WEIGHTED}
    each = sum(4 * int(np.prod(graph.tensors[i].shape[1:])) for i in read)
    images = images[: max(_BATCH, MEMORY_BYTES // max(each, 1))]
    wanted = set(prepared.outline.activations())
    rng = np.random.default_rng(seed)
    batch = fitting(all_activation_bytes(graph), largest=_BATCH)
    share = max(1, SAMPLES_A_BATCH * batch // _BATCH)  # as many in all, however the images are cut up
    inputs: dict[int, list[npt.NDArray[np.float32]]] = {i: [] for i in read}
    samples: dict[int, list[npt.NDArray[np.float32]]] = {}
    for values in run_activations(graph, images, input_range=prepared.input_range, batch=batch):
        for index in values:
            if index not in wanted:
                continue
            value = values[index]
            if index in inputs:
                inputs[index].append(value.copy())
            flat = value.ravel()
            kept = flat[rng.integers(0, flat.size, share)] if flat.size > share else flat
            samples.setdefault(index, []).append(np.append(kept, [flat.min(), flat.max()]))
    return Observed(
        images=images,
        inputs={i: np.concatenate(parts) for i, parts in inputs.items()},
        samples={i: np.concatenate(parts).astype(np.float32) for i, parts in samples.items()},
    )
