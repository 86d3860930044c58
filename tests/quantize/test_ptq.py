"""Post-training integers: equal to the converter's, and what each setting changes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from mnist_export.core.errors import InputError
from mnist_export.core.graph import Graph
from mnist_export.core.graph.tflite_reader import read_tflite
from mnist_export.core.graph.tflite_writer import write_tflite
from mnist_export.core.kinds import IoType, Precision
from mnist_export.core.pixels import InputRange
from mnist_export.data import Dataset
from mnist_export.export.onnx_writer import write_onnx
from mnist_export.quantize import SchemeConfig, quantize
from mnist_export.quantize.lowering import lower
from mnist_export.quantize.network.layers import weighted_ops
from mnist_export.quantize.network.simulate import run_logits

Images = npt.NDArray[np.uint8]


def converted(model: Any, images: Images) -> Graph:
    """What TensorFlow's own converter makes of the model with the same calibration images."""
    from mnist_export.quantize.lowering import convert_function
    from mnist_export.quantize.lowering.free_batch import BATCH

    def configure(converter: Any) -> None:
        import tensorflow as tf

        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = lambda: (
            [np.repeat(image[None] / np.float32(255), BATCH, axis=0)] for image in images
        )
        converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = tf.int8
        converter.inference_output_type = tf.int8

    return read_tflite(convert_function(model, (28, 28, 1), configure))


def test_integers_equal_those_of_the_tflite_converter(
    tiny_model: Any, tiny_graph: Graph, calibration: Images
) -> None:
    theirs = converted(tiny_model, calibration)
    ours = quantize(tiny_graph, SchemeConfig(), calibration).graph
    assert [op.kind for op in ours.ops] == [op.kind for op in theirs.ops]
    for mine, other in zip(ours.ops, theirs.ops, strict=True):
        for index, twin in zip((*mine.inputs, *mine.outputs), (*other.inputs, *other.outputs), strict=True):
            a, b = ours.tensors[index], theirs.tensors[twin]
            assert a.dtype == b.dtype
            if a.quant is not None and b.quant is not None:
                np.testing.assert_allclose(a.quant.scale, b.quant.scale, rtol=1e-6)
                np.testing.assert_array_equal(a.quant.zero_point, b.quant.zero_point)
                if a.data is not None:
                    np.testing.assert_array_equal(a.data, b.data)


def test_an_int8_input_is_the_pixel_minus_128(tiny_graph: Graph, calibration: Images) -> None:
    entry = quantize(tiny_graph, SchemeConfig(), calibration).input_quant
    assert entry is not None
    assert entry.zero_point[0] == -128
    assert entry.scale[0] == np.float32(1 / 255)


@pytest.mark.parametrize(
    ("config", "per_channel", "dense_per_channel"),
    [
        (SchemeConfig(), True, True),
        (SchemeConfig(per_channel_dense=False), True, False),
        (SchemeConfig(per_channel=False, per_channel_dense=False), False, False),
    ],
)
def test_scales_are_by_channel_where_asked_for(
    tiny_graph: Graph, calibration: Images, config: SchemeConfig, per_channel: bool, dense_per_channel: bool
) -> None:
    graph = quantize(tiny_graph, config, calibration).graph
    for op in weighted_ops(graph):
        quant = graph.tensors[op.inputs[1]].quant
        assert quant is not None
        wanted = dense_per_channel if op.kind == "FULLY_CONNECTED" else per_channel
        assert quant.is_per_channel == wanted


def test_symmetric_activations_have_zero_point_0(tiny_graph: Graph, calibration: Images) -> None:
    graph = quantize(tiny_graph, SchemeConfig(symmetric=True), calibration).graph
    points = [graph.tensors[i].quant.zero_point[0] for i in graph.activations() if i not in graph.inputs]  # type: ignore[union-attr]
    assert set(points) == {0}


def test_reduced_range_weights_stay_within_63(tiny_graph: Graph, calibration: Images) -> None:
    graph = quantize(tiny_graph, SchemeConfig(reduce_range=True), calibration).graph
    largest = [int(np.abs(graph.tensors[op.inputs[1]].data.astype(int)).max()) for op in weighted_ops(graph)]  # type: ignore[union-attr]
    assert max(largest) == 63


@pytest.mark.parametrize("precision", [Precision.INT8, Precision.INT16X8])
def test_integers_keep_the_float_networks_labels(
    tiny_graph: Graph, calibration: Images, digits: Dataset, unit: InputRange, precision: Precision
) -> None:
    images = digits.test.images
    model = quantize(tiny_graph, SchemeConfig(precision=precision), calibration)
    theirs = run_logits(tiny_graph, images, input_range=unit)
    ours = run_logits(model.graph, images, input_range=unit)
    assert np.mean(theirs.argmax(1) == ours.argmax(1)) >= 0.99


