"""Precisions that keep activations in float, and the way from Keras to the float graph."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from mnist_export.core.errors import ConversionError, UnsupportedError
from mnist_export.core.graph import Graph
from mnist_export.core.graph.tflite_writer import write_tflite
from mnist_export.core.kinds import Precision
from mnist_export.core.pixels import InputRange
from mnist_export.data import Dataset
from mnist_export.quantize import SchemeConfig, quantize
from mnist_export.quantize.lowering import lower
from mnist_export.quantize.network.layers import weighted_ops
from mnist_export.quantize.network.simulate import run_logits


def test_the_float_graph_gives_the_models_logits(
    tiny_model: Any, tiny_graph: Graph, digits: Dataset, unit: InputRange
) -> None:
    images = digits.test.images[:100]
    theirs = np.asarray(tiny_model(unit.to_real(images), training=False))
    ours = run_logits(tiny_graph, images, input_range=unit)
    assert np.abs(theirs - ours).max() < 1e-4


def test_tensors_carry_the_layers_names(tiny_graph: Graph) -> None:
    names = {tensor.name for tensor in tiny_graph.tensors}
    assert {"image", "conv1", "conv1/kernel", "conv1/bias", "pool1", "conv2/kernel", "logits"} <= names
    assert tiny_graph.tensors[tiny_graph.inputs[0]].shape == (-1, 28, 28, 1)


def test_layers_whose_names_look_numbered_keep_them() -> None:
    import keras
    from keras import layers

    model = keras.Sequential(
        [
            layers.Input((8, 8, 1)),
            layers.Conv2D(2, 3, name="conv_1"),
            layers.Conv2D(2, 3, name="conv"),
            layers.Conv2D(2, 3, name="conv_2"),
            layers.Flatten(name="flat"),
            layers.Dense(3, name="end"),
        ]
    )
    graph = lower(model, (8, 8, 1))
    kernels = [graph.tensors[op.inputs[1]].name for op in weighted_ops(graph)]
    assert kernels == ["conv_1/kernel", "conv/kernel", "conv_2/kernel", "end/kernel"]
    assert [layer.name for layer in model.layers] == ["conv_1", "conv", "conv_2", "flat", "end"]


def test_a_model_that_cannot_be_converted_is_refused_in_one_sentence() -> None:
    def broken(image: Any, training: bool = False) -> Any:
        raise TypeError("no such operator")

    with pytest.raises(ConversionError, match="no such operator"):
        lower(broken, (4, 4, 1))


def test_float16_halves_the_weights_and_keeps_the_labels(
    tiny_graph: Graph, digits: Dataset, unit: InputRange
) -> None:
    half = quantize(tiny_graph, SchemeConfig(precision=Precision.FLOAT16)).graph
    kinds = {tensor.dtype for tensor in half.tensors if tensor.is_constant and tensor.dtype.kind == "f"}
    assert kinds == {np.dtype(np.float16)}
    assert len(write_tflite(half)) < 0.7 * len(write_tflite(tiny_graph))
    images = digits.test.images
    same = run_logits(half, images, input_range=unit).argmax(1) == run_logits(
        tiny_graph, images, input_range=unit
    ).argmax(1)
    assert same.mean() >= 0.995


def test_float16_refuses_a_weight_that_it_cannot_hold(tiny_graph: Graph) -> None:
    index = next(i for i, t in enumerate(tiny_graph.tensors) if t.name == "conv1/bias")
    huge = replace(tiny_graph.tensors[index], data=np.full(6, 1e6, np.float32))
    with pytest.raises(UnsupportedError, match="conv1/bias"):
        quantize(tiny_graph.with_tensors({index: huge}), SchemeConfig(precision=Precision.FLOAT16))


def test_dynamic_stores_large_weights_in_int8_and_small_ones_in_float(tiny_graph: Graph) -> None:
    graph = quantize(tiny_graph, SchemeConfig(precision=Precision.DYNAMIC)).graph
    types = {t.name: t.dtype for t in graph.tensors if t.name.endswith("/kernel")}
    assert types["dense1/kernel"] == np.int8
    assert types["conv1/kernel"] == np.float32
