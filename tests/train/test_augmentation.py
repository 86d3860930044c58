from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from mnist_export.core.errors import InputError
from mnist_export.core.pixels import InputRange
from mnist_export.data import Dataset
from mnist_export.models.augmentation import Augmentation
from mnist_export.models.recipe import Loss, Optimizer, Recipe
from mnist_export.models.structure.engine import tensorflow
from mnist_export.train.augment import augment
from mnist_export.train.pipeline import evaluation_batches, steps_per_epoch, training_batches


def _augment(images: np.ndarray, amounts: Augmentation, seed: int = 1) -> np.ndarray:
    tf = tensorflow()
    result: np.ndarray = augment(tf.constant(images), tf.constant([seed, 2], tf.int64), amounts).numpy()
    return result


@pytest.fixture()
def crosses() -> np.ndarray:
    """float32 (16, 29, 29, 1): a bright cross in the middle of black."""
    images = np.zeros((16, 29, 29, 1), np.float32)
    images[:, 8:21, 13:16] = 1.0
    images[:, 13:16, 8:21] = 1.0
    return images


@pytest.mark.parametrize("text", ["shift=2", "rotation=20", "zoom=0.3", "shear=20", "elastic=3", "erase=1"])
def test_each_change_changes_and_repeats_with_its_seed(crosses: np.ndarray, text: str) -> None:
    amounts = Augmentation.parse(text)
    first = _augment(crosses, amounts)
    assert first.shape == crosses.shape
    assert np.all(np.isfinite(first)) and first.min() >= -1e-6 and first.max() <= 1 + 1e-6
    assert np.abs(first - crosses).max() > 0.1
    np.testing.assert_array_equal(first, _augment(crosses, amounts))
    assert not np.array_equal(first, _augment(crosses, amounts, seed=2))
    assert not np.array_equal(first[0], first[1]) or not np.array_equal(first[2], first[3])


def test_a_shift_moves_the_centre_of_mass_by_no_more_than_asked(crosses: np.ndarray) -> None:
    moved = _augment(crosses, Augmentation(shift=3.0))
    rows, columns = np.mgrid[:29, :29]
    mass = moved[..., 0].sum(axis=(1, 2))
    dy = (moved[..., 0] * rows).sum(axis=(1, 2)) / mass - 14
    dx = (moved[..., 0] * columns).sum(axis=(1, 2)) / mass - 14
    assert np.abs(dy).max() <= 3.01 and np.abs(dx).max() <= 3.01
    assert np.abs(dy).max() > 1 and np.abs(dx).max() > 1


def test_rotation_and_zoom_keep_the_centre_where_it_is(crosses: np.ndarray) -> None:
    turned = _augment(crosses, Augmentation(rotation=45.0, zoom=0.2, shear=10.0))
    rows, columns = np.mgrid[:29, :29]
    mass = turned[..., 0].sum(axis=(1, 2))
    assert np.abs((turned[..., 0] * rows).sum(axis=(1, 2)) / mass - 14).max() < 0.2
    assert np.abs((turned[..., 0] * columns).sum(axis=(1, 2)) / mass - 14).max() < 0.2


def test_zoom_shrinks_and_enlarges(crosses: np.ndarray) -> None:
    mass = _augment(crosses, Augmentation(zoom=0.5))[..., 0].sum(axis=(1, 2))
    before = crosses[0].sum()
    assert mass.min() < 0.9 * before < 1.1 * before < mass.max()


def test_elastic_moves_pixels_by_no_more_than_asked(crosses: np.ndarray) -> None:
    moved = _augment(crosses, Augmentation(elastic=2.0))
    # No displacement is above 2 pixels (bilinear: one more), so what was black 3 pixels around stays black.
    near = np.zeros((29, 29), bool)
    near[5:24, 10:19] = True
    near[10:19, 5:24] = True
    assert moved[:, ~near].max() < 1e-6


def test_erase_takes_one_rectangle_of_a_quarter_of_each_side() -> None:
    white = np.ones((40, 28, 28, 1), np.float32)
    erased = _augment(white, Augmentation(erase=1.0))
    assert set((erased == 0).sum(axis=(1, 2, 3))) == {49}
    some = (_augment(white, Augmentation(erase=0.5)) == 0).any(axis=(1, 2, 3)).mean()
    assert 0.2 < some < 0.8


def test_parsing_names_what_is_wrong() -> None:
    assert Augmentation.parse("none") == Augmentation()
    assert Augmentation.parse("shift=2, rotation=10") == Augmentation(shift=2, rotation=10)
    with pytest.raises(InputError, match="Did you mean 'rotation'"):
        Augmentation.parse("rotaton=1")
    with pytest.raises(InputError, match="expected shift=NUMBER, found 'shift=x'"):
        Augmentation.parse("shift=x")
    with pytest.raises(InputError, match=r"zoom: expected a number from 0 to 0.9"):
        Augmentation.parse("zoom=2")


def _recipe(**changes: Any) -> Recipe:
    recipe = Recipe(
        name="r", source="", optimizer=Optimizer.ADAM, learning_rate=0.1, batch_size=100, epochs=3
    )
    return recipe.with_changes(**changes)


def test_every_epoch_sees_every_image_once_in_an_order_of_its_own(stripes: Dataset) -> None:
    batches = training_batches(
        stripes.train, _recipe(), num_classes=4, seed=0, first_epoch=0, pixels=InputRange()
    )
    rows = [x.numpy() for x, _ in batches]
    assert steps_per_epoch(len(stripes.train), 100) == 3 and len(rows) == 9
    epochs = [np.concatenate(rows[3 * epoch : 3 * epoch + 3]) for epoch in range(3)]
    expected = np.sort(stripes.train.images.reshape(256, -1).sum(axis=1))
    for epoch in epochs:
        np.testing.assert_array_equal(np.sort(np.rint(epoch.reshape(256, -1) * 255).sum(axis=1)), expected)
    assert not np.array_equal(epochs[0], epochs[1])


def test_a_later_start_sees_what_the_whole_run_sees_then(stripes: Dataset) -> None:
    recipe = _recipe(augmentation=Augmentation(shift=2, erase=0.5))

    def epochs(first: int) -> list[np.ndarray]:
        batches = training_batches(
            stripes.train, recipe, num_classes=4, seed=7, first_epoch=first, pixels=InputRange()
        )
        return [x.numpy() for x, _ in batches]

    np.testing.assert_array_equal(epochs(0)[6], epochs(2)[0])


def test_pixels_become_what_the_range_says_and_stay_in_it_when_augmented(stripes: Dataset) -> None:
    pixels = InputRange(lo=-1.0, hi=1.0)
    recipe = _recipe(augmentation=Augmentation(shift=5, rotation=30))
    for x, _ in training_batches(stripes.train, recipe, num_classes=4, seed=0, first_epoch=2, pixels=pixels):
        assert x.numpy().min() >= -1 - 1e-5 and x.numpy().max() <= 1 + 1e-5
    batches = evaluation_batches(stripes.test, num_classes=4, one_hot=False, pixels=pixels)
    got = np.concatenate([x.numpy() for x, _ in batches])
    np.testing.assert_allclose(got, pixels.to_real(stripes.test.images), atol=1e-6)


def test_labels_are_one_hot_only_for_the_loss_that_needs_it(stripes: Dataset) -> None:
    for loss, shape in ((Loss.SPARSE, (100,)), (Loss.CATEGORICAL, (100, 4))):
        batches = training_batches(
            stripes.train, _recipe(loss=loss), num_classes=4, seed=0, first_epoch=0, pixels=InputRange()
        )
        assert next(iter(batches))[1].shape == shape
