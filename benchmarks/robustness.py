"""How much damage the product takes: fuzzing of every format it reads, kill -9 of exports and trainings.

    python benchmarks/robustness.py fuzz --cases 20000        all formats, hours if you like
    python benchmarks/robustness.py fuzz tflite h5 --cases 500
    python benchmarks/robustness.py kill --tries 40
    python benchmarks/robustness.py fuzz --cases 500 --json    counts to stdout, no file written

Counts go to benchmarks/results/robustness.json. A case is a mutation of a sound file; it is reproduced by its
format and number alone. ``product_crashes`` (the process died in the product's own reading, or something else
than one of its own errors came out) has to be 0; ``contained`` are deaths in native code that the product
runs in a trial process.
"""

from __future__ import annotations

import argparse
import gzip
import io
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).parent
RESULTS = HERE / "results" / "robustness.json"
CHILD = HERE / "fuzz_child.py"
STALL_S = 60


def seeds(folder: Path) -> dict[str, Path]:
    """Write one sound file of each format; the models are trained here, in seconds."""
    from PIL import Image

    from mnist_export.data import load_dataset
    from mnist_export.data.idx import encode_idx

    digits = load_dataset("digits")
    images = digits.train.images[:60, :, :, 0]
    idx = encode_idx(images)
    picture = io.BytesIO()
    Image.fromarray(images[0]).save(picture, format="PNG")
    made = {"idx": idx, "idx.gz": gzip.compress(idx), "png": picture.getvalue()}
    for kind, content in made.items():
        (folder / f"seed.{kind}").write_bytes(content)
    labels = digits.train.labels[:60]
    np.savez_compressed(folder / "seed.npz", x_train=images, y_train=labels, x_test=images, y_test=labels)
    _models(folder)
    names = [*made, "npz", "tflite", "onnx", "keras", "h5", "golden", "manifest"]
    return {kind: folder / f"seed.{kind}" for kind in names}


def _models(folder: Path) -> None:
    import warnings

    from mnist_export.cli.export import main as export
    from mnist_export.cli.parity import main as parity
    from mnist_export.models.structure.engine import tensorflow

    tensorflow()
    import keras

    layers = keras.layers
    model = keras.Sequential(
        [
            layers.Input((28, 28, 1)),
            layers.Conv2D(4, 3, strides=2, activation="relu"),
            layers.MaxPooling2D(2),
            layers.Flatten(),
            layers.Dense(10),
        ]
    )
    model.save(folder / "seed.keras")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.save(folder / "seed.h5")
    words = ["--data", "digits", "-q"]
    out = ["-o", str(folder / "out"), "--format", "tflite,onnx", "--int8"]
    if export(["-m", str(folder / "seed.keras"), *words, *out]) == 2:
        raise SystemExit("the seed model could not be exported")
    record = ["record", str(folder / "seed.keras"), "--no-latency", "-o", str(folder / "golden.npz")]
    if parity([*record, *words]):
        raise SystemExit("the seed model could not be recorded")
    (folder / "golden.npz").rename(folder / "seed.golden")
    for kind, name in (("tflite", "int8.tflite"), ("onnx", "int8.onnx"), ("manifest", "int8.manifest.json")):
        (folder / "out" / f"seed.{name}").rename(folder / f"seed.{kind}")


def fuzz(kind: str, seed: Path, cases: int, *, first: int = 0) -> dict[str, Any]:
    """Run cases of one format, starting a new child where one died; returns the counts."""
    counts: dict[str, Any] = {
        "cases": 0, "accepted": 0, "refused": 0, "product_crashes": 0, "contained": 0, "findings": [],
    }  # fmt: skip
    started, number, last = time.monotonic(), first, first + cases
    while number < last:
        lines, code = _child(kind, seed, number, last - number)
        done = [line.split(" ", 1) for line in lines]
        for case, outcome in done:
            if outcome in ("python", "native"):
                continue
            counts["cases"] += 1
            number = int(case) + 1
            if outcome in ("accepted", "refused"):
                counts[outcome] += 1
            else:
                counts["product_crashes"] += 1
                counts["findings"].append(f"{kind} {case}: {outcome}")
        if code == 0 or number >= last:
            break
        if not done:
            raise SystemExit(f"{kind}: the child ended with {code} before its first case")
        case, phase = done[-1]
        counts["cases"] += 1
        number = int(case) + 1
        where = "contained" if phase == "native" else "product_crashes"
        counts[where] += 1
        counts["findings"].append(f"{kind} {case}: the process ended with {code} in {phase} code")
    counts["seconds"] = round(time.monotonic() - started, 1)
    counts["findings"] = counts["findings"][:20]
    return counts


def _child(kind: str, seed: Path, first: int, count: int) -> tuple[list[str], int | str]:
    with tempfile.TemporaryDirectory() as place, (Path(place) / "said").open("w+") as said:
        process = subprocess.Popen(
            [sys.executable, str(CHILD), kind, str(seed), str(first), str(count)],
            stdout=said,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "TMPDIR": place, "TF_CPP_MIN_LOG_LEVEL": "3"},
        )
        size, since = -1, time.monotonic()
        while process.poll() is None:
            time.sleep(0.05)
            if (now := os.fstat(said.fileno()).st_size) != size:
                size, since = now, time.monotonic()
            elif time.monotonic() - since > STALL_S:
                process.kill()
                process.wait()
                break
        said.seek(0)
        lines = [line for line in said.read().splitlines() if line.partition(" ")[0].isdigit()]
        return lines, process.returncode


