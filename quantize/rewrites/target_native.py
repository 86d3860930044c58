"""Each file for the runtime of its own format, by rule or by measuring."""

from __future__ import annotations

from mnist_export.quantize.rewrites.target import TargetForm

NATIVE = TargetForm(title="each file for its own runtime", own=True)
AUTO = TargetForm(title="the same, measured on this machine", own=True, measured=True)
