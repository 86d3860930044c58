"""Operations between layers (``x + 3``, ``keras.ops.relu(x)``) in hostile files: what is refused, and how."""

from __future__ import annotations

import io
import json
import zipfile

import numpy as np
import pytest

TENSOR = {
    "class_name": "__keras_tensor__",
    "config": {"shape": [None, 14, 14, 1], "dtype": "float32", "keras_history": ["pool", 0, 0]},
}


@pytest.fixture(scope="module")
def operated(keras, tmp_path_factory):
    """A classifier with an addition of a number between its layers, as .keras and as .h5."""
    import warnings

    layers = keras.layers
    inputs = layers.Input((28, 28, 1), name="image")
    x = layers.MaxPooling2D(2, name="pool")(inputs) + 3.0
    model = keras.Model(inputs, layers.Dense(10, name="last")(layers.Flatten(name="flat")(x)), name="net")
    folder = tmp_path_factory.mktemp("operated")
    model.save(folder / "net.keras")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.save(folder / "net.h5")
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def _operation(config):
    (found,) = (layer for layer in config["config"]["layers"] if layer["class_name"] == "Add")
    return found


@pytest.fixture()
def refuse(operated, refuses, export_main, tmp_path, out):
    """Change the addition in the file and see that it is refused."""

    def check(change, says, **options):
        with zipfile.ZipFile(io.BytesIO(operated["net.keras"])) as archive:
            parts = {name: archive.read(name) for name in archive.namelist()}
        config = json.loads(parts["config.json"])
        change(_operation(config))
        path = tmp_path / "net.keras"
        with zipfile.ZipFile(path, "w") as archive:
            for name, content in {**parts, "config.json": json.dumps(config)}.items():
                archive.writestr(name, content)
        words = ("-m", path, "--data", "digits", "--format", "tflite", "-q", "-o", out)
        return refuses(export_main, *words, says=says, **options)

    return check


def _call(*arguments, **keywords):
    return lambda layer: layer.update(inbound_nodes=[{"args": list(arguments), "kwargs": keywords}])


def _class(module, kind, **config):
    def change(layer):
        layer.update(module=module, class_name=kind, registered_name=kind)
        layer["config"].update(config)

    return change


@pytest.mark.parametrize(
    ("module", "kind"),
    [
        ("keras.src.ops.numpy", "BroadcastTo"),
        ("keras.src.ops.numpy", "Kron"),
        ("keras.src.ops.numpy", "Tensordot"),
        ("keras.src.ops.numpy", "Outer"),
        ("keras.src.ops.numpy", "Linspace"),
        ("keras.src.ops.nn", "OneHot"),
        ("keras.src.ops.nn", "Add"),
        ("keras.src.ops.numpy", "Relu"),
        ("keras.src.ops.core", "Map"),
        ("keras.src.ops.core", "WhileLoop"),
        ("keras.src.ops.core", "Add"),
        ("keras.src.ops.operation", "Operation"),
        ("keras.src.ops.numpy.evil", "Add"),
        ("keras.src.ops", "Add"),
        ("keras.src.ops.numpy", "any_symbolic_tensors"),
    ],
)
def test_what_is_not_in_the_table_of_pairs(refuse, module, kind):
    line = refuse(_class(module, kind), "operations between layers that only compute")
    assert kind in line and module in line


@pytest.mark.parametrize(
    ("module", "kind"),
    [
        ("os", "Add"),
        ("keras.src.opsx.numpy", "Add"),
        ("evil.keras.src.ops.numpy", "Add"),
        ("keras.src.applications.convnext", "Dense"),
        ("keras.src.applications.inception_resnet_v2", "LayerScale"),
        ("evil_package", "LayerScale"),
        (["keras.src.ops.numpy"], "Add"),
    ],
)
def test_a_known_class_of_another_module(refuse, module, kind):
    refuse(_class(module, kind), "module")


def test_another_registered_name(refuse):
    refuse(lambda layer: layer.update(registered_name="evil>Add"), "registered as")


def test_a_lambda_in_the_place_of_an_operation(refuse, marker):
    import base64
    import marshal

    code = base64.b64encode(marshal.dumps(compile(f"open({str(marker)!r}, 'w')", "x", "exec"))).decode()
    value = {"class_name": "__lambda__", "config": {"code": code, "defaults": None, "closure": None}}
    refuse(_call(TENSOR, value), "'__lambda__' in a call")
    refuse(_call(TENSOR, fn=value), "'__lambda__' in a call")
    refuse(_class("keras.src.ops.core", "Map"), "only compute")
    refuse(_class("keras.src.ops.numpy", "Add", function=value), "__lambda__")


