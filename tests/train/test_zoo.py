from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from mnist_export.core.errors import InputError
from mnist_export.models.recipe import Loss, Optimizer, Recipe, Schedule
from mnist_export.models.registry import ARCHITECTURES
from mnist_export.models.structure.macs import count_macs

NAMES = list(ARCHITECTURES)


@pytest.mark.parametrize("name", NAMES)
def test_architecture_has_its_parameter_count_and_ends_in_logits(name: str, keras: Any) -> None:
    architecture = ARCHITECTURES.get(name)
    model = architecture.build()
    assert architecture.name == name == model.name
    assert model.count_params() == architecture.parameters
    assert model.output_shape == (None, 10)
    assert model.layers[-1].activation is keras.activations.linear


def test_every_name_of_the_issue_is_in_the_zoo() -> None:
    deep = {f"custom{number}" for number in range(1, 6)}
    assert set(NAMES) == {"lenet5", "mlp", "dense1024", "mlp512", "cnn64"} | deep


def test_ablations_lack_what_their_names_say() -> None:
    def kinds(name: str) -> set[str]:
        return {type(layer).__name__ for layer in ARCHITECTURES.get(name).build().layers}

    assert {"BatchNormalization", "Dropout"} <= kinds("custom2")
    assert not {"BatchNormalization", "Dropout"} & kinds("custom3")
    assert {"BatchNormalization", "Dropout"} & kinds("custom4") == {"Dropout"}
    assert {"BatchNormalization", "Dropout"} & kinds("custom5") == {"BatchNormalization"}


def test_dense1024_is_linear_between_its_layers() -> None:
    model = ARCHITECTURES.get("dense1024").build()
    x = np.random.default_rng(0).random((3, 28, 28, 1), np.float32)
    zero = model(np.zeros_like(x)).numpy()
    both = model(x[:1] + x[1:2]).numpy() - zero[:1]
    parts = model(x[:2]).numpy() - zero[:2]
    # Sums of 784 to 1024 float32 products of size about 1: rounding stays below 1e-4.
    np.testing.assert_allclose(both, parts.sum(axis=0, keepdims=True), atol=1e-4)


@pytest.mark.parametrize("name", NAMES)
def test_architecture_builds_for_other_images_and_classes(name: str) -> None:
    model = ARCHITECTURES.get(name).build_for((32, 32, 3), 7)
    assert model.input_shape == (None, 32, 32, 3)
    assert model.output_shape == (None, 7)


def test_images_too_small_for_the_layers_are_refused_with_a_way_out() -> None:
    with pytest.raises(InputError, match=r"lenet5: expected images of about 28x28, found 4x4x1.*mlp"):
        ARCHITECTURES.get("lenet5").build_for((4, 4, 1), 10)


def test_unknown_architecture_names_the_nearest() -> None:
    with pytest.raises(InputError, match="Did you mean 'lenet5'"):
        ARCHITECTURES.get("lenet")


def test_macs_of_lenet5_are_those_counted_by_hand() -> None:
    # conv1: 28*28*6 outputs of 25; conv2: 10*10*16 of 150; dense: 400*120, 120*84, 84*10.
    by_hand = 28 * 28 * 6 * 25 + 10 * 10 * 16 * 150 + 400 * 120 + 120 * 84 + 84 * 10
    assert count_macs(ARCHITECTURES.get("lenet5").build()) == by_hand


def test_macs_of_depthwise_and_separable_convolutions(keras: Any) -> None:
    layers = keras.layers
    model = keras.Sequential(
        [
            layers.Input((8, 8, 4)),
            layers.DepthwiseConv2D(3, padding="same", depth_multiplier=2),
            layers.SeparableConv2D(5, 3, padding="same"),
        ]
    )
    assert count_macs(model) == 64 * 9 * 8 + 64 * (9 * 8 + 8 * 5)


def test_seed_recipes_keep_the_optimizers_defaults_of_their_time() -> None:
    cnn64 = ARCHITECTURES.get("cnn64").recipe("seed")
    assert (cnn64.optimizer, cnn64.learning_rate, cnn64.accumulator) == (Optimizer.ADAGRAD, 0.01, 0.0)
    dense = ARCHITECTURES.get("dense1024").recipe("seed")
    assert (dense.optimizer, dense.learning_rate, dense.batch_size) == (Optimizer.ADADELTA, 1.0, 256)
    custom2 = ARCHITECTURES.get("custom2").recipe()
    assert custom2 == ARCHITECTURES.get("lenet5").recipe("seed")
    assert (custom2.plateau_factor, custom2.plateau_patience, custom2.min_learning_rate) == (0.5, 4, 1e-4)
    assert (custom2.stop_patience, custom2.batch_size, custom2.epochs) == (6, 32, 20)


def test_only_a_loss_that_needs_it_takes_one_hot_labels() -> None:
    for name in NAMES:
        recipe = ARCHITECTURES.get(name).recipe("seed")
        assert recipe.one_hot == (recipe.loss is Loss.CATEGORICAL)
    assert not ARCHITECTURES.get("mlp").recipe().one_hot


def test_augmentation_is_off_unless_the_recipe_names_it() -> None:
    for name in NAMES:
        for key, recipe in ARCHITECTURES.get(name).recipes.items():
            assert recipe.augmentation.active == (key == "augmented")


def test_recipe_survives_json_and_names_its_changes() -> None:
    recipe = ARCHITECTURES.get("lenet5").recipe()
    assert Recipe.from_json(recipe.to_json()) == recipe
    assert recipe.with_changes(epochs=None) is recipe
    changed = recipe.with_changes(epochs=3)
    assert (changed.epochs, changed.name) == (3, "augmented+changes")


def test_cosine_starts_at_the_rate_and_ends_at_the_floor() -> None:
    recipe = Recipe(
        name="r",
        source="",
        optimizer=Optimizer.ADAM,
        learning_rate=0.1,
        batch_size=1,
        epochs=11,
        schedule=Schedule.COSINE,
        min_learning_rate=0.02,
    )
    rates = [recipe.learning_rate_at(epoch) for epoch in range(11)]
    assert rates[0] == pytest.approx(0.1)
    assert rates[5] == pytest.approx(0.06)
    assert rates[10] == pytest.approx(0.02)


@pytest.mark.parametrize(
    "change", [{"epochs": 0}, {"batch_size": 0}, {"learning_rate": float("nan")}, {"learning_rate": -1.0}]
)
def test_recipe_refuses_numbers_that_cannot_train(change: dict[str, Any]) -> None:
    with pytest.raises(InputError, match="expected"):
        ARCHITECTURES.get("mlp").recipe().with_changes(**change)
