"""The same input gives the same bytes, whatever the process, its hash seed and its number of threads."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

# two exports in one process share the start of TensorFlow; what they time and draw is in no compared file
BOTH = (
    "import sys\n"
    "from functools import partial\n"
    "from mnist_export.cli.export import main\n"
    "from mnist_export.runtime.timing import latency\n"
    "latency.Effort = partial(latency.Effort, min_time_s=0.02, min_runs=10, min_rounds=5, max_warmup_s=0.1)\n"
    "common = sys.argv[2:]\n"
    "for precision, formats in (('int8', 'tflite,onnx,c'), ('float32', 'tflite,onnx')):\n"
    "    code = main([*common, '--precision', precision, '--format', formats, '-o', sys.argv[1]])\n"
    "    assert code == 0, code\n"
)


@pytest.fixture(scope="module")
def folders(net_files, tmp_path_factory):
    """What two processes wrote that differ in everything that must not matter."""
    root = tmp_path_factory.mktemp("reproducible")
    made = []
    for number, (seed, threads) in enumerate((("1", "1"), ("4242", "4"))):
        place = root / f"place{number}"
        place.mkdir()
        (place / "net.keras").write_bytes(net_files["net.keras"])
        environment = {
            **os.environ,
            "PYTHONHASHSEED": seed,
            "OMP_NUM_THREADS": threads,
            "TF_NUM_INTRAOP_THREADS": threads,
            "TF_NUM_INTEROP_THREADS": threads,
            "TF_ENABLE_ONEDNN_OPTS": str(number),
            "LC_ALL": ("C", "C.UTF-8")[number],
            "TZ": ("UTC", "Asia/Tokyo")[number],
        }
        words = [place / "out", "-m", "net.keras", "--data", "digits", "-q"]
        command = [sys.executable, "-c", BOTH, *map(str, words), "--threads", threads]
        made.append((place / "out", subprocess.Popen(command, cwd=place, env=environment)))
    for _, process in made:
        assert process.wait() == 0
    return [folder for folder, _ in made]


def _names(folder):
    return sorted(path.name for path in folder.iterdir() if ".report." not in path.name)


def test_both_wrote_the_same_files(folders):
    first, second = (_names(folder) for folder in folders)
    assert first == second
    endings = {name.rpartition(".")[2] for name in first}
    assert {"tflite", "onnx", "json"} <= endings


def test_every_artifact_and_manifest_has_the_same_bytes(folders):
    first, second = folders
    assert [n for n in _names(first) if (first / n).read_bytes() != (second / n).read_bytes()] == []


def test_both_folders_verify(run, parity_main, folders):
    for folder in folders:
        done = run(parity_main, "verify", folder)
        assert done.code == 0, done.out


def test_a_manifest_holds_neither_times_nor_places(folders):
    for path in folders[0].glob("*.manifest.json"):
        text = path.read_text()
        assert str(path.parent) not in text
        assert "20" + "26-" not in text
        assert "time" not in text.lower()
