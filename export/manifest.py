"""The manifest: hashes of what went in and came out, with no time in it, so that it can be reproduced."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

from mnist_export.core.checksums import seal
from mnist_export.core.files import sha256_bytes
from mnist_export.export.request import ExportRequest
from mnist_export.quantize.network.scheme import QuantizedModel

if TYPE_CHECKING:
    from mnist_export.export.described import Described

MANIFEST_SCHEMA = 1
_PACKAGES = (
    "mnist-export",
    "numpy",
    "tensorflow",
    "keras",
    "tf-keras",
    "onnx",
    "ai-edge-litert",
    "flatbuffers",
)


def manifest_text(
    model: QuantizedModel,
    described: Described,
    request: ExportRequest,
    outputs: Mapping[str, bytes],
    *,
    certificates: Mapping[str, Mapping[str, Any]] | None = None,
) -> str:
    """Sealed JSON (see `core.checksums`): the same inputs, options and versions give the same text.

    Args:
        model: the network.
        described: names and hashes of what went in.
        request: what the exporters were asked for.
        outputs: file name to content.
        certificates: file name to its certificate of exactness, where the scheme gives one.
    """
    fields = {
        "schema_version": MANIFEST_SCHEMA,
        "inputs": {
            "model": {"name": described.name, "sha256": described.source_sha256},
            "data": dict(sorted(described.data_sha256.items())),
        },
        "options": {
            "precision": str(model.precision),
            "variant": model.variant,
            "io": str(request.io) if request.io else "default",
            "input_range": [model.input_range.lo, model.input_range.hi],
            **({} if model.preprocessing is None else {"preprocessing": model.preprocessing.to_json()}),
            "calibration_images": model.calibration_images,
            "seed": described.seed,
            **dict(sorted(model.options.items())),
        },
        "outputs": {
            name: {"sha256": sha256_bytes(content), "size_bytes": len(content)}
            for name, content in sorted(outputs.items())
        },
        "versions": {"python": platform.python_version(), **_versions()},
        **({"certificates": dict(sorted(certificates.items()))} if certificates else {}),
    }
    return seal(fields)


def _versions() -> dict[str, str]:
    found = {}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
