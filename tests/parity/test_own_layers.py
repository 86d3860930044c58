"""The layers of this project's own files, which are rewritten for their runtimes, beside the original's."""

from dataclasses import replace

import numpy as np
import pytest

from mnist_export.core.graph.tflite_reader import read_tflite
from mnist_export.core.graph.tflite_writer import write_tflite
from mnist_export.parity.layers.activations import activations_of
from mnist_export.parity.layers.comparison import compare_layers
from mnist_export.runtime.runners.keras import KerasRunner
from mnist_export.runtime.runners.litert import LiteRtRunner
from mnist_export.runtime.runners.opening import open_runner

LAYERS = ["conv1", "pool1", "conv2", "pool2", "dense1", "dense2", "logits"]


@pytest.fixture(scope="module")
def layers(original, dataset):
    with KerasRunner.of(original) as runner:
        return activations_of(runner, dataset.test.images, count=16)


def read(path, dataset):
    with open_runner(path, trust=True) as runner:
        return activations_of(runner, dataset.test.images, count=16)


def test_the_files_are_rewritten(exports):
    shapes = [tensor.shape for tensor in read_tflite(exports.tflite.read_bytes()).tensors]
    assert (-1, 28, 28, 6) not in shapes, "the first convolution's plain map is there: nothing to test"


@pytest.mark.parametrize("which", ["tflite", "onnx"])
def test_every_convolution_pool_and_dense_layer_is_matched(which, exports, layers, dataset):
    result = compare_layers(layers, read(getattr(exports, which), dataset))
    assert [layer.reference for layer in result.layers] == LAYERS
    # each with the tensor of its own name, blocked or not
    assert [layer.candidate.split("/")[0] for layer in result.layers] == LAYERS
    assert result.first is None, result.why
    assert all("gathered" in name for name in result.unmatched)
    assert min(layer.sqnr_db for layer in result.layers) > 25


def test_the_two_files_hold_the_same_integers_layer_by_layer(exports, dataset):
    result = compare_layers(read(exports.tflite, dataset), read(exports.onnx, dataset))
    assert [layer.candidate.split("/")[0] for layer in result.layers] == LAYERS
    assert result.why == "All 7 layers are equal."


def test_damage_in_a_blocked_convolution_is_named(exports, layers, dataset):
    graph = read_tflite(exports.tflite.read_bytes())
    conv = next(op for op in graph.ops if graph.tensors[op.outputs[0]].name == "conv1/blocked")
    weights = graph.tensors[conv.inputs[1]]
    data = np.array(weights.data)
    data[3::6] = -data[3::6]  # channel 3 at every place of the block
    content = write_tflite(graph.with_tensors({conv.inputs[1]: replace(weights, data=data)}))
    with LiteRtRunner(content) as runner:
        result = compare_layers(layers, activations_of(runner, dataset.test.images, count=16))
    assert result.first is not None
    assert result.first.candidate == "conv1/blocked"
    assert result.first.worst_channel == 3
