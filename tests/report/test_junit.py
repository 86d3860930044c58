from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Callable

from mnist_export.core.kinds import Verdict
from mnist_export.parity.verdict import Check
from mnist_export.report.junit import render_junit
from mnist_export.report.schema import Report


def test_there_is_a_case_for_each_artifact_and_check(report: Report) -> None:
    root = ET.fromstring(render_junit(report))
    names = [(c.get("classname"), c.get("name")) for c in root.iter("testcase")]
    assert names[:3] == [
        ("lenet5-mnist.int8.tflite", "top-1 drop"),
        ("lenet5-mnist.int8.tflite", "agreement"),
        ("lenet5-mnist.int8.tflite", "audit"),
    ]
    assert names[-1] == ("lenet5-mnist.float32.tflite", "verdict")
    assert root.get("tests") == str(len(names))
    assert root.get("failures") == "0"


def test_a_failure_says_why_and_is_counted(change: Callable[..., Report]) -> None:
    checks = (
        Check(name="top-1 drop", verdict=Verdict.FAIL, why="3.10 pp, at most 0.5 pp allowed"),
        Check(name="agreement", verdict=Verdict.PASS, why="fine"),
    )
    failing = change(artifact={"verdict": Verdict.FAIL, "checks": checks}, verdict=Verdict.FAIL)
    root = ET.fromstring(render_junit(failing))
    [failure] = root.iter("failure")
    assert failure.get("message") == "3.10 pp, at most 0.5 pp allowed"
    assert root.get("failures") == "1"
    assert [s.get("failures") for s in root.iter("testsuite")] == ["1", "0", "0"]


def test_an_artifact_that_fails_without_a_failing_check_is_not_green(change: Callable[..., Report]) -> None:
    failing = change(artifact={"verdict": Verdict.FAIL, "why": "logits are not finite"}, verdict=Verdict.FAIL)
    [failure] = ET.fromstring(render_junit(failing)).iter("failure")
    assert failure.text == "logits are not finite"


def test_a_run_that_fails_by_itself_is_not_green(change: Callable[..., Report]) -> None:
    for failing in (change(verdict=Verdict.FAIL), change(verdict=Verdict.FAIL, artifacts=())):
        assert ET.fromstring(render_junit(failing)).get("failures") == "1"


def test_text_that_xml_cannot_hold_is_made_visible(change: Callable[..., Report]) -> None:
    name = 'x/<a&"\x00\x1b\ud800\ufffe>.tflite'
    root = ET.fromstring(render_junit(change(artifact={"path": name})))
    [first, *_] = root.iter("testsuite")
    assert first.get("name") == '<a&"\u2400\u241b\ufffd\ufffd>.tflite'
