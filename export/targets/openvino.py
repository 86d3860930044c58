"""OpenVINO on Intel's processors, from the .onnx: integers of a .tflite are read as float layers there.

Checked, and shown, with its precision set to f32: left alone it computes in bfloat16 where the processor can.
"""

from __future__ import annotations

from mnist_export.export.targets.deployment import Deployment

DEPLOYMENT = Deployment(
    title="OpenVINO on Intel processors",
    formats=("onnx",),
    reads=("onnx", "tflite"),
    precisions=("float32", "int8"),
    devices=("openvino-f32",),
    usage="openvino",
)
