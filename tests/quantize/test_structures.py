"""Structures of networks as people bring them, each through quantization, training and compression."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from mnist_export.core.graph import Graph
from mnist_export.core.pixels import InputRange
from mnist_export.data import Dataset
from mnist_export.models.loading import LoadedModel, load_model
from mnist_export.quantize import SchemeConfig, quantize
from mnist_export.quantize.diagnosis.debug import diagnose
from mnist_export.quantize.lowering import lower
from mnist_export.quantize.network.simulate import run_logits
from mnist_export.quantize.training.compress import CompressionConfig, compress
from mnist_export.quantize.training.compression import weight_figures
from mnist_export.quantize.training.finetune import FineTuning
from mnist_export.quantize.training.qat import train_quantized
from mnist_export.quantize.training.rebuild import check_equal, rebuild


def quiet(_: str) -> None:
    """Say nothing."""


def conv_norm(layers: Any, x: Any, filters: int, strides: int = 1, *, relu: bool = True) -> Any:
    x = layers.Conv2D(filters, 3, strides=strides, padding="same", use_bias=False)(x)
    x = layers.BatchNormalization(momentum=0.9)(x)
    return layers.Activation("relu")(x) if relu else x


def plain(layers: Any, x: Any) -> Any:
    """Convolutions, pools and dropout."""
    x = layers.MaxPooling2D()(layers.Conv2D(8, 3, activation="relu")(x))
    x = layers.MaxPooling2D()(layers.Conv2D(12, 3, activation="relu")(x))
    return layers.Dense(10, activation="softmax")(layers.Dropout(0.3)(layers.Flatten()(x)))


def residual(layers: Any, x: Any) -> Any:
    """Two residual blocks, the second with a projection in its shortcut."""
    x = conv_norm(layers, x, 8, 2)
    x = layers.Activation("relu")(layers.add([x, conv_norm(layers, conv_norm(layers, x, 8), 8, relu=False)]))
    y = conv_norm(layers, conv_norm(layers, x, 12, 2), 12, relu=False)
    x = layers.Activation("relu")(layers.add([layers.Conv2D(12, 3, strides=2, padding="same")(x), y]))
    x = layers.AveragePooling2D(pool_size=7)(x)
    return layers.Dense(10, activation="softmax")(layers.Flatten()(x))


def depthwise(layers: Any, x: Any) -> Any:
    """A convolution and depthwise ones, all normalized, a global average, softmax as a layer of its own."""
    x = conv_norm(layers, x, 12, 2)
    for filters in (16, 24):
        x = layers.DepthwiseConv2D(3, padding="same", use_bias=False)(x)
        x = layers.Activation("relu")(layers.BatchNormalization(momentum=0.9)(x))
        x = conv_norm(layers, x, filters, 2)
    x = layers.Dropout(0.1)(layers.GlobalAveragePooling2D()(x))
    return layers.Softmax()(layers.Dense(10)(x))


@dataclass(frozen=True)
class Brought:
    loaded: LoadedModel
    graph: Graph
    logits: npt.NDArray[np.float32]
    top1: float


CASES: dict[str, tuple[Callable[[Any, Any], Any], str]] = {
    "residual.h5": (residual, "keras"),
    "depthwise.h5": (depthwise, "tf_keras"),
    "plain.keras": (plain, "keras"),
}
# Networks such as the plain one are trained in test_training.py.
TRAINED = ["residual.h5", "depthwise.h5"]


@pytest.fixture(scope="module", params=CASES)
def brought(
    request: pytest.FixtureRequest, digits: Dataset, tmp_path_factory: pytest.TempPathFactory
) -> Brought:
    """A network of that structure, trained for seconds, saved and loaded."""
    import importlib

    body, framework = CASES[request.param]
    keras = importlib.import_module(framework)
    keras.utils.set_random_seed(6)
    inputs = keras.layers.Input((28, 28, 1))
    model = keras.Model(inputs, body(keras.layers, inputs))
    model.compile(
        keras.optimizers.Adam(0.005), keras.losses.SparseCategoricalCrossentropy(), jit_compile=False
    )
    x = digits.train.images / np.float32(255)
    model.fit(x, digits.train.labels, batch_size=32, epochs=10, verbose=0)
    path = tmp_path_factory.mktemp("brought") / request.param
    model.save(path)
    loaded = load_model(str(path), digits, notify=quiet)
    assert loaded.framework == framework
    logits = np.asarray(loaded.model(InputRange().to_real(digits.test.images), training=False))
    top1 = float(np.mean(logits.argmax(1) == digits.test.labels))
    assert top1 > 0.8  # else nothing below would mean much
    return Brought(loaded, lower(loaded.model, loaded.input_shape), logits, top1)


def top1(graph: Graph, data: Dataset) -> float:
    found = run_logits(graph, data.test.images, input_range=InputRange())
    return float(np.mean(found.argmax(1) == data.test.labels))


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"per_channel": False, "per_channel_dense": False},
        {"improvements": ("equalize",)},
        {"improvements": ("bias-correction",)},
    ],
    ids=["plain", "per-tensor", "equalize", "bias-correction"],
)
def test_quantizing_keeps_the_answers(
    brought: Brought, settings: dict[str, Any], calibration: npt.NDArray[np.uint8], digits: Dataset
) -> None:
    model = quantize(brought.graph, SchemeConfig(**settings), calibration)
    found = run_logits(model.graph, digits.test.images, input_range=InputRange())
    assert np.mean(found.argmax(1) == brought.logits.argmax(1)) >= 0.96


def test_every_weighted_layer_is_diagnosed_and_the_worst_can_be_kept_in_float(
    brought: Brought, calibration: npt.NDArray[np.uint8]
) -> None:
    found = diagnose(brought.graph, quantize(brought.graph, SchemeConfig(), calibration), calibration)
    kernels = {t.name.removesuffix("/kernel") for t in brought.graph.tensors if t.name.endswith("/kernel")}
    assert kernels - {"logits"} <= {layer.name for layer in found.layers} | {brought.graph.ops[-1].kind}
    kept = quantize(brought.graph, SchemeConfig(keep_float=(found.culprit,)), calibration)
    assert kept.keeps_float
    again = diagnose(brought.graph, kept, calibration)
    assert again.logits_sqnr_db > found.logits_sqnr_db - 1
    floats = {t.name for t in kept.graph.tensors if t.is_constant and t.dtype == np.float32}
    assert {name.rpartition("/")[0] for name in floats} == {found.culprit}


@pytest.mark.parametrize("brought", TRAINED, indirect=True)
def test_training_in_int8_compressed_or_not_keeps_the_accuracy(
    brought: Brought, calibration: npt.NDArray[np.uint8], digits: Dataset, unit: InputRange
) -> None:
    made = rebuild(brought.loaded.model, brought.loaded.input_shape)
    check_equal(brought.loaded.model, made, digits.test.images[:64], unit)
    how = FineTuning(dataset=digits, epochs=1, notify=quiet)
    trained = train_quantized(made, how, calibration)
    assert top1(trained.model.graph, digits) > brought.top1 - 0.04
    shared = compress(made, CompressionConfig(clusters=16), how).model
    for layer in shared.layers:  # before normalizations are folded, whose factors split clusters by channel
        if type(layer).__name__ in {"Conv2D", "Dense"}:
            assert len(np.unique(layer.get_weights()[0])) <= 16
    graph = lower(shared, brought.loaded.input_shape)
    assert top1(graph, digits) > brought.top1 - 0.04
    pruned = compress(
        made, CompressionConfig(sparsity=0.5), FineTuning(dataset=digits, epochs=3, notify=quiet)
    )
    graph = lower(pruned.model, brought.loaded.input_shape)
    assert weight_figures(graph).sparsity > 0.35  # depthwise kernels stay
    assert top1(graph, digits) > brought.top1 - 0.15
