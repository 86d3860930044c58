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
    return lambda piece: compiled([piece])[0], 128 if size.is_dynamic else size.get_length(), dict


DEVICE = PipDevice(
    name="openvino",
    title="OpenVINO on Intel processors",
    needs="openvino from PyPI (76 MB)",
    formats=("tflite", "onnx"),
    requirements=(
        "openvino==2026.4.1",
        "openvino-telemetry==2025.2.0",
        "numpy==2.4.6; python_version>='3.11'",
        "numpy==2.2.6; python_version<'3.11'",
    ),
    module="openvino",
    opening=_open,
)
