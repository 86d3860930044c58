"""Where a model's time goes, operator by operator, and why int8 may be slow."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from mnist_export.core.errors import UnsupportedError
from mnist_export.core.registry import LazyRegistry
from mnist_export.runtime.environment import describe
from mnist_export.runtime.runners.runner import Runner
from mnist_export.runtime.timing.operator_time import CONVERSIONS, MOVES, NodeTime, Profile

__all__ = ["NodeTime", "Profile", "can_profile", "profile", "why_slow"]

# Runner's name to the function that times its operators.
PROFILERS: Final[LazyRegistry[Callable[..., Profile]]] = LazyRegistry(
    "runtime with a profile by operator",
    {
        "onnxruntime": "mnist_export.runtime.timing.profile_ort:profile",
        "litert": "mnist_export.runtime.timing.profile_litert:profile",
    },
)
_CONVOLUTIONS: Final = ("QLinearConv", "CONV_2D")
# x86-64 instruction sets with 8-bit dot products, and Arm's
_DOT_PRODUCTS: Final = ("avx512_vnni", "avx_vnni", "amx_int8", "asimddp", "i8mm")


def can_profile(runner: Runner) -> bool:
    """Whether a runner's operators can be timed."""
    return runner.name in PROFILERS


def profile(runner: Runner, images: npt.NDArray[np.uint8], **options: Any) -> Profile:
    """Time a model's operators.

    Args:
        runner: an .onnx or .tflite model, as opened; its optimization level or kernels are used.
        images: uint8 (batch, H, W, C), what each run gets.
        options: of the runtime's own function.

    Raises:
        UnsupportedError: a runtime whose operators cannot be timed.
    """
    if not can_profile(runner):
        raise UnsupportedError(
            f"{runner.label}: only .onnx and .tflite models can be profiled by operator, found one for "
            f"{runner.name}."
        )
    return PROFILERS.get(runner.name)(runner, images, **options)


def why_slow(candidate: Profile, *, ratio: float | None = None, flags: Sequence[str] | None = None) -> str:
    """Say in a paragraph where an int8 model's time goes.

    Args:
        candidate: the int8 model's profile.
        ratio: its time over the original's, where it was measured.
        flags: the machine's instruction sets; None asks the machine.
    """
    known = tuple(flags) if flags is not None else describe().instruction_sets
    text = []
    if ratio is not None:
        text.append(f"{candidate.label} takes {ratio:.2f} times as long as the original.")
    slowest = [node for node in candidate.slowest(3) if node.share >= 0.05] or candidate.slowest(3)
    named = ", ".join(f"{node.kind} '{node.name}' {node.share:.0%}" for node in slowest)
    text.append(f"Most of the time goes to {named}.")
    wide = any(node.dtype in ("int16", "uint16") for node in candidate.nodes)
    if not wide and any(n.kind in _CONVOLUTIONS and n.integer and n.channels == 1 for n in slowest):
        text.append(
            "A quantized convolution of one input channel cannot fill the 8-bit dot products; a "
            "float one is often faster."
        )
    conversions = [node for node in candidate.nodes if node.kind in CONVERSIONS]
    computing = [node for node in candidate.nodes if node.kind not in (*CONVERSIONS, *MOVES)]
    text += _elsewhere(candidate)
    if not conversions and not any(node.integer for node in computing):
        hybrid = [node for node in computing if node.hybrid]
        text.append(
            f"Values are float; {_count(hybrid, 'operator')} with 8-bit weights quantize their input anew in "
            "each run."
            if hybrid
            else "Everything is computed in float."
        )
        return " ".join(text)
    text.append(_converted(candidate, conversions))
    islands = candidate.float_islands
    if islands:
        kinds = "; ".join(", ".join(node.kind for node in island) for island in islands[:4])
        text.append(f"Left in float ({len(islands)} island{'s' if len(islands) > 1 else ''}): {kinds}.")
    moves = candidate.share_of(MOVES)
    if moves >= 0.05:
        text.append(f"Transposes and reshapes take {moves:.0%}.")
    if wide:
        return " ".join([*text, "Values of 16 bits do not use the processor's 8-bit dot products."])
    fast = [flag for flag in known if flag in _DOT_PRODUCTS]
    text.append(
        f"This processor has 8-bit dot products ({', '.join(fast)})."
        if fast
        else "This processor has no 8-bit dot products (VNNI, AMX or Arm's), so int8 can gain little."
    )
    return " ".join(text)


def _converted(candidate: Profile, conversions: Sequence[NodeTime]) -> str:
    """What the operators between float and integer take."""
    share = f"{candidate.share_of(CONVERSIONS):.0%}"
    if candidate.runtime == "litert":
        if not conversions:
            return "The file has no QUANTIZE or DEQUANTIZE."
        return f"{_count(conversions, 'QUANTIZE or DEQUANTIZE operator')} take {share}."
    if not conversions:
        return "No QuantizeLinear or DequantizeLinear is left at run time."
    return f"{len(conversions)} QuantizeLinear and DequantizeLinear nodes were not fused and take {share}."


def _elsewhere(candidate: Profile) -> list[str]:
    """Operators that XNNPACK was asked for and does not take."""
    left = [node for node in candidate.nodes if node.kernels and node.kernels != candidate.kernels]
    share = sum(node.share for node in left)
    if candidate.kernels != "XNNPACK" or share < 0.05:
        return []
    kinds = ", ".join(dict.fromkeys(node.kind for node in left))
    count = _count(left, "operator")
    return [f"XNNPACK does not take {count} ({kinds}), which run in slower kernels: {share:.0%}."]


def _count(found: Sequence[NodeTime], noun: str) -> str:
    return f"{len(found)} {noun}{'s' if len(found) > 1 else ''}"
