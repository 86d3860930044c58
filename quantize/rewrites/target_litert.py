"""LiteRT with XNNPACK."""

from __future__ import annotations

from mnist_export.quantize.rewrites.block_choice import XNNPACK
from mnist_export.quantize.rewrites.target import TargetForm

FORM = TargetForm(title="LiteRT with XNNPACK", kernels=XNNPACK)