def _array(value, dtype="float32", **more):
    return {"class_name": "__numpy__", "config": {"value": value, "dtype": dtype, **more}}


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ([TENSOR, 1e30], "constant=1e\\+30"),
        ([TENSOR, float("nan")], "constant=nan"),
        ([TENSOR, float("-inf")], "constant=-inf"),
        ([TENSOR, [[1.0] * 14] * 20_000], "at most 262,144 constants"),
        ([TENSOR, _array([1e9])], "1e\\+09"),
        ([TENSOR, _array(["x"])], "'x' in a call"),
        ([TENSOR, _array([TENSOR])], "class_name"),
        ([TENSOR, _array([1], "object")], "float32"),
        ([TENSOR, _array([1], ["object"])], "float32"),
        ([TENSOR, _array([1], unknown=1)], "unknown"),
        ([TENSOR, {"class_name": "__tensor__", "config": "x", "dtype": "float32"}], "'__tensor__' in a call"),
        ([TENSOR, {"class_name": "__typespec__", "config": [], "module": "os"}], "'__typespec__' in a call"),
        ([TENSOR, {"class_name": "function", "module": "os", "config": "system"}], "'function' in a call"),
        ([TENSOR, {"class_name": "Dense", "module": "keras.layers", "config": {}}], "'Dense' in a call"),
        ([TENSOR, {"class_name": ["Dense"], "config": {}}], "in a call"),
        ([TENSOR, {"value": 3}], "'None' in a call"),
        ([TENSOR, "text"], "'text' in a call"),
        ([1.0, 2.0], "on constants alone"),
        ([_array([1.0]), 2.0], "on constants alone"),
        ([{"class_name": "__slice__", "config": {"start": TENSOR, "stop": 1, "step": 1}}], "in a call"),
        ([{**TENSOR, "config": {**TENSOR["config"], "keras_history": [{"class_name": "x"}]}}], "inside of a"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_an_operation_is_called_with(refuse, arguments, says):
    refuse(_call(*arguments), says)


@pytest.mark.parametrize("nodes", ["x", ["x"], [[["pool", 0, 0]]], [{"args": [TENSOR], "call": 1}]])
def test_calls_that_are_none(refuse, nodes):
    refuse(lambda layer: layer.update(inbound_nodes=nodes), "expected")


def test_numbers_in_an_operations_settings_are_bounded_too(refuse):
    def change(layer):
        _class("keras.src.ops.nn", "MaxPool", pool_size=10**12, padding="valid")(layer)
        _call(TENSOR)(layer)

    refuse(change, "sizes of at most")


def test_broadcasting_that_would_fill_the_memory(keras, refuses, export_main, tmp_path, out):
    """Few constants, and a mean behind them that hides it: two billion values for each image between."""
    layers, ops = keras.layers, keras.ops
    inputs = layers.Input((28, 28, 1))
    x = layers.MaxPooling2D(2)(inputs) * np.ones((1, 1, 1, 3000), np.float32)
    x = ops.expand_dims(x, -1) * np.ones((1, 1, 1, 1, 3000), np.float32)
    x = layers.Dense(10)(layers.Flatten()(ops.mean(x, axis=(3, 4))))
    path = tmp_path / "net.keras"
    keras.Model(inputs, x).save(path)
    words = ("-m", path, "--data", "digits", "--format", "tflite", "-q", "-o", out)
    refuses(export_main, *words, says="at most 64,000,000 outputs")


@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        ("Mean", {"axis": [0], "keepdims": True}),
        ("Reshape", {"newshape": [-1, 14, 9, 1]}),
        ("Tile", {"repeats": [1_000_000, 1, 1, 1]}),
        ("Repeat", {"repeats": 100_000, "axis": 0}),
        ("Pad", {"pad_width": [[0, 100_000], [0, 0], [0, 0], [0, 0]]}),
    ],
)
def test_images_of_a_batch_that_are_mixed(refuse, kind, settings):
    def change(layer):
        _class("keras.src.ops.numpy", kind, **settings)(layer)
        _call(TENSOR)(layer)

    refuse(change, "keep the images of a batch apart")


def test_two_images_in_a_row(keras, refuses, export_main, tmp_path, out):
    layers, ops = keras.layers, keras.ops
    inputs = layers.Input((28, 28, 1))
    windows = ops.reshape(layers.MaxPooling2D(2)(inputs), (-1, 7, 14, 1))  # two of an image: as it should be
    x = layers.Dense(10)(layers.Flatten()(ops.reshape(windows, (-1, 14, 28, 1))))
    path = tmp_path / "net.keras"
    keras.Model(inputs, x).save(path)
    words = ("-m", path, "--data", "digits", "--format", "tflite", "-q", "-o", out)
    refuses(export_main, *words, says="keep the images of a batch apart")


def test_a_name_that_is_none(refuse):
    def change(layer):
        layer["config"]["name"] = layer["name"] = "<script>/x"

    refuse(change, "names of layers")


@pytest.mark.parametrize("name", ["net.keras", "net.h5"])
def test_the_file_as_it_was_is_read_so_that_refusals_mean_something(operated, keras, tmp_path, name):
    from mnist_export.models.loading import load_model

    path = tmp_path / name
    path.write_bytes(operated[name])
    model = load_model(str(path), notify=lambda _: None).model
    x = np.random.default_rng(4).random((3, 28, 28, 1), np.float32)
    (tmp_path / "whole.keras").write_bytes(operated["net.keras"])
    expected = keras.models.load_model(tmp_path / "whole.keras")(x, training=False)
    np.testing.assert_array_equal(np.asarray(model(x, training=False)), np.asarray(expected))


def test_an_operation_of_an_h5_that_is_not_in_the_table(operated, refuses, export_main, tmp_path, out):
    import h5py

    stream = io.BytesIO(operated["net.h5"])
    with h5py.File(stream, "r+") as file:
        config = json.loads(file.attrs["model_config"])
        _operation(config)["class_name"] = "Kron"
        file.attrs["model_config"] = json.dumps(config)
    path = tmp_path / "net.h5"
    path.write_bytes(stream.getvalue())
    words = ("-m", path, "--data", "digits", "--format", "tflite", "-q", "-o", out)
    refuses(export_main, *words, says="'Kron'")
