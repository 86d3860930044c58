"""Code of a user's own: custom layers with trust alone, weights with their architecture, wrappers, Lambda."""

from __future__ import annotations

import json
import textwrap
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mnist_export.core.errors import InputError
from mnist_export.models.foreign.beside import Beside
from mnist_export.models.loading import input_shape_of, load_model

HEAD = "import keras\nfrom keras import layers as L\n"
SCALE = """
@keras.saving.register_keras_serializable("mine")
class Scale(L.Layer):
    def build(self, shape):
        self.gain = self.add_weight(shape=(shape[-1],), initializer="ones", name="gain")

    def call(self, x):
        return x * self.gain
"""
PLAIN = """
class Shift(L.Layer):
    def __init__(self, by=1.0, **options):
        super().__init__(**options)
        self.by = by

    def call(self, x):
        return x + self.by

    def get_config(self):
        return {**super().get_config(), "by": self.by}


def bent(x):
    return keras.ops.relu(x) * 0.5
"""


def _quiet(_: str) -> None:
    return None


def code(tmp_path: Path, text: str, name: str = "mine.py") -> Path:
    path = tmp_path / name
    path.write_text(HEAD + textwrap.dedent(text))
    return path


def defined(path: Path) -> dict[str, Any]:
    values: dict[str, Any] = {"__name__": "elsewhere"}
    exec(path.read_text(), values)
    return values


def saved(model: Any, path: Path) -> str:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.save(path)
    return str(path)


def net(keras: Any, *middle: Any) -> Any:
    layers = keras.layers
    keras.utils.set_random_seed(3)
    body = [layers.Conv2D(4, 3, name="conv"), *middle, layers.GlobalAveragePooling2D()]
    return keras.Sequential([layers.Input((12, 12, 1)), *body, layers.Dense(3, name="last")])


def pixels() -> Any:
    return np.random.default_rng(0).random((5, 12, 12, 1)).astype(np.float32)


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
@pytest.mark.parametrize("text", [SCALE, PLAIN], ids=["registered", "plain"])
def test_custom_layers_load_with_their_code_and_trust(
    suffix: str, text: str, keras: Any, tmp_path: Path
) -> None:
    file = code(tmp_path, text)
    names = defined(file)
    middle = (
        [names["Scale"](name="own")]
        if "Scale" in names
        else [names["Shift"](by=0.25), keras.layers.Activation(names["bent"])]
    )
    model = net(keras, *middle)
    path = saved(model, tmp_path / f"net{suffix}")
    with pytest.raises(InputError, match=r"`trust=True` and .custom=.FILE\.py.*model\.export"):
        load_model(path, notify=_quiet)
    with pytest.raises(InputError, match=r"`trust=True` and .custom=.FILE\.py.*model\.export"):
        load_model(path, notify=_quiet, trust=True)
    beside = Beside(trust=True, custom=file)
    assert input_shape_of(path, beside=beside) == (12, 12, 1)
    for _ in range(2):  # a second reading finds the same names
        loaded = load_model(path, notify=_quiet, beside=beside)
        np.testing.assert_allclose(loaded.model(pixels()), model(pixels()), atol=1e-6)


def test_custom_code_needs_trust_and_is_not_run_without(tmp_path: Path) -> None:
    file = code(tmp_path, f"open({str(tmp_path / 'ran')!r}, 'w')")
    with pytest.raises(InputError, match="expected `trust=True`"):
        Beside(custom=file)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("text", "fragments"),
    [
        ("raise RuntimeError('no GPU')", ("mine.py line 3", "RuntimeError: no GPU")),
        ("import no_such_module", ("mine.py line 3", "ModuleNotFoundError")),
        ("x = 1", ("expected classes of layers or functions", "found none")),
        ("def f(:", ("mine.py line 3", "SyntaxError")),
        (SCALE.replace("return x * self.gain", "return x * self.nothing"), ("mine.py line 10", "nothing")),
        (SCALE.replace("self.gain =", "self.gain = 1 / 0;"), ("mine.py line 7", "ZeroDivisionError")),
        (SCALE.replace("Scale", "Other").replace('"mine"', '"yours"'), ("'Scale'", "`custom=")),
    ],
)
def test_code_that_raises_is_one_line(
    text: str, fragments: tuple[str, ...], keras: Any, tmp_path: Path
) -> None:
    model = net(keras, defined(code(tmp_path, SCALE, "sound.py"))["Scale"]())
    path = saved(model, tmp_path / "net.keras")
    with pytest.raises(InputError) as caught:
        load_model(path, notify=_quiet, beside=Beside(trust=True, custom=code(tmp_path, text)))
    assert str(caught.value).isprintable()
    for fragment in fragments:
        assert fragment in str(caught.value)


