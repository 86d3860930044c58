"""Every quantization scheme on the same models and data: accuracy, agreement, size, latency, export time.

    python benchmarks/quantize.py --model lenet5 --data mnist
    python benchmarks/quantize.py --table

Each scheme is one run of ``mnist-export``; what its report says is recorded in
benchmarks/results/quantize.json after each, so that a run that is cut short is taken up again. ``--table``
writes the tables of docs/quantize.md from that file.
"""

from __future__ import annotations

import argparse
import json
import shlex
import sys
import tempfile
from pathlib import Path
from typing import Any

from mnist_export.cli.export import build_parser
from mnist_export.core.errors import MnistExportError
from mnist_export.core.files import write_atomic_one
from mnist_export.data import load_dataset
from mnist_export.pipeline.export import run_job
from mnist_export.pipeline.jobs.progress import SILENT
from mnist_export.pipeline.request import job_of
from mnist_export.report.codec import encode
from mnist_export.report.schema import Report
from mnist_export.runtime.runners.opening import open_runner
from mnist_export.runtime.timing.latency import measure_interleaved

HERE = Path(__file__).parent
RESULTS = HERE / "results" / "quantize.json"
PAGE = HERE.parent / "docs" / "quantize.md"
START, END = "<!-- figures: benchmarks/quantize.py -->", "<!-- end of figures -->"

SCHEMES: dict[str, str] = {
    "float32": "--precision float32",
    "float16": "--precision float16",
    "dynamic": "--precision dynamic",
    "int8": "--int8",
    "int8 percentile": "--int8 --calibration-method percentile",
    "int8 entropy": "--int8 --calibration-method entropy",
    "int8 mse": "--int8 --calibration-method mse",
    "int8 per-tensor-dense": "--int8 --per-tensor-dense",
    "int8 per-tensor": "--int8 --per-tensor",
    "int8 symmetric": "--int8 --symmetric",
    "int8 reduce-range": "--int8 --reduce-range",
    "int8 equalize": "--int8 --equalize",
    "int8 bias-correction": "--int8 --bias-correction",
    "int8 adaround": "--int8 --adaround",
    "int8 per-tensor equalize": "--int8 --per-tensor --equalize",
    "int8 per-tensor adaround": "--int8 --per-tensor --adaround",
    "int16x8": "--precision int16x8",
    "int8 qat": "--int8 --qat {epochs}",
    "int8 sparse80": "--int8 --sparsity 0.8 --tune-epochs {epochs}",
    "int8 sparse80 qat": "--int8 --sparsity 0.8 --tune-epochs {epochs} --qat {epochs}",
    "int8 clusters16": "--int8 --clusters 16 --tune-epochs {epochs}",
    "int8 clusters16 qat": "--int8 --clusters 16 --tune-epochs {epochs} --qat {epochs}",
    "int8 sparse80 clusters16 qat": (
        "--int8 --sparsity 0.8 --clusters 16 --tune-epochs {epochs} --qat {epochs}"
    ),
}
"""Name in the tables to the flags of ``mnist-export``."""

_TAKEN = (
    "format", "top1", "top1_interval", "drop_pp", "agreement", "agreement_interval", "flips", "mcnemar_p",
    "size_bytes", "verdict", "compression",
)  # fmt: skip


def measure(model: str, data: str, scheme: str, epochs: int, baseline: Path) -> dict[str, Any]:
    """Export once, read the report, and time the files in turns with a float file.

    Args:
        model: what ``-m`` takes.
        data: what ``--data`` takes.
        scheme: a name in `SCHEMES`.
        epochs: of each training.
        baseline: the float32 ONNX file that times are over.
    """
    flags = SCHEMES[scheme].format(epochs=epochs).split()
    formats = "tflite" if scheme == "int16x8" else "tflite,onnx"  # ONNX Runtime has no such kernels
    with tempfile.TemporaryDirectory() as folder:
        report = _export(model, data, ["--format", formats, *flags], folder)
        row = {
            "flags": " ".join(flags),
            "images": report.data.images,
            "reference_top1": report.reference.top1,
            "artifacts": [_taken(encode(found)) for found in report.artifacts],
            "gaps": [encode(gap) for gap in report.gaps],
            "stages_s": report.timings_s,
            "cpu": report.environment.cpu,
            "versions": report.environment.versions,
        }
        paths = [found.path for found in report.artifacts]
        row["formats_agree"] = _agreement(data, paths) if len(paths) == 2 else None
        row["vs_float_onnx"] = _ratios(data, paths, baseline)
    return row


def _export(model: str, data: str, words: list[str], folder: str) -> Report:
    words = ["-m", model, "--data", data, *words, "-o", folder, "-q"]
    return run_job(job_of(build_parser().parse_args(words), shlex.join(words)), SILENT)


def _taken(found: Any) -> dict[str, Any]:
    return {key: found.get(key) for key in _TAKEN}


def _agreement(data: str, paths: list[str]) -> dict[str, int]:
    """How many labels and logits two files of one run have in common."""
    images = load_dataset(data, notify=lambda _: None).test.images
    answers = []
    for path in paths:
        with open_runner(path, trust=True) as runner:
            answers.append(runner.run(images))
    same = answers[0].argmax(axis=1) == answers[1].argmax(axis=1)
    step = abs(answers[0] - answers[1]) > 1e-4
    return {"images": len(images), "same_labels": int(same.sum()), "different_logits": int(step.sum())}


