"""Collects ONNX nodes and initializers while a `Graph` is written, and keeps track of layouts.

Rank-4 activations are NCHW in the ONNX file and NHWC in the graph. A flattened NCHW tensor feeds a
dense layer whose weight rows are permuted instead, so no transpose runs.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from mnist_export.core.affine import QuantParams
from mnist_export.core.errors import UnsupportedError
from mnist_export.core.graph import Graph, Tensor

NHWC_TO_NCHW = (0, 3, 1, 2)
NCHW_TO_NHWC = (0, 2, 3, 1)
NHWC_TO_NCHW_AXIS = {0: 0, 1: 2, 2: 3, 3: 1}
"""Where each axis of a rank-4 tensor lies in its ONNX value."""


@dataclass(kw_only=True)
class OnnxBuilder:
    """The ONNX side of a graph under construction.

    Attributes:
        graph: what is being written.
        nodes: ONNX NodeProtos in execution order.
        initializers: name to constant.
        real_values: tensor index to the ONNX value that holds it in real units (float), where a
            float operator wrote it.
        codes: tensor index to the ONNX value that holds its uint8 (or int16) codes.
        flattened: tensor index to the (H, W, C) whose NCHW order its elements have.
        padding: padded tensor's index to the tensor before its PAD and the (top, left, bottom, right)
            that the convolutions behind it hold as their own.
        channels_last: dense layers read NHWC order: ONNX Runtime computes integer convolutions in NHWC
            and cancels the transposes, where a flattened NCHW tensor would cost it one.
        channels_last_values: indices of rank-4 tensors whose ONNX value is NHWC after all.
        opset: the version of ONNX's operators that is written.
        after: tensor index to the Reshape and Transpose that follow its (quantized) value.
    """

    graph: Graph
    nodes: list[Any] = field(default_factory=list)
    initializers: dict[str, npt.NDArray[Any]] = field(default_factory=dict)
    real_values: dict[int, str] = field(default_factory=dict)
    codes: dict[int, str] = field(default_factory=dict)
    flattened: dict[int, tuple[int, ...]] = field(default_factory=dict)
    padding: dict[int, tuple[int, list[int]]] = field(default_factory=dict)
    channels_last: bool = False
    channels_last_values: set[int] = field(default_factory=set)
    opset: int = 17
    after: dict[int, list[tuple[str, npt.NDArray[Any] | list[int]]]] = field(default_factory=dict)
    _names: dict[str, int] = field(default_factory=dict)
    _written: dict[tuple[Any, ...], list[str]] = field(default_factory=dict)

    def unique(self, name: str) -> str:
        """A value or node name that is not taken yet."""
        made = name
        while made in self._names:  # a numbered name may be another tensor's own
            self._names[name] += 1
            made = f"{name}_{self._names[name]}"
        self._names[made] = 1
        return made

    def node(self, op_type: str, inputs: list[str], name: str, **attributes: Any) -> str:
        """Append a node with one output and return that output's name."""
        from onnx import helper

        output = self.unique(name)
        domain = attributes.pop("domain", None)
        node = helper.make_node(op_type, inputs, [output], name=f"{output}/{op_type}", domain=domain)
        for key in sorted(attributes):
            node.attribute.append(helper.make_attribute(key, attributes[key]))
        self.nodes.append(node)
        return output

    def constant(self, name: str, value: npt.NDArray[Any]) -> str:
        """Add an initializer and return its name."""
        unique = self.unique(name)
        self.initializers[unique] = np.array(value, order="C")  # ascontiguousarray makes scalars (1,)
        return unique

    def scalars(self, tensor: Tensor, quant: QuantParams) -> list[str]:
        """Initializers for an activation's scale and zero point, in the ONNX file's types."""
        scale, zero = _scale_and_zero_point(tensor, quant)
        return [
            self.constant(f"{tensor.name}/scale", scale),
            self.constant(f"{tensor.name}/zero_point", zero),
        ]

    def real(self, index: int) -> str:
        """The value of an activation in real units, dequantized for this one consumer if needed.

        Each consumer gets its own DequantizeLinear: ONNX Runtime fuses an operator with its
        neighbours only where no other operator shares them.
        """
        tensor = self.graph.tensors[index]
        if index in self.real_values:
            return self.real_values[index]
        if tensor.quant is None:
            raise KeyError(f"no value for tensor '{tensor.name}'")
        code = self.codes[index]
        return self.node(
            "DequantizeLinear", [code, *self.scalars(tensor, tensor.quant)], f"{tensor.name}/real"
        )

    def real_for_float(self, index: int) -> str:
        """The value of an activation in real units, for operators that compute in float.

        The one scale is written once an element of some axis. Behind a DequantizeLinear with a single scale,
        ONNX Runtime (weight_bias_quantization.cc) quantizes float weights of convolutions and dense layers to
        8 bits, one scale a tensor, on its own account: a layer that was kept in float would not be.
        """
        tensor = self.graph.tensors[index]
        sizes = tensor.shape
        if len(sizes) == 4 and index not in self.channels_last_values:
            sizes = tuple(sizes[axis] for axis in NHWC_TO_NCHW)
        axis = next((axis for axis in range(1, len(sizes)) if sizes[axis] > 1), None)
        if index not in self.codes or tensor.quant is None or axis is None:
            return self.real(index)
        scale, zero = _scale_and_zero_point(tensor, tensor.quant)
        names = [
            self.constant(f"{tensor.name}/scales", np.full(sizes[axis], scale)),
            self.constant(f"{tensor.name}/zero_points", np.full(sizes[axis], zero)),
        ]
        return self.node("DequantizeLinear", [self.codes[index], *names], f"{tensor.name}/real", axis=axis)

    def store(self, index: int, value: str) -> None:
        """Keep an operator's result: as it is for a float tensor, quantized for an integer one."""
        tensor = self.graph.tensors[index]
        if tensor.quant is None or tensor.dtype == np.float32:
            self.real_values[index] = value
            return
        self.codes[index] = self.node(
            "QuantizeLinear", [value, *self.scalars(tensor, tensor.quant)], f"{tensor.name}/codes"
        )

    def native(self, index: int, *, codes: bool = False) -> str:
        """A tensor's value with its axes in the graph's own order, a constant included.

        Args:
            index: the tensor.
            codes: the codes of a quantized tensor, else its value in real units.
        """
        tensor = self.graph.tensors[index]
        if tensor.data is not None:
            return self._native_constant(index, tensor, tensor.data, codes=codes)
        turned = len(tensor.shape) == 4 and index not in self.channels_last_values
        if tensor.quant is None or index not in self.codes:
            value = self.real(index)
            return self._turned(value, tensor.name) if turned else value
        value = self.codes[index]
        if turned:
            value = self._turned(value, tensor.name)
        if codes:
            return value
        return self.node(
            "DequantizeLinear", [value, *self.scalars(tensor, tensor.quant)], f"{tensor.name}/real"
        )

    def _turned(self, value: str, name: str) -> str:
        return self.node("Transpose", [value], f"{name}/nhwc", perm=list(NCHW_TO_NHWC))

    def _native_constant(self, index: int, tensor: Tensor, data: npt.NDArray[Any], *, codes: bool) -> str:
        if tensor.quant is None or tensor.dtype != np.int8:
            return self.weights(index, data, axis=0)
        name = self.constant(tensor.name, (data.astype(np.int16) + 128).astype(np.uint8))
        if codes:
            return name
        return self.node(
            "DequantizeLinear", [name, *self.scalars(tensor, tensor.quant)], f"{tensor.name}/real"
        )

    def leave_native(self, index: int) -> None:
        """Note that a result comes in the graph's own order of axes: its codes are turned to NCHW."""
        if len(self.graph.tensors[index].shape) == 4:
            self.after.setdefault(index, []).append(("Transpose", list(NHWC_TO_NCHW)))

    def finish(self, index: int) -> None:
        """Carry out what was noted in `after` for a result."""
        name = self.graph.tensors[index].name
        held = self.codes if index in self.codes else self.real_values
        for kind, argument in self.after.pop(index, []):
            if kind == "Transpose":
                held[index] = self.node("Transpose", [held[index]], f"{name}/nchw", perm=list(argument))
            else:
                shape = self.constant(f"{name}/shape", np.asarray(argument, np.int64))
                held[index] = self.node("Reshape", [held[index], shape], f"{name}/shaped")

    def keep(self, index: int, value: str, *, codes: bool) -> None:
        """Keep a moved value, its axes in the graph's own order."""
        (self.codes if codes else self.real_values)[index] = value
        self.leave_native(index)
        self.finish(index)

    def weights(self, index: int, value: npt.NDArray[Any], axis: int) -> str:
        """A constant in real units: float as it is, float16 through Cast, integers through DequantizeLinear.

        Args:
            index: the tensor, for its name and its parameters.
            value: its data in ONNX's layout.
            axis: the output channels' axis in that layout.
        """
        from onnx import TensorProto

        tensor = self.graph.tensors[index]
        key = (index, value.shape, axis, hashlib.sha256(value.tobytes()).digest())
        if key in self._written:  # a layer that is used twice, or a recurrent layer's next step
            name, *rest = self._written[key]
        else:
            name, rest = self.constant(tensor.name, value), []
        if tensor.dtype == np.float16:
            return self.node("Cast", [name], f"{tensor.name}/real", to=TensorProto.FLOAT)
        if tensor.quant is None:
            self._written[key] = [name]
            return name
        quant = tensor.quant
        shape = quant.scale.shape if quant.is_per_channel else ()
        parts = [name, *rest]
        if not rest:
            parts += [
                self.constant(f"{tensor.name}/scale", quant.scale.reshape(shape)),
                self.constant(
                    f"{tensor.name}/zero_point", quant.zero_point.reshape(shape).astype(tensor.dtype)
                ),
            ]
        self._written[key] = parts
        attributes = {"axis": axis} if quant.is_per_channel else {}
        return self.node("DequantizeLinear", parts, f"{tensor.name}/real", **attributes)


