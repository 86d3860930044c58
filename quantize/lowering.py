"""Lowers a Keras model to a float `Graph` through TensorFlow's own TFLite converter.

The converter folds batch normalization into convolutions and activations into operators. Its result
is read back as data; every scheme starts from it, and so does every format.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import numpy as np

from mnist_export.core.errors import ConversionError
from mnist_export.core.graph import Graph, Op, Tensor
from mnist_export.core.graph.tflite_reader import read_tflite
from mnist_export.core.scratch import temporaries_in_scratch
from mnist_export.quantize.subsampling import join_subsampling
from mnist_export.train.scopes import own_names, renamed_layers

_WEIGHTED = {"CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"}
_BESIDES = {"QUANTIZE", "DEQUANTIZE", "RESHAPE", "SQUEEZE", "EXPAND_DIMS"}
_MARK = re.compile(r"mxlayer(\d{5})")
BATCH = 7
"""Images in the converted function, later any number: from one, the converter folds the batch away at maps
of 1x1; a prime that is no layer's usual size is told apart from the sizes around it."""
INPUT_NAME = "image"
OUTPUT_NAME = "logits"


def lower(model: Any, input_shape: tuple[int, ...]) -> Graph:
    """Convert a model to a float graph with readable tensor names and a free batch.

    Args:
        model: a Keras 3 or tf_keras model, or any callable that TensorFlow can trace, from float32 of
            shape (batch, *input_shape) to float32 logits of shape (batch, classes).
        input_shape: the input's shape without the batch.

    Returns:
        The graph; its input is named ``image``, its output ``logits``. A Keras layer's name stands on its
        convolution or dense operator, or else on its result; other operators of the layer are called
        ``<layer>/<operator>``, constants ``<layer>/<role>``.

    Raises:
        ConversionError: the converter refused the model; its reason is in the message.
    """
    with _marked_layers(model) as names:
        content = convert_function(model, input_shape)
    graph = read_tflite(content, where="the converter's output")
    return _readable(graph, {number: own_names(name) for number, name in names.items()})


def lower_integers(model: Any, input_shape: tuple[int, ...], *, prefix: str = "") -> Graph:
    """Convert a model with fake quantization to a graph of the integers that it simulates.

    Args:
        model: a tf_keras model; see `lower`.
        input_shape: the input's shape without the batch.
        prefix: what the layers' names begin with more than the original's do; it is taken off.

    Returns:
        An int8 graph, names and batch as `lower` gives them.

    Raises:
        ConversionError: the converter refused the model, or left a layer in float; it is named.
    """

    def configure(converter: Any) -> None:
        import tensorflow as tf

        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.inference_input_type = tf.int8
        converter.inference_output_type = tf.int8

    with _marked_layers(model) as names:
        content = convert_function(model, input_shape, configure)
    plain = {number: own_names(name.removeprefix(prefix)) for number, name in names.items()}
    graph = _readable(read_tflite(content, where="the converter's output"), plain)
    for op in graph.ops:
        result = graph.tensors[op.outputs[0]]
        if result.dtype == np.float32:
            raise ConversionError(
                f"TFLite conversion of '{own_names(model.name)}': expected integers only, found that layer "
                f"'{result.name}' ({op.kind}) stays in float. Replace it, or use --int8 without --qat."
            )
    return graph


def convert_function(
    model: Callable[..., Any],
    input_shape: tuple[int, ...],
    configure: Callable[[Any], None] | None = None,
) -> bytes:
    """Run the TFLite converter over a concrete function of a batch of `BATCH`.

    Args:
        model: see `lower`.
        input_shape: the input's shape without the batch.
        configure: sets options on the converter before it runs.

    Returns:
        The bytes of a .tflite file.
    """
    from mnist_export.train.engine import tensorflow

    tf = tensorflow()
    signature = [tf.TensorSpec((BATCH, *input_shape), tf.float32, name=INPUT_NAME)]

    def logits(image: Any) -> Any:
        return {OUTPUT_NAME: model(image, training=False)}

    try:
        concrete = tf.function(logits, input_signature=signature, autograph=False).get_concrete_function()
        # Without the trackable object: its variables are frozen into constants. With it, Keras 3
        # variables stay behind resource handles that the calibrator cannot read.
        converter = tf.lite.TFLiteConverter.from_concrete_functions([concrete])
        if configure is not None:
            configure(converter)
        with temporaries_in_scratch():
            content: bytes = converter.convert()
    except Exception as error:  # the converter raises many types, from several libraries
        lines = [line for line in str(error).splitlines() if line.strip()]
        reason = (lines[0] if lines else type(error).__name__)[:300]
        name = own_names(getattr(model, "name", "the model"))
        raise ConversionError(
            f"TFLite conversion failed for '{name}': {own_names(reason)} "
            "Replace the layer that it names, or export a sub-model with --until LAYER."
        ) from error
    return content