def broken(folder: Path, good: Path) -> list[str]:
    """Files of a folder that are neither whole and old nor whole and new.

    Artifacts and manifest have the same bytes in every run; a report differs by its times, so it is whole
    where it can be read to its end.
    """
    from mnist_export.core.checksums import read_checksum_list
    from mnist_export.core.errors import InputError
    from mnist_export.report.schema import Report

    found = []
    for path in sorted(folder.iterdir()) if folder.exists() else []:
        content = path.read_bytes()
        try:
            if path.name.startswith(".mnist-export-"):
                continue  # the lock and temporaries, which the next run sweeps
            if path.name.endswith(".report.json"):
                Report.load(path)
            elif path.name.endswith(".report.sha256"):
                read_checksum_list(content, path.name)
            elif path.name.endswith(".html"):
                if not content.rstrip().endswith(b"</html>"):
                    found.append(path.name)
            elif content != (good / path.name).read_bytes():
                found.append(path.name)
        except (InputError, OSError):
            found.append(path.name)
    return found


def _writing(folder: Path) -> bool:
    from mnist_export.core.files import LOCK_NAME, TEMPORARY_PREFIX

    try:
        names = [path.name for path in folder.iterdir()]
    except OSError:
        return False
    return any(name.startswith(TEMPORARY_PREFIX) and name != LOCK_NAME for name in names)


def kills(tries: int) -> dict[str, Any]:
    """Kill exports with SIGKILL at random moments; every file has to be whole, old or new, each time."""
    rng = random.Random(0)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        seeds(folder)
        words = ["-m", folder / "seed.keras", "--data", "digits", "--int8", "-q", "--format", "tflite,onnx"]
        code = "import sys; from mnist_export.cli.export import main; sys.exit(main(sys.argv[1:]))"
        command = [sys.executable, "-c", code, *map(str, words), "-o"]
        started = time.monotonic()
        subprocess.run([*command, folder / "good"], check=False, stderr=subprocess.DEVNULL)
        whole = time.monotonic() - started
        table = {"tries": 0, "killed": 0, "killed_while_files_were_there": 0, "broken_files": 0}
        for _ in range(tries):
            process = subprocess.Popen([*command, folder / "kills"], stderr=subprocess.DEVNULL)
            if rng.random() < 0.3:
                time.sleep(whole * rng.random())
            else:  # files are written in milliseconds of seconds: wait for the first temporary
                while process.poll() is None and not _writing(folder / "kills"):
                    time.sleep(0.0005)
                time.sleep(rng.uniform(0, 0.03))
            process.kill()
            table["killed"] += process.wait() < 0
            table["tries"] += 1
            table["broken_files"] += len(broken(folder / "kills", folder / "good"))
            table["killed_while_files_were_there"] += (folder / "kills").exists()
            print(table, file=sys.stderr, flush=True)
        subprocess.run([*command, folder / "kills"], check=False, stderr=subprocess.DEVNULL)
        left = len(list((folder / "kills").glob(".mnist-export-*")))
        return {**table, "temporaries_after_the_next_run": left, "seconds_of_a_whole_run": round(whole, 1)}


def keep(found: dict[str, Any]) -> None:
    """Merge counts into the record."""
    record = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    for key, value in found.items():
        record[key] = {**record.get(key, {}), **value}
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(record, indent=2, sort_keys=True) + "\n")


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("what", choices=("fuzz", "kill"))
    parser.add_argument("formats", nargs="*")
    parser.add_argument("--cases", type=int, default=5_000, help="a format")
    parser.add_argument("--first", type=int, default=0, help="number of the first case")
    parser.add_argument("--tries", type=int, default=40, help="exports to kill")
    parser.add_argument("--seeds", type=Path, help="a folder with seed.tflite and so on, instead of new ones")
    parser.add_argument("--json", action="store_true", help="write the counts to stdout, keep no record")
    arguments = parser.parse_args()
    found: dict[str, Any]
    if arguments.what == "kill":
        found = {"kill_9_of_an_export": kills(arguments.tries)}
    else:
        with tempfile.TemporaryDirectory() as place:
            given = arguments.seeds
            files = {p.name[5:]: p for p in given.glob("seed.*")} if given else seeds(Path(place))
            chosen = arguments.formats or sorted(files)
            found = {"fuzzing": {}}
            for kind in chosen:
                found["fuzzing"][kind] = fuzz(kind, files[kind], arguments.cases, first=arguments.first)
                print(f"{kind}: {found['fuzzing'][kind]}", file=sys.stderr, flush=True)
                if not arguments.json:
                    keep(found)  # a run of hours may be stopped
    if arguments.json:
        print(json.dumps(found))
        return 0
    keep(found)
    return 0


if __name__ == "__main__":
    sys.exit(main())
