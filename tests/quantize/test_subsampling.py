"""1x1 convolutions with strides, as shortcuts of residual networks have them."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from mnist_export.core.pixels import InputRange
from mnist_export.data import Dataset
from mnist_export.quantize.lowering import lower
from mnist_export.quantize.network.simulate import run_logits
from mnist_export.quantize.training.finetune import FineTuning
from mnist_export.quantize.training.qat import logits_of, train_quantized
from mnist_export.quantize.training.rebuild import check_equal, rebuild


@pytest.fixture(scope="module", params=["valid", "same"])
def model(request: pytest.FixtureRequest) -> Any:
    import keras
    from keras import layers

    keras.utils.set_random_seed(8)
    inputs = layers.Input((28, 28, 1))
    x = layers.Conv2D(6, 3, strides=2, padding="same", activation="relu", name="stem")(inputs)
    short = layers.Conv2D(8, 1, strides=2, padding=request.param, name="short")(x)
    y = layers.Conv2D(8, 3, strides=2, padding="same", name="long")(x)
    x = layers.Activation("relu", name="act")(layers.Add(name="sum")([short, y]))
    x = layers.Conv2D(10, 1, strides=(3, 2), activation="relu", name="uneven")(x)
    return keras.Model(inputs, layers.Dense(10, name="out")(layers.Flatten()(x)), name="skips")


def strides(graph: Any, name: str) -> tuple[int, int]:
    (op,) = (o for o in graph.ops if graph.tensors[o.outputs[0]].name == name and o.kind == "CONV_2D")
    return int(op.options["strideH"]), int(op.options["strideW"])


def test_they_are_trained_without_strides_and_exported_with_them(
    model: Any, small: Dataset, calibration: npt.NDArray[np.uint8], unit: InputRange
) -> None:
    made = rebuild(model, (28, 28, 1))
    check_equal(model, made, small.test.images[:32], unit)
    # TensorFlow dies in training a 1x1 convolution that has strides.
    for layer in made.layers:
        if type(layer).__name__ == "Conv2D" and layer.kernel_size == (1, 1):
            assert layer.strides == (1, 1)
    how = FineTuning(dataset=small, epochs=1, notify=lambda _: None)
    trained = train_quantized(made, how, calibration)
    for graph in (trained.model.graph, lower(made, (28, 28, 1)), lower(model, (28, 28, 1))):
        kinds = [op.kind for op in graph.ops]
        assert kinds.count("CONV_2D") == 4
        assert "MAX_POOL_2D" not in kinds
        assert strides(graph, "uneven") == (3, 2)
    images = small.test.images[:100]
    simulated = logits_of(trained.fake_quant, images, unit)
    output = trained.model.output_quant
    assert output is not None
    integers = run_logits(trained.model.graph, images, input_range=unit)
    # Requantization rounds at most one step apart in each of six operators.
    assert np.abs(simulated - integers).max() <= 6 * output.scale[0] + 1e-5


def test_a_pool_of_the_users_own_that_others_read_stays(unit: InputRange, digits: Dataset) -> None:
    import keras
    from keras import layers

    inputs = layers.Input((28, 28, 1))
    x = layers.MaxPooling2D(1, strides=2, name="pool")(inputs)
    x = layers.Concatenate()([x, layers.Conv2D(2, 1, name="conv")(x)])
    model = keras.Model(inputs, layers.Dense(10)(layers.Flatten()(x)))
    graph = lower(model, (28, 28, 1))
    assert "MAX_POOL_2D" in [op.kind for op in graph.ops]
    wanted = np.asarray(model(unit.to_real(digits.test.images[:20])))
    np.testing.assert_allclose(
        run_logits(graph, digits.test.images[:20], input_range=unit), wanted, atol=1e-5
    )
