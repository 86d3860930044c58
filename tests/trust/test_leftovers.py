"""What a run, a killed run, and the libraries under it leave on the machine: nothing."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mnist_export.core.errors import OutputError
from mnist_export.core.scratch import PREFIX, scratch_folder, sweep_scratch, temporaries_in_scratch

HOLDER = (
    "import sys, time\n"
    "from mnist_export.core.scratch import scratch_folder\n"
    "with scratch_folder() as folder:\n"
    "    (folder / 'file').write_text('x')\n"
    "    print(folder, flush=True)\n"
    "    time.sleep(60)\n"
)


def _holder(tmp_path):
    environment = {**os.environ, "TMPDIR": str(tmp_path)}
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER], stdout=subprocess.PIPE, text=True, env=environment
    )
    return process, Path(process.stdout.readline().strip())


def test_a_scratch_folder_goes_with_its_block():
    with scratch_folder() as folder:
        assert folder.is_dir()
        assert folder.stat().st_mode & 0o777 == 0o700
    assert not folder.exists()


def test_the_scratch_folder_of_a_killed_process_is_swept_and_that_of_a_living_one_is_not(tmp_path):
    killed, first = _holder(tmp_path)
    living, second = _holder(tmp_path)
    try:
        killed.kill()
        killed.wait()
        assert first.is_dir()
        assert sweep_scratch(tmp_path, grace_s=0.0) == 1
        assert not first.exists()
        assert second.is_dir()
    finally:
        living.kill()
        living.wait()


def test_a_young_scratch_folder_is_left_alone(tmp_path):
    (tmp_path / f"{PREFIX}young").mkdir()
    assert sweep_scratch(tmp_path) == 0


def test_a_link_in_the_place_of_a_scratch_folder_is_not_followed(tmp_path):
    (tmp_path / "precious").mkdir()
    (tmp_path / f"{PREFIX}link").symlink_to(tmp_path / "precious")
    assert sweep_scratch(tmp_path, grace_s=-1.0) == 0
    assert (tmp_path / "precious").is_dir()


def test_temporaries_of_libraries_go_into_it():
    import tempfile

    before = tempfile.gettempdir()
    with temporaries_in_scratch() as folder:
        made = Path(tempfile.mkdtemp())
        assert made.parent == folder
    assert not made.exists()
    assert tempfile.gettempdir() == before


def test_no_place_for_temporaries_is_one_clear_error(tmp_path, monkeypatch):
    import tempfile

    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "nowhere"))
    with pytest.raises(OutputError, match="TMPDIR"), scratch_folder():
        pass


def test_a_check_of_a_foreign_onnx_file_reports_to_nobody_and_leaves_nothing(exported, golden, tmp_path):
    """Wheels of ONNX Runtime number the machine in the home folder and upload how they are used."""
    home, place = tmp_path / "home", tmp_path / "place"
    home.mkdir()
    place.mkdir()
    environment = {
        k: v for k, v in os.environ.items() if k not in {"ORT_DISABLE_TELEMETRY", "XDG_CACHE_HOME"}
    }
    environment |= {"HOME": str(home), "TMPDIR": str(place), "MNIST_EXPORT_CACHE": str(tmp_path / "cache")}
    code = "import sys; from mnist_export.cli.parity import main; sys.exit(main(sys.argv[1:]))"
    foreign = place.parent / "foreign.onnx"
    foreign.write_bytes((exported / "net.int8.onnx").read_bytes())
    words = ["check", golden, foreign, "--data", "digits", "--no-latency", "-q"]
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, words)], env=environment, capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert list(home.rglob("*")) == []
    assert list(place.rglob("*")) == []


def test_a_killed_export_leaves_only_what_the_next_one_sweeps(exported, net_files, tmp_path):
    place, out = tmp_path / "place", tmp_path / "out"
    place.mkdir()
    (tmp_path / "net.keras").write_bytes(net_files["net.keras"])
    environment = {**os.environ, "TMPDIR": str(place), "MNIST_EXPORT_CACHE": str(tmp_path / "cache")}
    code = "import sys; from mnist_export.cli.export import main; sys.exit(main(sys.argv[1:]))"
    words = ["-m", tmp_path / "net.keras", "--data", "digits", "--int8", "-q", "-o", out]
    process = subprocess.Popen([sys.executable, "-c", code, *map(str, words)], env=environment)
    deadline = time.monotonic() + 120
    while not list(place.glob(f"{PREFIX}*")) and process.poll() is None:
        assert time.monotonic() < deadline
        time.sleep(0.005)
    process.kill()
    process.wait()
    assert {path.name[: len(PREFIX)] for path in place.iterdir()} <= {PREFIX}
    sweep_scratch(place, grace_s=0.0)
    assert list(place.iterdir()) == []
