"""This project's own exports, made once: LeNet-5 on real MNIST where it is there, on digits where not."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from mnist_export.core.kinds import Format, Precision
from mnist_export.data import Dataset, calibration_images, load_dataset
from mnist_export.data.mnist import load as mnist_loader
from mnist_export.data.request import Request
from mnist_export.parity.pytest_plugin import parity

__all__ = ["parity"]  # the installed plugin's fixture, for a checkout that was installed before it had one


@dataclass(frozen=True)
class Exports:
    """What the tests compare.

    Attributes:
        folder: where everything is.
        golden: the Keras original's recorded answers.
        tflite: the int8 file.
        onnx: the int8 file.
        logits: the original's, float32 (n, 10).
    """

    folder: Path
    golden: Path
    tflite: Path
    onnx: Path
    logits: np.ndarray


@pytest.fixture(scope="session")
def dataset() -> Dataset:
    """MNIST where this machine has it, else the embedded digits; nothing is downloaded."""
    return mnist_loader.local(Request()) or load_dataset("digits")


@pytest.fixture(scope="session")
def graph(original):
    """The float graph that exports are quantized from."""
    from mnist_export.quantize.lowering import lower

    return lower(original.model, original.input_shape)


@pytest.fixture(scope="session")
def original(dataset):
    """The shipped LeNet-5 for that data."""
    from mnist_export.models.loading import load_model

    return load_model("lenet5", dataset, notify=lambda _: None)


@pytest.fixture(scope="session")
def exports(tmp_path_factory, dataset, original, graph) -> Exports:
    from mnist_export.export.artifacts import write_artifacts
    from mnist_export.export.described import Described
    from mnist_export.parity.recording import record
    from mnist_export.quantize import SchemeConfig, quantize
    from mnist_export.runtime.runners.keras import KerasRunner

    folder = tmp_path_factory.mktemp("parity")
    images = calibration_images(dataset, 300, seed=0)
    network = quantize(graph, SchemeConfig(precision=Precision.INT8), images)
    described = Described(
        name="lenet5",
        data=dataset.name,
        class_names=dataset.class_names,
        source_sha256=original.source.sha256,
        data_sha256=dataset.provenance.sha256,
    )
    written = write_artifacts(network, described, [Format.TFLITE, Format.ONNX], folder)
    with KerasRunner.of(original) as runner:
        golden = record(runner, dataset, timed=False)
    golden.save(folder / "golden.npz")
    tflite, onnx = (item.path for item in written.artifacts)
    return Exports(folder, folder / "golden.npz", tflite, onnx, golden.logits)
