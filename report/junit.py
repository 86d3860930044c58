"""JUnit XML: a test case for each check of each artifact, in the form that CI services read."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Sequence

from mnist_export.core.kinds import Verdict
from mnist_export.models.thresholds import threshold_text
from mnist_export.parity.verdict import Check, outcome
from mnist_export.report.schema import ArtifactResult, Report
from mnist_export.report.text import clean
from mnist_export.report.wording import finding, headline


def checks_of(artifact: ArtifactResult) -> Sequence[Check]:
    """The checks of an artifact; its verdict is one of them when no other carries it.

    An artifact that fails always has at least one failing check.
    """
    failing = any(check.verdict is Verdict.FAIL for check in artifact.checks)
    if artifact.checks and failing == (artifact.verdict is Verdict.FAIL):
        return artifact.checks
    return (*artifact.checks, Check(name="verdict", verdict=artifact.verdict, why=artifact.why))


def render_junit(report: Report) -> bytes:
    """JUnit XML as UTF-8 bytes: one suite for each artifact, one test case for each check.

    A run that fails without a failing artifact gets a suite of its own, so that a failing report
    never reads as green.
    """
    suites: list[tuple[str, Sequence[Check], dict[str, str]]] = [
        (artifact.name, checks_of(artifact), _properties(artifact, report)) for artifact in report.artifacts
    ]
    if report.verdict is Verdict.FAIL and all(a.verdict is Verdict.PASS for a in report.artifacts):
        check = Check(name="run", verdict=Verdict.FAIL, why=" ".join((headline(report), *report.notes)))
        suites.append((report.model.name, (check,), {}))
    total = sum(len(checks) for _, checks, _ in suites)
    root = ET.Element(
        "testsuites",
        name=clean(f"mnist-export parity: {report.model.name} on {report.data.name}"),
        tests=str(total),
        failures=str(sum(_failures(checks) for _, checks, _ in suites)),
        errors="0",
        time=f"{sum(report.timings_s.values()):.3f}",
    )
    for name, checks, properties in suites:
        _append_suite(root, name, checks, properties)
    ET.indent(root)
    return bytes(ET.tostring(root, encoding="utf-8", xml_declaration=True)) + b"\n"


def render_cases(name: str, cases: Sequence[tuple[str, bool, str]]) -> bytes:
    """JUnit XML as UTF-8 bytes of checks that belong to no report.

    Args:
        name: of the one suite.
        cases: what is checked, whether it failed, and why.
    """
    checks = [Check(name=what, verdict=outcome(not failed), why=why) for what, failed, why in cases]
    root = ET.Element(
        "testsuites", name=clean(name), tests=str(len(checks)), failures=str(_failures(checks)), errors="0"
    )
    _append_suite(root, name, checks, {})
    ET.indent(root)
    return bytes(ET.tostring(root, encoding="utf-8", xml_declaration=True)) + b"\n"


def _append_suite(root: ET.Element, name: str, checks: Sequence[Check], properties: dict[str, str]) -> None:
    suite = ET.SubElement(
        root,
        "testsuite",
        name=clean(name),
        tests=str(len(checks)),
        failures=str(_failures(checks)),
        errors="0",
        skipped="0",
        time="0",
    )
    if properties:
        holder = ET.SubElement(suite, "properties")
        for key, value in properties.items():
            ET.SubElement(holder, "property", name=key, value=clean(value))
    for check in checks:
        case = ET.SubElement(suite, "testcase", classname=clean(name), name=clean(check.name), time="0")
        if check.verdict is Verdict.FAIL:
            why = clean(check.why or "the check failed")
            ET.SubElement(case, "failure", message=why, type="parity").text = why
        elif check.why:
            ET.SubElement(case, "system-out").text = clean(check.why)


def _failures(checks: Sequence[Check]) -> int:
    return sum(check.verdict is Verdict.FAIL for check in checks)


def _properties(artifact: ArtifactResult, report: Report) -> dict[str, str]:
    own, aim, limits = artifact.value_errors, artifact.target_errors, report.thresholds
    figures = {
        "sha256": artifact.sha256,
        "size_bytes": artifact.size_bytes,
        "runtime": artifact.runtime,
        "top1": artifact.top1,
        "drop_pp": artifact.drop_pp,
        "agreement": artifact.agreement,
        "flips": artifact.flips,
        "rmse_to_original": own.rmse if own else None,
        "max_error_to_original": own.max_abs if own else None,
        "rmse_to_targets": aim.rmse if aim else None,
        "r2": aim.r2 if aim else None,
        "exact_match": artifact.target_labels.exact_match if artifact.target_labels else None,
        "threshold": threshold_text(limits.threshold) if limits and limits.threshold else None,
        "p50_us": artifact.latency_us.p50 if artifact.latency_us else None,
        "vs_original": artifact.vs_original,
        "vs_float": artifact.vs_float,
    }
    named = {key: str(value) for key, value in figures.items() if value is not None}
    return {**named, "finding": finding(artifact, report.data.images)}
