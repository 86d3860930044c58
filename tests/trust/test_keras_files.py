"""Hostile and damaged .keras files: refused by `mnist-export` in one line, and nothing of them is run."""

from __future__ import annotations

import io
import json
import zipfile

import numpy as np
import pytest


def members(content):
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def packed(parts, compress=zipfile.ZIP_STORED):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", compress) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return stream.getvalue()


@pytest.fixture()
def refuse_keras(refuses, export_main, keras, tmp_path, out):
    def check(content, says, **options):
        path = tmp_path / "net.keras"
        path.write_bytes(content)
        words = ("-m", path, "--data", "digits", "--format", "tflite", "--int8", "-q", "-o", out)
        return refuses(export_main, *words, says=says, **options)

    return check


@pytest.fixture()
def with_layer(net_files, edit_json):
    """The good file with one more layer, or with its configuration changed."""

    def make(layer=None, change=None):
        parts = members(net_files["net.keras"])

        def apply(config):
            if layer is not None:
                config["config"]["layers"].insert(2, layer)
            if change is not None:
                change(config)

        parts["config.json"] = edit_json(parts["config.json"], apply)
        return packed(parts)

    return make


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "empty file"),
        (b"this is a text, not a model\n" * 50, "neither a .keras archive nor HDF5"),
        (b"PK\x03\x04" + b"\0" * 200, "damage"),
    ],
)
def test_what_is_no_archive(refuse_keras, content, says):
    refuse_keras(content, says)


@pytest.mark.parametrize("share", [0.02, 0.3, 0.7, 0.99])
def test_truncated(refuse_keras, net_files, share):
    content = net_files["net.keras"]
    refuse_keras(content[: int(len(content) * share)], "damage")


