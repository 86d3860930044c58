"""What single weights see: randomly chosen receptive fields of one layer, and its outputs at those places."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from mnist_export.core.graph import Graph, Op, Padding
from mnist_export.core.pixels import InputRange
from mnist_export.quantize.improving.preactivation import preactivation
from mnist_export.quantize.network.simulate import common_batch, run_tensors

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True, kw_only=True, eq=False)
class Patches:
    """Inputs of the quantized network and outputs of the float one, for one layer.

    Attributes:
        inputs: float32 of shape (n, k), or (n, k, channels) for a depthwise layer: real values of the
            receptive field, in the order of the flattened weights.
        outputs: float32 of shape (n, out), the float layer's output before its activation.
    """

    inputs: Floats
    outputs: Floats


def collect(
    graph: Graph,
    quantized: Graph,
    ops: tuple[Op, Op],
    images: npt.NDArray[np.uint8],
    *,
    input_range: InputRange,
    count: int,
    seed: int,
) -> Patches:
    """Choose places of one layer at random and read both sides of it there.

    Args:
        graph: the float graph.
        quantized: its integer form.
        ops: the layer's operator in each of the two.
        images: uint8 of shape (n, H, W, C), n >= 1.
        input_range: what pixel values 0 and 255 become for the model.
        count: places in all, shared out evenly over the images; each image gives at least one.
        seed: of the choice.
    """
    generator = np.random.default_rng(seed)
    theirs, ours = preactivation(graph, ops[0]), quantized
    source = ops[1].inputs[0]
    places = max(1, count // len(images))
    inputs, outputs = [], []
    batch = common_batch(theirs, ours)
    for wanted, seen in zip(
        run_tensors(theirs, images, list(theirs.outputs), input_range=input_range, batch=batch),
        run_tensors(ours, images, [source], input_range=input_range, batch=batch),
        strict=True,
    ):
        y, x = wanted[theirs.outputs[0]], seen[source]
        if ops[1].kind == "FULLY_CONNECTED":
            dense, values = _dense_rows(quantized, ops[1], x), y.reshape(-1, y.shape[-1])
            most = len(x) * places
            chosen = np.arange(len(dense)) if len(dense) <= most else generator.integers(0, len(dense), most)
            inputs.append(dense[chosen])
            outputs.append(values[chosen])
            continue
        which = np.repeat(np.arange(len(x)), places)
        rows = generator.integers(0, y.shape[1], len(which))
        columns = generator.integers(0, y.shape[2], len(which))
        inputs.append(_receptive(quantized, ops[1], x, (which, rows, columns)))
        outputs.append(y[which, rows, columns])
    return Patches(
        inputs=np.concatenate(inputs).astype(np.float32), outputs=np.concatenate(outputs).astype(np.float32)
    )


def _dense_rows(graph: Graph, op: Op, x: Floats) -> Floats:
    """What each row of a dense layer's result is computed from: a row of a map or sequence, or the whole."""
    return x.reshape(-1, graph.tensors[op.inputs[1]].shape[1])


def _receptive(
    graph: Graph, op: Op, x: Floats, places: tuple[npt.NDArray[Any], npt.NDArray[Any], npt.NDArray[Any]]
) -> Floats:
    which, rows, columns = places
    height, width = graph.tensors[op.inputs[1]].shape[1:3]
    options = op.options
    axes = [("H", height, x.shape[1], rows), ("W", width, x.shape[2], columns)]
    indices, pads = [], []
    for letter, size, length, chosen in axes:
        stride = int(options[f"stride{letter}"])
        dilation = int(options.get(f"dilation{letter}Factor", 1))
        reach = (size - 1) * dilation + 1
        before, after = 0, 0
        if int(options["padding"]) == Padding.SAME:
            whole = max(0, (-(-length // stride) - 1) * stride + reach - length)
            before, after = whole // 2, whole - whole // 2
        pads.append((before, after))
        indices.append(chosen[:, None] * stride + np.arange(size)[None] * dilation)
    padded = np.pad(x, ((0, 0), *pads, (0, 0)))
    found = padded[which[:, None, None], indices[0][:, :, None], indices[1][:, None, :]]
    if op.kind == "DEPTHWISE_CONV_2D":
        return np.asarray(found.reshape(len(which), height * width, -1), np.float32)
    return np.asarray(found.reshape(len(which), -1), np.float32)
