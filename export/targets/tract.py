"""tract, a runtime in Rust for embedded Linux."""

from __future__ import annotations

from mnist_export.export.targets.deployment import Deployment

DEPLOYMENT = Deployment(
    title="tract (Rust) on embedded Linux",
    formats=("onnx",),
    reads=("onnx",),
    form="portable",
    precisions=("float32", "int8"),
    devices=("tract",),
    usage="tract",
)
