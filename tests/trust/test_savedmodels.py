"""SavedModels can run code when they are loaded: without --trust nothing of them is loaded at all."""

from __future__ import annotations

import shutil

import pytest


@pytest.fixture(scope="module")
def folders(net, tmp_path_factory):
    """A sound SavedModel, and hostile ones; each writes a file named by the environment variable's folder."""
    import tensorflow as tf

    root = tmp_path_factory.mktemp("saved")
    marker = root / "EXECUTED"
    signature = [tf.TensorSpec((None, 28, 28, 1), tf.float32)]

    class Sound(tf.Module):
        def __init__(self):
            super().__init__()
            self.weight = [tf.Variable(value) for value in net.get_weights()]

        @tf.function(input_signature=signature)
        def serve(self, x):
            pooled = tf.reshape(tf.nn.avg_pool2d(x, 2, 2, "VALID"), (-1, 196))
            hidden = tf.nn.relu(pooled @ self.weight[0] + self.weight[1])
            return hidden @ self.weight[2] + self.weight[3]

    class OnCall(Sound):
        @tf.function(input_signature=signature)
        def serve(self, x):
            with tf.control_dependencies([tf.io.write_file(str(marker), "x")]):
                return tf.reshape(x, (-1, 784))[:, :10]

    class OnLoad(Sound):
        def __init__(self):
            super().__init__()
            path = str(marker)

            class Table(tf.lookup.KeyValueTensorInitializer):
                def initialize(self, table):
                    tf.io.write_file(path, "x")
                    return super().initialize(table)

            self.table = tf.lookup.StaticHashTable(Table(["a"], [1]), 0)

    for name, kind in (("sound", Sound), ("on_call", OnCall), ("on_load", OnLoad)):
        model = kind()
        tf.saved_model.save(model, str(root / name), signatures=model.serve)
    tf.saved_model.save(Sound(), str(root / "no_signature"), signatures={})
    marker.unlink(missing_ok=True)
    return root


@pytest.fixture()
def refuse_saved(refuses, export_main, tmp_path, out):
    def check(path, says, *more):
        words = ("-m", path, "--data", "digits", "--format", "tflite", "--int8", "-q", "-o", out, *more)
        return refuses(export_main, *words, says=says)

    return check


@pytest.mark.parametrize("name", ["sound", "on_call", "on_load"])
def test_without_trust_it_is_not_loaded_and_the_reason_is_given(refuse_saved, folders, name):
    line = refuse_saved(folders / name, "--trust")
    assert "runs code" in line
    assert not (folders / "EXECUTED").exists()


@pytest.mark.parametrize("name", ["on_call", "on_load"])
def test_operators_that_write_files_are_named_before_anybody_trusts_them(refuse_saved, folders, name):
    refuse_saved(folders / name, "WriteFile")


@pytest.fixture()
def copy(folders, tmp_path):
    def make(name="sound"):
        return shutil.copytree(folders / name, tmp_path / "model")

    return make


def test_without_the_tag_for_serving(refuse_saved, copy):
    from tensorflow.core.protobuf import saved_model_pb2

    path = copy()
    model = saved_model_pb2.SavedModel.FromString((path / "saved_model.pb").read_bytes())
    model.meta_graphs[0].meta_info_def.tags[:] = ["train"]
    (path / "saved_model.pb").write_bytes(model.SerializeToString())
    refuse_saved(path, "'serve'", "--trust")


def test_without_a_signature(refuse_saved, copy):
    refuse_saved(copy("no_signature"), "signature", "--trust")


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9])
def test_a_truncated_graph(refuse_saved, copy, share):
    path = copy()
    content = (path / "saved_model.pb").read_bytes()
    (path / "saved_model.pb").write_bytes(content[: int(len(content) * share)])
    refuse_saved(path, "damage|serve|signature", "--trust")


def test_without_its_variables(refuse_saved, copy):
    path = copy()
    shutil.rmtree(path / "variables")
    refuse_saved(path, "damage|variables", "--trust")


def test_truncated_variables(refuse_saved, copy):
    path = copy()
    (data,) = (path / "variables").glob("*.data*")
    data.write_bytes(data.read_bytes()[:100])
    refuse_saved(path, "damage|variables", "--trust")


def test_a_file_instead_of_the_folder(refuse_saved, copy):
    refuse_saved(copy() / "saved_model.pb", "folder")


def test_an_empty_folder(refuse_saved, tmp_path):
    (tmp_path / "model").mkdir()
    refuse_saved(tmp_path / "model", "saved_model.pb")


def test_a_trusted_sound_one_is_exported(run, export_main, folders, out):
    words = ("-m", folders / "sound", "--data", "digits", "--int8", "--trust", "-o", out, "-q")
    done = run(export_main, *words)
    assert done.code in (0, 2), done.err
    assert "Traceback" not in done.err
