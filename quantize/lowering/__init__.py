"""Lowers a Keras model to a float `Graph` through TensorFlow's own TFLite converter.

The converter folds batch normalization into convolutions and activations into operators. Its result
is read back as data; every scheme starts from it, and so does every format.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from mnist_export.core.errors import ConversionError
from mnist_export.core.graph import Graph
from mnist_export.core.graph.tflite_reader import read_tflite
from mnist_export.core.scratch import temporaries_in_scratch
from mnist_export.models.structure.scopes import own_names
from mnist_export.quantize.lowering.folding import fold_constants
from mnist_export.quantize.lowering.free_batch import BATCH, free_batch
from mnist_export.quantize.lowering.layer_names import INPUT_NAME, OUTPUT_NAME, marked_layers, renamed
from mnist_export.quantize.lowering.subsampling import join_subsampling
from mnist_export.quantize.lowering.transposed import expand_transposed

_OUTPUT = "output_"  # numbered: the converter orders outputs by these names


def lower(model: Any, input_shape: tuple[int, ...], outputs: Sequence[str] = ()) -> Graph:
    """Convert a model to a float graph with readable tensor names and a free batch.

    Args:
        model: a Keras 3 or tf_keras model, or any callable that TensorFlow can trace, from float32 of
            shape (batch, *input_shape) to float32 logits of shape (batch, classes).
        input_shape: the input's shape without the batch.
        outputs: names of several outputs, which the model gives as a list; empty for one.

    Returns:
        The graph; its input is named ``image``, its output ``logits``, several have their own names. A Keras
        layer's name stands on its convolution or dense operator, or else on its result; other operators of
        the layer are called ``<layer>/<operator>``, constants ``<layer>/<role>``.

    Raises:
        ConversionError: the converter refused the model; its reason is in the message.
    """
    with marked_layers(model) as names:
        content = convert_function(model, input_shape, outputs=outputs)
    graph = read_tflite(content, where="the converter's output")
    if outputs:
        _require_outputs(graph, model, outputs)
    return _readable(graph, {number: own_names(name) for number, name in names.items()}, outputs)


def _require_outputs(graph: Graph, model: Any, outputs: Sequence[str]) -> None:
    """Refuse a graph whose outputs are not the model's, in the order of the names that they got."""
    widths = [int(tensor.shape[-1]) for tensor in model.outputs]
    found = [int(graph.tensors[index].shape[-1]) for index in graph.outputs]
    if len(set(graph.outputs)) != len(outputs) or found != widths:
        raise ConversionError(
            f"TFLite conversion of '{own_names(model.name)}': expected outputs of widths {widths}, found "
            f"{found}. Two of them may be one value: choose one with `output_name`."
        )


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

    with marked_layers(model) as names:
        content = convert_function(model, input_shape, configure)
    plain = {number: own_names(name.removeprefix(prefix)) for number, name in names.items()}
    graph = _readable(read_tflite(content, where="the converter's output"), plain)
    for op in graph.ops:
        result = graph.tensors[op.outputs[0]]
        if result.dtype == np.float32:
            raise ConversionError(
                f"TFLite conversion of '{own_names(model.name)}': expected integers only, found that layer "
                f"'{result.name}' ({op.kind}) stays in float. Replace it, or use `int8=True` without `qat`."
            )
    return graph


def convert_function(
    model: Callable[..., Any],
    input_shape: tuple[int, ...],
    configure: Callable[[Any], None] | None = None,
    *,
    outputs: Sequence[str] = (),
) -> bytes:
    """Run the TFLite converter over a concrete function of a batch of `BATCH`.

    Args:
        model: see `lower`.
        input_shape: the input's shape without the batch.
        configure: sets options on the converter before it runs.
        outputs: see `lower`.

    Returns:
        The bytes of a .tflite file.
    """
    from mnist_export.models.structure.engine import tensorflow

    tf = tensorflow()
    signature = [tf.TensorSpec((BATCH, *input_shape), tf.float32, name=INPUT_NAME)]

    def logits(image: Any) -> Any:
        found = model(image, training=False)
        if not outputs:
            return {OUTPUT_NAME: found}
        return {f"{_OUTPUT}{number:03d}": value for number, value in enumerate(found)}

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
            'Replace the layer that it names, or export a sub-model with `until="LAYER"`.'
        ) from error
    return content


def _readable(graph: Graph, names: dict[int, str], outputs: Sequence[str] = ()) -> Graph:
    freed = free_batch(renamed(fold_constants(graph), names, outputs))
    return join_subsampling(expand_transposed(freed))
