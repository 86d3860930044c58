"""A report like a real run's, and the parts that tests change."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from mnist_export.core.kinds import Verdict
from mnist_export.parity.certificate.summary import CertificateSummary, LayerSummary
from mnist_export.parity.comparison import Flip, Thresholds
from mnist_export.parity.layers.error import LayerError
from mnist_export.parity.logits import LogitErrors
from mnist_export.parity.verdict import Check
from mnist_export.report.context import DataInfo, Finding, Gap, ModelInfo
from mnist_export.report.parts import Audit
from mnist_export.report.schema import ArtifactResult, ReferenceInfo, Report
from mnist_export.runtime.environment import Environment
from mnist_export.runtime.timing.figures import Histogram, Latency

LABELS = 10_000
PER_CLASS = (980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009)


def _predictions(seed: int, errors: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    rng = np.random.default_rng(seed)
    labels = rng.permutation(np.repeat(np.arange(10), PER_CLASS))
    predictions = labels.copy()
    wrong = rng.choice(LABELS, errors, replace=False)
    confused = np.array([6, 7, 7, 5, 9, 3, 0, 2, 3, 4])
    predictions[wrong] = np.where(rng.random(errors) < 0.6, confused[labels[wrong]], (labels[wrong] + 1) % 10)
    return labels, predictions


def _confusion(labels: npt.NDArray[np.int64], predictions: npt.NDArray[np.int64]) -> Any:
    matrix = np.zeros((10, 10), int)
    np.add.at(matrix, (labels, predictions), 1)
    return tuple(tuple(int(n) for n in row) for row in matrix)


def _accuracies(labels: npt.NDArray[np.int64], predictions: npt.NDArray[np.int64]) -> tuple[float, ...]:
    return tuple(float((predictions[labels == c] == c).mean()) for c in range(10))


def _latency(seed: int, median: float) -> Latency:
    rng = np.random.default_rng(seed)
    samples = median * (1 + 0.03 * rng.gamma(2.0, 1.0, 4000) + 0.3 * (rng.random(4000) > 0.985))
    p50, p90, p99 = np.percentile(samples, [50, 90, 99])
    return Latency(
        p50=p50,
        p90=p90,
        p99=p99,
        runs=4000,
        batch=1,
        p50_interval=(p50 * 0.995, p50 * 1.006),
        histogram=Histogram.of(samples.tolist()),
    )


def example_report() -> Report:
    """Two int8 files with five flips, and a float file without any."""
    labels, predictions = _predictions(3, 72)
    quantized = predictions.copy()
    rng = np.random.default_rng(5)
    right = np.flatnonzero(predictions == labels)
    wrong = np.flatnonzero(predictions != labels)
    lost = rng.choice(right, 3, replace=False)
    quantized[lost] = (labels[lost] + 5) % 10
    quantized[wrong[0]] = labels[wrong[0]]
    quantized[wrong[1]] = (predictions[wrong[1]] + 3) % 10
    flipped = np.flatnonzero(quantized != predictions)
    flips = tuple(
        Flip(
            index=int(i),
            label=int(labels[i]),
            reference=int(predictions[i]),
            candidate=int(quantized[i]),
            margin=0.05 + 0.11 * place,
        )
        for place, i in enumerate(flipped)
    )
    top1 = float((quantized == labels).mean())
    checks = (
        Check(name="top-1 drop", verdict=Verdict.PASS, why="0.02 pp, at most 0.5 pp allowed"),
        Check(name="agreement", verdict=Verdict.PASS, why="99.95 %, at least 99 % needed"),
        Check(name="audit", verdict=Verdict.PASS, why="no float weights, int8 input and output"),
    )
    int8 = ArtifactResult(
        format="tflite",
        precision="int8",
        path="exports/lenet5-mnist.int8.tflite",
        sha256="3f" * 32,
        size_bytes=70_544,
        runtime="litert",
        top1=top1,
        top1_interval=(0.9889, 0.9927),
        drop_pp=0.02,
        agreement=0.9995,
        agreement_interval=(0.9988, 0.9998),
        flips=len(flips),
        flip_list=flips,
        mcnemar_p=0.625,
        logits=LogitErrors(
            max_abs_error=0.412,
            sqnr_db=38.6,
            mean_abs_error=0.05,
            max_error_steps=3.0,
            compared=100_000,
            different=61_234,
        ),
        latency_us=_latency(11, 31.0),
        vs_original=0.41,
        verdict=Verdict.PASS,
        why="Drop and agreement are within the thresholds.",
        checks=checks,
        input_type="int8",
        output_type="int8",
        input_shape=(1, 28, 28, 1),
        pixel_rule="int8 input = pixel - 128 (pixel is the raw 0..255 grey value)",
        confusion=_confusion(labels, quantized),
        per_class_accuracy=_accuracies(labels, quantized),
        load_ms=1.4,
        layers=tuple(
            LayerError(
                name=name,
                operator=operator,
                max_error_steps=steps,
                budget_steps=2.0,
                max_abs_error=steps * 0.02,
                sqnr_db=44.0 - 4 * steps,
                exceeds=steps > 2,
            )
            for name, operator, steps in (
                ("conv1", "Conv2D", 0.6),
                ("pool1", "MaxPool", 0.6),
                ("conv2", "Conv2D", 1.1),
                ("dense1", "Dense", 1.5),
                ("dense2", "Dense", 2.3),
                ("logits", "Dense", 1.9),
            )
        ),
        audit=Audit(
            operators={"CONV_2D": 2, "MAX_POOL_2D": 2, "RESHAPE": 1, "FULLY_CONNECTED": 3},
            weight_bytes={"int8": 61_470, "int32": 944},
        ),
        certificate=CertificateSummary(
            verdict=Verdict.FAIL,
            text="conv1, channel 0: the multiplier is no power of two.",
            layers=(LayerSummary(name="conv1", holds=False, accumulator_bound=403_200, text="channel 0"),),
        ),
    )
    onnx = dataclasses.replace(
        int8,
        format="onnx",
        path="exports/lenet5-mnist.int8.onnx",
        sha256="a1" * 32,
        size_bytes=78_120,
        runtime="onnxruntime",
        latency_us=_latency(12, 55.0),
        vs_original=0.72,
        input_type="uint8",
        output_type="uint8",
        pixel_rule="uint8 input = pixel (the raw 0..255 grey value)",
        layers=(),
        input_layout="NCHW",
        input_shape=(1, 1, 28, 28),
        certificate=None,
    )
    single = ArtifactResult(
        format="tflite",
        precision="float32",
        path="exports/lenet5-mnist.float32.tflite",
        sha256="77" * 32,
        size_bytes=249_860,
        runtime="litert",
        top1=0.9928,
        top1_interval=(0.9910, 0.9943),
        drop_pp=0.0,
        agreement=1.0,
        agreement_interval=(0.9996, 1.0),
        flips=0,
        logits=LogitErrors(max_abs_error=3e-6, sqnr_db=131.0),
        latency_us=_latency(13, 48.0),
        vs_original=0.63,
        verdict=Verdict.PASS,
        why="No answer differs.",
        input_type="float32",
        output_type="float32",
        input_shape=(1, 28, 28, 1),
        pixel_rule="float32 input = 0 + pixel * 1 / 255 (pixel is 0..255)",
        confusion=_confusion(labels, predictions),
        per_class_accuracy=_accuracies(labels, predictions),
    )
    return Report(
        verdict=Verdict.PASS,
        model=ModelInfo(
            name="lenet5",
            source="shipped",
            parameters=61_706,
            macs=416_520,
            framework="keras",
            input_shape=(28, 28, 1),
            input_range=(0.0, 1.0),
            sha256="5c" * 32,
        ),
        data=DataInfo(
            name="mnist",
            images=LABELS,
            calibration_images=500,
            source="IDX files",
            sha256="09" * 32,
            class_names=tuple("0123456789"),
        ),
        reference=ReferenceInfo(
            runtime="keras",
            device="CPU",
            top1=0.9928,
            top1_interval=(0.9910, 0.9943),
            latency_us=_latency(10, 76.0),
            confusion=_confusion(labels, predictions),
            per_class_accuracy=_accuracies(labels, predictions),
        ),
        artifacts=(int8, onnx, single),
        environment=Environment(
            cpu="AMD EPYC 9334",
            threads=1,
            cores=2,
            memory_bytes=8 << 30,
            system="Linux 6.1, x86_64",
            instruction_sets=("AVX2", "AVX-512 VNNI"),
            versions={
                "python": "3.11.7",
                "tensorflow": "2.21.0",
                "ai-edge-litert": "2.3.0",
                "onnxruntime": "1.31.0",
            },
        ),
        timings_s={"import": 2.7, "load": 0.4, "quantize": 1.2, "export": 0.6, "parity": 1.9, "latency": 2.1},
        thresholds=Thresholds(max_drop_pp=0.5, min_agreement=0.99),
        findings=(
            Finding(level="info", text="500 training images, 50 of each class; all 256 pixel values occur."),
            Finding(level="warning", where="dense2", text="two channels are never active on these images."),
        ),
        gaps=(
            Gap(name="float to quantized", top1=top1, drop_pp=0.02, agreement=0.9995),
            Gap(
                name="quantized to LiteRT",
                top1=top1,
                drop_pp=0.0,
                agreement=1.0,
                max_abs_error=0.0,
                text="bit for bit",
            ),
        ),
        history={
            "loss": (0.31, 0.09, 0.06, 0.045, 0.036),
            "val_loss": (0.1, 0.07, 0.05, 0.046, 0.044),
            "accuracy": (0.905, 0.972, 0.981, 0.986, 0.989),
            "val_accuracy": (0.97, 0.98, 0.986, 0.988, 0.9885),
        },
        next_command="mnist-parity check lenet5.keras exports/lenet5-mnist.int8.tflite",
        command="mnist-export --format tflite,onnx --int8",
        tool_version="0.1.0",
    )


@pytest.fixture(scope="session")
def report() -> Report:
    return example_report()


@pytest.fixture(scope="session")
def change() -> Callable[..., Report]:
    """Build the report anew with changes to the report and, by ``artifact``, to its first artifact."""

    def build(artifact: dict[str, Any] | None = None, **changes: Any) -> Report:
        whole = example_report()
        if artifact is not None:
            first = dataclasses.replace(whole.artifacts[0], **artifact)
            changes = {"artifacts": (first, *whole.artifacts[1:]), **changes}
        return dataclasses.replace(whole, **changes)

    return build


@pytest.fixture(scope="session")
def pictures(report: Report) -> dict[int, npt.NDArray[np.uint8]]:
    """A seeded picture for each flip."""
    rng = np.random.default_rng(0)
    indices = {flip.index for artifact in report.artifacts for flip in artifact.flip_list}
    return {i: rng.integers(0, 256, (28, 28, 1), np.uint8) for i in sorted(indices)}
