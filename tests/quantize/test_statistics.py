"""BatchNormalization's statistics in trainings of few steps."""

from __future__ import annotations

import numpy as np
import pytest

from mnist_export.core.pixels import InputRange
from mnist_export.data import Dataset
from mnist_export.quantize.training.finetune import FineTuning, fine_tune
from mnist_export.quantize.training.statistics import quick_statistics


def test_statistics_that_are_out_of_date_are_forgotten_in_a_short_training(
    small: Dataset, unit: InputRange
) -> None:
    import tf_keras

    tf_keras.utils.set_random_seed(4)
    entry = tf_keras.Input((28, 28, 1))
    norm = tf_keras.layers.BatchNormalization(name="norm")
    x = norm(tf_keras.layers.Conv2D(4, 3, strides=3, name="conv")(entry))
    x = tf_keras.layers.Dense(10)(tf_keras.layers.GlobalAveragePooling2D()(x))
    model = tf_keras.Model(entry, x)
    norm.moving_mean.assign([50.0] * 4)
    how = FineTuning(dataset=small, epochs=2, notify=lambda _: None)
    # The statistics of its last epoch, whichever epoch's are kept.
    fine_tune(model, how, name="stale", accept_from=1)
    assert norm.momentum == pytest.approx(0.99)
    before = tf_keras.Model(entry, model.get_layer("conv").output)
    truth = np.mean(before(unit.to_real(small.train.images)), axis=(0, 1, 2))
    # 10 steps at a momentum of 0.5 leave 0.05 of the 50; the usual 0.99 would leave 45.
    np.testing.assert_allclose(norm.moving_mean.numpy(), truth, atol=0.2)


def test_a_long_training_keeps_the_momentum_and_a_short_one_gets_it_back() -> None:
    import tf_keras

    norm = tf_keras.layers.BatchNormalization(momentum=0.98)
    model = tf_keras.Sequential([tf_keras.layers.InputLayer((4,)), norm])
    with quick_statistics(model, 10_000):
        assert norm.momentum == 0.98
    with quick_statistics(model, 50):
        assert norm.momentum == pytest.approx(0.9)
    with quick_statistics(model, 2):
        assert norm.momentum == 0.0
    assert norm.momentum == 0.98
