"""The same model through other tools, each in an environment of its own that this script makes.

    python benchmarks/peers.py --models lenet5,custom2 --data mnist

Every tool gets the same weights, the same calibration images and its own defaults for int8. All files are
then measured together, in turns. Results: benchmarks/results/peers.json, and the tables of docs/peers.md.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mnist_export.cli.common import console_of, run
from mnist_export.cli.export import build_parser as export_parser
from mnist_export.core.cache import cache_folder
from mnist_export.core.errors import InputError
from mnist_export.core.files import write_atomic
from mnist_export.data import Dataset, load_dataset, stratified_sample
from mnist_export.parity.versions import Measured, measure_targets
from mnist_export.pipeline.export import run_job
from mnist_export.pipeline.jobs.progress import SILENT
from mnist_export.pipeline.request import job_of
from mnist_export.report.benchmark_rows import ONNX_FLOAT, ORIGINAL, rows_of
from mnist_export.report.benchmark_table import ratio
from mnist_export.report.codec import encode
from mnist_export.report.markdown import render_table
from mnist_export.report.wording import duration, percent
from mnist_export.runtime.bench.measuring import FULL, QUICK, Plan, Target
from mnist_export.runtime.environment import describe
from mnist_export.train.obtaining import load_or_train

HERE = Path(__file__).parent
SCRIPTS = HERE / "peer"
CONVERTER = "TFLiteConverter int8"
CALIBRATION_IMAGES = 300
START, END = "<!-- figures: benchmarks/peers.py -->", "<!-- end of figures -->"


@dataclass(frozen=True, kw_only=True)
class Peer:
    """Another tool.

    Attributes:
        name: of its environment.
        requirements: what pip installs there.
        script: in `SCRIPTS`.
        source: of its input: ``keras``, or a file that an earlier peer wrote.
        results: name in the tables to the file that it writes.
    """

    name: str
    requirements: tuple[str, ...]
    script: str
    source: str
    results: dict[str, str]


PEERS = (
    Peer(
        name="tflite-converter",
        requirements=("tensorflow==2.21.*",),
        script="tflite_converter.py",
        source="keras",
        results={CONVERTER: "int8.tflite"},
    ),
    Peer(
        name="onnxruntime-static",
        requirements=("tensorflow==2.21.*", "tf2onnx==1.17.*", "onnx", "onnxruntime==1.31.*"),
        script="onnxruntime_static.py",
        source="keras",
        results={"tf2onnx + quantize_static int8": "int8.onnx"},
    ),
    Peer(
        name="ai-edge-quantizer",
        requirements=("ai-edge-quantizer==0.10.*",),
        script="ai_edge_quantizer_static.py",
        source="tflite-converter/float.tflite",
        results={"ai-edge-quantizer int8": "int8.tflite"},
    ),
    Peer(
        name="openvino-nncf",
        requirements=("openvino==2026.4.*", "nncf==3.4.*", "onnx"),
        script="openvino_nncf.py",
        source="onnxruntime-static/float.onnx",
        results={"OpenVINO + NNCF int8": "int8.xml"},
    ),
)


def python_of(peer: Peer, folder: Path, note: Callable[[str], None]) -> Path:
    """Make the peer's environment, unless it is there with the same requirements."""
    home, wanted = folder / peer.name, "\n".join(peer.requirements)
    python, mark = home / "bin" / "python", home / "requirements.txt"
    if not (python.exists() and mark.exists() and mark.read_text() == wanted):
        note(f"{peer.name}: making its environment, {', '.join(peer.requirements)}")
        subprocess.run([sys.executable, "-m", "venv", "--clear", home], check=True)
        install = [python, "-m", "pip", "install", "--quiet", *peer.requirements]
        done = subprocess.run(install, check=False, capture_output=True, text=True)
        if done.returncode:
            raise InputError(f"{peer.name}: pip failed: {' '.join(done.stderr.split())[-400:]}")
        mark.write_text(wanted)
    return python


