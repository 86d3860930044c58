"""Intermediate tensors of an .onnx in ONNX Runtime, at any optimization level, without the onnx package.

A protobuf message that occurs twice is merged, so further outputs are added to a graph by appending another
``graph`` field that holds nothing but them. Reference: protobuf.dev, "Encoding", "Last One Wins".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from mnist_export.core.affine import QuantParams
from mnist_export.core.graph.onnx_operators import onnx_kinds
from mnist_export.core.graph.operator import Family
from mnist_export.parity.layers.activations import Activation
from mnist_export.runtime.foreign.onnx_reader import Graph, Model, ValueInfo, read_model
from mnist_export.runtime.runners.onnx_io import quant_params
from mnist_export.runtime.runners.ort import open_session, session_options

if TYPE_CHECKING:
    from mnist_export.runtime.runners.ort import OnnxRuntimeRunner

_TRANSPARENT: Final = {*onnx_kinds(Family.VIEW, Family.MOVE, Family.SHAPE), "DequantizeLinear"} - {"Pad"}


def read(runner: OnnxRuntimeRunner, images: npt.NDArray[np.uint8]) -> list[Activation]:
    """Read what operators give; see `activations.activations_of`.

    Of a graph with QuantizeLinear only the quantized tensors are read: reading what lies between would keep
    ONNX Runtime from computing it in integers.
    """
    graph = read_model(runner.content, label=runner.label).graph
    chosen = _chosen(graph)
    outputs = {value.name for value in graph.outputs}
    content = with_outputs(runner.content, [name for name in chosen if name not in outputs])
    session = open_session(
        content, label=runner.label, options=session_options(threads=1, level=runner.level)
    )
    native = runner.prepare(images)
    feed = session.get_inputs()[0]
    step = feed.shape[0] if isinstance(feed.shape[0], int) and feed.shape[0] > 0 else len(native)
    rows: dict[str, list[npt.NDArray[Any]]] = {name: [] for name in chosen}
    for start in range(0, len(native), step):
        piece = native[start : start + step]
        filled = np.concatenate([piece, np.repeat(piece[:1], step - len(piece), axis=0)])
        for name, value in zip(chosen, session.run(list(chosen), {feed.name: filled}), strict=True):
            rows[name].append(value[: len(piece) * max(1, len(value) // step)])
    return [
        _activation(name, kind, quant, np.concatenate(rows[name])) for name, (kind, quant) in chosen.items()
    ]


def with_outputs(content: bytes, names: list[str]) -> bytes:
    """Add outputs to a model.

    Args:
        content: an .onnx file.
        names: tensors to make outputs; their types are inferred by the runtime.

    Returns:
        The file with a further ``graph`` field at its end.
    """
    if not names:
        return content
    values = [_field(ValueInfo.name.number, name.encode()) for name in names]
    graph = b"".join(_field(Graph.outputs.number, value) for value in values)
    return content + _field(Model.graphs.number, graph)


def _field(number: int, payload: bytes) -> bytes:
    """A length-delimited field: tag, length, payload."""
    return _number(number << 3 | 2) + _number(len(payload)) + payload


def _number(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _chosen(graph: Graph) -> dict[str, tuple[str, QuantParams | None]]:
    """Tensors to read: name to the operator that computes it and its parameters."""
    constants, nodes = graph.constants(), graph.nodes
    makers = {name: node for node in nodes for name in node.outputs}
    quantized = any(node.operator == "QuantizeLinear" for node in nodes)
    found: dict[str, tuple[str, QuantParams | None]] = {}
    for node in nodes:
        kind, inputs, outputs = node.operator, node.inputs, node.outputs
        if kind == "QuantizeLinear":
            maker = makers.get(inputs[0])
            if maker is None or maker.operator in _TRANSPARENT:
                continue
            params = quant_params([*inputs[1:3], ""][:2], constants)
            found[outputs[0]] = maker.operator, params
        elif not quantized and kind not in _TRANSPARENT and outputs[0] not in constants:
            found[outputs[0]] = kind, None
    return found


def _activation(name: str, kind: str, quant: QuantParams | None, values: npt.NDArray[Any]) -> Activation:
    if quant is None or values.dtype.kind not in "iu":
        return Activation(name=name, kind=kind, values=values.astype(np.float32))
    info = np.iinfo(values.dtype)
    ends = quant.dequantize(np.array([info.min, info.max], values.dtype))
    return Activation(
        name=name,
        kind=kind,
        values=quant.dequantize(values),
        step=float(quant.scale[0]),
        qrange=(float(ends[0]), float(ends[1])),
    )
