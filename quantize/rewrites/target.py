"""The runtimes that files can be written for: a literal table. A new one is one module and one line here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from mnist_export.core.registry import LazyRegistry

if TYPE_CHECKING:
    from mnist_export.quantize.rewrites.block_choice import Kernels


class Target(str):
    """The name of a target; those that code speaks of are attributes.

    Attributes:
        NATIVE: each file for its format's own runtime: LiteRT for .tflite, ONNX Runtime for .onnx.
        AUTO: the same, with the blocks chosen by measuring on this machine.
        LITERT: every file for LiteRT with XNNPACK.
        ONNXRUNTIME: every file for ONNX Runtime on CPUs.
        PORTABLE: the plain form, which every runtime and compiler knows.
    """

    __slots__ = ()

    NATIVE: ClassVar[Target]
    AUTO: ClassVar[Target]
    LITERT: ClassVar[Target]
    ONNXRUNTIME: ClassVar[Target]
    PORTABLE: ClassVar[Target]


Target.NATIVE = Target("native")
Target.AUTO = Target("auto")
Target.LITERT = Target("litert")
Target.ONNXRUNTIME = Target("onnxruntime")
Target.PORTABLE = Target("portable")


@dataclass(frozen=True, kw_only=True)
class TargetForm:
    """What is known of a target.

    Attributes:
        title: what it is, in a few words.
        kernels: what its integer convolutions round layers up to; None leaves a network in its plain form.
        own: each format's own runtime is meant.
        measured: blocks are chosen by measuring on this machine.
        channels_last: ONNX files keep their maps as (n, height, width, channels) where it is faster.
    """

    title: str
    kernels: Kernels | None = None
    own: bool = False
    measured: bool = False
    channels_last: bool = False


_HERE = "mnist_export.quantize.rewrites"

TARGETS: LazyRegistry[TargetForm] = LazyRegistry(
    "target",
    {
        "native": f"{_HERE}.target_native:NATIVE",
        "auto": f"{_HERE}.target_native:AUTO",
        "litert": f"{_HERE}.target_litert:FORM",
        "onnxruntime": f"{_HERE}.target_onnxruntime:FORM",
        "portable": f"{_HERE}.target_portable:FORM",
    },
)
