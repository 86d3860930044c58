"""The first operator that differs on a device, with a device that changes one tensor."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

import mnist_export as mx
from mnist_export.core.errors import InputError, UnsupportedError
from mnist_export.data import load_dataset
from mnist_export.parity.layers.activations import activations_of
from mnist_export.parity.layers.comparison import compare_layers
from mnist_export.parity.layers.on_device import activations_on, first_difference
from mnist_export.runtime.runners.opening import open_runner


class _Device:
    """Answers with LiteRT's own tensors, one of them changed by a step."""

    name = "toy"

    def __init__(self, runner, changed):
        self.runner, self.changed = runner, changed
        self.wrong_shape = False

    def tensors(self, question, indices):
        interpreter = self.runner.fresh_interpreter(keep=True)
        entry = interpreter.get_input_details()[0]["index"]
        names = {d["index"]: d["name"] for d in interpreter.get_tensor_details()}
        rows = {index: [] for index in indices}
        for image in question.batch:
            interpreter.set_tensor(entry, image[None])
            interpreter.invoke()
            for index in indices:
                rows[index].append(interpreter.get_tensor(index))
        found = [np.concatenate(rows[index]) for index in indices]
        for index, values in zip(indices, found, strict=True):
            if names[index].split(";")[0] == self.changed:
                values.flat[0] ^= 1
        return [values[:, :1] for values in found] if self.wrong_shape else found


@pytest.fixture(scope="module")
def runner(tmp_path_factory):
    folder = tmp_path_factory.mktemp("files")
    made = mx.export("lenet5", int8=True, data="digits", output=folder, formats="tflite")
    with open_runner(made.artifacts["tflite"].path, trust=True) as opened:
        yield opened


@pytest.fixture(scope="module")
def images():
    return load_dataset("digits").test.images[:4]


@pytest.mark.parametrize("changed", ["conv2", "dense2"])
def test_the_first_operator_that_differs_is_named(runner, images, changed):
    wanted = activations_of(runner, images, count=len(images))
    assert changed in [item.name for item in wanted]
    result = compare_layers(wanted, activations_on(_Device(runner, changed), runner, images))
    text = first_difference(result, "toy")
    assert text.startswith(f"The first operator that differs on toy is '{changed}' (")
    assert text.endswith("by at most 1 steps.")


def test_equal_tensors_are_said_to_be_equal(runner, images):
    wanted = activations_of(runner, images, count=len(images))
    result = compare_layers(wanted, activations_on(_Device(runner, "none"), runner, images))
    assert first_difference(result, "toy") == f"All {len(wanted)} operators give the same values on toy."


def test_a_device_that_shows_nothing_or_another_shape_is_refused(runner, images):
    with pytest.raises(UnsupportedError, match="blind: does not show the tensors"):
        activations_on(SimpleNamespace(name="blind"), runner, images)
    device = _Device(runner, "none")
    device.wrong_shape = True
    with pytest.raises(InputError, match=r"expected \(4, .* from toy for"):
        activations_on(device, runner, images)
