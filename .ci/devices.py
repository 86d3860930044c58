"""LeNet-5 in exact int8 on the devices that this machine can have: every integer as it was recorded here.

    python .ci/devices.py [tflm openvino tract web cortex-a72]

Each device is prepared, from the cache where it is there; one that cannot be had, such as without a network,
QEMU or Chromium, is said in a line and left out. Fails where a device runs a file and gives another integer.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

DEVICES = ("tflm", "openvino", "tract", "web", "cortex-a72")
READS = {"tflite": {"tflm", "openvino", "cortex-a72"}, "onnx": {"openvino", "tract", "web", "cortex-a72"}}
LIMIT_S = 280
BIN = Path(sys.executable).parent


def run(*words: str) -> subprocess.CompletedProcess[str]:
    """Run one of the commands beside this Python; a run without end is one that failed."""
    try:
        return subprocess.run(
            [str(BIN / words[0]), *words[1:]], capture_output=True, text=True, timeout=LIMIT_S, check=False
        )
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(words, 124, "", f"it took over {LIMIT_S} s")


def say(text: str) -> None:
    """One line, at once."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def last_line(done: subprocess.CompletedProcess[str]) -> str:
    """What a command that failed said last."""
    lines = done.stderr.strip().splitlines()
    return lines[-1].removeprefix("error: ") if lines else f"exit code {done.returncode}"


def main() -> int:
    """Prepare, export, record, check."""
    started = time.monotonic()
    named = sys.argv[1:] or list(DEVICES)
    known = json.loads(run("mnist-parity", "devices", "--json").stdout)["devices"]
    ready = {device["name"] for device in known if device["ready"]}
    had = []
    for name in named:
        begun = time.monotonic()
        done = run("mnist-parity", "devices", "--prepare", name, "-q")
        if done.returncode:
            say(f"{name}: not had: {last_line(done).removeprefix(f'{name}: ')}")
            continue
        had.append(name)
        source = "from the cache" if name in ready else "prepared"
        say(f"{name}: {source}, {time.monotonic() - begun:.0f} s")
    with tempfile.TemporaryDirectory() as scratch:
        return checked(Path(scratch), had, started)


def checked(folder: Path, had: list[str], started: float) -> int:
    """Export LeNet-5, record its integers, find them again on each device."""
    words = [
        "--exact",
        "--format",
        "tflite,onnx",
        "--data",
        "digits",
        "--on",
        "none",
        "-o",
        str(folder),
        "-q",
    ]
    made = run("mnist-export", "lenet5", *words)
    files = {kind: str(next(folder.glob(f"*.{kind}"), "")) for kind in READS}
    golden = str(folder / "golden.npz")
    options = ["--integers", "--data", "digits", "-o", golden, "-q"]
    recorded = run("mnist-parity", "record", files["tflite"], *options)
    if made.returncode or recorded.returncode:
        say(f"LeNet-5: {last_line(made if made.returncode else recorded)}")
        return 1
    failed = False
    for kind, able in READS.items():
        on = [name for name in had if name in able]
        words = ["--on", ",".join(on)] if on else []
        done = run("mnist-parity", "check", golden, files[kind], "--json", "-q", *words)
        if done.returncode not in (0, 1):
            say(f".{kind}: {last_line(done)}")
            return 1
        rows: list[dict[str, Any]] = json.loads(done.stdout)["rows"]
        for row in rows:
            say(f".{kind} on {row['place']}: {row['verdict']}: {row['why']}")
        failed |= done.returncode == 1
    say(f"{len(had)} devices, {time.monotonic() - started:.0f} s")
    return int(failed)


if __name__ == "__main__":
    raise SystemExit(main())
