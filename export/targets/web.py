"""A web page: LiteRT.js for the .tflite, onnxruntime-web for the .onnx.

LiteRT.js 2.5.3 passes no int8 or uint8 tensors, and refuses a shape signature: float32 and a batch of one.
"""

from __future__ import annotations

from mnist_export.export.targets.deployment import Deployment

DEPLOYMENT = Deployment(
    title="a web page: LiteRT.js, onnxruntime-web",
    formats=("tflite", "onnx"),
    reads=("tflite", "onnx"),
    io="float32",
    ios=("float32",),
    batch=1,
    devices=("web",),
    usage="page",
)