def _ratios(data: str, paths: list[str], baseline: Path) -> list[dict[str, Any]]:
    """Time of one image over the float32 ONNX file's, one thread, in turns."""
    image = load_dataset(data, notify=lambda _: None).test.images[:1]
    found = []
    for path in paths:
        with open_runner(baseline, trust=True) as over, open_runner(path, trust=True) as runner:
            times = measure_interleaved({"baseline": over, "file": runner}, image, baseline="baseline")
            ratio = times.ratios["file"]
            found.append({"ratio": ratio.ratio, "interval": list(ratio.interval)})
    return found


def recorded() -> dict[str, Any]:
    """What was measured so far."""
    return json.loads(RESULTS.read_text()) if RESULTS.exists() else {"schema_version": 1, "rows": {}}


def tables(results: dict[str, Any]) -> str:
    """Markdown tables, one for each model and data set."""
    parts = []
    groups: dict[tuple[str, str], list[tuple[str, dict[str, Any]]]] = {}
    for key, row in results["rows"].items():
        model, data, scheme = key.split("/")
        groups.setdefault((model, data), []).append((scheme, row))
    for (model, data), rows in groups.items():
        order = list(SCHEMES)
        rows.sort(key=lambda pair: order.index(pair[0]))
        reference = next(row["reference_top1"] for _, row in rows if "error" not in row)
        body = [line for scheme, row in rows for line in _lines(scheme, row)]
        header = [
            "scheme", "file", "top-1 (95 % interval)", "drop, pp", "agreement", "bytes", "gzip",
            "time / float ONNX", "export, s",
        ]  # fmt: skip
        images = next(row["images"] for _, row in rows if "error" not in row)
        parts += [
            f"### {model} on {data}",
            f"Original: top-1 {reference:.2%} of {images:,} test images.",
            _markdown(header, body),
        ]
    return "\n\n".join(parts)


def _markdown(header: list[str], body: list[list[str]]) -> str:
    lines = ["| " + " | ".join(header) + " |", "|" + " --- |" * len(header)]
    return "\n".join(lines + ["| " + " | ".join(row) + " |" for row in body])


def _lines(scheme: str, row: dict[str, Any]) -> list[list[str]]:
    if "error" in row:
        return [[scheme, "", row["error"].replace("|", "/"), "", "", "", "", "", ""]]
    lines = []
    stages = row["stages_s"]
    seconds = sum(stages.get(stage, 0.0) for stage in ("lower", "quantize", "export"))
    for found, time in zip(row["artifacts"], row["vs_float_onnx"], strict=True):
        low, high = found["top1_interval"]
        packed = (found["compression"] or {}).get("size_gzip_bytes")
        lines.append(
            [
                scheme,
                found["format"],
                f"{found['top1']:.2%} ({low:.2%} to {high:.2%})",
                f"{found['drop_pp']:+.2f}",
                f"{found['agreement']:.2%}",
                f"{found['size_bytes']:,}",
                f"{packed:,}" if packed else "",
                f"{time['ratio']:.2f}",
                f"{seconds:.1f}",
            ]
        )
    return lines


def write_page(results: dict[str, Any]) -> None:
    """Put the tables between the markers of docs/quantize.md."""
    page = PAGE.read_text()
    before, _, rest = page.partition(START)
    _, _, after = rest.partition(END)
    write_atomic_one(PAGE, f"{before}{START}\n\n{tables(results)}\n\n{END}{after}".encode())


def _measure_all(arguments: argparse.Namespace) -> None:
    names = arguments.schemes.split(",") if arguments.schemes else list(SCHEMES)
    prefix = f"{arguments.name or arguments.model}/{arguments.data}"
    with tempfile.TemporaryDirectory() as folder:
        plain = _export(
            arguments.model, arguments.data, ["--format", "onnx", "--precision", "float32"], folder
        )
        for scheme in names:
            key = f"{prefix}/{scheme}"
            if key in recorded()["rows"] and not arguments.again:
                continue
            baseline = Path(plain.artifacts[0].path)
            try:
                row = measure(arguments.model, arguments.data, scheme, arguments.epochs, baseline)
            except MnistExportError as error:
                row = {"error": str(error)}
            results = recorded()
            results["rows"][key] = row
            RESULTS.parent.mkdir(exist_ok=True)
            write_atomic_one(RESULTS, (json.dumps(results, indent=1) + "\n").encode())
            shown = row.get("error") or [
                (a["format"], a["top1"], round(a["drop_pp"], 3), a["agreement"]) for a in row["artifacts"]
            ]
            print(f"{key}: {shown}", file=sys.stderr, flush=True)


def main() -> int:
    """Measure what is asked for, or write the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="lenet5", help="an architecture, or a file")
    parser.add_argument("--name", help="what tables call it (default: the model)")
    parser.add_argument("--data", default="mnist")
    parser.add_argument("--schemes", help="names, separated by commas (default: all)")
    parser.add_argument("--epochs", type=int, default=3, help="of each training")
    parser.add_argument("--again", action="store_true", help="measure what is recorded already, too")
    parser.add_argument("--table", action="store_true", help="write the tables, measure nothing")
    arguments = parser.parse_args()
    if not arguments.table:
        _measure_all(arguments)
    if PAGE.exists():
        write_page(recorded())
    return 0


if __name__ == "__main__":
    sys.exit(main())
