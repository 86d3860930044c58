"""OpenVINO: Intel's runtime, on this machine's processor."""

from __future__ import annotations

from typing import Any

from mnist_export.runtime.devices.pip_device import PipDevice


def _open(path: str, _sample: Any) -> Any:
    import openvino

    core = openvino.Core()
    model = core.read_model(path)
    size = model.inputs[0].get_partial_shape()[0]
    compiled = core.compile_model(model, "CPU", {"INFERENCE_NUM_THREADS": 1})
    precision = compiled.get_property("INFERENCE_PRECISION_HINT").get_type_name()
    short = {"bf16": "bfloat16", "f16": "float16"}.get(precision)
    remark = f"computes in {short} what its int8 kernels do not cover; openvino-f32 does not"
    facts = {"figures": {"precision": remark}} if short else {}
    return lambda piece: compiled([piece])[0], 128 if size.is_dynamic else size.get_length(), lambda: facts


def _open_float32(path: str, _sample: Any) -> Any:
    import openvino

    core = openvino.Core()
    model = core.read_model(path)
    size = model.inputs[0].get_partial_shape()[0]
    settings = {"INFERENCE_NUM_THREADS": 1, "INFERENCE_PRECISION_HINT": "f32"}
    compiled = core.compile_model(model, "CPU", settings)
    return lambda piece: compiled([piece])[0], 128 if size.is_dynamic else size.get_length(), dict


_REQUIREMENTS = (
    "openvino==2026.4.1",
    "openvino-telemetry==2025.2.0",
    "numpy==2.4.6; python_version>='3.11'",
    "numpy==2.2.6; python_version<'3.11'",
)

DEVICE = PipDevice(
    name="openvino",
    title="OpenVINO on Intel processors, as it comes (bfloat16 where the processor has it)",
    needs="openvino from PyPI (76 MB)",
    formats=("tflite", "onnx"),
    requirements=_REQUIREMENTS,
    module="openvino",
    opening=_open,
)
FLOAT32 = PipDevice(
    name="openvino-f32",
    title="OpenVINO with INFERENCE_PRECISION_HINT=f32",
    needs="openvino from PyPI (76 MB), shared with openvino",
    formats=("tflite", "onnx"),
    requirements=_REQUIREMENTS,
    module="openvino",
    opening=_open_float32,
    shares="openvino",
)