def _scale_and_zero_point(
    tensor: Tensor, quant: QuantParams
) -> tuple[npt.NDArray[np.float32], npt.NDArray[Any]]:
    """An activation's parameters as scalars of the ONNX file's types."""
    dtype = onnx_dtype(tensor)
    offset = 128 if dtype == np.uint8 else 0
    return quant.scale.reshape(()).astype(np.float32), (quant.zero_point.reshape(()) + offset).astype(dtype)


def onnx_dtype(tensor: Tensor) -> np.dtype[Any]:
    """The type of a tensor's codes in an ONNX file: uint8 for int8, which ONNX Runtime is fast with."""
    return np.dtype(np.uint8) if tensor.dtype == np.int8 else tensor.dtype


def refuse(tensor: Tensor, why: str) -> UnsupportedError:
    """The error for a layer that ONNX cannot carry as it stands."""
    return UnsupportedError(
        f"ONNX export: layer '{tensor.name}' {why}. Export it to TFLite alone (`formats=\"tflite\"`), or "
        "replace the layer."
    )


def clip(builder: OnnxBuilder, value: str, name: str, lo: float, hi: float) -> str:
    """Bound a value in real units."""
    bounds = [
        builder.constant(f"{name}/lo", np.array(lo, np.float32)),
        builder.constant(f"{name}/hi", np.array(hi, np.float32)),
    ]
    return builder.node("Clip", [value, *bounds], f"{name}/clip")


def has_codes(tensor: Tensor) -> bool:
    """Whether a tensor is of integers that stand for real values."""
    return tensor.quant is not None and tensor.dtype != np.float32
