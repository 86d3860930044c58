"""What ``mnist-export --exact`` adds: the scheme, its certificates, and parity as an equality."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from mnist_export.core.kinds import Format

if TYPE_CHECKING:
    from mnist_export.data import Dataset
    from mnist_export.export.artifacts import WrittenArtifact, WrittenRun
    from mnist_export.parity.verdict import Check
    from mnist_export.pipeline.jobs.progress import Progress
    from mnist_export.report.schema import ArtifactResult, Report

_CHECKED: Final = (
    "litert xnnpack",
    "litert builtin",
    "litert reference",
    "onnxruntime all",
    "onnxruntime extended",
    "onnxruntime basic",
    "onnxruntime disabled",
    "onnxruntime all 2 threads",
    "tensorflow float32",
    "c99",
)
_SLOW: Final = {"litert reference": 200}
"""Reference kernels take milliseconds an image; `benchmarks/exact.py` gives them all images."""


def certificate_json(content: bytes, label: str) -> Mapping[str, Any]:
    """A file's certificate for the manifest."""
    from mnist_export.parity.certificate.certifying import certify

    return certify(content, label=label).to_json()


def judged_by_equality(report: Report, written: WrittenRun, dataset: Dataset, progress: Progress) -> Report:
    """Add each file's certificate, and compare all files' integers on every test image.

    Args:
        report: of the run.
        written: its files.
        dataset: its test part is compared on.
        progress: told each finding.

    Returns:
        The report with certificates and two more checks an artifact; a check that fails fails the run.
    """
    from mnist_export.parity.certificate.equality import equality
    from mnist_export.parity.verdict import equality_check, run_verdict

    files: dict[str, bytes] = {}
    for item in written.artifacts:
        files[item.path.suffix] = item.path.read_bytes()
        if item.format == Format.C:
            files[".h"] = item.path.with_suffix(".h").read_bytes()
    from mnist_export.parity.certificate.implementations import IMPLEMENTATIONS

    names = [name for name in _CHECKED if IMPLEMENTATIONS[name].needs <= set(files)]
    found = equality(files, dataset.test.images, names=names, limits=_SLOW, notify=progress.detail)
    progress.note(found.text)
    same = equality_check(
        found.verdict,
        found.text,
        alone=found.reference if len(names) == 1 else "",
        missing=[one.text for one in found.compared if one.missing],
    )
    by_path = {str(item.path): item for item in written.artifacts}
    artifacts = tuple(_judged(a, by_path.get(a.path), same) for a in report.artifacts)
    return replace(report, artifacts=artifacts, verdict=run_verdict(a.verdict for a in artifacts))


def _judged(artifact: ArtifactResult, item: WrittenArtifact | None, same: Check) -> ArtifactResult:
    from mnist_export.parity.certificate.certifying import certify
    from mnist_export.parity.verdict import Judgement, certificate_check

    checks, certificate = [same], None
    if item is not None and item.format in {Format.TFLITE, Format.ONNX}:
        certificate = certify(item.path.read_bytes(), label=Path(artifact.path).name).summary()
        checks.append(certificate_check(certificate.verdict, certificate.text))
    judged = Judgement(verdict=artifact.verdict, why=artifact.why, checks=artifact.checks).joined(*checks)
    notes = artifact.notes
    if item is not None and item.format == Format.C:
        header = item.path.with_suffix(".h").read_text(encoding="ascii")
        arena, constants = (
            int(re.findall(rf"_{what}_BYTES (\d+)", header)[0]) for what in ("ARENA", "WEIGHT")
        )
        notes = (
            *notes,
            f"{constants:,} bytes of constants for flash, {arena:,} bytes of RAM for activations",
        )
    return replace(
        artifact,
        checks=judged.checks,
        notes=notes,
        certificate=certificate,
        verdict=judged.verdict,
        why=judged.why,
    )
