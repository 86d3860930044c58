"""Hostile and damaged .h5 files: no link is followed, no other file is read, nothing is run."""

from __future__ import annotations

import base64
import io
import json
import marshal

import h5py
import numpy as np
import pytest

KERNEL = "model_weights/hidden/net/hidden/kernel"


def _datasets(file):
    found = []
    file.visititems(lambda name, item: found.append(name) if isinstance(item, h5py.Dataset) else None)
    return sorted(found)


@pytest.fixture()
def changed(net_files):
    """The good .h5 after a function had its hands on the open file."""

    def make(change):
        stream = io.BytesIO(net_files["net.h5"])
        with h5py.File(stream, "r+") as file:
            change(file)
        return stream.getvalue()

    return make


@pytest.fixture()
def refuse_h5(refuses, export_main, keras, tmp_path, out):
    def check(content, says, **options):
        path = tmp_path / "net.h5"
        path.write_bytes(content)
        words = ("-m", path, "--data", "digits", "--format", "tflite", "--int8", "-q", "-o", out)
        return refuses(export_main, *words, says=says, **options)

    return check


def _kernel(file):
    """Path of the hidden layer's kernel, and its group."""
    name = next(name for name in _datasets(file) if "hidden" in name and "kernel" in name)
    parent, _, leaf = name.rpartition("/")
    return name, file[parent], leaf


@pytest.mark.parametrize("share", [0.005, 0.2, 0.6, 0.95])
def test_truncated(refuse_h5, net_files, share):
    content = net_files["net.h5"]
    refuse_h5(content[: int(len(content) * share)], "damage")


@pytest.mark.parametrize("version", ["2", "3"])
def test_a_lambda_is_not_run(refuse_h5, changed, marker, version):
    code = compile(f"open({str(marker)!r}, 'w').close()", "x", "exec")
    text = base64.b64encode(marshal.dumps(code)).decode()
    kinds = {
        "2": {"name": "evil", "function": [text, None, None], "function_type": "lambda"},
        "3": {"name": "evil", "function": {"class_name": "__lambda__", "config": {"code": text}}},
    }

    def change(file):
        config = json.loads(file.attrs["model_config"])
        config["config"]["layers"].insert(2, {"class_name": "Lambda", "config": kinds[version]})
        file.attrs["model_config"] = json.dumps(config)

    refuse_h5(changed(change), "Lambda")


def test_an_external_link_is_not_followed(refuse_h5, changed, tmp_path):
    with h5py.File(tmp_path / "other.h5", "w") as other:
        other["secret"] = np.zeros((196, 32), np.float32)

    def change(file):
        name, group, leaf = _kernel(file)
        del file[name]
        group[leaf] = h5py.ExternalLink(str(tmp_path / "other.h5"), "/secret")

    refuse_h5(changed(change), "external link")


def test_a_soft_link_is_not_followed(refuse_h5, changed):
    def change(file):
        name, group, leaf = _kernel(file)
        file.move(name, "kept")
        group[leaf] = h5py.SoftLink("/kept")

    refuse_h5(changed(change), "soft link")


def test_external_storage_is_not_read(refuse_h5, changed, tmp_path):
    secret = tmp_path / "secret.bin"
    secret.write_bytes(np.zeros(196 * 32, np.float32).tobytes())

    def change(file):
        name, group, leaf = _kernel(file)
        del file[name]
        group.create_dataset(leaf, (196, 32), "f4", external=[(str(secret), 0, secret.stat().st_size)])

    refuse_h5(changed(change), "external storage")


def test_a_virtual_data_set_is_not_read(refuse_h5, changed, tmp_path):
    with h5py.File(tmp_path / "other.h5", "w") as other:
        other["secret"] = np.zeros((196, 32), np.float32)

    def change(file):
        name, group, leaf = _kernel(file)
        del file[name]
        layout = h5py.VirtualLayout((196, 32), "f4")
        layout[:] = h5py.VirtualSource(str(tmp_path / "other.h5"), "secret", (196, 32))
        group.create_virtual_dataset(leaf, layout)

    refuse_h5(changed(change), "virtual data set")


