"""The plain form, which every runtime and compiler knows."""

from __future__ import annotations

from mnist_export.quantize.rewrites.target import TargetForm

FORM = TargetForm(title="the plain form")
