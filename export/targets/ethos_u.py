"""Arm Ethos-U NPUs: Vela compiles the .tflite, and every operator of it has to run on the NPU."""

from __future__ import annotations

from mnist_export.export.targets.deployment import Deployment

DEPLOYMENT = Deployment(
    title="Arm Ethos-U NPU, compiled by Vela",
    formats=("tflite",),
    reads=("tflite",),
    form="portable",
    precision="int8",
    precisions=("int8", "int16x8"),
    ios=("int8", "uint8", "int16"),
    batch=1,
    operators="ethos-u",
    devices=("ethos-u55-128",),
    whole=True,
    usage="ethos-u",
)