def convert(peer: Peer, python: Path, work: Path, calibration: Path) -> float:
    """Run the peer's script; returns the seconds of the whole process."""
    source = work / ("model.keras" if peer.source == "keras" else peer.source)
    target = work / peer.name
    target.mkdir()
    started = time.perf_counter()
    done = subprocess.run(
        [python, SCRIPTS / peer.script, source, calibration, target],
        check=False, capture_output=True, text=True, cwd=work,
    )  # fmt: skip
    if done.returncode:
        raise InputError(f"{peer.name}: its script failed: {' '.join(done.stderr.split())[-600:]}")
    return time.perf_counter() - started


def version_list(python: Path) -> dict[str, str]:
    """What is installed in a peer's environment, of the packages that matter."""
    done = subprocess.run(
        [python, "-m", "pip", "list", "--format", "json"], check=True, capture_output=True, text=True
    )
    known = {"tensorflow", "keras", "tf2onnx", "onnx", "onnxruntime", "ai-edge-quantizer", "ai-edge-litert",
             "openvino", "nncf", "numpy"}  # fmt: skip
    return {item["name"]: item["version"] for item in json.loads(done.stdout) if item["name"] in known}


def ours(model: str, data: str, work: Path, precision: str) -> list[Target]:
    """This project's files."""
    words = ["-m", model, "--format", "tflite,onnx", "--precision", precision, "--data", data,
             "--calibration-samples", str(CALIBRATION_IMAGES), "-o", str(work / "ours")]  # fmt: skip
    report = run_job(job_of(export_parser().parse_args(words), ""), SILENT)
    runtimes = {"tflite": "litert", "onnx": "onnxruntime"}
    named = {"float32 onnx": ONNX_FLOAT, "float32 tflite": "float32 tflite"}
    return [
        Target(
            name=named.get(f"{precision} {item.format}", f"mnist-export {precision} {item.format}"),
            path=str(item.path),
            runtime=runtimes[str(item.format)],
        )
        for item in report.artifacts
    ]


def measure_model(
    model: str, dataset: Dataset, pythons: dict[str, Path], arguments: argparse.Namespace,
    note: Callable[[str], None],
) -> dict[str, Any]:  # fmt: skip
    """Convert and measure one model."""
    with tempfile.TemporaryDirectory(prefix="mnist-peers-") as text:
        work = Path(text)
        load_or_train(model, dataset, notify=note).model.save(work / "model.keras")
        chosen = dataset.train.take(stratified_sample(dataset.train, CALIBRATION_IMAGES, 0))
        calibration = work / "calibration.npy"
        np.save(calibration, chosen.images.astype(np.float32) / np.float32(255), allow_pickle=False)
        targets = [Target(name=ORIGINAL, path=model, runtime="keras", data=arguments.data)]
        seconds: dict[str, float] = {}
        for precision in ("float32", "int8"):
            note(f"{model}: mnist-export {precision}")
            targets += ours(model, arguments.data, work, precision)
        for peer in PEERS:
            note(f"{model}: {peer.name}")
            seconds[peer.name] = round(convert(peer, pythons[peer.name], work, calibration), 2)
            targets += [
                _target(name, work / peer.name / file, pythons) for name, file in peer.results.items()
            ]
        measured = measure_targets(
            targets,
            dataset.test,
            plan=Plan(batches=(1, 256), effort=QUICK if arguments.quick else FULL),
            baselines=(ORIGINAL, ONNX_FLOAT, CONVERTER),
            notify=note,
        )
    rows = rows_of(model, dataset.name, measured)
    names = [found.target.name for found in measured for _ in found.points]
    points = [point for found in measured for point in found.points]
    return {
        "model": model,
        "conversion_s": seconds,
        "rows": [
            {
                "tool": name,
                **encode(row),
                "vs_tflite_converter": _pair(point.ratios.get(CONVERTER)),
            }
            for name, row, point in zip(names, rows, points, strict=True)
        ],
        "table": table(measured),
    }


def _pair(found: Any) -> dict[str, Any] | None:
    return {"ratio": found.ratio, "interval": list(found.interval)} if found else None


