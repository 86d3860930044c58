from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mnist_export.core.errors import InputError, UnsupportedError
from mnist_export.data import Dataset
from mnist_export.models.loading import load_model, safe_name
from mnist_export.models.structure.engine import tensorflow, tf_keras


def _quiet(_: str) -> None:
    return None


def _softmax(x: np.ndarray) -> np.ndarray:
    e = np.exp(x - x.max(axis=1, keepdims=True))
    return np.asarray(e / e.sum(axis=1, keepdims=True))


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_logits_come_back_unchanged(
    suffix: str, small_model: Callable[..., Any], pictures: np.ndarray, tmp_path: Path
) -> None:
    model = small_model()
    path = tmp_path / f"my net{suffix}"
    model.save(path)
    loaded = load_model(str(path), notify=_quiet)
    np.testing.assert_array_equal(loaded.model(pictures, training=False), model(pictures, training=False))
    assert (loaded.name, loaded.framework, loaded.source.kind) == ("my_net", "keras", "file")
    assert (loaded.input_shape, loaded.num_classes, loaded.notes) == ((28, 28, 1), 10, ())
    assert loaded.parameters == model.count_params()


@pytest.mark.parametrize("form", ["dense", "softmax layer", "activation layer"])
@pytest.mark.parametrize("framework", ["keras", "tf_keras"])
def test_a_final_softmax_is_cut_off(
    form: str, framework: str, keras: Any, pictures: np.ndarray, tmp_path: Path
) -> None:
    kind = keras if framework == "keras" else tf_keras()
    layers = kind.layers
    end = {
        "dense": [layers.Dense(10, activation="softmax", name="end")],
        "softmax layer": [layers.Dense(10), layers.Softmax(name="end")],
        "activation layer": [layers.Dense(10), layers.Activation("softmax", name="end")],
    }[form]
    model = kind.Sequential([layers.InputLayer(shape=(28, 28, 1)) if framework == "keras"
                             else layers.InputLayer((28, 28, 1)), layers.Flatten(), *end])  # fmt: skip
    path = tmp_path / "net.h5"
    model.save(path)
    loaded = load_model(str(path), notify=_quiet)
    logits = np.asarray(loaded.model(pictures, training=False))
    np.testing.assert_allclose(_softmax(logits), np.asarray(model(pictures)), atol=1e-6)
    assert not np.allclose(logits.sum(axis=1), 1, atol=1e-3)
    assert any("final softmax" in note and "'end'" in note for note in loaded.notes)


@pytest.mark.parametrize("shape", [(28, 28, 1), (28, 28), (784,)])
def test_models_of_every_input_shape_take_the_data(
    shape: tuple[int, ...], keras: Any, digits: Dataset, tmp_path: Path
) -> None:
    layers = keras.layers
    path = tmp_path / "net.keras"
    keras.Sequential([layers.Input(shape), layers.Flatten(), layers.Dense(10)]).save(path)
    assert load_model(str(path), digits, notify=_quiet).input_shape == shape


def test_a_model_of_other_images_or_classes_is_refused(keras: Any, digits: Dataset, tmp_path: Path) -> None:
    layers = keras.layers
    path = tmp_path / "net.keras"
    keras.Sequential([layers.Input((32, 32, 3)), layers.Flatten(), layers.Dense(10)]).save(path)
    assert load_model(str(path), notify=_quiet).input_shape == (32, 32, 3)
    with pytest.raises(
        InputError, match=r"images of digits, \(28, 28, 1\), found that it takes \(32, 32, 3\)"
    ):
        load_model(str(path), digits, notify=_quiet)
    keras.Sequential([layers.Input((28, 28, 1)), layers.Flatten(), layers.Dense(7)]).save(path)
    with pytest.raises(InputError, match="expected 10 outputs, one for each class of digits, found 7"):
        load_model(str(path), digits, notify=_quiet)


def test_keras_2_additions_go_through_tf_keras(pictures: np.ndarray, tmp_path: Path) -> None:
    kind = tf_keras()
    layers = kind.layers
    inputs = kind.Input((28, 28, 1))
    a = layers.Conv2D(3, 3, padding="same")(inputs)
    b = layers.DepthwiseConv2D(3, padding="same")(inputs)
    x = a + b
    model = kind.Model(inputs, layers.Dense(10)(layers.GlobalAveragePooling2D()(x)))
    path = tmp_path / "net.h5"
    model.save(path)
    loaded = load_model(str(path), notify=_quiet)
    assert loaded.framework == "tf_keras"
    np.testing.assert_array_equal(np.asarray(loaded.model(pictures)), np.asarray(model(pictures)))
    assert loaded.macs == 28 * 28 * (9 * 3 + 9) + 3 * 10


