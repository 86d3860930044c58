"""Every architecture of the zoo, trained, exported in int8 and put into one table.

    python benchmarks/zoo.py                    train what is missing, export all, write the table
    python benchmarks/zoo.py --models FOLDER    the same with models that are trained there already
    python benchmarks/zoo.py --table            only the table, from what is recorded
    python benchmarks/zoo.py --ship             also write the weights that the package ships

Writes benchmarks/results/zoo.json and docs/zoo.md. A killed training goes on where it stopped when the
command is given again; exports are made again when a model has changed.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mnist_export.models.card import ModelCard
from mnist_export.models.registry import ARCHITECTURES

HERE = Path(__file__).parent
RESULTS = HERE / "results" / "zoo.json"
TABLE = HERE.parent / "docs" / "zoo.md"
SHIPPED = ("lenet5-mnist", "lenet5-digits", "lenet5-fashion-mnist", "custom2-mnist")


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One row: what to train, and what is wanted of it.

    Attributes:
        architecture: name in the zoo.
        data: name of the data set.
        options: of ``mnist-train``, beside data and file.
        stem: of the model's file.
        target: smallest top-1 that is wanted on the test images; None where none is set.
        note: what a reader should know.
    """

    architecture: str
    data: str
    options: tuple[str, ...] = ()
    stem: str
    target: float | None = None
    note: str = ""


def _entry(architecture: str, data: str, *options: str, target: float | None = None, note: str = "") -> Entry:
    return Entry(
        architecture=architecture,
        data=data,
        options=options,
        stem=f"{architecture}-{data}",
        target=target,
        note=note,
    )


_SHORT = "fewer epochs than the recipe's 20, to keep the whole table within a few hours on two cores"

PLAN = (
    _entry("lenet5", "mnist", target=0.992),
    _entry("mlp", "mnist", target=0.98, note="its augmented recipe meets the target"),
    Entry(
        architecture="mlp",
        data="mnist",
        options=("--recipe", "augmented"),
        stem="mlp-augmented-mnist",
        target=0.98,
    ),
    _entry("mlp512", "mnist", target=0.975),
    _entry("cnn64", "mnist", target=0.979),
    _entry("dense1024", "mnist", note="no activations between its layers: a linear classifier"),
    _entry("custom1", "mnist", target=0.992, note="its augmented recipe follows"),
    Entry(
        architecture="custom1",
        data="mnist",
        options=("--recipe", "augmented"),
        stem="custom1-augmented-mnist",
        target=0.992,
    ),
    _entry("custom2", "mnist", "--recipe", "augmented", target=0.9961),
    _entry("custom3", "mnist", "--epochs", "3", note=_SHORT),
    _entry("custom4", "mnist", "--epochs", "3", note=_SHORT),
    _entry("custom5", "mnist", "--epochs", "3", note=_SHORT),
    _entry("lenet5", "fashion-mnist", "--augment", "shift=1"),
    _entry("custom2", "fashion-mnist", "--epochs", "5", note=_SHORT),
    _entry("lenet5", "digits", "--epochs", "200", note="the embedded digits, 400 test images"),
)


def train(entry: Entry, folder: Path) -> Path:
    """Train an entry where its model is not in the folder; returns the model's path."""
    path = folder / f"{entry.stem}.keras"
    if not (path.exists() and (folder / f"{entry.stem}.card.json").exists()):
        _run("train", entry.architecture, "--data", entry.data, *entry.options, "-o", str(path))
    return path


def export(path: Path, entry: Entry) -> dict[str, Any]:
    """Export a model to int8 TFLite and ONNX, check both over the test images, and sum up the report."""
    with tempfile.TemporaryDirectory(prefix="mnist-export-zoo-") as folder:
        words = ("-m", str(path), "--data", entry.data, "--format", "tflite,onnx", "--int8", "-q")
        output = _run("export", *words, "-o", folder, "--json", codes=(0, 1))
    report = json.loads(output)
    wanted = ("top1", "drop_pp", "agreement", "flips", "size_bytes", "verdict")
    return {
        "verdict": report["verdict"],
        "float_top1": report["reference"]["top1"],
        **{item["format"]: {key: item[key] for key in wanted} for item in report["artifacts"]},
    }


