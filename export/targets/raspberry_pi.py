"""A Raspberry Pi and other 64-bit Arm boards with Linux: LiteRT's own wheel, int8 for its NEON kernels."""

from __future__ import annotations

from mnist_export.export.targets.deployment import Deployment

DEPLOYMENT = Deployment(
    title="Raspberry Pi and other 64-bit Arm Linux",
    formats=("tflite",),
    reads=("tflite", "onnx", "c"),
    devices=("cortex-a72",),
)