def test_until_gives_the_model_up_to_a_layer(digits: Dataset, keras: Any) -> None:
    whole = load_model("lenet5", digits, notify=_quiet)
    part = load_model("lenet5", digits, notify=_quiet, until="conv2")
    assert (part.num_classes, part.name) == (10 * 10 * 16, "lenet5-until-conv2")
    x = digits.test.images[:4].astype(np.float32) / 255
    expected = keras.Model(whole.model.inputs, whole.model.get_layer("conv2").output)(x)
    np.testing.assert_array_equal(
        np.asarray(part.model(x, training=False)), np.asarray(expected).reshape(4, -1)
    )
    with pytest.raises(InputError, match="Did you mean 'conv2'"):
        load_model("lenet5", digits, notify=_quiet, until="conv3")


def test_a_loss_that_did_not_fit_is_noted(
    small_model: Callable[..., Any], keras: Any, tmp_path: Path
) -> None:
    model = small_model("softmax")
    model.compile(loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    for suffix in (".keras", ".h5"):
        path = tmp_path / f"net{suffix}"
        model.save(path)
        notes = load_model(str(path), notify=_quiet).notes
        assert any("compiled with a loss that does not fit" in note for note in notes), suffix


def test_a_card_beside_is_read_and_one_of_other_weights_left_aside(
    digits: Dataset, small_model: Callable[..., Any], tmp_path: Path
) -> None:
    from mnist_export.models.saving import card_path, save_trained
    from mnist_export.models.trained import Trained
    from mnist_export.models.weights_file import weights_sha256

    shipped = load_model("lenet5", digits, notify=_quiet)
    assert shipped.card is not None
    path = tmp_path / "mine.keras"
    save_trained(Trained(model=shipped.model, card=shipped.card), path)
    again = load_model(str(path), notify=_quiet)
    assert again.card is not None
    assert again.card.weights_sha256 == weights_sha256(shipped.model.get_weights())
    small_model().save(path)
    other = load_model(str(path), notify=_quiet)
    assert other.card is None
    assert any("belongs to other weights" in note for note in other.notes)
    card_path(path).write_text("damaged")
    damaged = load_model(str(path), notify=_quiet)
    assert damaged.card is None and any("left aside" in note for note in damaged.notes)


def test_a_model_whose_softmax_was_cut_off_can_be_saved_again(
    small_model: Callable[..., Any], pictures: np.ndarray, tmp_path: Path
) -> None:
    path = tmp_path / "net.keras"
    small_model("softmax").save(path)
    loaded = load_model(str(path), notify=_quiet)
    loaded.model.save(tmp_path / "again.keras")
    again = load_model(str(tmp_path / "again.keras"), notify=_quiet)
    assert again.notes == ()
    np.testing.assert_array_equal(again.model(pictures), loaded.model(pictures))


def test_shipped_weights_are_for_their_data_not_for_its_name(stripes: Dataset, digits: Dataset) -> None:
    from mnist_export.models.shipped import find_weights

    assert find_weights("lenet5", digits) is not None
    resplit = replace(digits, train=digits.train.take(np.arange(50, 900)[::-1]))
    assert find_weights("lenet5", resplit) is not None, "another split of the same data"
    assert find_weights("lenet5", replace(stripes, name="digits")) is None


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("lenet", "Did you mean 'lenet5'"),
        ("no/such.keras", "found no such file"),
        ("net.keras", "found no such file"),
        ("x" * 5000, "unknown architecture"),
        ("a\0b", "unknown architecture"),
    ],
)
def test_names_that_are_none_are_one_clear_line(spec: str, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        load_model(spec, notify=_quiet)
    assert "\n" not in str(caught.value) and "\0" not in str(caught.value)


def test_endings_that_give_no_logits_are_refused(keras: Any, tmp_path: Path) -> None:
    layers = keras.layers
    path = tmp_path / "net.keras"
    end = layers.Dense(10, activation="tanh")
    keras.Sequential([layers.Input((28, 28, 1)), layers.Flatten(), end]).save(path)
    with pytest.raises(UnsupportedError, match="expected"):
        load_model(str(path), notify=_quiet)
    keras.Sequential([layers.Input((28, 28, 1)), layers.Dense(10)]).save(path)
    with pytest.raises(InputError, match=r"Flatten .* is missing"):
        load_model(str(path), notify=_quiet)


def test_inputs_of_no_fixed_size_or_more_than_one_are_refused(keras: Any, tmp_path: Path) -> None:
    layers = keras.layers
    path = tmp_path / "net.keras"
    pool = layers.GlobalAveragePooling2D()
    keras.Sequential([layers.Input((None, None, 1)), pool, layers.Dense(10)]).save(path)
    with pytest.raises(InputError, match="fixed"):
        load_model(str(path), notify=_quiet)
    a, b = keras.Input((8,)), keras.Input((8,))
    keras.Model([a, b], layers.Dense(10)(layers.Add()([a, b]))).save(path)
    with pytest.raises(InputError, match="one input"):
        load_model(str(path), notify=_quiet)


def test_names_for_files_are_safe() -> None:
    assert safe_name(Path("../../a b;<c>.keras")) == "a_b_c"
    assert safe_name(Path("/nowhere/...h5")) == "model"
    assert len(safe_name(Path("x" * 200 + ".h5"))) == 64


def test_a_savedmodel_needs_trust_and_then_ends_in_logits(
    small_model: Callable[..., Any], pictures: np.ndarray, tmp_path: Path
) -> None:
    model = small_model("softmax")
    folder = tmp_path / "exported"
    model.export(folder, verbose=False)
    with pytest.raises(InputError, match="`trust"):
        load_model(str(folder), notify=_quiet)
    loaded = load_model(str(folder), trust=True, notify=_quiet)
    logits = np.asarray(loaded.model(pictures, training=False))
    np.testing.assert_allclose(_softmax(logits), np.asarray(model(pictures)), atol=1e-6)
    assert "final softmax cut off" in loaded.notes
    assert (loaded.input_shape, loaded.num_classes) == ((28, 28, 1), 10)
    assert loaded.parameters == model.count_params()
    assert loaded.macs == 13 * 13 * 9 * 4 + 40


def test_a_savedmodel_of_keras_2_becomes_a_keras_model(pictures: np.ndarray, tmp_path: Path) -> None:
    kind = tf_keras()
    layers = kind.layers
    model = kind.Sequential(
        [layers.InputLayer((28, 28, 1)), layers.Flatten(), layers.Dense(10, activation="softmax")]
    )
    folder = tmp_path / "saved"
    model.save(folder, save_format="tf")
    loaded = load_model(str(folder), trust=True, notify=_quiet)
    assert hasattr(loaded.model, "layers") and loaded.framework == "tf_keras"
    logits = np.asarray(loaded.model(pictures, training=False))
    np.testing.assert_allclose(_softmax(logits), np.asarray(model(pictures)), atol=1e-6)


def test_damaged_savedmodels_are_one_clear_line(small_model: Callable[..., Any], tmp_path: Path) -> None:
    tf = tensorflow()
    folder = tmp_path / "net"
    small_model().export(folder, verbose=False)
    with pytest.raises(InputError, match="Give its folder"):
        load_model(str(folder / "saved_model.pb"), notify=_quiet)
    content = (folder / "saved_model.pb").read_bytes()
    (folder / "saved_model.pb").write_bytes(content[: len(content) // 2])
    with pytest.raises(InputError, match="damage"):
        load_model(str(folder), trust=True, notify=_quiet)
    (folder / "saved_model.pb").write_bytes(content)
    for file in (folder / "variables").iterdir():
        file.unlink()
    with pytest.raises(InputError, match="variables folder"):
        load_model(str(folder), trust=True, notify=_quiet)

    class Bare(tf.Module):  # type: ignore[misc]
        pass

    tf.saved_model.save(Bare(), str(tmp_path / "bare"))
    with pytest.raises(InputError, match="signature"):
        load_model(str(tmp_path / "bare"), trust=True, notify=_quiet)
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="without one"):
        load_model(str(tmp_path / "empty"), notify=_quiet)


def test_a_savedmodel_that_writes_files_is_not_run_and_named(tmp_path: Path) -> None:
    tf = tensorflow()
    target = tmp_path / "written"

    class Writer(tf.Module):  # type: ignore[misc]
        @tf.function(input_signature=[tf.TensorSpec((None, 28, 28, 1), tf.float32)])  # type: ignore[untyped-decorator]
        def __call__(self, x: Any) -> Any:
            tf.io.write_file(str(target), "caught")
            return tf.reshape(x, (-1, 784))[:, :10]

    writer = Writer()
    tf.saved_model.save(writer, str(tmp_path / "evil"), signatures=writer.__call__)
    with pytest.raises(InputError, match="also holds WriteFile"):
        load_model(str(tmp_path / "evil"), notify=_quiet)
    assert not target.exists()