def _run(command: str, *words: str, codes: tuple[int, ...] = (0,)) -> str:
    print(f"mnist-{command} {' '.join(words)}", file=sys.stderr)
    result = subprocess.run(
        [sys.executable, "-m", f"mnist_export.cli.{command}", *words],
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    if result.returncode not in codes:
        sys.exit(f"mnist-{command} ended with {result.returncode}")
    return result.stdout


def row(entry: Entry, card: ModelCard, exported: dict[str, Any] | None) -> dict[str, Any]:
    """Put together what is known of an entry."""
    architecture = ARCHITECTURES.get(entry.architecture)
    seed = architecture.seed_top1 if entry.data == "mnist" else None
    return {
        "model": entry.stem,
        "architecture": entry.architecture,
        "data": entry.data,
        "command": f"mnist-train {' '.join((entry.architecture, '--data', entry.data, *entry.options))}",
        "recipe": card.recipe["name"],
        "seed_top1": seed,
        "seed_note": architecture.seed_note if entry.data == "mnist" else "none given",
        "target": entry.target,
        "reached": None if entry.target is None else card.test.top1 >= entry.target,
        "top1": card.test.top1,
        "top1_interval": list(card.test.top1_interval),
        "test_loss": card.test.loss,
        "validation_top1": card.validation.top1,
        "test_images": card.test.images,
        "parameters": card.parameters,
        "macs": card.macs,
        "epochs_run": card.epochs_run,
        "best_epoch": card.best_epoch,
        "seconds": round(card.seconds, 1),
        "machine": card.machine,
        "random_seed": card.seed,
        "weights_sha256": card.weights_sha256,
        "versions": card.versions,
        "int8": exported,
        "note": entry.note,
    }


def main() -> int:
    """Train, export, record, write the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--models", type=Path, default=Path("runs/zoo"), help="folder of the models")
    parser.add_argument("--only-trained", action="store_true", help="leave out what is not trained yet")
    parser.add_argument("--no-export", action="store_true", help="do not export; keep what is recorded")
    parser.add_argument("--ship", action="store_true", help="write models/weights from the models")
    parser.add_argument("--table", action="store_true", help="only write the table from what is recorded")
    options = parser.parse_args()
    recorded: dict[str, Any] = {}
    if RESULTS.exists():
        recorded = {item["model"]: item for item in json.loads(RESULTS.read_text())["models"]}
    if not options.table:
        options.models.mkdir(parents=True, exist_ok=True)
        recorded = measure(options, recorded)
        if options.ship:
            ship(options.models)
        RESULTS.write_text(
            json.dumps({"schema_version": 1, "models": list(recorded.values())}, indent=1) + "\n"
        )
    from zoo_table import markdown

    TABLE.write_text(markdown(list(recorded.values())))
    print(f"wrote {RESULTS} and {TABLE}", file=sys.stderr)
    return 0


def ship(folder: Path) -> None:
    """Write the shipped weights and cards; the same models give the same bytes."""
    from mnist_export.models.loading import load_model
    from mnist_export.models.shipped import SHIPPED as TARGET
    from mnist_export.models.shipped import keep_trained
    from mnist_export.models.trained import Trained

    for stem in SHIPPED:
        loaded = load_model(str(folder / f"{stem}.keras"))
        if loaded.card is None:
            sys.exit(f"{folder}/{stem}.keras has no card of its own")
        keep_trained(Trained(model=loaded.model, card=loaded.card), TARGET)


def measure(options: argparse.Namespace, recorded: dict[str, Any]) -> dict[str, Any]:
    """Run what is missing; returns model's name to row, in the plan's order."""
    rows: dict[str, Any] = {}
    for entry in PLAN:
        path = options.models / f"{entry.stem}.keras"
        if options.only_trained and not path.exists():
            if entry.stem in recorded:
                rows[entry.stem] = recorded[entry.stem]
            continue
        path = train(entry, options.models)
        card = ModelCard.load(path.with_name(f"{entry.stem}.card.json"))
        before = recorded.get(entry.stem, {})
        exported = before.get("int8") if before.get("weights_sha256") == card.weights_sha256 else None
        if exported is None and not options.no_export:
            exported = export(path, entry)
        rows[entry.stem] = row(entry, card, exported)
    return rows


if __name__ == "__main__":
    sys.exit(main())
