"""The runtime that a file is meant for."""

from __future__ import annotations

from mnist_export.core.errors import UnsupportedError
from mnist_export.core.kinds import Format, StrEnum


class Target(StrEnum):
    """What ``--target`` takes.

    Attributes:
        NATIVE: each file for its format's own runtime: LiteRT for .tflite, ONNX Runtime for .onnx.
        AUTO: the same, with the blocks chosen by measuring on this machine.
        LITERT: every file for LiteRT with XNNPACK.
        ONNXRUNTIME: every file for ONNX Runtime on CPUs.
        PORTABLE: the plain form, which every runtime and compiler knows.
    """

    NATIVE = "native"
    AUTO = "auto"
    LITERT = "litert"
    ONNXRUNTIME = "onnxruntime"
    PORTABLE = "portable"


_OWN = {Format.TFLITE: Target.LITERT, Format.ONNX: Target.ONNXRUNTIME, Format.C: Target.PORTABLE}


def target_for(target: Target, fmt: Format) -> Target:
    """The one runtime that a format's file is written for.

    Args:
        target: what was asked for.
        fmt: the file's format.

    Returns:
        ``LITERT``, ``ONNXRUNTIME`` or ``PORTABLE``.

    Raises:
        UnsupportedError: a format that has no runtime of its own.
    """
    if target not in {Target.NATIVE, Target.AUTO}:
        return target
    if fmt not in _OWN:
        raise UnsupportedError(
            f"--target {target}: expected one of the formats {', '.join(_OWN)}, found {fmt}. "
            "Use --target portable."
        )
    return _OWN[fmt]