def test_a_flipped_weight_byte_is_found_by_the_archives_own_sum(refuse_keras, net_files):
    content = bytearray(net_files["net.keras"])
    content[len(content) // 2] ^= 0x40
    refuse_keras(bytes(content), "damage|CRC")


def _lambda(marker):
    import base64
    import marshal

    code = compile(f"open({str(marker)!r}, 'w').close()", "x", "exec")
    text = base64.b64encode(marshal.dumps(code)).decode()
    function = {"class_name": "__lambda__", "config": {"code": text, "defaults": None, "closure": None}}
    return {
        "module": "keras.layers",
        "class_name": "Lambda",
        "config": {"name": "evil", "function": function},
        "registered_name": None,
    }


def test_a_lambda_is_not_run(refuse_keras, with_layer, marker):
    refuse_keras(with_layer(_lambda(marker)), "Lambda")


def test_a_tfsm_layer_is_not_loaded(refuse_keras, with_layer, tmp_path):
    layer = {
        "module": "keras.layers",
        "class_name": "TFSMLayer",
        "config": {"name": "evil", "filepath": str(tmp_path / "evil"), "call_endpoint": "serve"},
        "registered_name": None,
    }
    refuse_keras(with_layer(layer), "TFSMLayer")


@pytest.mark.parametrize(
    ("module", "kind"),
    [
        ("os", "system"),
        ("builtins", "eval"),
        ("subprocess", "Popen"),
        ("keras.src.utils.file_utils", "get_file"),
        ("keras.layers", "TorchModuleWrapper"),
        ("evil_package", "Dense"),
    ],
)
def test_foreign_modules_and_functions_are_not_imported(refuse_keras, with_layer, marker, module, kind):
    layer = {"module": module, "class_name": kind, "config": {"name": "x", "args": [f"touch {marker}"]}}
    refuse_keras(with_layer({**layer, "registered_name": kind}), f"{kind}|{module}")


def test_an_activation_that_names_a_function_is_not_called(refuse_keras, with_layer, marker):
    function = {"module": "os", "class_name": "function", "config": "system", "registered_name": "system"}

    def change(config):
        config["config"]["layers"][3]["config"]["activation"] = function

    refuse_keras(with_layer(change=change), "function")


def test_a_deep_configuration(refuse_keras, net_files):
    parts = members(net_files["net.keras"])
    deep = "[" * 50_000 + "]" * 50_000
    parts["config.json"] = '{"class_name": "Sequential", "config": ' + deep + "}"
    refuse_keras(packed(parts), "deep")


def test_a_configuration_that_is_nested_within_pythons_limits(refuse_keras, with_layer):
    def change(config):
        inner = config["config"]
        for _ in range(200):
            inner["config"] = {}
            inner = inner["config"]

    refuse_keras(with_layer(change=change), "deep")


def test_a_huge_configuration(refuse_keras, net_files):
    parts = members(net_files["net.keras"])
    parts["config.json"] = b'{"class_name": "Sequential", "x": "' + b"a" * (20 << 20) + b'"}'
    refuse_keras(packed(parts), "config.json")


def test_ten_thousand_layers(refuse_keras, with_layer, edit_json):
    def change(config):
        flat = config["config"]["layers"][2]
        config["config"]["layers"] += [
            {**flat, "config": {**flat["config"], "name": f"f{i}"}} for i in range(10_000)
        ]

    refuse_keras(with_layer(change=change), "layers")


@pytest.mark.parametrize("units", [500_000_000, 10**15, -3, 0])
def test_a_dense_layer_of_absurd_size(refuse_keras, with_layer, units):
    def change(config):
        config["config"]["layers"][3]["config"]["units"] = units

    refuse_keras(with_layer(change=change), "units|sizes|weights|build")


def test_an_input_shape_that_would_fill_the_memory(refuse_keras, with_layer):
    def change(config):
        config["config"]["layers"][0]["config"]["batch_shape"] = [None, 900_000, 900_000, 1]

    refuse_keras(with_layer(change=change), "activation|weights|input|values|pixels|build")


def test_no_weights(refuse_keras, net_files):
    parts = members(net_files["net.keras"])
    del parts["model.weights.h5"]
    refuse_keras(packed(parts), "weights")


def test_weights_of_no_layer(refuse_keras, net_files):
    import h5py

    stream = io.BytesIO()
    with h5py.File(stream, "w") as file:
        file.create_group("layers")
    refuse_keras(
        packed({**members(net_files["net.keras"]), "model.weights.h5": stream.getvalue()}), "weights"
    )


@pytest.mark.parametrize("name", ["../EXECUTED", "/tmp/EXECUTED", "a/../../EXECUTED", "C:\\EXECUTED"])
def test_a_member_that_leads_out_of_the_archive(refuse_keras, net_files, name):
    refuse_keras(packed({**members(net_files["net.keras"]), name: b"x"}), "path")


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_member_twice(refuse_keras, net_files):
    stream = io.BytesIO(net_files["net.keras"])
    with zipfile.ZipFile(stream, "a") as archive:
        archive.writestr("config.json", "{}")
    refuse_keras(stream.getvalue(), "twice")


def test_a_bomb_of_zeros(refuse_keras, net_files):
    parts = {**members(net_files["net.keras"]), "model.weights.h5": bytes(200 << 20)}
    content = packed(parts, zipfile.ZIP_DEFLATED)
    assert len(content) < 1 << 20
    del parts
    refuse_keras(content, "bomb")


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_weights_that_are_not_finite(refuse_keras, net_files, bad):
    import h5py

    parts = members(net_files["net.keras"])
    stream = io.BytesIO(parts["model.weights.h5"])
    with h5py.File(stream, "r+") as file:
        file["layers/dense/vars/0"][3, 4] = bad
    refuse_keras(packed({**parts, "model.weights.h5": stream.getvalue()}), "finite")


@pytest.mark.parametrize("name", ["\x1b[2Jhidden", "a\nerror: forged line", "x\u202egnp.exe"])
def test_control_characters_in_names_do_not_reach_the_terminal(refuse_keras, with_layer, name):
    def change(config):
        config["config"]["layers"][3]["config"]["name"] = name

    refuse_keras(with_layer(change=change), "printable")


def test_a_path_as_a_models_name_is_refused(refuse_keras, with_layer):
    def change(config):
        config["config"]["name"] = "../../EXECUTED"

    refuse_keras(with_layer(change=change), "cannot contain")


@pytest.mark.parametrize("name", ["<script>alert(1)</script>", "../x y", "", "  "])
def test_layer_names_that_are_no_names(refuse_keras, with_layer, name):
    def change(config):
        config["config"]["layers"][3]["config"]["name"] = name

    refuse_keras(with_layer(change=change), "names of layers")


def test_shell_and_markup_in_a_layers_name_stay_text(run, export_main, with_layer, tmp_path, out):
    name = "$(touch EXECUTED) <img src=x onerror=alert(1)>"

    def change(config):
        config["config"]["layers"][3]["config"]["name"] = name

    path = tmp_path / "net.keras"
    path.write_bytes(with_layer(change=change))
    done = run(export_main, "-m", path, "--data", "digits", "--int8", "--debug-layers", "-q", "-o", out)
    assert done.code == 0, done.err
    (page,) = out.glob("*.report.html")
    assert "<img src=x" not in page.read_text()
    assert "&lt;img src=x" in page.read_text()


def test_markup_in_names_is_escaped_in_the_report(run, export_main, net_files, tmp_path, out):
    path = tmp_path / "<img src=x onerror=alert(1)>.keras"
    path.write_bytes(net_files["net.keras"])
    done = run(export_main, "-m", path, "--data", "digits", "--int8", "-q", "-o", out)
    assert done.code == 0, done.err
    (page,) = out.glob("*.report.html")
    assert "<img src=x" not in page.read_text()


def test_a_good_file_is_exported_so_that_refusals_mean_something(run, export_main, net_files, tmp_path, out):
    path = tmp_path / "net.keras"
    path.write_bytes(net_files["net.keras"])
    done = run(export_main, "-m", path, "--data", "digits", "--int8", "-q", "-o", out, "--json")
    assert done.code == 0, done.err
    assert json.loads(done.out)["verdict"] == "pass"
