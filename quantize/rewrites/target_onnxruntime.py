"""ONNX Runtime on CPUs."""

from __future__ import annotations

from mnist_export.quantize.rewrites.block_choice import MLAS
from mnist_export.quantize.rewrites.target import TargetForm

FORM = TargetForm(title="ONNX Runtime on CPUs", kernels=MLAS, channels_last=True)
