"""Android: LiteRT's interpreter in an app, on the phone's Arm cores."""

from __future__ import annotations

from mnist_export.export.targets.deployment import Deployment

DEPLOYMENT = Deployment(
    title="an Android app, LiteRT",
    formats=("tflite",),
    reads=("tflite",),
    devices=("cortex-a76",),
    usage="kotlin",
)