@pytest.mark.parametrize(
    "kept", [("conv1",), ("conv2",), ("dense1",), ("logits",), ("conv*",), ("conv1", "logits")]
)
def test_layers_in_float_give_one_answer_in_both_formats(
    tiny_graph: Graph, calibration: Images, digits: Dataset, unit: InputRange, kept: tuple[str, ...]
) -> None:
    import onnxruntime

    images = digits.test.images[:200]
    model = quantize(tiny_graph, SchemeConfig(keep_float=kept), calibration)
    again = read_tflite(write_tflite(model.graph))
    theirs = run_logits(again, images, input_range=unit)
    content = write_onnx(model.graph, io=IoType.FLOAT32)
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    pixels = {session.get_inputs()[0].name: unit.to_real(images)}
    ours = session.run(None, pixels)[0]
    step = float(model.output_quant.scale[0]) if model.output_quant is not None else 0.0
    # Float sums of another order may move a code by one; each later layer by a little more.
    widest = max(
        float(t.quant.scale[0]) for t in model.graph.tensors if t.quant is not None and t.data is None
    )
    assert np.abs(theirs - ours).max() <= 2 * max(step, widest) + 1e-4
    assert np.mean(theirs.argmax(1) == ours.argmax(1)) >= 0.99


def test_kept_layers_compute_in_float_and_a_pool_between_two_of_them_too(
    tiny_graph: Graph, calibration: Images
) -> None:
    graph = quantize(tiny_graph, SchemeConfig(keep_float=("conv1", "conv2")), calibration).graph
    floats = {
        graph.tensors[op.outputs[0]].name
        for op in graph.ops
        if graph.tensors[op.outputs[0]].dtype == np.float32
    }
    assert {"conv1", "pool1", "conv2"} <= {name.removesuffix("/float32") for name in floats}
    alone = quantize(tiny_graph, SchemeConfig(keep_float=("conv1",)), calibration).graph
    (pool,) = [op for op in alone.ops if op.kind == "MAX_POOL_2D"]
    assert alone.tensors[pool.outputs[0]].dtype == np.int8


def test_a_layer_that_is_not_there_is_refused_with_the_names(tiny_graph: Graph, calibration: Images) -> None:
    with pytest.raises(InputError, match=r"'conv9'.*conv1, pool1, conv2"):
        quantize(tiny_graph, SchemeConfig(keep_float=("conv9",)), calibration)


@pytest.mark.parametrize("precision", [Precision.FLOAT32, Precision.FLOAT16, Precision.DYNAMIC])
def test_kept_layers_and_improvements_need_integers(precision: Precision) -> None:
    with pytest.raises(InputError, match="`keep_float`"):
        SchemeConfig(precision=precision, keep_float=("conv1",))
    with pytest.raises(InputError, match="`equalize`"):
        SchemeConfig(precision=precision, improvements=("equalize",))


def test_a_global_maximum_stays_in_integers_in_both_formats(
    calibration: Images, digits: Dataset, unit: InputRange
) -> None:
    import keras
    import onnxruntime
    from keras import layers

    keras.utils.set_random_seed(4)
    inputs = layers.Input((28, 28, 1))
    x = layers.GlobalMaxPooling2D(name="most")(layers.Conv2D(8, 3, strides=2, name="conv")(inputs))
    graph = lower(keras.Model(inputs, layers.Dense(10, name="end")(x)), (28, 28, 1))
    model = quantize(graph, SchemeConfig(), calibration)
    assert [op.kind for op in model.graph.ops] == ["CONV_2D", "REDUCE_MAX", "FULLY_CONNECTED"]
    session = onnxruntime.InferenceSession(
        write_onnx(model.graph, io=IoType.UINT8), providers=["CPUExecutionProvider"]
    )
    images = digits.test.images[:100]
    codes = session.run(None, {session.get_inputs()[0].name: images})[0].astype(np.float32)
    output = model.output_quant
    assert output is not None
    ours = output.scale[0] * (codes - 128 - output.zero_point[0])
    np.testing.assert_allclose(ours, run_logits(model.graph, images, input_range=unit), atol=1e-5)


def test_layers_that_share_a_bias_get_constants_of_their_own_names(net_builder: Any, in_int8: Any) -> None:
    net = net_builder((6, 6, 2))
    x = net.conv(net.conv(0, 3, name="first"), 3, name="second")
    graph = net.graph(net.dense(net.flatten(x), 4))
    first, second = graph.ops[:2]
    shared = replace(second, inputs=(*second.inputs[:2], first.inputs[2]))
    made = in_int8(replace(graph, ops=(first, shared, *graph.ops[2:]))).graph
    names = [tensor.name for tensor in made.tensors]

    assert len(set(names)) == len(names)
    assert made.ops[0].inputs[2] != made.ops[1].inputs[2]  # each in its own step
