"""Arm Ethos-U NPUs: Vela compiles the .tflite, and every operator of it has to run on the NPU.

The form of LiteRT's kernels suits it: by Vela's estimate for ethos-u55-128, LeNet-5 takes 89,642 cycles and
9.7 KiB of SRAM, 93,285 and 10.5 in the plain form; custom2 670,219 and 774,723 cycles.
"""

from __future__ import annotations

from mnist_export.export.targets.deployment import Deployment

DEPLOYMENT = Deployment(
    title="Arm Ethos-U NPU, compiled by Vela",
    formats=("tflite",),
    reads=("tflite",),
    form="litert",
    precision="int8",
    precisions=("int8", "int16x8"),
    ios=("int8", "uint8", "int16"),
    batch=1,
    operators="ethos-u",
    devices=("ethos-u55-128",),
    whole=True,
    usage="ethos-u",
)
