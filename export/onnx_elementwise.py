"""How elementwise operators of a `Graph` are written in ONNX.

Reference: ONNX operator specifications of opset 17.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from mnist_export.core.graph import Graph, Op, Tensor
from mnist_export.export.onnx_builder import NHWC_TO_NCHW, OnnxBuilder, clip, refuse

_OFFSET = 128
"""An ONNX file's uint8 code less TFLite's int8 code."""


def binary(op_type: str) -> Callable[[OnnxBuilder, Op], str]:
    """An elementwise operator of two inputs, constants broadcast over NHWC's last axis."""

    def emit(builder: OnnxBuilder, op: Op) -> str:
        target = builder.graph.tensors[op.outputs[0]]
        values = [_operand(builder, i, len(target.shape)) for i in op.inputs]
        return builder.node(op_type, values, f"{target.name}/out")

    return emit


def comparison(op_type: str) -> Callable[[OnnxBuilder, Op], str]:
    """MAXIMUM or MINIMUM: on the codes themselves where all share one scale and zero point."""
    in_real_units = binary(op_type)

    def emit(builder: OnnxBuilder, op: Op) -> str:
        tensors = [builder.graph.tensors[i] for i in (*op.inputs, *op.outputs)]
        if not all(_same_codes(tensor, tensors[-1]) for tensor in tensors):
            return in_real_units(builder, op)
        values = [_code_operand(builder, i, len(tensors[-1].shape)) for i in op.inputs]
        builder.codes[op.outputs[0]] = builder.node(op_type, values, f"{tensors[-1].name}/codes")
        return ""

    return emit


def _same_codes(tensor: Tensor, other: Tensor) -> bool:
    one, two = tensor.quant, other.quant
    if one is None or two is None or tensor.dtype != np.int8 or other.dtype != np.int8:
        return False
    return bool(
        not one.is_per_channel
        and np.array_equal(one.scale, two.scale)
        and np.array_equal(one.zero_point, two.zero_point)
    )


def _code_operand(builder: OnnxBuilder, index: int, rank: int) -> str:
    tensor = builder.graph.tensors[index]
    if tensor.data is None:
        if len(tensor.shape) != rank:
            raise refuse(tensor, f"is broadcast from rank {len(tensor.shape)} to {rank}")
        return builder.codes[index]
    return builder.constant(tensor.name, _unsigned(_broadcast_constant(tensor.data, rank)))


