"""Where the time of an .onnx goes in ONNX Runtime, operator by operator, and why int8 may be slow."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from mnist_export.core.errors import InputError
from mnist_export.runtime.environment import describe
from mnist_export.runtime.runners.ort import open_session, session_options

if TYPE_CHECKING:
    from mnist_export.runtime.runners.ort import OnnxRuntimeRunner

RUNS: Final = 200
_CONVERSIONS: Final = ("QuantizeLinear", "DequantizeLinear")
_MOVES: Final = ("Transpose", "Reshape", "Flatten", "Squeeze", "Unsqueeze", "ReorderInput", "ReorderOutput")
_INTEGERS: Final = ("uint8", "int8", "int16", "uint16")
# x86-64 instruction sets with 8-bit dot products, and Arm's
_DOT_PRODUCTS: Final = ("avx512_vnni", "avx_vnni", "amx_int8", "asimddp", "i8mm")


@dataclass(frozen=True, kw_only=True)
class NodeTime:
    """One operator as ONNX Runtime executes it, after its own fusions.

    Attributes:
        name: of the node.
        kind: operator.
        microseconds: median of one run; the profiler counts whole microseconds.
        share: of all operators' time, fraction of 1.
        integer: whether its first input is of an integer type.
        channels: of its first input where that is an image, else 0.
    """

    name: str
    kind: str
    microseconds: float
    share: float
    integer: bool
    channels: int


@dataclass(frozen=True, kw_only=True)
class Profile:
    """Operators in execution order.

    Attributes:
        label: the model.
        batch: images of one run.
        nodes: what was executed.
    """

    label: str
    batch: int
    nodes: tuple[NodeTime, ...]

    def slowest(self, count: int = 5) -> tuple[NodeTime, ...]:
        """The operators that take longest, the slowest first."""
        return tuple(sorted(self.nodes, key=lambda node: -node.microseconds)[:count])

    def share_of(self, kinds: Sequence[str]) -> float:
        """The share of the time that operators of some kinds take."""
        return sum(node.share for node in self.nodes if node.kind in kinds)

    @property
    def float_islands(self) -> tuple[tuple[NodeTime, ...], ...]:
        """Runs of neighbouring operators that compute in float in a model that has integers too.

        Conversions do not count as computing, and neither does moving values about.
        """
        computing = [n for n in self.nodes if n.kind not in (*_CONVERSIONS, *_MOVES)]
        if not any(node.integer for node in computing):
            return ()
        islands: list[list[NodeTime]] = []
        before = True
        for node in computing:
            if not node.integer:
                if before:
                    islands.append([])
                islands[-1].append(node)
            before = node.integer
        return tuple(tuple(island) for island in islands)


def profile(runner: OnnxRuntimeRunner, images: npt.NDArray[np.uint8], *, runs: int = RUNS) -> Profile:
    """Profile an .onnx model.

    Args:
        runner: the model, as opened; its optimization level is used.
        images: uint8 (batch, H, W, C), what each run gets.
        runs: how often to run; medians are taken.

    Raises:
        InputError: not an ONNX Runtime model.
    """
    if runner.name != "onnxruntime":
        raise InputError(
            f"{runner.label}: only .onnx models can be profiled by operator; LiteRT's Python interface has "
            "no profiler."
        )
    native = runner.prepare(images)
    with tempfile.TemporaryDirectory() as folder:
        options = session_options(threads=runner.threads, level=runner.level)
        options.enable_profiling = True
        options.profile_file_prefix = str(Path(folder) / "profile")
        session = open_session(runner.content, label=runner.label, options=options)
        feed = {session.get_inputs()[0].name: native}
        for _ in range(runs):
            session.run(None, feed)
        events: list[dict[str, Any]] = json.loads(Path(session.end_profiling()).read_text("utf-8"))
    return Profile(label=runner.label, batch=len(images), nodes=_nodes(events))


def _nodes(events: Sequence[dict[str, Any]]) -> tuple[NodeTime, ...]:
    times: dict[str, list[int]] = {}
    about: dict[str, dict[str, Any]] = {}
    for event in events:
        name = str(event.get("name", ""))
        if event.get("cat") != "Node" or not name.endswith("_kernel_time"):
            continue
        key = f"{event['args'].get('node_index', '')} {name}"
        times.setdefault(key, []).append(int(event["dur"]))
        about[key] = event
    # the mean of the middle half: a median of whole microseconds would be too coarse
    middle = {key: _middle(values) for key, values in times.items()}
    total = sum(middle.values()) or 1.0
    return tuple(_node(about[key], middle[key], middle[key] / total) for key in times)


def _middle(values: Sequence[int]) -> float:
    ordered = np.sort(np.asarray(values, np.float64))
    quarter = len(ordered) // 4
    return float(ordered[quarter : len(ordered) - quarter].mean())


def _node(event: dict[str, Any], microseconds: float, share: float) -> NodeTime:
    inputs = event["args"].get("input_type_shape") or [{}]
    kind, shape = next(iter(inputs[0].items()), ("", []))
    op = str(event["args"].get("op_name", ""))
    image = len(shape) == 4
    # ONNX Runtime keeps quantized images NHWC and float ones NCHW
    channels = (shape[3] if kind in _INTEGERS else shape[1]) if image else 0
    return NodeTime(
        name=str(event["name"]).removesuffix("_kernel_time"),
        kind=op,
        microseconds=microseconds,
        share=share,
        integer=kind in _INTEGERS,
        channels=int(channels),
    )


def why_slow(candidate: Profile, *, ratio: float | None = None, flags: Sequence[str] | None = None) -> str:
    """Say in a paragraph where an int8 model's time goes.

    Args:
        candidate: the int8 model's profile.
        ratio: its time over the original's, where it was measured.
        flags: the machine's instruction sets; None asks the machine.
    """
    known = tuple(flags) if flags is not None else describe().flags
    text = []
    if ratio is not None:
        text.append(f"{candidate.label} takes {ratio:.2f} times as long as the original.")
    slowest = [node for node in candidate.slowest(3) if node.share >= 0.05]
    named = ", ".join(f"{node.kind} '{node.name}' {node.share:.0%}" for node in slowest)
    text.append(f"Most of the time goes to {named}.")
    first = next((n for n in slowest if n.kind == "QLinearConv" and n.channels == 1), None)
    if first is not None:
        text.append(
            "A quantized convolution of one input channel cannot fill the 8-bit dot products; a "
            "float one is often faster."
        )
    conversions = [node for node in candidate.nodes if node.kind in _CONVERSIONS]
    computing = [node for node in candidate.nodes if node.kind not in (*_CONVERSIONS, *_MOVES)]
    if not conversions and not any(node.integer for node in computing):
        return " ".join([*text, "Everything is computed in float."])
    if conversions:
        text.append(
            f"{len(conversions)} QuantizeLinear and DequantizeLinear nodes were not fused and take "
            f"{candidate.share_of(_CONVERSIONS):.0%}."
        )
    else:
        text.append("No QuantizeLinear or DequantizeLinear is left at run time.")
    islands = candidate.float_islands
    if islands:
        kinds = "; ".join(", ".join(node.kind for node in island) for island in islands[:4])
        text.append(f"Left in float ({len(islands)} island{'s' if len(islands) > 1 else ''}): {kinds}.")
    moves = candidate.share_of(_MOVES)
    if moves >= 0.05:
        text.append(f"Transposes and reshapes take {moves:.0%}.")
    fast = [flag for flag in known if flag in _DOT_PRODUCTS]
    text.append(
        f"This processor has 8-bit dot products ({', '.join(fast)})."
        if fast
        else "This processor has no 8-bit dot products (VNNI, AMX or Arm's), so int8 can gain little."
    )
    return " ".join(text)
