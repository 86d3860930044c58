"""The certificate of exactness: computed from a written file's bytes, re-checkable by anyone who holds it.

It says, layer by layer and channel by channel, that no rounding rule can change an output. The argument is in
`quantize.exact.grid`; here only the integers in the file count, not what they were meant to be.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mnist_export.core.errors import InputError
from mnist_export.core.kinds import Verdict
from mnist_export.parity.certificate.layer import CertifiedLayer
from mnist_export.parity.certificate.summary import CertificateSummary


@dataclass(frozen=True, kw_only=True)
class Certificate:
    """The certificate of one file.

    Attributes:
        format: ``tflite`` or ``onnx``.
        sha256: hex hash of the bytes that were read.
        layers: every operator that the file computes with, in order.
    """

    format: str
    sha256: str
    layers: tuple[CertifiedLayer, ...]

    @property
    def verdict(self) -> Verdict:
        """Pass where every layer holds."""
        return Verdict.PASS if self.first_failure is None and self.layers else Verdict.FAIL

    @property
    def first_failure(self) -> CertifiedLayer | None:
        """The first layer that breaks exactness."""
        return next((layer for layer in self.layers if not layer.holds), None)

    @property
    def is_float32_exact(self) -> bool:
        """Whether a float32 simulation of the file gives the same integers too."""
        return self.verdict is Verdict.PASS and all(layer.is_float32_exact for layer in self.layers)

    @property
    def fits_16_bit_pairs(self) -> bool:
        """Whether kernels that add two products in 16 bits are exact too."""
        return all(layer.fits_16_bit_pairs for layer in self.layers)

    @property
    def text(self) -> str:
        """The finding in a sentence or two."""
        failure = self.first_failure
        if failure is not None:
            return f"not exact: layer '{failure.name}' ({failure.operator}) {failure.why}"
        if not self.layers:
            return "not exact: the file computes nothing"
        scaled = sum(1 for layer in self.layers if layer.shifts)
        parts = [
            f"exact: {len(self.layers)} layers, {scaled} of them with weights; every rounding rule agrees"
        ]
        parts.append(
            "float32 holds every sum, bfloat16 and float16 do not"
            if self.is_float32_exact
            else "sums may exceed what float32 holds"
        )
        parts.append(
            "pairs of products fit 16 bits"
            if self.fits_16_bit_pairs
            else "pairs of products need more than 16 bits: not for ONNX Runtime on x86 without VNNI"
        )
        return "; ".join(parts)

    def summary(self) -> CertificateSummary:
        """The finding as a report holds it."""
        return CertificateSummary(
            verdict=self.verdict, text=self.text, layers=tuple(layer.summary() for layer in self.layers)
        )

    def to_json(self) -> dict[str, Any]:
        """The JSON form."""
        failure = self.first_failure
        return {
            "schema_version": 1,
            "format": self.format,
            "sha256": self.sha256,
            "verdict": str(self.verdict),
            "text": self.text,
            "first_failure": failure.name if failure is not None else None,
            "float32_exact": self.is_float32_exact,
            "fits_16_bit_pairs": self.fits_16_bit_pairs,
            "layers": [layer.to_json() for layer in self.layers],
        }


def certify(content: bytes, *, label: str = "the model") -> Certificate:
    """Compute the certificate of a .tflite or .onnx file.

    Args:
        content: the whole file; its kind is told by its first bytes.
        label: how to call it in messages.

    Raises:
        InputError: empty, damaged, or neither format.
        UnsupportedError: the file holds what is not read here (control flow, external data).
    """
    from mnist_export.core.files import sha256_bytes
    from mnist_export.parity.certificate.onnx import onnx_layers
    from mnist_export.parity.certificate.tflite import tflite_layers

    is_tflite = content[4:8] == b"TFL3"
    layers = (tflite_layers if is_tflite else onnx_layers)(content, label=label)
    return Certificate(
        format="tflite" if is_tflite else "onnx", sha256=sha256_bytes(content), layers=tuple(layers)
    )


def certify_file(path: Path) -> Certificate:
    """Read a file and compute its certificate.

    Raises:
        InputError: no such file, not a .tflite or .onnx, or damaged.
    """
    from mnist_export.runtime.runners.opening import read_model, runtime_of

    runtime = runtime_of(path)
    if runtime not in {"litert", "onnxruntime"}:
        raise InputError(f"{path}: expected a .tflite or .onnx file, found one for {runtime}.")
    return certify(read_model(path), label=path.name)