@pytest.mark.parametrize("shape", [(1 << 20, 1 << 20), (1 << 16, 1 << 14)])
def test_a_shape_that_is_not_stored(refuse_h5, changed, shape):
    def change(file):
        name, group, leaf = _kernel(file)
        del file[name]
        group.create_dataset(leaf, shape, "f4", chunks=(1024, 1024), compression="gzip")

    refuse_h5(changed(change), "stored|numbers")


def test_a_bomb_that_is_stored_well_compressed(refuse_h5, changed):
    def change(file):
        name, group, leaf = _kernel(file)
        del file[name]
        group.create_dataset(
            leaf, data=np.zeros((4096, 4096), np.float32), chunks=(1024, 1024), compression="gzip"
        )

    refuse_h5(changed(change), "stored")


def test_weights_only(refuse_h5, net_files, tmp_path):
    refuse_h5(net_files["net.weights.h5"], "whole model")


def test_weights_of_other_shapes(refuse_h5, changed):
    def change(file):
        name, group, leaf = _kernel(file)
        del file[name]
        group[leaf] = np.zeros((7, 5), np.float32)

    refuse_h5(changed(change), "shape|build|fit")


def test_a_kernel_is_missing(refuse_h5, changed):
    def change(file):
        del file[_kernel(file)[0]]

    refuse_h5(changed(change), "weights|build|damage|kernel")


def test_a_loop_of_links(refuse_h5, changed):
    def change(file):
        file["model_weights/hidden/again"] = file["model_weights"]

    refuse_h5(changed(change), "loop")


def test_a_deep_chain_of_groups(refuse_h5, changed):
    def change(file):
        group = file["model_weights"]
        for _ in range(300):
            group = group.create_group("g")

    refuse_h5(changed(change), "deep|groups|objects")


def test_very_many_objects(refuse_h5, changed, monkeypatch):
    monkeypatch.setattr("mnist_export.models.foreign.hdf5.MAX_HDF5_OBJECTS", 500)

    def change(file):
        group = file["model_weights"].create_group("many")
        for number in range(600):
            group.create_group(str(number))

    refuse_h5(changed(change), "objects")


def test_objects_as_strings_of_python(refuse_h5, changed):
    def change(file):
        name, group, leaf = _kernel(file)
        del file[name]
        group.create_dataset(leaf, data=[b"x" * 10] * 6272, dtype=h5py.string_dtype())

    refuse_h5(changed(change), "numbers|type|build|stored")


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_weights_that_are_not_finite(refuse_h5, changed, bad):
    def change(file):
        file[_kernel(file)[0]][3, 4] = bad

    refuse_h5(changed(change), "finite")


def test_a_configuration_that_is_no_text(refuse_h5, changed):
    def change(file):
        file.attrs["model_config"] = np.zeros(10)

    refuse_h5(changed(change), "model")


def test_keras_2_operators_that_call_functions(refuse_h5, changed, marker):
    def change(file):
        config = json.loads(file.attrs["model_config"])
        layer = {"class_name": "TFOpLambda", "config": {"name": "x", "function": "io.write_file"}}
        config["config"]["layers"].insert(2, {**layer, "inbound_nodes": [[str(marker), 0, 0, {}]]})
        file.attrs["model_config"] = json.dumps(config)

    refuse_h5(changed(change), "io.write_file")


def test_the_good_file_is_exported(run, export_main, net_files, tmp_path, out):
    path = tmp_path / "net.h5"
    path.write_bytes(net_files["net.h5"])
    done = run(export_main, "-m", path, "--data", "digits", "--int8", "-q", "-o", out)
    assert done.code == 0, done.err


@pytest.mark.parametrize(
    ("code", "says"),
    [
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "SIGSEGV"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGXCPU)", "processor time"),
        ("import time; time.sleep(60)", "takes over"),
        ("raise SystemExit(77)", "77"),
    ],
)
def test_what_ends_the_hdf5_library_ends_a_child_process(refuse_h5, net_files, monkeypatch, code, says):
    """The library's own endless loops and crashes are stood in for: they go with its versions."""
    from mnist_export.models.foreign import hdf5_trial

    real = hdf5_trial.subprocess.run

    def other(command, **options):
        return real([command[0], "-c", code], **options)

    monkeypatch.setattr(hdf5_trial.subprocess, "run", other)
    monkeypatch.setattr(hdf5_trial, "WALL_SECONDS", 5)
    refuse_h5(net_files["net.h5"], says)
