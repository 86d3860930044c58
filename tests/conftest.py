"""Fixtures that several rooms' tests share."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mnist_export.core.graph import Graph, Op, Tensor
from mnist_export.core.graph.tflite_writer import write_tflite
from mnist_export.core.kinds import Precision
from mnist_export.data import Dataset, Provenance, Split, load_dataset
from mnist_export.data.mnist import load as mnist_loader
from mnist_export.data.request import Request
from mnist_export.quantize import quantize
from mnist_export.quantize.exact import quantize_exact
from mnist_export.quantize.network.scheme import QuantizedModel, SchemeConfig
from mnist_export.runtime.timing import latency

_settled: list[object] = []


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Leave what imports and earlier modules hold out of the garbage collector's way.

    Keras at every load, TensorFlow's converter and the timing of latency each collect all garbage; by then
    the libraries alone are half a million objects.
    """
    now = [item.path, len(sys.modules) // 500]
    if now != _settled:
        _settled[:] = now
        gc.collect()
        gc.freeze()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark as slow what ``slow.txt`` names: files, and tests without their parameters."""
    root = Path(__file__).parent
    listed = {
        line for line in (root / "slow.txt").read_text(encoding="utf-8").splitlines() if line[:1] != "#"
    }
    for item in items:
        file = f"tests/{item.path.relative_to(root).as_posix()}"
        if file in listed or f"{file}::{item.name.partition('[')[0]}" in listed:
            item.add_marker(pytest.mark.slow)


@pytest.fixture(scope="session")
def digits() -> Dataset:
    """The embedded digits: 1,197 / 200 / 400 images of 28x28."""
    return load_dataset("digits")


@pytest.fixture(scope="session")
def real_mnist() -> Dataset:
    """The published MNIST; the test is skipped only where this machine does not have it."""
    dataset = mnist_loader.local(Request())
    if dataset is None:
        pytest.skip("MNIST is not on this machine: set MNIST_EXPORT_DATA to its folder")
    return dataset


@pytest.fixture
def short_timing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a command says nothing of how long latency is measured, it is measured for a moment."""
    short = partial(latency.Effort, min_time_s=0.02, min_runs=10, min_rounds=5, max_warmup_s=0.1)
    monkeypatch.setattr(latency, "Effort", short)


@pytest.fixture
def brief(short_timing: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Exports measure latency for a moment and draw no figures, for tests of what else they do."""
    monkeypatch.setattr("mnist_export.train.figures.report_figures", lambda *_: {})


class NetBuilder:
    """Builds small float graphs with random weights, layer by layer; methods give a tensor's index."""

    def __init__(self, shape: tuple[int, ...], seed: int = 0) -> None:
        self.rng = np.random.default_rng(seed)
        self.tensors = [Tensor(name="image", shape=(-1, *shape), dtype=np.dtype(np.float32))]
        self.ops: list[Op] = []

    def value(self, name: str, shape: tuple[int, ...]) -> int:
        self.tensors.append(Tensor(name=name, shape=(-1, *shape), dtype=np.dtype(np.float32)))
        return len(self.tensors) - 1

    def constant(self, name: str, data: object, dtype: object = np.float32) -> int:
        array = np.asarray(data, dtype)
        self.tensors.append(
            Tensor(name=f"{name}_{len(self.tensors)}", shape=array.shape, dtype=array.dtype, data=array)
        )
        return len(self.tensors) - 1

    def shape(self, source: int) -> tuple[int, ...]:
        return self.tensors[source].shape[1:]

    def op(
        self, kind: str, name: str, inputs: tuple[int, ...], shape, options_type: str = "", **options
    ) -> int:
        target = self.value(name, shape)
        self.ops.append(
            Op(kind=kind, inputs=inputs, outputs=(target,), options_type=options_type, options=options)
        )
        return target

    def _window(self, source: int, kernel: int, stride: int, dilation: int, same: bool) -> tuple[int, int]:
        reach = (kernel - 1) * dilation + 1
        height, width = self.shape(source)[:2]
        if same:
            return -(-height // stride), -(-width // stride)
        return (height - reach) // stride + 1, (width - reach) // stride + 1

    def conv(self, source, filters, kernel=3, *, stride=1, same=True, act=1, dilation=1, name="conv") -> int:
        channels = self.shape(source)[2]
        weights = self.rng.normal(
            0, 1 / np.sqrt(kernel * kernel * channels), (filters, kernel, kernel, channels)
        )
        inputs = (
            source,
            self.constant(f"{name}/w", weights),
            self.constant(f"{name}/b", self.rng.normal(0, 0.2, filters)),
        )
        return self.op(
            "CONV_2D", name, inputs, (*self._window(source, kernel, stride, dilation, same), filters),
            "Conv2DOptions", padding=0 if same else 1, strideH=stride, strideW=stride,
            dilationHFactor=dilation, dilationWFactor=dilation, fusedActivationFunction=act,
        )  # fmt: skip

    def depthwise(
        self, source, multiplier=1, kernel=3, *, stride=1, same=True, act=0, name="depthwise"
    ) -> int:
        count = self.shape(source)[2] * multiplier
        weights = self.rng.normal(0, 1 / kernel, (1, kernel, kernel, count))
        inputs = (
            source,
            self.constant(f"{name}/w", weights),
            self.constant(f"{name}/b", self.rng.normal(0, 0.2, count)),
        )
        return self.op(
            "DEPTHWISE_CONV_2D", name, inputs, (*self._window(source, kernel, stride, 1, same), count),
            "DepthwiseConv2DOptions", padding=0 if same else 1, strideH=stride, strideW=stride,
            depthMultiplier=multiplier, dilationHFactor=1, dilationWFactor=1, fusedActivationFunction=act,
        )  # fmt: skip

    def dense(self, source, units, act=0, name="dense") -> int:
        (width,) = self.shape(source)
        weights = self.rng.normal(0, 1 / np.sqrt(width), (units, width))
        inputs = (
            source,
            self.constant(f"{name}/w", weights),
            self.constant(f"{name}/b", self.rng.normal(0, 0.2, units)),
        )
        return self.op(
            "FULLY_CONNECTED", name, inputs, (units,), "FullyConnectedOptions", fusedActivationFunction=act
        )

    def pool(self, source, kind="MAX_POOL_2D", size=2, *, stride=2, same=False, name="pool") -> int:
        shape = (*self._window(source, size, stride, 1, same), self.shape(source)[2])
        return self.op(
            kind, name, (source,), shape, "Pool2DOptions", padding=0 if same else 1, strideH=stride,
            strideW=stride, filterHeight=size, filterWidth=size, fusedActivationFunction=0,
        )  # fmt: skip

    def mean(self, source, name="mean") -> int:
        axes = self.constant(f"{name}/axes", [1, 2], np.int32)
        return self.op(
            "MEAN", name, (source, axes), (self.shape(source)[2],), "ReducerOptions", keepDims=False
        )

    def flatten(self, source, name="flatten") -> int:
        size = int(np.prod(self.shape(source)))
        target = self.constant(f"{name}/shape", [-1, size], np.int32)
        return self.op("RESHAPE", name, (source, target), (size,), "ReshapeOptions", newShape=[-1, size])

    def pad(self, source, amount=1, name="padding") -> int:
        height, width, channels = self.shape(source)
        table = self.constant(
            f"{name}/amounts", [[0, 0], [amount, amount], [amount, amount], [0, 0]], np.int32
        )
        shape = (height + 2 * amount, width + 2 * amount, channels)
        return self.op("PAD", name, (source, table), shape, "PadOptions")

    def add(self, first, second, act=0, name="add") -> int:
        return self.op(
            "ADD", name, (first, second), self.shape(first), "AddOptions", fusedActivationFunction=act
        )

    def affine(self, source, gain, shift, name="norm") -> int:
        options = {"fusedActivationFunction": 0}
        scaled = self.op(
            "MUL",
            f"{name}/mul",
            (source, self.constant(f"{name}/gain", gain)),
            self.shape(source),
            "MulOptions",
            **options,
        )
        return self.op(
            "ADD",
            name,
            (scaled, self.constant(f"{name}/shift", shift)),
            self.shape(source),
            "AddOptions",
            **options,
        )

    def concatenate(self, *sources, name="concat") -> int:
        height, width, _ = self.shape(sources[0])
        shape = (height, width, sum(self.shape(s)[2] for s in sources))
        return self.op(
            "CONCATENATION", name, sources, shape, "ConcatenationOptions", axis=3, fusedActivationFunction=0
        )

    def graph(self, output: int) -> Graph:
        self.tensors[output] = replace(self.tensors[output], name="logits")
        return Graph(tensors=tuple(self.tensors), ops=tuple(self.ops), inputs=(0,), outputs=(output,))


@pytest.fixture(scope="session")
def net_builder() -> type[NetBuilder]:
    """The builder of small float graphs."""
    return NetBuilder


@pytest.fixture(scope="session")
def exact_lenet(digits: Dataset) -> QuantizedModel:
    """A LeNet-like network with random weights, made exact on digits."""
    net = NetBuilder((28, 28, 1), seed=5)
    x = net.pool(net.conv(0, 6, 5, name="conv1"), name="pool1")
    x = net.pool(net.conv(x, 16, 5, same=False, name="conv2"), name="pool2")
    x = net.dense(net.flatten(x), 32, act=1, name="dense1")
    return quantize_exact(
        net.graph(net.dense(x, 10)), digits.train.images[:64], None, SchemeConfig(precision=Precision.INT8)
    )


@pytest.fixture
def lenet_graph(net_builder) -> Graph:
    """LeNet-5's layers with random weights, two dense layers of 24 and 10."""
    net = net_builder((28, 28, 1))
    x = net.pool(net.conv(0, 6, 5, name="conv1"), name="pool1")
    x = net.pool(net.conv(x, 16, 5, same=False, name="conv2"), name="pool2")
    return net.graph(net.dense(net.dense(net.flatten(x), 24, act=1, name="dense1"), 10))


@pytest.fixture
def in_int8() -> Callable[..., QuantizedModel]:
    """Quantizes a float graph to int8 on seeded noise."""

    def quantized(graph: Graph, **options: Any) -> QuantizedModel:
        shape = graph.tensors[graph.inputs[0]].shape[1:]
        images = np.random.default_rng(1).integers(0, 255, (16, *shape), endpoint=True, dtype=np.uint8)
        return quantize(graph, SchemeConfig(**options), images)

    return quantized


@pytest.fixture
def litert() -> Callable[..., np.ndarray]:
    """Runs a graph (or a file's bytes) on a batch in LiteRT with plain calls."""

    def run(model: Graph | bytes, inputs: np.ndarray, kernels: str = "AUTO") -> np.ndarray:
        from ai_edge_litert.interpreter import Interpreter, OpResolverType

        content = model if isinstance(model, bytes) else write_tflite(model)
        interpreter = Interpreter(
            model_content=content, experimental_op_resolver_type=getattr(OpResolverType, kernels)
        )
        entry = interpreter.get_input_details()[0]["index"]
        interpreter.resize_tensor_input(entry, inputs.shape)
        interpreter.allocate_tensors()
        interpreter.set_tensor(entry, inputs)
        interpreter.invoke()
        return interpreter.get_tensor(interpreter.get_output_details()[0]["index"])

    return run


@pytest.fixture(scope="session")
def keras() -> Any:
    """Keras 3, imported without TensorFlow's noise."""
    from mnist_export.models.structure.engine import tensorflow

    tensorflow()
    import keras

    return keras


@pytest.fixture()
def small_model(keras: Any) -> Callable[..., Any]:
    """A factory of small classifiers of 28x28x1 images: ten classes, logits unless told otherwise."""

    def build(activation: str | None = None, name: str = "small", extra: tuple[Any, ...] = ()) -> Any:
        keras.utils.set_random_seed(5)
        layers = keras.layers
        return keras.Sequential(
            [
                layers.Input((28, 28, 1)),
                layers.Conv2D(4, 3, strides=2, activation="relu", name="conv"),
                *extra,
                layers.GlobalAveragePooling2D(name="pool"),
                layers.Dense(10, activation=activation, name="last"),
            ],
            name=name,
        )

    return build


def _stripes(count: int, seed: int) -> Split:
    generator = np.random.default_rng(seed)
    labels = generator.integers(0, 4, count)
    images = generator.integers(0, 60, (count, 28, 28, 1))
    for image, label in zip(images, labels, strict=True):
        image[7 * label : 7 * label + 7] += 180
    return Split(images=images.astype(np.uint8), labels=labels.astype(np.int64))


@pytest.fixture(scope="session")
def stripes() -> Dataset:
    """Four classes that any network can learn: where a bright band lies."""
    return Dataset(
        name="stripes",
        train=_stripes(256, 1),
        validation=_stripes(64, 2),
        test=_stripes(64, 3),
        class_names=("top", "upper", "lower", "bottom"),
        provenance=Provenance(source="made", path=""),
    )