def test_a_lambda_runs_with_trust_alone(keras: Any, tmp_path: Path) -> None:
    model = net(keras, keras.layers.Lambda(lambda x: x * 2.0))
    path = saved(model, tmp_path / "net.keras")
    with pytest.raises(InputError, match=r"Python code would run here.*trust=True"):
        load_model(path, notify=_quiet)
    loaded = load_model(path, notify=_quiet, trust=True)
    np.testing.assert_allclose(loaded.model(pixels()), model(pixels()), atol=1e-6)


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_spectral_normalization_is_taken_off(suffix: str, keras: Any, tmp_path: Path) -> None:
    layers = keras.layers
    wrap = layers.SpectralNormalization
    inner = keras.Sequential([layers.Input((10, 10, 4)), wrap(layers.Conv2D(4, 3), name="deep")], name="part")
    model = net(keras, wrap(layers.Conv2D(4, 1, activation="relu"), name="first"), inner)
    model(pixels(), training=True)
    said: list[str] = []
    loaded = load_model(saved(model, tmp_path / f"net{suffix}"), notify=said.append)
    np.testing.assert_allclose(loaded.model(pixels()), model(pixels(), training=False), atol=1e-6)
    assert any("SpectralNormalization taken off first, deep" in line for line in said)
    kinds = json.dumps(loaded.model.get_config(), default=str)
    assert "SpectralNormalization" not in kinds and "first" in kinds


@pytest.mark.parametrize("name", ["net.weights.h5", "legacy.h5"])
def test_weights_come_with_their_architecture(name: str, keras: Any, tmp_path: Path) -> None:
    from mnist_export.models.structure.engine import tf_keras

    package = keras if name.endswith(".weights.h5") else tf_keras()
    model = net(package)
    weights, layers = tmp_path / name, tmp_path / "net.json"
    model.save_weights(str(weights))
    layers.write_text(model.to_json())
    with pytest.raises(InputError, match="`architecture"):
        load_model(str(weights), notify=_quiet)
    loaded = load_model(str(weights), notify=_quiet, beside=Beside(architecture=str(layers)))
    np.testing.assert_allclose(loaded.model(pixels()), model(pixels()), atol=1e-6)
    assert any("net.json" in note for note in loaded.notes)


def test_weights_of_a_named_architecture_take_its_layers(keras: Any, tmp_path: Path) -> None:
    from mnist_export.models.registry import ARCHITECTURES

    model = ARCHITECTURES.get("lenet5").build_for((28, 28, 1), 10)
    model.save_weights(str(tmp_path / "a.weights.h5"))
    loaded = load_model(str(tmp_path / "a.weights.h5"), notify=_quiet, beside=Beside(architecture="lenet5"))
    x = np.random.default_rng(0).random((3, 28, 28, 1)).astype(np.float32)
    assert np.argmax(loaded.model(x), axis=1).tolist() == np.argmax(model(x), axis=1).tolist()


def test_a_foreign_architecture_is_judged_as_any_other(keras: Any, tmp_path: Path) -> None:
    model = net(keras, keras.layers.Lambda(lambda x: x))
    model.save_weights(str(tmp_path / "a.weights.h5"))
    (tmp_path / "a.json").write_text(model.to_json())
    weights = str(tmp_path / "a.weights.h5")

    def line(architecture: object, file: str = weights) -> str:
        with pytest.raises(InputError) as caught:
            load_model(file, notify=_quiet, beside=Beside(architecture=str(architecture)))
        return str(caught.value)

    assert "Python code would run here" in line(tmp_path / "a.json")
    assert "found neither" in line(tmp_path / "none.json")
    (tmp_path / "bad.json").write_text("{")
    assert "bad.json" in line(tmp_path / "bad.json")
    assert "fits neither" in line("lenet5") or "Weights are missing" in line("lenet5")
    assert "Leave `architecture` out" in line("lenet5", saved(net(keras), tmp_path / "whole.h5"))
    assert "Leave `architecture` out" in line("lenet5", saved(net(keras), tmp_path / "whole.keras"))


def test_a_model_of_a_class_of_its_own_names_the_ways_out(keras: Any, tmp_path: Path) -> None:
    text = """
    @keras.saving.register_keras_serializable("mine")
    class Net(keras.Model):
        def __init__(self, **options):
            super().__init__(**options)
            self.conv, self.last = L.Conv2D(4, 3), L.Dense(3)

        def call(self, x):
            return self.last(keras.ops.mean(self.conv(x), axis=(1, 2)))
    """
    file = code(tmp_path, text)
    model = defined(file)["Net"]()
    model(pixels())
    path = saved(model, tmp_path / "net.keras")
    with pytest.raises(InputError, match=r"'Net'.*`custom=.*model\.export"):
        load_model(path, notify=_quiet)
    with pytest.raises(InputError, match=r"model\.export"):
        load_model(path, notify=_quiet, beside=Beside(trust=True, custom=file))


def test_every_layer_of_keras_is_allowed_or_has_a_reason(keras: Any) -> None:
    from mnist_export.models.foreign import allowlist

    names: set[str] = {
        name
        for name, kind in vars(keras.layers).items()
        if isinstance(kind, type) and issubclass(kind, keras.layers.Layer)
    }
    left = names - allowlist.LAYERS - set(allowlist.DANGEROUS)
    # base classes; layers of text and boxes; a filter bank whose size no stored weight bounds
    assert left <= {
        "Layer", "Wrapper", "Hashing", "HashedCrossing", "MaxNumBoundingBoxes", "MelSpectrogram",
        "STFTSpectrogram",
    }  # fmt: skip
