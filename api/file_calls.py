"""The calls that are about one file, without an original."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from mnist_export.arguments import data_of
from mnist_export.errors import InputError, one_call

if TYPE_CHECKING:
    from mnist_export.arguments import Data
    from mnist_export.parity.certificate.certifying import Certificate
    from mnist_export.runtime.timing.profile import Profile


def certify(file: str | Path) -> Certificate:
    """Prove from a file's bytes that every runtime computes the same integers, or name where not.

    Args:
        file: a .tflite or .onnx, of any maker.

    Raises:
        InputError: the file is damaged or of another kind.
    """
    with one_call():
        from mnist_export.parity.certificate.certifying import certify_file

        return certify_file(Path(file))


def profile(
    file: str | Path, *, data: Data = "auto", batch: int = 1, threads: int = 1, trust: bool = False
) -> Profile:
    """Say where the time of a .tflite or .onnx goes, operator by operator, in microseconds.

    Args:
        file: the model.
        data: its test images are run.
        batch: images of one run, 1 to 4096.
        threads: of one inference.
        trust: run the file without a trial run first.

    Raises:
        InputError: no such file, another kind of file, or a batch out of range.
    """
    with one_call():
        from mnist_export.pipeline.comparing import data_for
        from mnist_export.pipeline.jobs.progress import SILENT
        from mnist_export.runtime.runners.opening import open_runner
        from mnist_export.runtime.timing.profile import can_profile
        from mnist_export.runtime.timing.profile import profile as profile_runner

        if not Path(file).exists():
            raise InputError(f"{file}: no such file. Check the path.")
        if not 1 <= batch <= 4096:
            raise InputError(f"batch: expected 1 to 4096, found {batch}.")
        images = data_for(data_of(data, 0), None, batch, SILENT).test.array
        with open_runner(str(file), threads=threads, trust=trust) as runner:
            if not can_profile(runner):
                raise InputError(f"{file}: expected an .onnx or .tflite file, found one for {runner.name}.")
            return profile_runner(runner, images)