@contextlib.contextmanager
def _marked_layers(model: Any) -> Iterator[dict[int, str]]:
    """Give each layer a name that survives TensorFlow's scope renaming, and take it back.

    TensorFlow makes scopes unique by appending numbers, so that ``conv2d_1`` may stand for the layer
    ``conv2d`` or for the layer ``conv2d_1``.
    """
    flatten = getattr(model, "_flatten_layers", None)
    layers = list(flatten(include_self=False, recursive=True)) if flatten is not None else []
    names = {number: layer.name for number, layer in enumerate(layers)}
    with renamed_layers(layers, [f"mxlayer{number:05d}" for number in names]):
        yield names


def _layer_of(tensor_name: str, names: dict[int, str]) -> str | None:
    found = _MARK.findall(tensor_name)
    return names.get(int(found[-1])) if found else None


def _renamed(graph: Graph, names: dict[int, str]) -> Graph:
    taken: set[str] = set()
    result = dict(enumerate(graph.tensors))

    def assign(index: int, wanted: str) -> None:
        name, count = wanted, 1
        while name in taken:
            count += 1
            name = f"{wanted}_{count}"
        taken.add(name)
        result[index] = replace(result[index], name=name)

    for index in graph.inputs:
        assign(index, INPUT_NAME)
    taken.add(OUTPUT_NAME)
    roles = {1: "kernel", 2: "bias"}
    done = set(graph.inputs)
    layers = {op: _layer_of_op(graph, op, names) for op in graph.ops}
    main_kind = _main_kinds(layers)
    for op, layer in layers.items():
        weighted = op.kind in _WEIGHTED
        for position, index in enumerate(op.inputs):
            if index >= 0 and index not in done and graph.tensors[index].is_constant:
                done.add(index)
                role = roles.get(position, "constant") if weighted else "constant"
                assign(index, f"{layer}/{role}")
        for index in op.outputs:
            if index not in done:
                done.add(index)
                if index in graph.outputs:
                    result[index] = replace(result[index], name=OUTPUT_NAME)
                elif op.kind == main_kind.get(layer, op.kind):
                    assign(index, layer)
                else:
                    assign(index, f"{layer}/{op.kind.lower()}")
    return replace(graph, tensors=tuple(result[i] for i in range(len(graph.tensors)))).pruned()


def _main_kinds(layers: dict[Op, str]) -> dict[str, str]:
    """Each layer's operator that has its name: the one with weights, or else the last that computes."""
    found: dict[str, str] = {}
    for op, layer in layers.items():
        if found.get(layer) not in _WEIGHTED and op.kind not in _BESIDES:
            found[layer] = op.kind
    return found


def _layer_of_op(graph: Graph, op: Op, names: dict[int, str]) -> str:
    """The layer that an operator belongs to, by its result's name or else its constants'."""
    for index in (*op.outputs, *op.inputs):
        if index in op.outputs or (index >= 0 and graph.tensors[index].is_constant):
            found = _layer_of(graph.tensors[index].name, names)
            if found:
                return found
    return op.kind.lower()


def _readable(graph: Graph, names: dict[int, str]) -> Graph:
    return join_subsampling(free_batch(_renamed(graph, names)))


def free_batch(graph: Graph) -> Graph:
    """Replace the batch by -1 in activations and in the constants that RESHAPE reads.

    Args:
        graph: of batch `BATCH`, as `convert_function` gives it.

    Raises:
        ConversionError: a layer mixes the images of a batch; it is named.
    """
    changes: dict[int, Tensor] = {}
    for index in graph.activations():
        tensor = graph.tensors[index]
        if not tensor.shape or tensor.shape[0] != BATCH:
            raise ConversionError(
                f"TFLite conversion: layer '{tensor.name}': expected a result of one row an image, found the "
                f"shape {tensor.shape} for {BATCH} images. Replace the layer by one that keeps images apart."
            )
        changes[index] = replace(tensor, shape=(-1, *tensor.shape[1:]))
    ops = []
    for op in graph.ops:
        if op.kind == "RESHAPE":
            changes |= _free_reshape(graph, op)
        ops.append(_free_slice(graph, op) if op.kind == "STRIDED_SLICE" else op)
    return replace(graph.with_tensors(changes), ops=tuple(ops))


def _free_slice(graph: Graph, op: Op) -> Op:
    """A STRIDED_SLICE that takes all images of a batch, however many there are."""
    bounds = [graph.tensors[i].data for i in op.inputs[1:4]]
    if any(value is None for value in bounds):
        return op
    begin, end, steps = (int(np.ravel(value)[0]) for value in bounds if value is not None)
    masks = {name: int(op.options.get(name, 0)) for name in ("beginMask", "endMask")}
    if (
        steps != 1
        or (begin != 0 and not masks["beginMask"] & 1)
        or (end != BATCH and not masks["endMask"] & 1)
    ):
        return op
    return replace(
        op, options=MappingProxyType(dict(op.options) | {name: mask | 1 for name, mask in masks.items()})
    )


def _free_reshape(graph: Graph, op: Op) -> dict[int, Tensor]:
    if len(op.inputs) < 2 or op.inputs[1] < 0:
        return {}
    shape = graph.tensors[op.inputs[1]]
    if shape.data is None or not shape.data.size or shape.data.flat[0] != BATCH or -1 in shape.data:
        return {}
    freed = shape.data.copy()
    freed.flat[0] = -1
    return {op.inputs[1]: replace(shape, data=freed.astype(np.int32))}
