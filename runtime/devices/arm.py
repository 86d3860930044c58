"""64-bit Arm under QEMU: the aarch64 wheels of LiteRT and ONNX Runtime, with the kernels that they choose."""

from __future__ import annotations

import shutil
import sys
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from mnist_export.core.errors import InputError, UnsupportedError
from mnist_export.core.files import sha256_file
from mnist_export.runtime.devices import debian
from mnist_export.runtime.devices.asking import ask, ask_tensors
from mnist_export.runtime.devices.device import Answer, Question
from mnist_export.runtime.devices.emulator import bounded, emulator, prepare_emulator, why_no_emulator
from mnist_export.runtime.devices.environment import PIP
from mnist_export.runtime.devices.kept import KeptFolder, downloads_folder, run_step

_PACKAGES: Final = ("python3.13-minimal", "libpython3.13-stdlib", "libstdc++6", "libgomp1")
_WHEELS: Final = (
    "ai-edge-litert==2.3.0",
    "onnxruntime==1.32.0",
    "numpy==2.4.6",
    "flatbuffers==25.12.19",
    "protobuf==7.36.2",
    "ml-dtypes==0.6.0",
    "backports.strenum==1.2.8",
    "typing-extensions==4.16.0",
    "tqdm==4.70.1",
)
_PYTHON: Final = "usr/bin/python3.13"
_SITE: Final = "usr/lib/python3/dist-packages"
_MODULES: Final = "ai_edge_litert.interpreter, onnxruntime"
_WALL_S: Final = 1_800.0


def _open_litert(path: str, _sample: Any, tensors: Any = None) -> Any:
    from pathlib import Path

    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(
        model_content=Path(path).read_bytes(),
        num_threads=1,
        experimental_preserve_all_tensors=tensors is not None,
    )
    interpreter.allocate_tensors()
    source, target = interpreter.get_input_details()[0], interpreter.get_output_details()[0]

    def call(piece: Any) -> Any:
        interpreter.set_tensor(source["index"], piece)
        interpreter.invoke()
        if tensors is None:
            return interpreter.get_tensor(target["index"])
        return [interpreter.get_tensor(index) for index in tensors]

    return call, int(source["shape"][0]), dict


def _open_onnx(path: str, _sample: Any) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    entry = session.get_inputs()[0]
    fixed = entry.shape[0]
    return (
        lambda piece: session.run(None, {entry.name: piece})[0],
        (fixed if isinstance(fixed, int) else 16),
        dict,
    )


