from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mnist_export.core.errors import InputError
from mnist_export.core.kinds import Format, Precision, Verdict
from mnist_export.parity.comparison import Flip
from mnist_export.parity.logits import LogitErrors
from mnist_export.report.schema import ArtifactResult, Report
from mnist_export.runtime.timing.figures import Histogram, Latency

MINIMAL = {
    "schema_version": 1,
    "verdict": "pass",
    "model": {"name": "lenet5", "source": "shipped", "parameters": 61706, "macs": 416520},
    "data": {"name": "mnist", "images": 10000, "calibration_images": 500},
    "reference": {
        "runtime": "keras",
        "device": "CPU",
        "top1": 0.9928,
        "latency_us": {"p50": 76.0, "p90": 80.0, "p99": 95.0},
    },
    "artifacts": [
        {
            "format": "tflite",
            "precision": "int8",
            "variant": "",
            "path": "lenet5-mnist.int8.tflite",
            "sha256": "ab" * 32,
            "size_bytes": 70000,
            "runtime": "litert",
            "top1": 0.9926,
            "top1_interval": [0.99, 0.994],
            "drop_pp": 0.02,
            "agreement": 0.9995,
            "flips": 5,
            "logits": {"max_abs_error": 0.4, "sqnr_db": 38.5},
            "latency_us": {"p50": 31.0, "p90": 33.0, "p99": 50.0},
            "verdict": "pass",
            "why": "within the thresholds",
        }
    ],
    "environment": {"cpu": "x", "threads": 1, "versions": {"python": "3.11"}},
    "timings_s": {"load": 0.5},
}


def test_a_report_reads_back_as_it_was_written(report: Report) -> None:
    assert Report.from_json(report.to_json()) == report
    assert Report.from_json(report.to_json().encode()) == report


def test_written_json_is_the_same_every_time(report: Report) -> None:
    text = report.to_json()
    assert Report.from_json(text).to_json() == text


def test_the_fields_of_the_contract_are_enough_and_are_all_written() -> None:
    written = json.loads(Report.from_json(json.dumps(MINIMAL)).to_json())

    def is_part(expected: Any, found: Any) -> bool:
        if isinstance(expected, dict):
            return all(key in found and is_part(value, found[key]) for key, value in expected.items())
        if isinstance(expected, list):
            return len(expected) == len(found) and all(map(is_part, expected, found))
        return bool(expected == found)

    assert is_part(MINIMAL, written)
    assert list(written)[:4] == ["schema_version", "verdict", "model", "data"]
    artifact = list(written["artifacts"][0])
    assert artifact[:7] == ["format", "precision", "variant", "path", "sha256", "size_bytes", "runtime"]


def test_unknown_fields_of_a_later_version_are_ignored() -> None:
    changed = {**MINIMAL, "mood": "good", "data": {**MINIMAL["data"], "colour": 3}}  # type: ignore[dict-item]
    assert Report.from_json(json.dumps(changed)).data.images == 10000


def test_what_is_not_finite_is_written_as_null() -> None:
    logits = LogitErrors(max_abs_error=math.nan, sqnr_db=math.inf, mean_abs_error=float(np.float32(np.inf)))
    assert (logits.max_abs_error, logits.sqnr_db, logits.mean_abs_error) == (None, None, None)


def test_a_report_never_holds_nan(change: Callable[..., Report]) -> None:
    text = change(artifact={"top1": math.nan, "vs_original": math.inf}).to_json()
    assert json.loads(text, parse_constant=pytest.fail)["artifacts"][0]["top1"] is None


def test_a_required_figure_that_is_not_finite_is_refused() -> None:
    with pytest.raises(InputError, match=r"Latency\.p50: expected a finite number, found nan"):
        Latency(p50=math.nan, p90=1.0, p99=2.0)


def test_numpy_scalars_and_enums_become_plain_values(report: Report) -> None:
    made = dataclasses.replace(
        report.artifacts[0],
        format=Format.ONNX,
        precision=Precision.INT8,
        size_bytes=np.int64(12),  # type: ignore[arg-type]
        top1=np.float32(0.5),  # type: ignore[arg-type]
        verdict="pass",  # type: ignore[arg-type]
    )
    assert type(made.size_bytes) is int
    assert type(made.top1) is float
    assert type(made.format) is str
    assert made.verdict is Verdict.PASS


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("verdict",), "maybe", r"verdict: expected one of pass, fail, found 'maybe'"),
        (("schema_version",), 2, r"expected 1, found 2"),
        (("model",), [], r"model: expected an object"),
        (("model", "parameters"), 1.5, r"model\.parameters: expected an integer, found 1\.5"),
        (("model", "parameters"), True, r"model\.parameters: expected an integer, found True"),
        (("model", "parameters"), -1, r"parameters: expected 0 or more"),
        (("artifacts", 0, "top1"), 99.26, r"top1: expected a fraction of 1, found 99\.26"),
        (("artifacts", 0, "top1"), "high", r"artifacts\[0\]\.top1: expected a number"),
        (("artifacts", 0, "top1"), 10**400, r"expected a number that a double holds"),
        (("artifacts", 0, "top1_interval"), [1.0], r"top1_interval: expected 2 values"),
        (("artifacts", 0, "top1_interval"), [0.9, 0.8], r"expected \[low, high\]"),
        (("artifacts", 0, "confusion"), [[1, 2]], r"expected a square table"),
        (("artifacts", 0, "latency_us"), {"p50": 3, "p90": 2, "p99": 4}, r"p50 <= p90 <= p99"),
        (("artifacts", 0, "verdict"), "fail", r"verdict: expected 'fail'"),
        (("artifacts",), [], r"verdict: expected 'fail'"),
        (("environment", "versions"), {"python": 3}, r"environment\.versions\.python: expected text"),
        (("timings_s",), {"load": None}, r"timings_s\.load: expected a number"),
    ],
)
def test_a_damaged_report_is_refused_with_the_place(path: tuple[Any, ...], value: Any, message: str) -> None:
    damaged = json.loads(json.dumps(MINIMAL))
    place = damaged
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    with pytest.raises(InputError, match=message) as caught:
        Report.from_json(json.dumps(damaged), name="x.report.json")
    assert str(caught.value).startswith("x.report.json: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("field", ["verdict", "model", "data", "reference", "artifacts", "environment"])
def test_a_missing_part_is_named(field: str) -> None:
    with pytest.raises(InputError, match=f"the field '{field}' is missing"):
        Report.from_json(json.dumps({k: v for k, v in MINIMAL.items() if k != field}))


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "null", '{"a": NaN}', "[" * 100_000, b"\xff\xfe\x00", '{"schema_version": 1}']
)
def test_what_is_no_report_is_refused(text: str | bytes) -> None:
    with pytest.raises(InputError):
        Report.from_json(text)