def _unsigned(codes: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    return (codes.astype(np.int16) + 128).astype(np.uint8)


def _broadcast_constant(value: npt.NDArray[Any], rank: int) -> npt.NDArray[Any]:
    if rank == 4 and value.ndim:
        return value.reshape((1,) * (4 - value.ndim) + value.shape).transpose(NHWC_TO_NCHW)
    return value


def _operand(builder: OnnxBuilder, index: int, rank: int) -> str:
    tensor = builder.graph.tensors[index]
    if tensor.data is None:
        if len(tensor.shape) not in {0, rank}:
            raise refuse(tensor, f"is broadcast from rank {len(tensor.shape)} to {rank}")
        return builder.real(index)
    value = _broadcast_constant(tensor.data, rank)
    quant = tensor.quant
    if quant is not None and tensor.dtype == np.int8:
        name = builder.constant(tensor.name, _unsigned(value))
        return builder.node(
            "DequantizeLinear", [name, *builder.scalars(tensor, quant)], f"{tensor.name}/real"
        )
    return builder.weights(index, value, axis=0)


def unary(op_type: str, **attributes: Any) -> Callable[[OnnxBuilder, Op], str]:
    """An elementwise operator of one input."""

    def emit(builder: OnnxBuilder, op: Op) -> str:
        target = builder.graph.tensors[op.outputs[0]]
        return builder.node(op_type, [builder.real(op.inputs[0])], f"{target.name}/out", **attributes)

    return emit


def relu6(builder: OnnxBuilder, op: Op) -> str:
    """RELU6 as Clip."""
    return clip(builder, builder.real(op.inputs[0]), builder.graph.tensors[op.outputs[0]].name, 0.0, 6.0)


def leaky_relu(builder: OnnxBuilder, op: Op) -> str:
    """LEAKY_RELU."""
    target = builder.graph.tensors[op.outputs[0]]
    alpha = float(op.options["alpha"])
    return builder.node("LeakyRelu", [builder.real(op.inputs[0])], f"{target.name}/out", alpha=alpha)


def elu(builder: OnnxBuilder, op: Op) -> str:
    """ELU, whose alpha is 1 in TFLite."""
    target = builder.graph.tensors[op.outputs[0]]
    return builder.node("Elu", [builder.real(op.inputs[0])], f"{target.name}/out", alpha=1.0)


def gelu(builder: OnnxBuilder, op: Op) -> str:
    """GELU: ``x / 2 * (1 + erf(x / sqrt(2)))``, or its form with tanh; ONNX has an operator from opset 20."""
    name = builder.graph.tensors[op.outputs[0]].name
    value = builder.real(op.inputs[0])

    def constant(number: float) -> str:
        return builder.constant(f"{name}/constant", np.array(number, np.float32))

    def node(kind: str, *inputs: str) -> str:
        return builder.node(kind, list(inputs), f"{name}/{kind.lower()}")

    if op.options.get("approximate", False):
        cubed = node("Mul", node("Mul", value, value), node("Mul", value, constant(0.044715)))
        inner = node("Mul", node("Add", value, cubed), constant(np.sqrt(2 / np.pi)))
        share = node("Add", node("Tanh", inner), constant(1.0))
    else:
        share = node("Add", node("Erf", node("Mul", value, constant(np.sqrt(0.5)))), constant(1.0))
    return node("Mul", node("Mul", value, constant(0.5)), share)


def hard_swish(builder: OnnxBuilder, op: Op) -> str:
    """HARD_SWISH: ``x * clip(x / 6 + 1 / 2, 0, 1)``."""
    name, value = builder.graph.tensors[op.outputs[0]].name, builder.real(op.inputs[0])
    gate = builder.node("HardSigmoid", [value], f"{name}/gate", alpha=1 / 6, beta=0.5)
    return builder.node("Mul", [value, gate], f"{name}/out")


def select(builder: OnnxBuilder, op: Op) -> str:
    """SELECT and SELECT_V2 of a computed condition."""
    target = builder.graph.tensors[op.outputs[0]]
    values = [builder.real(op.inputs[0])]
    values += [_operand(builder, i, len(target.shape)) for i in op.inputs[1:]]
    return builder.node("Where", values, f"{target.name}/out")


def rsqrt(builder: OnnxBuilder, op: Op) -> str:
    """RSQRT: one over the root."""
    name = builder.graph.tensors[op.outputs[0]].name
    root = builder.node("Sqrt", [builder.real(op.inputs[0])], f"{name}/root")
    return builder.node("Reciprocal", [root], f"{name}/out")


def squared_difference(builder: OnnxBuilder, op: Op) -> str:
    """SQUARED_DIFFERENCE of two tensors."""
    difference = binary("Sub")(builder, op)
    name = builder.graph.tensors[op.outputs[0]].name
    return builder.node("Mul", [difference, difference], f"{name}/squared")


def square(builder: OnnxBuilder, op: Op) -> str:
    """SQUARE: a value times itself."""
    value = builder.real(op.inputs[0])
    return builder.node("Mul", [value, value], f"{builder.graph.tensors[op.outputs[0]].name}/out")


def bounded_relu(lo: float, hi: float) -> Callable[[OnnxBuilder, Op], str]:
    """RELU_N1_TO_1 and RELU_0_TO_1 as Clip."""

    def emit(builder: OnnxBuilder, op: Op) -> str:
        return clip(builder, builder.real(op.inputs[0]), builder.graph.tensors[op.outputs[0]].name, lo, hi)

    return emit


def cast(builder: OnnxBuilder, op: Op) -> str:
    """CAST to the type of the result; a code is cast as the number that TFLite has for it."""
    from onnx import helper

    source, target = builder.graph.tensors[op.inputs[0]], builder.graph.tensors[op.outputs[0]]
    wanted = helper.np_dtype_to_tensor_dtype(target.dtype)
    if source.dtype == np.int8:
        return _cast_codes(builder, op, wanted)
    return builder.node("Cast", [builder.real(op.inputs[0])], f"{target.name}/out", to=wanted)


def _cast_codes(builder: OnnxBuilder, op: Op, wanted: int) -> str:
    """Codes as integers: uint8 codes are those of TFLite plus 128, which an ADD behind may ask for."""
    graph, target = builder.graph, op.outputs[0]
    name = graph.tensors[target].name
    made = builder.node("Cast", [builder.codes[op.inputs[0]]], f"{name}/unsigned", to=wanted)
    readers = graph.consumers(target)
    if readers and target not in graph.outputs and all(_adds_offset(graph, reader) for reader in readers):
        for reader in readers:
            builder.real_values[reader.outputs[0]] = made
        return ""
    offset = builder.constant(f"{name}/offset", np.array(_OFFSET, graph.tensors[target].dtype))
    return builder.node("Sub", [made, offset], f"{name}/out")


def _adds_offset(graph: Graph, op: Op) -> bool:
    constants = [graph.tensors[i].data for i in op.inputs if graph.tensors[i].is_constant]
    return op.kind == "ADD" and [c.tolist() for c in constants if c is not None] == [_OFFSET]


def addition(builder: OnnxBuilder, op: Op) -> str:
    """ADD; what `_cast_codes` has done already stays as it is."""
    if op.outputs[0] in builder.real_values:
        return ""
    return binary("Add")(builder, op)


def not_equal(builder: OnnxBuilder, op: Op) -> str:
    """NOT_EQUAL: not equal."""
    equal = binary("Equal")(builder, op)
    return builder.node("Not", [equal], f"{builder.graph.tensors[op.outputs[0]].name}/not")


def floor_division(builder: OnnxBuilder, op: Op) -> str:
    """FLOOR_DIV of floats."""
    quotient = binary("Div")(builder, op)
    return builder.node("Floor", [quotient], f"{builder.graph.tensors[op.outputs[0]].name}/floor")