def _target(name: str, path: Path, pythons: dict[str, Path]) -> Target:
    if path.suffix == ".xml":
        child = (str(pythons["openvino-nncf"]), str(SCRIPTS / "openvino_child.py"))
        return Target(name=name, path=str(path), runtime="openvino", variant=name, program=child)
    return Target(name=name, path=str(path), runtime="litert" if path.suffix == ".tflite" else "onnxruntime")


def table(measured: tuple[Measured, ...]) -> str:
    """The table of one model; ratios are times, so under 1 is faster."""
    header = ["tool", "runtime", "bytes", "top-1", "agreement", "p50", "x ONNX float, batch 1", "batch 256",
              "x TFLiteConverter, batch 1", "batch 256"]  # fmt: skip
    lines = []
    for found in measured:
        first, last = found.points[0], found.points[-1]
        cells = [found.target.name, found.opened["runtime"], f"{found.opened['size_bytes']:,}",
                 percent(found.parity.top1), percent(found.parity.agreement),
                 duration(first.latency_us.p50)]  # fmt: skip
        for base in (ONNX_FLOAT, CONVERTER):
            same = found.target.name == base
            cells += [
                "1" if same else ratio(point.ratios[base].ratio) if base in point.ratios else ""
                for point in (first, last)
            ]
        lines.append(cells)
    return render_table(header, lines, [False, False, *([True] * 8)])


def write_page(page: Path, results: dict[str, Any]) -> bytes:
    """The page with its figures replaced; what stands around them is kept."""
    text = page.read_text(encoding="utf-8") if page.exists() else f"# Beside other tools\n\n{START}\n{END}\n"
    if START not in text or END not in text:
        raise InputError(f"{page}: expected the lines '{START}' and '{END}', found no such lines.")
    head, rest = text.split(START, 1)
    tail = rest.split(END, 1)[1]
    machine = results["environment"]
    lines = [
        START,
        "",
        f"{results['data']}, {results['images']:,} test images, one thread, {machine['cpu']}.",
        "",
    ]
    for found in results["models"]:
        lines += [f"### {found['model']}", "", found["table"], ""]
    return (head + "\n".join(lines) + "\n" + END + tail).encode()


def main() -> int:
    parser = argparse.ArgumentParser(description="Compare with other tools, each in its own environment.")
    parser.add_argument("--models", default="lenet5,custom2")
    parser.add_argument("--data", default="mnist")
    parser.add_argument("--quick", action="store_true", help="shorter turns")
    parser.add_argument("--environments", type=Path, default=cache_folder() / "peers", metavar="DIR")
    parser.add_argument("-o", "--output", type=Path, default=HERE / "results" / "peers.json")
    parser.add_argument("--page", type=Path, default=HERE.parent / "docs" / "peers.md")
    parser.add_argument("-q", "--quiet", action="store_true")
    parser.add_argument("-v", "--verbose", action="store_true")
    arguments = parser.parse_args()
    console = console_of(arguments, parser)

    def command() -> int:
        dataset = load_dataset(arguments.data, notify=console.warn)
        pythons = {peer.name: python_of(peer, arguments.environments, console.note) for peer in PEERS}
        models = [
            measure_model(model.strip(), dataset, pythons, arguments, console.note)
            for model in arguments.models.split(",")
        ]
        results = {
            "schema_version": 1,
            "data": dataset.name,
            "images": len(dataset.test),
            "calibration_images": CALIBRATION_IMAGES,
            "environment": encode(describe()),
            "peers": {
                peer.name: {"requirements": peer.requirements, "versions": version_list(pythons[peer.name])}
                for peer in PEERS
            },
            "models": models,
        }
        page = write_page(arguments.page, results)
        text = json.dumps(results, indent=2, allow_nan=False) + "\n"
        write_atomic({arguments.page: page, arguments.output: text.encode()})
        for found in models:
            print(f"\n{found['model']}\n\n{found['table']}")
        return 0

    return run(command, console)


if __name__ == "__main__":
    sys.exit(main())
