"""Operators that compute in float32 between codes, on values that no kernel can round differently.

Products of gates, sums that broadcast and pools that divide by less at the border: their operands are
dequantized, the result gets a nudge of a fraction of a step that keeps it off every tie, and is quantized.
Powers of two make most of it exact in float32; `reals` proves the rest.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

import numpy as np

from mnist_export.core.errors import UnsupportedError
from mnist_export.core.graph import Activation, Graph, Op, Padding, Tensor
from mnist_export.core.graph.editing import GraphEditor
from mnist_export.quantize.exact import reals
from mnist_export.quantize.exact.folding import activation_of
from mnist_export.quantize.exact.forms import APART
from mnist_export.quantize.exact.reals import Reals

_FACTOR_BITS: Final = 10
CEILINGS: Mapping[Activation, float | None] = {Activation.RELU: None, Activation.RELU6: 6.0}


def values_of(graph: Graph, op: Op, known: Mapping[int, Reals]) -> Reals | None:
    """What an operator's float32 result can be; None where that is not followed.

    Args:
        graph: the operator's.
        op: MUL, ADD, SUB, AVERAGE_POOL_2D or DEQUANTIZE.
        known: of its operands, by tensor index.
    """
    if op.kind == "DEQUANTIZE":
        return _dequantized(graph.tensors[op.inputs[0]])
    operands = [_operand(graph, index, known) for index in op.inputs]
    first = operands[0]
    if first is None or any(value is None for value in operands):
        return None
    result: Reals | None = None
    if op.kind == "AVERAGE_POOL_2D":
        result = reals.averaged(first, _pool_counts(op))
    elif op.kind in _BINARY and operands[1] is not None:
        result = _BINARY[op.kind](first, operands[1])
    kind = activation_of(op)
    if result is None or kind == Activation.NONE:
        return result
    return reals.clipped(result, 0.0, CEILINGS[kind]) if kind in CEILINGS else None


def _dequantized(tensor: Tensor) -> Reals | None:
    if tensor.quant is None or tensor.quant.is_per_channel or tensor.dtype not in (np.int8, np.uint8):
        return None
    info = np.iinfo(tensor.dtype)
    return reals.dequantized(
        float(tensor.quant.scale[0]), int(tensor.quant.zero_point[0]), int(info.min), int(info.max)
    )


def _operand(graph: Graph, index: int, known: Mapping[int, Reals]) -> Reals | None:
    data = graph.tensors[index].data
    if data is not None:
        return reals.constants(data) if data.dtype == np.float32 else None
    return known.get(index)


def pool_counts(kernel: tuple[int, int], *, padded: bool) -> list[int]:
    """How many pixels a pool's window can hold; none where they are more than is followed."""
    height, width = kernel
    if min(kernel) < 1 or height * width > reals.MAX_LATTICES:
        return []
    if not padded:
        return [height * width]
    return sorted({rows * columns for rows in range(1, height + 1) for columns in range(1, width + 1)})


def _pool_counts(op: Op) -> list[int]:
    kernel = (int(op.options["filterHeight"]), int(op.options["filterWidth"]))
    return pool_counts(kernel, padded=op.options.get("padding", Padding.VALID) == Padding.SAME)


_BINARY: Mapping[str, Any] = {
    "MUL": reals.product,
    "ADD": reals.total,
    "SUB": lambda first, second: reals.total(first, second, sign=-1),
}


def _snapped(editor: GraphEditor, index: int) -> int:
    """A constant factor in ten significant bits of a power of two, so that float32 holds its products."""
    tensor = editor.tensor(index)
    data = tensor.real()
    largest = float(np.abs(data).max(initial=0.0)) or 1.0
    step = 2.0 ** (int(np.ceil(np.log2(largest))) - _FACTOR_BITS)
    return editor.constant(f"{tensor.name}/snapped", (np.rint(data / step) * step).astype(np.float32))


def add_between(editor: GraphEditor, op: Op, layer: str) -> tuple[Op, ...]:
    """Append one operator in float32 between its operands' codes and its result's.

    Args:
        editor: of the integer graph; the operator's activations are int8 there already.
        op: of the prepared float graph.
        layer: the layer's name, for the error.

    Returns:
        The operators, in order.

    Raises:
        UnsupportedError: no nudge keeps its values off ties.
    """
    start = len(editor.ops)
    known: dict[int, Reals] = {}
    inputs = []
    for index in op.inputs:
        tensor = editor.tensor(index)
        if tensor.data is not None:
            inputs.append(_snapped(editor, index) if op.kind == "MUL" else index)
            continue
        real = editor.add_tensor(
            replace(tensor, name=f"{tensor.name}/real", dtype=np.dtype(np.float32), quant=None)
        )
        editor.add("DEQUANTIZE", (index,), (real,), "DequantizeOptions")
        found = _dequantized(tensor)
        if found is not None:
            known[real] = found
        inputs.append(real)
    target = editor.tensor(op.outputs[0])
    result = editor.add_tensor(
        replace(target, name=f"{target.name}/real", dtype=np.dtype(np.float32), quant=None)
    )
    options = {name: value for name, value in op.options.items() if name != APART}
    made = replace(op, inputs=tuple(inputs), outputs=(result,), options=options)
    editor.keep(made)
    values = values_of(editor.snapshot(), made, known)
    scale = float(target.quant.scale[0]) if target.quant is not None else 0.0
    extra = reals.nudge(values, scale) if values is not None and scale else None
    if extra is None:
        raise UnsupportedError(
            f"exact int8: layer '{layer}' ({op.kind}) has values that float32 cannot keep off ties. Replace "
            "the layer, or leave `exact` out for ordinary int8."
        )
    if extra:
        moved = editor.add_tensor(replace(editor.tensor(result), name=f"{target.name}/nudged"))
        amount = editor.constant(f"{target.name}/nudge", np.array(extra, np.float32))
        editor.add("ADD", (result, amount), (moved,), "AddOptions", {"fusedActivationFunction": 0})
        result = moved
    editor.add("QUANTIZE", (result,), op.outputs, "QuantizeOptions")
    return tuple(editor.ops[start:])
