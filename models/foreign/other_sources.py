"""Models of other formats, .onnx and .tflite, and the file that their own runtime is asked with."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mnist_export.models.foreign.building import Built

_TFLITE = b"TFL3"


@dataclass(frozen=True, kw_only=True)
class Original:
    """The file that answers as the original does, in the runtime that it comes from.

    Attributes:
        content: the file itself, or without the softmax that it ended in.
        suffix: ``.onnx`` or ``.tflite``.
    """

    content: bytes
    suffix: str


def other_source(path: Path, content: bytes) -> Built | None:
    """Read a float .onnx or .tflite; None for every other file.

    Raises:
        InputError: see `onnx_import.import_onnx`, `tflite_import.import_tflite`.
        UnsupportedError: an operator without a form here.
    """
    if content[4:8] == _TFLITE:
        from mnist_export.models.foreign.tflite_import import import_tflite

        built = import_tflite(path, content)
        built.model.original = Original(
            content=_tflite_logits(content) if built.model.cut_softmax else content, suffix=".tflite"
        )
        return built
    if path.suffix.lower() == ".onnx":
        from mnist_export.models.foreign.onnx_import import import_onnx

        built = import_onnx(path, content)
        built.model.original = Original(
            content=_onnx_logits(content) if built.model.cut_softmax else content, suffix=".onnx"
        )
        return built
    return None


def original_of(model: Any) -> Original | None:
    """The file behind a model of another format; None for Keras's own."""
    found = getattr(model, "original", None)
    return found if isinstance(found, Original) else None


def _tflite_logits(content: bytes) -> bytes:
    from dataclasses import replace

    from mnist_export.core.graph.tflite_reader import read_tflite
    from mnist_export.core.graph.tflite_writer import write_tflite

    graph = read_tflite(content)
    last = graph.producer(graph.outputs[0])
    while last is not None and last.kind != "SOFTMAX":
        last = graph.producer(last.inputs[0])
    return write_tflite(replace(graph, outputs=(last.inputs[0],)).pruned()) if last is not None else content


def _onnx_logits(content: bytes) -> bytes:
    import onnx

    model = onnx.ModelProto()
    model.ParseFromString(content)
    makers = {name: node for node in model.graph.node for name in node.output}
    last = makers.get(model.graph.output[0].name)
    while last is not None and last.op_type != "Softmax":
        last = makers.get(last.input[0])
    if last is None:
        return content
    kept = [
        node
        for node in model.graph.node
        if node is not last and model.graph.output[0].name not in node.output
    ]
    model.graph.output[0].name = last.input[0]
    del model.graph.node[:]
    model.graph.node.extend(kept)
    return bytes(model.SerializeToString())