def test_every_truncation_of_a_report_is_refused(report: Report) -> None:
    text = report.to_json().rstrip()
    for end in range(0, len(text), 997):
        with pytest.raises(InputError):
            Report.from_json(text[:end])


def test_loading_names_the_file_that_is_missing(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"gone\.json: No such file"):
        Report.load(tmp_path / "gone.json")


def test_a_report_loads_from_its_file(tmp_path: Path, report: Report) -> None:
    (tmp_path / "a.json").write_text(report.to_json())
    assert Report.load(tmp_path / "a.json") == report


def test_a_passing_report_with_a_failing_artifact_cannot_be_made(change: Callable[..., Report]) -> None:
    with pytest.raises(InputError, match="as an artifact fails"):
        change(artifact={"verdict": Verdict.FAIL, "checks": ()})


def test_more_flips_listed_than_counted_is_refused(report: Report) -> None:
    flip = Flip(index=1, label=2, reference=2, candidate=3)
    with pytest.raises(InputError, match="at most the 1 flips"):
        dataclasses.replace(report.artifacts[0], flips=1, flip_list=(flip, flip))


def test_records_are_frozen(report: Report) -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        report.artifacts[0].top1 = 1.0  # type: ignore[misc]


@pytest.mark.parametrize(
    ("path", "name"), [("a/b/c.onnx", "c.onnx"), ("c.onnx", "c.onnx"), ("a\\b.onnx", "b.onnx")]
)
def test_an_artifact_is_named_by_its_file(report: Report, path: str, name: str) -> None:
    assert dataclasses.replace(report.artifacts[0], path=path).name == name


finite = st.floats(0, 1e9, allow_nan=False)
fraction = st.none() | st.floats(0, 1)


@given(
    text=st.text(),
    top1=fraction,
    agreement=fraction,
    drop=st.none() | st.floats(),
    ordered=st.lists(finite, min_size=3, max_size=3).map(sorted),
    size=st.integers(0, 2**70),
    notes=st.lists(st.text()).map(tuple),
)
def test_any_artifact_survives_the_round_trip(
    *, text: str, top1: float | None, agreement: float | None, drop: float | None, ordered: list[float],
    size: int, notes: tuple[str, ...],
) -> None:  # fmt: skip
    base = Report.from_json(json.dumps(MINIMAL))
    artifact = ArtifactResult(
        format="onnx", precision="int8", path=text, sha256="", size_bytes=size, runtime=text, top1=top1,
        agreement=agreement, drop_pp=drop, verdict=Verdict.PASS, why=text, notes=notes,
        latency_us=Latency(p50=ordered[0], p90=ordered[1], p99=ordered[2]),
    )  # fmt: skip
    made = dataclasses.replace(base, artifacts=(artifact,))
    assert Report.from_json(made.to_json()) == made


@given(st.lists(st.floats(0, 1e7), min_size=1, max_size=300), st.integers(1, 50))
def test_a_histogram_counts_every_sample(samples: list[float], bins: int) -> None:
    histogram = Histogram.of(samples, bins=bins)
    assert sum(histogram.counts) + histogram.above == len(samples)
    assert histogram.lo == min(samples)
    assert histogram.above <= max(1, len(samples) // 50)


def test_a_histogram_of_nothing_is_refused() -> None:
    with pytest.raises(InputError, match="found none"):
        Histogram.of([])


def test_a_layers_range_and_saturation_are_checked() -> None:
    from mnist_export.parity.layers.error import LayerError

    assert LayerError(name="a", own_sqnr_db=math.inf).own_sqnr_db is None
    with pytest.raises(InputError, match=r"LayerError\.observed"):
        LayerError(name="a", observed=(2.0, 1.0))
    with pytest.raises(InputError, match="saturation"):
        LayerError(name="a", saturation=1.5)
