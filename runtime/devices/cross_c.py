"""Other processors through generated C: cross-compiled by Zig's clang, run in QEMU's user mode."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from mnist_export.core.errors import InputError, UnsupportedError
from mnist_export.core.scratch import scratch_folder
from mnist_export.runtime.devices.bare_c import arena_of, driver_for
from mnist_export.runtime.devices.device import Answer, Question
from mnist_export.runtime.devices.emulator import bounded, emulator, prepare_emulator, why_no_emulator
from mnist_export.runtime.devices.environment import Environment

_ENVIRONMENT: Final = Environment(name="cross-c", requirements=("ziglang==0.17.0",), module="ziglang")
_FLAGS: Final = ("-std=gnu99", "-O2", "-ffreestanding", "-fno-builtin", "-nostdlib", "-static")
_WALL_S: Final = 900


@dataclass(frozen=True, kw_only=True)
class CrossC:
    """A processor that generated C runs on.

    Attributes:
        name: what the command line calls it.
        title: what it is.
        target: as Zig calls the machine.
        core: as Zig calls the processor.
        processor: as QEMU calls it.
        emulated: the core that QEMU is to be; its own default where empty.
    """

    name: str
    title: str
    target: str
    core: str
    processor: str
    emulated: str = ""
    needs: str = "Zig's compiler from PyPI (101 MB), QEMU (71 MB where the machine has none); once"
    formats: tuple[str, ...] = ("c",)

    def why_not_ready(self) -> str:
        """Say why it cannot answer now; empty where it can."""
        return why_no_emulator(self.processor) or _ENVIRONMENT.problem()

    def prepare(self, notify: Callable[[str], None], *, quiet: bool = False) -> None:
        """Fetch QEMU and the compiler.

        Raises:
            MnistExportError: one cannot be had.
        """
        prepare_emulator(self.name, self.processor, notify, quiet=quiet)
        _ENVIRONMENT.prepare(notify, quiet=quiet)

    def answer(self, question: Question) -> Answer:
        """Compile the network for the processor and run the batch through it.

        Raises:
            UnsupportedError: not the C of an exact export, or it does not compile.
            InputError: the program crashed or took too long.
        """
        if question.format not in self.formats:
            raise UnsupportedError(f"{question.label}: {self.name} runs c, not {question.format}.")
        driver = driver_for(question.header, question.label)
        with scratch_folder() as folder:
            include = re.sub(rb'#include "[^"]+"', b'#include "model.h"', question.content, count=1)
            (folder / "model.c").write_bytes(include)
            (folder / "model.h").write_bytes(question.header)
            (folder / "driver.c").write_text(driver, encoding="ascii")
            command = [str(_ENVIRONMENT.python), "-I", "-m", "ziglang", "cc", "-target", self.target]
            command += [f"-mcpu={self.core}", *_FLAGS, "-o", "network", "driver.c", "model.c"]
            self._run("compile it", question, command, folder, b"", UnsupportedError)
            core = ["-cpu", self.emulated] if self.emulated else []
            program = bounded([str(emulator(self.processor)), *core, str(folder / "network")])
            feed = np.ascontiguousarray(question.batch, np.uint8).tobytes()
            found = self._run("run it", question, program, folder, feed, InputError)
        expected = len(question.batch) * question.classes
        if len(found) != expected:
            raise InputError(
                f"{question.label}: expected {expected} scores from {self.name}, found {len(found)}."
            )
        values = np.frombuffer(found, np.int8).reshape(len(question.batch), question.classes)
        return Answer(values=values, arena_bytes=arena_of(question.header))

    def _run(
        self,
        what: str,
        question: Question,
        command: list[str],
        folder: Path,
        feed: bytes,
        error: type[InputError] | type[UnsupportedError],
    ) -> bytes:
        variables = {f"ZIG_{scope}_CACHE_DIR": str(folder / scope) for scope in ("GLOBAL", "LOCAL")}
        try:
            done: subprocess.CompletedProcess[Any] = subprocess.run(
                command,
                input=feed,
                capture_output=True,
                timeout=_WALL_S,
                cwd=folder,
                env={"PATH": "/usr/bin:/bin", **variables},
                check=False,
            )
        except subprocess.TimeoutExpired as late:
            raise InputError(f"{question.label}: {self.name} took over {_WALL_S} s to {what}.") from late
        if done.returncode:
            lines = done.stderr.decode("utf-8", "replace").strip().splitlines()
            told = [line for line in lines if "error:" in line] or lines[-1:]
            reason = told[0].strip()[:400] if told else f"code {done.returncode}"
            raise error(f"{question.label}: {self.name} cannot {what} ({reason}).")
        output: bytes = done.stdout
        return output


CORTEX_M4: Final = CrossC(
    name="cortex-m4",
    title="Arm Cortex-M4 microcontrollers: generated C, Thumb code under QEMU",
    target="thumb-freestanding-eabi",
    core="cortex_m4",
    processor="arm",
    emulated="cortex-m4",
)
ARMHF: Final = CrossC(
    name="armhf",
    title="32-bit Arm with a floating-point unit (Cortex-A7): generated C under QEMU",
    target="thumb-freestanding-eabihf",
    core="cortex_a7",
    processor="arm",
    emulated="cortex-a7",
)
RISCV32: Final = CrossC(
    name="riscv32",
    title="32-bit RISC-V (RV32IMAC, as in an ESP32-C3): generated C under QEMU",
    target="riscv32-freestanding",
    core="generic_rv32+m+a+c",
    processor="riscv32",
)
S390X: Final = CrossC(
    name="s390x",
    title="s390x, big-endian: generated C under QEMU",
    target="s390x-freestanding",
    core="z13",
    processor="s390x",
)
