"""What generated C costs a Cortex-M4: instructions of one image, counted under QEMU, flash and RAM.

Needs arm-none-eabi-gcc on the PATH, and QEMU 8 or later (``mnist-parity devices --prepare cortex-m4``).
"""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from mnist_export.runtime.devices.bare_c import driver_for
from mnist_export.runtime.devices.emulator import emulator, why_no_emulator

COMPILER = "arm-none-eabi-gcc"
CORE = ("-mcpu=cortex-m4", "-mthumb")
LEVELS = ("-O2", "-Os", "-O3")


def why_not() -> str:
    """Say what is missing; empty where nothing is."""
    if shutil.which(COMPILER) is None:
        return f"needs {COMPILER}"
    return why_no_emulator("arm")


def cost(source: bytes, header: bytes, level: str, *, counted: bool = True) -> dict[str, int | None]:
    """Instructions of one image, and what the linker would place in flash and RAM.

    Args:
        source: the ``.c`` file.
        header: the ``.h`` file.
        level: the compiler's level of optimization.
        counted: whether the instructions are counted, at some million a second.
    """
    with tempfile.TemporaryDirectory(prefix="mnist-c-speed-") as text:
        folder = Path(text)
        (folder / "model.c").write_bytes(re.sub(rb'#include "[^"]+"', b'#include "model.h"', source, count=1))
        (folder / "model.h").write_bytes(header)
        (folder / "driver.c").write_text(driver_for(header, "c_speed"), encoding="ascii")
        own = [COMPILER, *CORE, "-std=c99", level, "-c", "model.c", "-o", "model.o"]
        subprocess.run(own, cwd=folder, check=True)
        around = ["-std=gnu99", "-O2", "-ffreestanding", "-fno-builtin", "-nostdlib", "-static"]
        linked = [COMPILER, *CORE, *around, "driver.c", "model.o", "-lgcc", "-o", "net"]
        subprocess.run(linked, cwd=folder, check=True)
        sizes = subprocess.run(
            ["arm-none-eabi-size", "model.o"], cwd=folder, check=True, capture_output=True, text=True
        )
        flash, data, bss = (int(word) for word in sizes.stdout.splitlines()[1].split()[:3])
        found = re.search(rb"_PIXELS (\d+)", header)
        if found is None:
            raise ValueError("expected the number of pixels in the header, found none")
        image = np.random.default_rng(1).integers(0, 256, int(found[1]), dtype=np.uint8).tobytes()
        executed = _executed(folder, image) - _executed(folder, b"") if counted else None
    return {"instructions": executed, "flash_bytes": flash + data, "ram_bytes": data + bss}


def _executed(folder: Path, feed: bytes) -> int:
    """Instructions of a whole run: QEMU takes each for a block of its own and logs it."""
    command = [str(emulator("arm")), "-cpu", "cortex-m4", "-one-insn-per-tb", "-d", "exec,nochain", "./net"]
    (folder / "images").write_bytes(feed)
    count, left = 0, b""
    with (folder / "images").open("rb") as source:
        process: subprocess.Popen[Any] = subprocess.Popen(
            command, cwd=folder, stdin=source, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        )
        if process.stderr is None:
            raise ValueError("QEMU has no log")
        while part := process.stderr.read(1 << 20):  # a line begins with "Trace" and names no such symbol
            count += (left + part).count(b"Trace ") - left.count(b"Trace ")
            left = part[-5:]
    if process.wait():
        raise ValueError(f"QEMU ended with {process.returncode}")
    return count
