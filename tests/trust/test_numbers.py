"""Numbers that lie: inputs under which every file agrees with the original, and all of it is worthless."""

from __future__ import annotations

import numpy as np
import pytest

from mnist_export.core.pixels import InputRange
from mnist_export.parity.input_ranges import check_range, near_chance


@pytest.fixture()
def export(run, export_main, brief, tmp_path):
    """Export a Keras model object; `Done` comes back."""

    def call(model, *more, data="digits"):
        model.save(tmp_path / "net.keras")
        words = ("-m", tmp_path / "net.keras", "--data", data, "-q", "-o", tmp_path / "new", *more)
        return run(export_main, *words)

    return call


def saved(path, split_train, split_test):
    np.savez(
        path,
        x_train=split_train[0],
        y_train=split_train[1],
        x_test=split_test[0],
        y_test=split_test[1],
    )
    return path


def test_a_model_of_pixels_0_to_255_given_0_to_1_is_refused_and_the_range_is_named(
    keras, net, export, tmp_path
):
    kernel, *others = [np.array(value) for value in net.get_weights()]
    model = keras.models.clone_model(net)
    model.set_weights([kernel / 255, *others])
    done = export(model, "--int8")
    assert done.code == 2
    assert done.err.count("\n") == 1, done.err
    assert "Give --input-range 0,255" in done.err
    assert not (tmp_path / "new").exists()
    assert export(model, "--int8", "--input-range", "0,255").code == 0


def made(weights_scale):
    """A linear classifier of two means: right on bright against dark images only in its own range."""

    def call(images):
        mean = images.reshape(len(images), -1).mean(axis=1) * weights_scale
        return np.stack([np.full(len(images), 0.5, np.float32), mean], axis=1)

    return call


@pytest.fixture()
def bright_and_dark():
    rng = np.random.default_rng(0)
    labels = np.arange(200) % 2
    images = rng.integers(0, 80, (200, 8, 8, 1)) + 170 * labels[:, None, None, None]
    return images.clip(0, 255).astype(np.uint8), labels


def test_the_right_range_passes(bright_and_dark):
    found = check_range(made(1.0), *bright_and_dark, InputRange(), input_shape=(8, 8, 1))
    assert not found.wrong
    assert not found.message()
    assert found.top1 > 0.95


def test_a_wrong_range_is_wrong_and_the_right_one_is_named(bright_and_dark):
    found = check_range(made(1 / 255), *bright_and_dark, InputRange(), input_shape=(8, 8, 1))
    assert found.wrong
    assert found.better == InputRange(lo=0, hi=255)
    assert '`input_range="0,255"`' in found.message()


def test_answers_that_never_change_are_near_chance(bright_and_dark):
    images, labels = bright_and_dark
    found = check_range(lambda x: np.zeros((len(x), 2)), images, labels, InputRange(), input_shape=(8, 8, 1))
    assert found.near_chance
    assert not found.wrong
    assert "no better than always the same answer" in found.message()


@pytest.mark.parametrize(
    ("top1", "expected"), [(0.10, True), (0.12, True), (0.17, False), (0.5, False), (0.97, False)]
)
def test_near_chance_is_judged_by_the_commonest_class(top1, expected):
    assert near_chance(top1, np.arange(400) % 10) is expected


def test_near_chance_knows_unbalanced_data():
    labels = np.array([0] * 90 + [1] * 10)
    assert near_chance(0.9, labels)
    assert not near_chance(0.99, labels)


def test_an_untrained_model_is_warned_about_by_name(keras, net, export):
    keras.utils.set_random_seed(2)  # some random weights are better than a guess
    model = keras.models.clone_model(net)
    done = export(model, "--int8")
    assert "warning: net: the model itself is right on" in done.err
    assert "untrained" in done.err


def test_one_calibration_image_is_warned_about_with_its_classes(net, export):
    done = export(net, "--int8", "--calibration-samples", "1")
    assert "warning: calibration: expected 100 calibration images or more, found 1" in done.err
    assert "expected calibration images of all 10 classes, found none of" in done.err
    assert "calibration: calibration:" not in done.err


@pytest.mark.parametrize("value", [0, 128])
def test_constant_images_to_calibrate_on_are_refused(net, export, tmp_path, digits, value):
    train = (np.full_like(digits.train.images, value), digits.train.labels)
    data = saved(tmp_path / "flat.npz", train, (digits.test.images, digits.test.labels))
    done = export(net, "--int8", data=data)
    assert done.code == 2
    assert done.err.count("\n") == 1, done.err
    assert not (tmp_path / "new").exists()


def test_calibration_images_of_0_to_1_are_refused(net, export, tmp_path, digits):
    train = ((digits.train.images > 127).astype(np.uint8), digits.train.labels)
    data = saved(tmp_path / "small.npz", train, (digits.test.images, digits.test.labels))
    done = export(net, "--int8", data=data)
    assert done.code == 2
    assert "255" in done.err


def test_calibration_images_of_one_class_are_warned_about(net, export, tmp_path, digits):
    """Training images without nine of the classes: the data are odd, the ranges too."""
    keep = np.concatenate(
        [np.flatnonzero(digits.train.labels == 1), np.flatnonzero(digits.train.labels == 9)[:1]]
    )
    train = (digits.train.images[keep], digits.train.labels[keep])
    data = saved(tmp_path / "ones.npz", train, (digits.test.images, digits.test.labels))
    done = export(net, "--int8", data=data)
    assert done.code == 2 or "classes" in done.err, done.err


def test_logits_that_saturate_are_named_in_the_report(net, export, tmp_path, digits):
    """Calibrated on the faintest images, the output's range is too small for the others."""
    import json

    faint = np.argsort(digits.train.images.reshape(len(digits.train.images), -1).sum(axis=1))[:120]
    labels = digits.train.labels[faint]
    pixels = (digits.train.images[faint] // 6).astype(np.uint8)
    data = saved(tmp_path / "faint.npz", (pixels, labels), (digits.test.images, digits.test.labels))
    done = export(net, "--int8", "--calibration-samples", "100", data=data)
    text = done.err + (tmp_path / "new" / "net.int8.report.json").read_text()
    assert "saturat" in text.lower() or "outside the range" in text
    assert json.loads((tmp_path / "new" / "net.int8.report.json").read_text())["verdict"] in ("pass", "fail")


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_weights_that_are_not_finite_are_refused(keras, net, export, tmp_path, bad):
    model = keras.models.clone_model(net)
    weights = [np.array(value) for value in net.get_weights()]
    weights[2][3, 4] = bad
    model.set_weights(weights)
    done = export(model, "--int8")
    assert done.code == 2
    assert "finite" in done.err
    assert done.err.count("\n") == 1
