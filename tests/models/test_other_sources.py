"""Float .onnx and .tflite files as models: rebuilt as TensorFlow functions that answer as their runtimes."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mnist_export.core.errors import InputError, UnsupportedError
from mnist_export.models.foreign.other_sources import original_of
from mnist_export.models.loading import load_model

SIDE = 16


def _quiet(_: str) -> None:
    return None


class Net:
    """An ONNX graph as PyTorch writes it: channels first, weights as initializers."""

    def __init__(self, seed: int = 0) -> None:
        self.random = np.random.default_rng(seed)
        self.nodes: list[Any] = []
        self.weights: list[Any] = []
        self.last = "image"

    def constant(self, value: Any) -> str:
        from onnx import numpy_helper

        array = np.asarray(value)
        name = f"w{len(self.weights)}"
        kept = array if array.dtype.kind == "i" else array.astype(np.float32)
        self.weights.append(numpy_helper.from_array(np.asarray(kept), name))
        return name

    def add(self, kind: str, inputs: list[str] | None = None, more: list[Any] = (), **settings: Any) -> str:
        from onnx import helper

        result = f"t{len(self.nodes)}"
        names = [*(inputs or [self.last]), *(self.constant(value) for value in more)]
        self.nodes.append(helper.make_node(kind, names, [result], **settings))
        self.last = result
        return result

    def conv(self, before: int, after: int, size: int = 3, **settings: Any) -> str:
        groups = settings.get("group", 1)
        shape = (after, before // groups, size, size)
        scale = math.sqrt(2 / (before // groups * size * size))
        values = [self.random.normal(size=shape) * scale, self.random.normal(size=after) * 0.1]
        return self.add("Conv", more=values, kernel_shape=[size, size], **settings)

    def dense(self, before: int, after: int) -> str:
        values = [
            self.random.normal(size=(after, before)) / math.sqrt(before),
            self.random.normal(size=after),
        ]
        return self.add("Gemm", more=values, transB=1)

    def save(self, path: Path, *, batch: int | str = "n", shape: tuple[int, ...] = (3, SIDE, SIDE)) -> Path:
        import onnx
        from onnx import TensorProto, helper

        graph = helper.make_graph(
            self.nodes,
            "net",
            [helper.make_tensor_value_info("image", TensorProto.FLOAT, [batch, *shape])],
            [helper.make_tensor_value_info(self.last, TensorProto.FLOAT, [batch, 4])],
            self.weights,
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
        path.write_bytes(model.SerializeToString())
        onnx.checker.check_model(model)
        return path


def _residual(net: Net) -> None:
    net.conv(3, 8, strides=[2, 2], pads=[1, 1, 1, 1])
    parameters = [1 + net.random.normal(size=8) * 0.1, *net.random.normal(size=(2, 8)) * 0.1]
    net.add("BatchNormalization", more=[*parameters, 0.5 + net.random.random(8)])
    net.add("Relu")
    first = net.add("MaxPool", kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])
    net.conv(8, 8, group=8, pads=[1, 1, 1, 1])
    second = net.add("Clip", more=[0.0, 6.0])
    net.add("Add", [first, second])
    net.add("Mul", more=[net.random.random((8, 1, 1))])
    net.add("GlobalAveragePool")
    net.add("Flatten")
    net.dense(8, 4)


def _flat(net: Net) -> None:
    net.conv(3, 5, pads=[1, 1, 1, 1])
    net.add("PRelu", more=[net.random.random((5, 1, 1))])
    net.add("AveragePool", kernel_shape=[2, 2], strides=[2, 2])
    net.add("Flatten")
    count = 5 * (SIDE // 2) ** 2
    rows = [1 + net.random.normal(size=count) * 0.1, net.random.normal(size=count) * 0.1]
    net.add("BatchNormalization", more=[*rows, np.zeros(count), np.ones(count)])
    net.add("Add", more=[net.random.normal(size=count) * 0.1])
    net.dense(count, 12)
    net.add("HardSwish")
    net.add("MatMul", more=[net.random.normal(size=(12, 4))])


def _by_shape(net: Net) -> None:
    net.conv(3, 6, group=3, strides=[2, 2], pads=[0, 0, 1, 1], dilations=[1, 1])
    image = net.add("Sigmoid")
    net.add("Shape")
    net.add("Gather", more=[np.asarray(0)], axis=0)
    batch = net.add("Unsqueeze", more=[np.asarray([0])])
    target = net.add("Concat", [batch, net.constant(np.asarray([-1]))], axis=0)
    net.add("Reshape", [image, target])
    net.dense(6 * (SIDE // 2) ** 2, 4)


def _branches(net: Net) -> None:
    start = net.conv(3, 4, size=1)
    left = net.add("LeakyRelu", alpha=0.2)
    right = net.add("Tanh", [start])
    net.add("Concat", [left, right], axis=1)
    net.add("Pad", more=[np.asarray([0, 0, 1, 2, 0, 0, 2, 1])])
    net.add("ReduceMean", axes=[2, 3], keepdims=0)
    net.dense(8, 4)


def _transposed(net: Net) -> None:
    net.conv(3, 4, strides=[2, 2], auto_pad="SAME_UPPER")
    net.add("Transpose", perm=[0, 2, 3, 1])
    net.add("Reshape", more=[np.asarray([-1, (SIDE // 2) ** 2, 4])])
    net.add("ReduceMax", axes=[1], keepdims=0)
    net.dense(4, 4)


def answers(content: bytes, images: Any) -> Any:
    import onnxruntime

    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    return session.run(None, {"image": images.transpose(0, 3, 1, 2)})[0]


def pictures() -> Any:
    return np.random.default_rng(1).random((6, SIDE, SIDE, 3)).astype(np.float32)


@pytest.mark.parametrize("body", [_residual, _flat, _by_shape, _branches, _transposed])
@pytest.mark.parametrize("softmax", [False, True])
def test_an_onnx_network_answers_as_in_onnx_runtime(
    body: Callable[[Net], None], softmax: bool, tmp_path: Path
) -> None:
    net = Net()
    body(net)
    expected = answers(net.save(tmp_path / "plain.onnx").read_bytes(), pictures())
    if softmax:
        net.add("Softmax", axis=1)
    said: list[str] = []
    loaded = load_model(str(net.save(tmp_path / "net.onnx")), notify=said.append)
    assert loaded.input_shape == (SIDE, SIDE, 3) and loaded.num_classes == 4 and loaded.parameters > 16
    found = np.asarray(loaded.model(pictures(), training=False))
    np.testing.assert_allclose(found, expected, atol=1e-4)
    original = original_of(loaded.model)
    assert original is not None and original.suffix == ".onnx"
    np.testing.assert_allclose(answers(original.content, pictures()), expected, atol=1e-5)
    assert any("softmax" in line for line in said) is softmax


def test_a_batch_of_one_is_freed(tmp_path: Path) -> None:
    net = Net()
    net.conv(3, 4)
    net.add("Relu")
    net.add("Reshape", more=[np.asarray([1, -1])])
    net.dense(4 * (SIDE - 2) ** 2, 4)
    path = net.save(tmp_path / "net.onnx", batch=1)
    loaded = load_model(str(path), notify=_quiet)
    found = np.asarray(loaded.model(pictures(), training=False))
    for row, image in zip(found, pictures(), strict=True):
        np.testing.assert_allclose(row, answers(path.read_bytes(), image[None])[0], atol=1e-4)


def test_operators_without_a_form_are_named(tmp_path: Path) -> None:
    def line(change: Callable[[Net], object], **options: Any) -> str:
        net = Net()
        change(net)
        with pytest.raises((UnsupportedError, InputError)) as caught:
            load_model(str(net.save(tmp_path / "net.onnx", **options)), notify=_quiet)
        assert str(caught.value).isprintable()
        return str(caught.value)

    assert "'InstanceNormalization'" in line(
        lambda net: net.add("InstanceNormalization", more=[np.ones(3), np.ones(3)])
    )
    negative = lambda net: net.add("MaxPool", kernel_shape=[3, 3], pads=[1, 1, 1, 1], strides=[2, 2])  # noqa: E731
    assert "MaxPool with padding" in line(lambda net: (net.conv(3, 4), negative(net)))
    joined = lambda net: net.add("Reshape", more=[np.asarray([8, -1])])  # noqa: E731
    assert "Reshape" in line(joined) and "joins the images" in line(joined)
    assert "fixed shape" in line(lambda net: net.conv(3, 4), shape=(3, "h", "w"))
    big = lambda net: net.add("Pad", more=[np.asarray([0, 0, 19999, 0, 0, 0, 19999, 999])])  # noqa: E731
    assert "64,000,000 outputs" in line(big)


def test_damaged_onnx_files_are_one_line(tmp_path: Path) -> None:
    net = Net()
    _residual(net)
    sound = net.save(tmp_path / "net.onnx").read_bytes()
    random = np.random.default_rng(0)
    path = tmp_path / "bad.onnx"
    for _ in range(40):
        content = bytearray(sound)
        for _ in range(random.integers(1, 5)):
            content[random.integers(len(content))] = random.integers(256)
        path.write_bytes(content[: random.choice([len(content), random.integers(1, len(content))])])
        try:
            load_model(str(path), notify=_quiet)
        except (InputError, UnsupportedError) as error:
            assert str(error).isprintable() and "bad.onnx" in str(error)


@pytest.mark.parametrize("half", [False, True])
def test_a_float_tflite_answers_as_in_litert(half: bool, keras: Any, tmp_path: Path) -> None:
    import tensorflow as tf
    from ai_edge_litert.interpreter import Interpreter

    layers = keras.layers
    keras.utils.set_random_seed(1)
    image = keras.Input((SIDE, SIDE, 3))
    x = layers.Conv2D(6, 3, strides=2, activation="relu")(image)
    y = layers.DepthwiseConv2D(3, padding="same", activation="relu6")(x)
    x = layers.Concatenate()([layers.Add()([x, y]), layers.Activation("sigmoid")(x)])
    x = layers.Dense(8, activation="relu")(layers.Flatten()(layers.MaxPooling2D()(x)))
    model = keras.Model(image, layers.Dense(4, activation="softmax")(x))
    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    if half:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.target_spec.supported_types = [tf.float16]
    (tmp_path / "net.tflite").write_bytes(converter.convert())
    loaded = load_model(str(tmp_path / "net.tflite"), notify=_quiet)
    original = original_of(loaded.model)
    assert original is not None and original.suffix == ".tflite"
    interpreter = Interpreter(model_content=original.content)
    interpreter.resize_tensor_input(interpreter.get_input_details()[0]["index"], (6, SIDE, SIDE, 3))
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], pictures())
    interpreter.invoke()
    expected = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
    np.testing.assert_allclose(np.asarray(loaded.model(pictures())), expected, atol=1e-4)
    (tmp_path / "cut.tflite").write_bytes((tmp_path / "net.tflite").read_bytes()[:800])
    with pytest.raises(InputError, match=r"cut\.tflite"):
        load_model(str(tmp_path / "cut.tflite"), notify=_quiet)
