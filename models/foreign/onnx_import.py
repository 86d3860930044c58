"""A float ONNX file, such as PyTorch writes, rebuilt as a TensorFlow function from images to logits."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from mnist_export.core.errors import MissingExtraError, UnsupportedError
from mnist_export.data.limits import bad_file as refuse
from mnist_export.data.limits import shown
from mnist_export.models.foreign.building import Built
from mnist_export.models.foreign.frozen import freeze
from mnist_export.models.foreign.limits import (
    MAX_LAYERS,
    MAX_PARAMETERS,
    WRONG_SHAPES,
    check_elements,
    quoted,
)
from mnist_export.models.foreign.onnx_operators import OPERATORS
from mnist_export.models.foreign.onnx_values import Layout, Node, Value
from mnist_export.models.structure.engine import tensorflow

_BROADCAST = frozenset({"Add", "Sub", "Mul", "Div"})
_MAX_FOLDED = 1 << 20
"""Numbers that one operator on constants alone, which is computed at once, may read and make."""


def import_onnx(path: Path, content: bytes) -> Built:
    """Rebuild a network.

    Args:
        path: for messages.
        content: the whole file.

    Raises:
        InputError: it is damaged, or has not one image as its input and classes as its output.
        UnsupportedError: an operator is not in the table `onnx_operators.OPERATORS`; it is named.
    """
    model = _parsed(path, content)
    graph = model.graph
    if not 0 < len(graph.node) <= MAX_LAYERS * 5:
        raise refuse(path, f"1 to {MAX_LAYERS * 5:,} operators", f"{len(graph.node):,}", "Check the file.")
    for node in graph.node:
        if node.domain not in {"", "ai.onnx"} or node.op_type not in OPERATORS:
            name = f"{node.domain}.{node.op_type}" if node.domain else node.op_type
            known = ", ".join(sorted(OPERATORS))
            raise UnsupportedError(
                f"{shown(path)}: expected operators of a float network ({known}), found {quoted(name)}. "
                "Export the network without it, or give it as a Keras model."
            )
    constants = _constants(path, graph)
    source, shape, batch = _input(path, graph, constants)
    if len(graph.output) != 1:
        raise refuse(path, "one output", f"{len(graph.output)}", "Export a network from images to classes.")
    layout = Layout.PLAIN
    if (len(shape) == 3 and shape[0] in {1, 3} and shape[2] not in {1, 3}) or (
        len(shape) == 3 and shape[0] in {1, 3}
    ):
        shape, layout = (shape[1], shape[2], shape[0]), Layout.LAST
    tf = tensorflow()

    def function(image: Any) -> Any:
        values = {**constants, source: Value(tensor=image, layout=layout)}
        for number, node in enumerate(graph.node):
            _run(path, node, number, values, fixed_batch=batch == 1)
        found = values.get(graph.output[0].name)
        if found is None or found.constant is not None:
            raise refuse(path, "an output that depends on the image", "none", "The file is damaged.")
        return tf.identity(found.plain())

    signature = [tf.TensorSpec((None, *shape), tf.float32, name="image")]
    try:
        concrete = tf.function(function, input_signature=signature, autograph=False).get_concrete_function()
    except (*WRONG_SHAPES, tf.errors.OpError) as error:
        lines = [line for line in str(error).splitlines() if line.strip()]
        found = quoted(lines[0] if lines else type(error).__name__)
        raise refuse(path, "operators whose shapes fit", found, "The file is damaged.") from error
    frozen = freeze(concrete, concrete, path)
    frozen.name = "onnx"
    frozen.parameters = sum(
        int(value.tensor.size) for value in constants.values() if value.tensor.dtype.kind == "f"
    )
    return Built(model=frozen, framework="tf_keras", notes=("read from ONNX",))


def _parsed(path: Path, content: bytes) -> Any:
    try:
        import onnx
        from google.protobuf.message import DecodeError  # type: ignore[import-untyped,unused-ignore]
    except ImportError as error:
        raise MissingExtraError("onnx", "convert", "reading an .onnx model") from error
    model = onnx.ModelProto()
    try:
        model.ParseFromString(content)
    except (DecodeError, RuntimeError, ValueError) as error:
        raise refuse(path, "an ONNX model", f"damage ({quoted(error)})", "Export it again.") from error
    return model


def _constants(path: Path, graph: Any) -> dict[str, Value]:
    from onnx import numpy_helper

    found: dict[str, Value] = {}
    total = 0
    for tensor in graph.initializer:
        if tensor.external_data:
            raise refuse(
                path,
                "weights inside of the file",
                f"{quoted(tensor.name)} in another",
                "Save it as one file.",
            )
        try:
            value = np.asarray(numpy_helper.to_array(tensor))
        except (ValueError, TypeError, KeyError, RuntimeError) as error:
            raise refuse(path, "sound weights", quoted(error), "Export it again.") from error
        total += value.size
        if total > MAX_PARAMETERS:
            raise refuse(path, f"at most {MAX_PARAMETERS:,} parameters", "more", "Such a model is too large.")
        if value.dtype.kind == "f" and not np.isfinite(value).all():
            raise refuse(
                path, "finite weights", f"NaN or infinity in {quoted(tensor.name)}", "Train it again."
            )
        found[tensor.name] = Value(tensor=value)
    return found


def _input(path: Path, graph: Any, constants: Mapping[str, Value]) -> tuple[str, tuple[int, ...], int | None]:
    """Name, shape without the batch, and batch (None where it is free) of the one input."""
    given = [value for value in graph.input if value.name not in constants]
    if len(given) != 1 or given[0].type.tensor_type.elem_type != 1:
        found = f"{len(given)} inputs" if len(given) != 1 else "another type"
        raise refuse(path, "one float32 input", found, "Export a network from images to classes.")
    sizes = [dim.dim_value or None for dim in given[0].type.tensor_type.shape.dim]
    if len(sizes) not in {2, 3, 4} or None in sizes[1:]:
        raise refuse(
            path,
            "an input of fixed shape (batch, channels, height, width)",
            f"{tuple(sizes)}",
            "Export it with the size of its images; the batch alone may be free.",
        )
    return given[0].name, tuple(int(size or 1) for size in sizes[1:]), sizes[0]


def _run(path: Path, node: Any, number: int, values: dict[str, Value], *, fixed_batch: bool) -> None:
    from onnx import helper

    where = f"{shown(path)} node {shown(node.name or number)}"
    missing = [name for name in node.input if name and name not in values]
    if missing:
        raise refuse(where, f"the value {quoted(missing[0])}", "none", "The file is damaged.")
    constants = [values[name].constant for name in node.input if name]
    if constants and all(value is not None for value in constants):
        sizes = [value.size for value in constants if value is not None]
        made = math.prod(sizes) if node.op_type in _BROADCAST else sum(sizes)
        if made > _MAX_FOLDED:
            raise refuse(
                where, f"at most {_MAX_FOLDED:,} constants", f"{made:,}", "Fold them and save again."
            )
    found = OPERATORS[node.op_type](
        Node(
            kind=node.op_type,
            inputs=tuple(values[name] if name else None for name in node.input),
            settings={attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute},
            where=where,
            fixed_batch=fixed_batch,
        )
    )
    results = found if isinstance(found, list) else [found]
    check_elements(where, node.op_type, [value.tensor for value in results])
    values.update(zip(node.output, results, strict=False))
