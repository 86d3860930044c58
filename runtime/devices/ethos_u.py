"""Arm Ethos-U NPUs: Vela compiles a .tflite for one and estimates it; nothing is run."""

from __future__ import annotations

import csv
import re
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from mnist_export.core.errors import InputError, UnsupportedError
from mnist_export.core.scratch import scratch_folder
from mnist_export.runtime.devices.device import Answer, Question
from mnist_export.runtime.devices.environment import Environment

_ENVIRONMENT: Final = Environment(
    name="ethos-u",
    requirements=(
        "ethos-u-vela==5.2.0",
        "flatbuffers==25.12.19",
        "numpy==2.4.6; python_version>='3.11'",
        "numpy==2.2.6; python_version<'3.11'",
    ),
    module="ethosu.vela",
)
_WALL_S: Final = 900
_LIMITS: Final = 'ulimit -v 8388608; ulimit -f 1048576; ulimit -c 0; exec "$@"'  # 8 GiB, files of 512 MiB
_CPU_COUNT: Final = re.compile(r"^CPU operators = (\d+)", re.MULTILINE)
_ON_CPU: Final = re.compile(r"^ +CPU: .+? = (.+?) \(outputs", re.MULTILINE)
_REASON: Final = re.compile(
    r"^Warning \(supported operators\) operator: (\w+), ofm: '([^']*)'\s*\n(?:\s*- )?(?:Reason: )?(.+)$",
    re.MULTILINE,
)
_KIB: Final = (
    ("SRAM", "sram_memory_used"),
    ("on-chip flash", "on_chip_flash_memory_used"),
    ("off-chip flash", "off_chip_flash_memory_used"),
    ("DRAM", "dram_memory_used"),
)


@dataclass(frozen=True, kw_only=True)
class EthosU:
    """One configuration of an Ethos-U NPU, in the system that Vela assumes for it.

    Attributes:
        name: as Vela calls the configuration.
        title: what it is.
        runs: whether it runs files; this one estimates them.
    """

    name: str
    title: str
    needs: str = "ethos-u-vela from PyPI (20 MB); all Ethos-U share it"
    formats: tuple[str, ...] = ("tflite",)
    runs: bool = False

    def why_not_ready(self) -> str:
        """Say why it cannot answer now; empty where it can."""
        return _ENVIRONMENT.problem()

    def prepare(self, notify: Callable[[str], None], *, quiet: bool = False) -> None:
        """Make Vela's environment; see `Environment.prepare`."""
        _ENVIRONMENT.prepare(notify, quiet=quiet)

    def answer(self, question: Question) -> Answer:
        """Compile the file; the answer has figures and no values.

        Raises:
            UnsupportedError: not a .tflite, or Vela cannot compile it.
            InputError: Vela crashed or took too long.
        """
        if question.format not in self.formats:
            raise UnsupportedError(f"{question.label}: {self.name} reads tflite, not {question.format}.")
        with scratch_folder() as folder:
            (folder / "model.tflite").write_bytes(question.content)
            told = self._compile(question, folder)
            rows = sorted(folder.glob("model_summary_*.csv"))
            if not rows:
                raise InputError(f"{question.label}: Vela left no summary for {self.name}.")
            with rows[0].open(encoding="utf-8", newline="") as stream:
                summary = next(csv.DictReader(stream))
        return _answer(told, summary)

    def _compile(self, question: Question, folder: Path) -> str:
        command = [str(_ENVIRONMENT.python), "-I", "-m", "ethosu.vela", "--show-cpu-operations"]
        command += ["--accelerator-config", self.name, "--output-dir", str(folder), "model.tflite"]
        try:
            done = subprocess.run(
                ["/bin/sh", "-c", _LIMITS, "sh", *command],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=_WALL_S,
                cwd=folder,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise InputError(f"{question.label}: Vela took over {_WALL_S} s for {self.name}.") from error
        if done.returncode:
            reason = (done.stderr.strip() or done.stdout.strip() or "it gave no reason").splitlines()[-1]
            raise UnsupportedError(
                f"{question.label}: Vela cannot compile it for {self.name} ({reason.strip()[:400]})."
            )
        return done.stdout + done.stderr


def _answer(told: str, summary: dict[str, str]) -> Answer:
    count = _CPU_COUNT.search(told)
    on_cpu = [name.strip() for name in _ON_CPU.findall(told)]
    reasons = {output: f"{kind} '{output}': {why.strip()}" for kind, output, why in _REASON.findall(told)}
    fallbacks = [reasons.get(name, f"'{name}'") for name in on_cpu]
    number = int(count[1]) if count else len(fallbacks)
    cycles, clock = float(summary["cycles_total"]), float(summary["core_clock"])
    figures = {
        "operators on the CPU": str(number),
        "cycles": f"{cycles:,.0f}",
        "time": f"{cycles / clock * 1e6:,.0f} us at {clock / 1e6:g} MHz",
    }
    figures |= {
        name: f"{float(summary[column]):.1f} KiB" for name, column in _KIB if float(summary[column]) > 0
    }
    if fallbacks:
        figures["fall back"] = "; ".join(fallbacks[:8]) + ("; and more" if len(fallbacks) > 8 else "")
    numbers = ", ".join(f"{value} {name}" for name, value in figures.items() if name in dict(_KIB))
    where = (
        "all operators on the NPU"
        if not number
        else f"{number} operators fall back to the CPU ({figures.get('fall back', 'not named')})"
    )
    text = f"compiles, {where}; {figures['cycles']} cycles, {figures['time']}, {numbers} (estimated, not run)"
    return Answer(values=None, figures=figures, summary=text)


def _device(name: str) -> EthosU:
    series, macs = name.removeprefix("ethos-u").split("-")
    return EthosU(name=name, title=f"Arm Ethos-U{series} NPU of {macs} MACs: compiled and estimated, not run")


U55_32, U55_64, U55_128, U55_256 = map(
    _device, ("ethos-u55-32", "ethos-u55-64", "ethos-u55-128", "ethos-u55-256")
)
U65_256, U65_512 = map(_device, ("ethos-u65-256", "ethos-u65-512"))
U85_128, U85_256, U85_512 = map(_device, ("ethos-u85-128", "ethos-u85-256", "ethos-u85-512"))
