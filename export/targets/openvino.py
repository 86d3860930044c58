"""OpenVINO on Intel's processors, from the .onnx: integers of a .tflite are read as float layers there."""

from __future__ import annotations

from mnist_export.export.targets.deployment import Deployment

DEPLOYMENT = Deployment(
    title="OpenVINO on Intel processors",
    formats=("onnx",),
    reads=("onnx", "tflite"),
    precisions=("float32", "int8"),
    devices=("openvino",),
    usage="openvino",
)
