"""Thousands of mutated files of every format: refused or read, never a crash of the product.

The engine is benchmarks/robustness.py, which runs for hours by hand; this is its first minute. A case that
fails here is repeated with ``python benchmarks/robustness.py fuzz FORMAT --first CASE --cases 1``.
"""

from __future__ import annotations

import gzip
import io
import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mnist_export.data.idx import encode_idx
from mnist_export.runtime.environment import usable_cores

ENGINE = Path(__file__).parents[2] / "benchmarks" / "robustness.py"
FORMATS = ("tflite", "onnx", "idx", "idx.gz", "npz", "golden", "png", "keras", "h5", "manifest")
CASES = 600


@pytest.fixture(scope="module")
def seeds(exported, golden, net_files, digits, tmp_path_factory):
    folder = tmp_path_factory.mktemp("seeds")
    images = digits.train.images[:60, :, :, 0]
    labels = digits.train.labels[:60]
    picture = io.BytesIO()
    Image.fromarray(images[0]).save(picture, format="PNG")
    contents = {
        "tflite": (exported / "net.int8.tflite").read_bytes(),
        "onnx": (exported / "net.int8.onnx").read_bytes(),
        "manifest": (exported / "net.int8.manifest.json").read_bytes(),
        "golden": golden.read_bytes(),
        "keras": net_files["net.keras"],
        "h5": net_files["net.h5"],
        "idx": encode_idx(images),
        "idx.gz": gzip.compress(encode_idx(images)),
        "png": picture.getvalue(),
    }
    for name, content in contents.items():
        (folder / f"seed.{name}").write_bytes(content)
    np.savez_compressed(folder / "seed.npz", x_train=images, y_train=labels, x_test=images, y_test=labels)
    return folder


def fuzz(kind: str, seeds: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, ENGINE, "fuzz", kind, "--cases", str(CASES), "--seeds", seeds, "--json"]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def running(seeds):
    """All formats' processes, started in turn: as many at a time as there are processors."""
    with ThreadPoolExecutor(usable_cores()) as pool:
        yield {kind: pool.submit(fuzz, kind, seeds) for kind in FORMATS}
        pool.shutdown(cancel_futures=True)


@pytest.mark.parametrize("kind", FORMATS)
def test_mutated_files_do_not_crash_the_product(running, kind):
    done = running[kind].result()
    assert done.returncode == 0, done.stderr
    counts = json.loads(done.stdout)["fuzzing"][kind]
    assert counts["cases"] == CASES
    assert counts["product_crashes"] == 0, counts["findings"]
    assert counts["refused"] > CASES / 3, "the mutations hardly damage anything"
    assert counts["refused"] + counts["accepted"] + counts["contained"] == CASES
