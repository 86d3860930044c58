"""Figures of numbers and of several labels in words: the columns and rows that depend on the outputs."""

from __future__ import annotations

from mnist_export.parity.label_sets import SetAgreement
from mnist_export.parity.values import Distance
from mnist_export.report import wording
from mnist_export.report.heads import LABELS, VALUES, value_text
from mnist_export.report.schema import ArtifactResult, Report


def head_columns(artifact: ArtifactResult, head: str) -> tuple[str, str, str]:
    """An artifact's three cells under `heads.TITLES`."""
    if head == VALUES:
        own, aim = artifact.value_errors, artifact.target_errors
        return (
            value_text(aim.r2 if aim else None) or wording.NOT_MEASURED,
            value_text(own.rmse if own else None) or wording.NOT_MEASURED,
            value_text(own.max_abs if own else None) or wording.NOT_MEASURED,
        )
    right = artifact.target_labels
    share = (right.exact_match if right else None) if head == LABELS else artifact.top1
    return wording.percent(share), wording.points(artifact.drop_pp), wording.percent(artifact.agreement)


def reference_column(report: Report) -> str:
    """The original's cell in the first of those columns."""
    reference = report.reference
    if report.head == VALUES:
        return (
            value_text(reference.target_errors.r2 if reference.target_errors else None)
            or wording.NOT_MEASURED
        )
    if report.head == LABELS:
        return wording.percent(reference.target_labels.exact_match if reference.target_labels else None)
    return wording.percent(reference.top1)


def original_fact(report: Report) -> tuple[str, str | None]:
    """Name and figure of how good the original itself is."""
    if report.head == VALUES:
        found = report.reference.target_errors
        return "original against the data", _errors_text(found) if found else None
    name = "original exact match" if report.head == LABELS else "original top-1"
    text = reference_column(report)
    return name, None if text == wording.NOT_MEASURED else text


def head_facts(artifact: ArtifactResult, names: tuple[str, ...]) -> list[tuple[str, str | None]]:
    """What a file's details say beside its columns.

    Args:
        artifact: the file.
        names: one an output.
    """
    rows: list[tuple[str, Distance | SetAgreement | None]] = [
        ("errors against the original", artifact.value_errors),
        ("errors against the data", artifact.target_errors),
        ("the original's label", artifact.original_labels),
        ("the data's label", artifact.target_labels),
    ]
    return [(name, _text(found, names)) for name, found in rows if found is not None]


def _text(found: Distance | SetAgreement, names: tuple[str, ...]) -> str:
    if isinstance(found, Distance):
        return _errors_text(found)
    known = names if len(names) == len(found.per_label) else tuple(map(str, range(len(found.per_label))))
    worst = sorted(zip(found.per_label, known, strict=True))[:20]
    more = f", and {len(known) - len(worst)} more at least as often" if len(worst) < len(known) else ""
    return ", ".join(f"{name} {wording.percent(share)}" for share, name in worst) + more


def _errors_text(found: Distance) -> str:
    text = f"mean {value_text(found.mean_abs)}, RMSE {value_text(found.rmse)}"
    text += f", largest {value_text(found.max_abs)}"
    return text if found.r2 is None else f"{text}, R2 {value_text(found.r2)}"