@dataclass(frozen=True, kw_only=True)
class ArmDevice:
    """A 64-bit Arm core.

    Attributes:
        name: what the command line calls it.
        title: what it is.
        core: as QEMU calls it.
    """

    name: str
    title: str
    core: str
    needs: str = (
        "Python, LiteRT and ONNX Runtime for aarch64 (77 MB), QEMU (71 MB where the machine has none); once"
    )
    formats: tuple[str, ...] = ("tflite", "onnx")

    @property
    def kept(self) -> KeptFolder:
        """The folder with Arm's Python and packages; all cores share it."""
        return KeptFolder(name="arm64", contents=(*_PACKAGES, debian.RELEASE, *_WHEELS))

    def why_not_ready(self) -> str:
        """Say why it cannot answer now; empty where it can."""
        return why_no_emulator("aarch64") or self.kept.problem()

    def prepare(self, notify: Callable[[str], None], *, quiet: bool = False) -> None:
        """Fetch QEMU, Debian's Python for Arm and the wheels, and try them under the emulator.

        Raises:
            MnistExportError: something cannot be had, or the emulator cannot run it.
        """
        prepare_emulator(self.name, "aarch64", notify, quiet=quiet)
        self.kept.make(lambda folder: self._fill(folder, notify, quiet=quiet))

    def answer(self, question: Question) -> Answer:
        """Run the file over the batch under the emulator.

        Raises:
            UnsupportedError: the device does not read such files.
            MnistExportError: see `asking.ask`.
        """
        opening = {"tflite": _open_litert, "onnx": _open_onnx}.get(question.format)
        if opening is None:
            raise UnsupportedError(
                f"{question.label}: {self.name} reads {' and '.join(self.formats)}, not {question.format}."
            )
        return ask(self.name, self._command(self.kept.path), opening, question, wall_s=_WALL_S)

    def tensors(self, question: Question, indices: Sequence[int]) -> list[npt.NDArray[np.generic]]:
        """What tensors of a .tflite hold, by their places in the file; see `asking.ask_tensors`."""
        return ask_tensors(
            self.name, self._command(self.kept.path), _open_litert, question, indices, wall_s=_WALL_S
        )

    def _command(self, root: Path) -> list[str]:
        program = [str(emulator("aarch64")), "-cpu", self.core, "-L", str(root)]
        return bounded([*program, str(root / _PYTHON)])

    def _fill(self, folder: Path, notify: Callable[[str], None], *, quiet: bool) -> dict[str, Any]:
        fetched = debian.fetch_packages("arm64", _PACKAGES, "arm64", notify, quiet=quiet)
        sums = debian.sums_of(fetched)
        for package in fetched:
            debian.unpack("arm64", package, folder)
        for part in ("lib", "bin", "sbin"):
            if not (folder / part).exists():
                (folder / part).symlink_to(f"usr/{part}")
        shutil.rmtree(folder / "usr" / "share", ignore_errors=True)
        sums |= self._wheels(folder, notify, quiet=quiet)
        notify(f"arm64: trying LiteRT and ONNX Runtime under QEMU's {self.core}")
        command = [*self._command(folder), "-I", "-c", f"import {_MODULES}"]
        try:
            run_step("arm64", "trying the packages", command, quiet=True, folder=folder)
        except InputError as error:
            raise InputError(f"{error} Is QEMU ({emulator('aarch64')}) version 8 or later?") from error
        debian.forget_downloads("arm64")
        return {"sha256": sums}

    def _wheels(self, folder: Path, notify: Callable[[str], None], *, quiet: bool) -> dict[str, str]:
        """Fetch the wheels with a pip of their own, and unpack them where Arm's Python looks for packages."""
        wheels, pip = downloads_folder("arm64-wheels"), folder / "pip"
        notify(f"arm64: fetching {len(_WHEELS)} packages for aarch64")
        run_step(
            "arm64", "making pip ready", [sys.executable, "-m", "venv", str(pip)], quiet=True, folder=folder
        )
        tags = ("2_28", "2_27", "2_17", "2014")
        platforms = [f"--platform=manylinux{tag if tag == '2014' else '_' + tag}_aarch64" for tag in tags]
        fetch = ["download", "--only-binary=:all:", "--no-deps", "--retries", "2", "--timeout", "20"]
        command = [*PIP, *fetch, "--python-version=3.13", *platforms, "-d", str(wheels), *_WHEELS]
        run_step(
            "arm64",
            "fetching the packages",
            [str(pip / "bin" / "python"), *command],
            quiet=quiet,
            folder=folder,
        )
        shutil.rmtree(pip)
        sums = {}
        for wheel in sorted(wheels.glob("*.whl")):
            sums[wheel.name] = sha256_file(wheel)
            with zipfile.ZipFile(wheel) as archive:
                archive.extractall(folder / _SITE)
        shutil.rmtree(wheels)
        return sums


CORTEX_A53: Final = ArmDevice(
    name="cortex-a53", title="Arm Cortex-A53 (Raspberry Pi 3), NEON kernels under QEMU", core="cortex-a53"
)
CORTEX_A72: Final = ArmDevice(
    name="cortex-a72", title="Arm Cortex-A72 (Raspberry Pi 4), NEON kernels under QEMU", core="cortex-a72"
)
CORTEX_A76: Final = ArmDevice(
    name="cortex-a76",
    title="Arm Cortex-A76 (Raspberry Pi 5, phones), dot-product kernels under QEMU",
    core="cortex-a76",
)
ARM64_MAX: Final = ArmDevice(
    name="arm64-max", title="newest Arm cores, i8mm and SVE kernels under QEMU", core="max"
)
