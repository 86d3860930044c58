"""The names that several rooms share."""

from __future__ import annotations

import sys
from typing import ClassVar

if sys.version_info >= (3, 11):
    from enum import StrEnum
else:
    from backports.strenum import StrEnum

__all__ = ["Format", "IoType", "Precision", "StrEnum", "Verdict"]


class Format(str):
    """The name of a file format; `export.EXPORTERS` has all, those that code speaks of are attributes."""

    __slots__ = ()

    TFLITE: ClassVar[Format]
    ONNX: ClassVar[Format]
    C: ClassVar[Format]


Format.TFLITE = Format("tflite")
Format.ONNX = Format("onnx")
Format.C = Format("c")


class Precision(StrEnum):
    """Number formats of an artifact's weights and activations."""

    FLOAT32 = "float32"
    FLOAT16 = "float16"
    DYNAMIC = "dynamic"
    INT8 = "int8"
    INT16X8 = "int16x8"


class IoType(StrEnum):
    """Type of an integer artifact's input and output tensors."""

    INT8 = "int8"
    UINT8 = "uint8"
    INT16 = "int16"
    FLOAT32 = "float32"


class Verdict(StrEnum):
    """Outcome of a check."""

    PASS = "pass"  # noqa: S105 - a verdict, not a password
    FAIL = "fail"
