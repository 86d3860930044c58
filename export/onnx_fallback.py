"""Float ONNX through tf2onnx, for operators that this project's own writer does not know."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mnist_export.core.errors import ConversionError
from mnist_export.core.graph import Graph
from mnist_export.core.graph.tflite_writer import write_tflite
from mnist_export.core.scratch import scratch_folder
from mnist_export.export.onnx_writer import IR_VERSIONS


def convert_float(graph: Graph, *, metadata: Mapping[str, str], name: str, opset: int) -> bytes:
    """Convert a float graph with tf2onnx; names and order are made canonical.

    tf2onnx numbers its values from a process-wide counter, so that two runs differ in names only.

    Args:
        graph: a float graph.
        metadata: the model's metadata_props.
        name: the ONNX graph's name.
        opset: the version of ONNX's operators.

    Returns:
        The file's bytes; NHWC inside, with tf2onnx's transposes.

    Raises:
        ConversionError: tf2onnx refused an operator; its reason is in the message.
    """
    import tf2onnx

    with scratch_folder() as folder:
        path = folder / "model.tflite"
        path.write_bytes(write_tflite(graph))
        try:
            model, _ = tf2onnx.convert.from_tflite(str(path), opset=opset)
        except Exception as error:  # tf2onnx raises many types
            raise ConversionError(
                f"ONNX export failed for '{name}': tf2onnx says {type(error).__name__}: {error}. Export "
                'it to TFLite alone (`formats="tflite"`).'
            ) from error
    # Where it does not know an operator, it logs so and leaves it in the graph under TFLite's name.
    unknown = sorted({node.op_type for node in model.graph.node if node.op_type.startswith("TFL_")})
    if unknown:
        raise ConversionError(
            f"ONNX export failed for '{name}': expected operators of ONNX, found that tf2onnx has none for "
            f'{", ".join(unknown)}. Export it to TFLite alone (`formats="tflite"`).'
        )
    model.graph.name = name
    model.ir_version = min(model.ir_version, IR_VERSIONS[opset])
    canonical_names(model)
    for key, text in sorted(metadata.items()):
        model.metadata_props.add(key=key, value=text)
    content: bytes = model.SerializeToString(deterministic=True)
    return content


def canonical_names(model: Any) -> None:
    """Rename an ONNX model's inner values and nodes by position, and sort its initializers, in place."""
    graph = model.graph
    public = {value.name for value in (*graph.input, *graph.output)}
    renamed: dict[str, str] = {}

    def name_of(value: str) -> str:
        if not value or value in public:
            return value
        return renamed.setdefault(value, f"v{len(renamed)}")

    for number, node in enumerate(graph.node):
        node.name = f"n{number}_{node.op_type}"
        node.input[:] = [name_of(value) for value in node.input]
        node.output[:] = [name_of(value) for value in node.output]
    for constant in graph.initializer:
        constant.name = name_of(constant.name)
    ordered = sorted(graph.initializer, key=lambda constant: (len(constant.name), constant.name))
    del graph.initializer[:]
    graph.initializer.extend(ordered)
    del graph.value_info[:]
