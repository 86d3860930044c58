"""What is known of a model's file once it is open."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class ModelFile:
    """The file that a runner was opened from.

    Attributes:
        path: as given.
        format: ``tflite``, ``onnx``, ``keras`` or ``golden``.
        sha256: of the file; empty for a folder.
        size_bytes: of the file.
        precision: from the metadata, else from the types of the weights.
        variant: from the metadata, else empty.
        kernels: LiteRT kernels or ONNX Runtime optimization level that were asked for.
        load_ms: milliseconds from bytes to a runner that can answer.
    """

    path: str
    format: str
    sha256: str
    size_bytes: int
    precision: str = "float32"
    variant: str = ""
    kernels: str = "default"
    load_ms: float | None = None
