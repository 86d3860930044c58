"""How many single-bit flips of a file's constants a golden of integers finds, by number of images.

    python benchmarks/goldens.py [lenet5] [--data mnist] [--flips 1000]

Bits are drawn at random from all weights and biases of the int8 .tflite; those that change no logit of any
test image are drawn again. The images are chosen from the original file alone (`parity.goldens.choosing`), by
its own draw of faults, before any of these flips is seen. Beside them: images drawn at random, and the best
that test images could do if somebody chose them who knows the flips.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

import mnist_export as mx
from mnist_export.core.files import sha256_bytes, write_atomic_one
from mnist_export.data import Dataset, load_dataset
from mnist_export.parity.goldens.choosing import choose
from mnist_export.runtime.environment import describe
from mnist_export.runtime.foreign.flatbuffer import Reader
from mnist_export.runtime.runners.litert import LiteRtRunner

COUNTS: Final = (16, 64, 256)
DRAWS: Final = 20
SEED: Final = 20_000  # of the flips; the choice draws its own faults with seed 0


def constants(content: bytes) -> list[tuple[str, int, int]]:
    """Name, place in the file and size in bytes of every quantized constant."""
    model = Reader(content, "the file").root()
    graph, buffers = model.tables(2)[0], model.tables(4)
    tensors = graph.tables(0)
    used = sorted({index for op in graph.tables(3) for index in op.integers(1, "i") if index >= 0})
    found = []
    for index in used:
        tensor = tensors[index]
        start, size = buffers[tensor.integer(2, "I")].place(0)
        quant = tensor.table(4)
        if size and quant is not None and quant.count(2):
            found.append((tensor.blob(3).decode(), start, size))
    return found


def flips(content: bytes, seed: int) -> Iterator[tuple[str, int, bytes]]:
    """Files with one bit flipped, drawn without end: constant, bit within its byte, the file."""
    places = constants(content)
    ends = np.cumsum([size for _, _, size in places])
    rng = np.random.default_rng(seed)
    while True:
        bit = int(rng.integers(8 * int(ends[-1])))
        number = int(np.searchsorted(ends, bit // 8, side="right"))
        name, start, size = places[number]
        changed = bytearray(content)
        changed[start + bit // 8 - int(ends[number] - size)] ^= 1 << (bit % 8)
        yield name, bit % 8, bytes(changed)


def best(shown: npt.NDArray[np.bool_], count: int) -> float:
    """Share that ``count`` images find which are chosen greedily by what they find."""
    left = np.ones(len(shown), np.bool_)
    for _ in range(count):
        left &= ~shown[:, int(shown[left].sum(axis=0).argmax())] if left.any() else left
    return float(1 - left.mean())


def measure(path: Path, dataset: Dataset, wanted: int) -> dict[str, Any]:
    """Everything about one file."""
    content = path.read_bytes()
    test = dataset.test.array
    with LiteRtRunner(content, label=path.name) as runner:
        chosen = {
            "chosen": choose(runner, test, max(COUNTS), notify=print).images,
            "chosen from test images only": choose(
                runner, test, max(COUNTS), composed=False, notify=print
            ).images,
        }
        base = runner.run_integers(test)
        own = {name: runner.run_integers(images) for name, images in chosen.items()}
        rows: list[npt.NDArray[np.bool_]] = []
        seen: dict[str, list[npt.NDArray[np.bool_]]] = {name: [] for name in chosen}
        drawn, by_constant = 0, []
        for name, _, changed in flips(content, SEED):
            drawn += 1
            with LiteRtRunner(changed, label="flipped") as other:
                differs = (other.run_integers(test) != base).any(axis=1)
                if not differs.any():
                    continue
                rows.append(differs)
                by_constant.append(name)
                for kind, images in chosen.items():
                    seen[kind].append((other.run_integers(images) != own[kind]).any(axis=1))
            if len(rows) % 100 == 0:
                print(f"{len(rows)} of {wanted} flips")
            if len(rows) == wanted:
                break
    shown = np.array(rows)
    rng = np.random.default_rng(0)
    shares: dict[str, dict[str, float]] = {}
    for count in COUNTS:
        draws = [
            shown[:, rng.choice(len(test), count, replace=False)].any(axis=1).mean() for _ in range(DRAWS)
        ]
        shares[str(count)] = {
            **{kind: float(np.array(found)[:, :count].any(axis=1).mean()) for kind, found in seen.items()},
            "drawn at random": float(np.mean(draws)),
            "test images chosen by who knows the flips": best(shown, count),
        }
    missed = ~np.array(seen["chosen"])[:, :64].any(axis=1)
    return {
        "file": path.name,
        "sha256": sha256_bytes(content),
        "images": len(test),
        "bits_drawn": drawn,
        "flips": len(shown),
        "median_images_of_a_flip": float(np.median(shown.sum(axis=1))),
        "flips_of_at_most_5_images": float((shown.sum(axis=1) <= 5).mean()),
        "shares": shares,
        "missed_by_64_by_constant": {
            name: f"{sum(m for n, m in zip(by_constant, missed, strict=True) if n == name)} of "
            f"{by_constant.count(name)}"
            for name in sorted(set(by_constant))
        },
    }


def table(results: Sequence[dict[str, Any]]) -> str:
    """The shares as Markdown."""
    kinds = list(results[0]["shares"]["64"])
    lines = [f"| file | images | {' | '.join(kinds)} |", f"| --- | ---: |{' ---: |' * len(kinds)}"]
    for result in results:
        for count, shares in result["shares"].items():
            cells = " | ".join(f"{shares[kind]:.1%}" for kind in kinds)
            lines.append(f"| {result['file']} | {count} | {cells} |")
    return "\n".join(lines)


def main() -> int:
    """Measure and record."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("models", nargs="*", default=["lenet5"])
    parser.add_argument("--data", default="mnist")
    parser.add_argument("--flips", type=int, default=1000)
    parser.add_argument("-o", "--output", type=Path, default=Path("benchmarks/results/goldens.json"))
    arguments = parser.parse_args()
    dataset = load_dataset(arguments.data, notify=print)
    results = []
    for model in arguments.models:
        with tempfile.TemporaryDirectory() as folder:
            made = mx.export(model, int8=True, data=dataset, output=folder, on="none")
            results.append(measure(made.artifacts["tflite"].path, dataset, arguments.flips))
    record = {"schema_version": 1, "environment": describe(threads=1).to_json(), "results": results}
    write_atomic_one(arguments.output, (json.dumps(record, indent=1) + "\n").encode())
    write_atomic_one(arguments.output.with_suffix(".md"), (table(results) + "\n").encode())
    print(table(results))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
