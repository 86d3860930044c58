"""Where the time of a .tflite goes in LiteRT: each operator timed alone, as a model of its own.

LiteRT's Python interface has no profiler. Alone, an operator has the caches to itself and nothing to fuse
with, so the parts do not add up exactly; the whole model is timed beside them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from mnist_export.core.errors import InputError
from mnist_export.core.graph.ir import Graph, Op, Tensor
from mnist_export.core.graph.tflite_writer import write_tflite
from mnist_export.core.native_log import quiet_stderr
from mnist_export.runtime.environment import busy_note
from mnist_export.runtime.runners.clock import time_block
from mnist_export.runtime.timing.arena import activation_memory
from mnist_export.runtime.timing.latency import Effort, Turn, interleave, warm_up
from mnist_export.runtime.timing.operator_cut import CutOperator, Network, cut_operators, outputs
from mnist_export.runtime.timing.operator_time import INTEGERS, NodeTime, Profile

if TYPE_CHECKING:
    from mnist_export.runtime.runners.litert import LiteRtRunner

MAX_OPERATORS: Final = 1000  # each gets an interpreter of its own
EFFORT: Final = Effort(min_time_s=0.05, min_runs=50, min_rounds=9, max_time_s=2.0, max_warmup_s=0.1)
_NATIVE_ERRORS: Final = (RuntimeError, ValueError, TypeError)
_KERNELS: Final = {"AUTO": "XNNPACK", "BUILTIN_REF": "reference"}
_WHOLE, _NOTHING = "whole", "nothing"


def profile(runner: LiteRtRunner, images: npt.NDArray[np.uint8], *, effort: Effort | None = None) -> Profile:
    """Time every operator of a .tflite alone, under the runner's kernels and threads.

    Each is cut out with its own types, shapes, quantization and constants and fed with the values that its
    inputs have for the images. What is timed is ``invoke()``; an empty model's call is taken off each. All
    take turns of about 2 ms with the whole model.

    Args:
        runner: the model, as opened.
        images: uint8 (batch, H, W, C), what each run gets.
        effort: how long to measure each operator.

    Raises:
        InputError: damaged, too many operators, or an operator that does not run alone.
    """
    network = Network.parse(runner.content, runner.label)
    if len(network.operators) > MAX_OPERATORS:
        raise InputError(
            f"{runner.label}: expected at most {MAX_OPERATORS} operators to profile, found "
            f"{len(network.operators)}."
        )
    native = runner.prepare(images)
    whole = _fed(runner, runner.fresh_interpreter(batch=len(native)), native)
    parts = cut_operators(network, _values(runner, network, native))
    alone = [_interpreter(runner, part) for part in parts]
    calls: dict[str, Any] = {_WHOLE: whole, _NOTHING: _empty(runner)}
    calls |= {str(place): interpreter for place, interpreter in enumerate(alone)}
    limits = effort or EFFORT
    turns = {name: _turn(item.invoke, limits.max_warmup_s) for name, item in calls.items()}
    found = interleave(turns, baseline=_WHOLE, limits=limits, batch=len(images))
    times = {name: float(np.median(medians)) / 1e3 for name, medians in found.medians_ns.items()}
    overhead = times[_NOTHING]
    net = [max(0.0, times[str(place)] - overhead) for place in range(len(parts))]
    total = sum(net) or 1.0
    nodes = tuple(
        _node(part, time, time / total, _kernels(runner, interpreter))
        for part, time, interpreter in zip(parts, net, alone, strict=True)
    )
    memory = activation_memory(runner, batch=len(images))
    left_out = len(network.operators) - len(parts)
    notes = [
        f"{left_out} operators on constants are computed once, when the file is loaded." if left_out else "",
        f"{busy[0].upper()}{busy[1:]}." if (busy := busy_note()) else "",
    ]
    return Profile(
        label=runner.label,
        batch=len(images),
        nodes=nodes,
        runtime="litert",
        kernels=_KERNELS.get(runner.resolver, "builtin"),
        alone=True,
        whole_us=times[_WHOLE],
        overhead_us=overhead,
        live_tensor_peak_bytes=memory.live_tensor_peak_bytes,
        arena_bytes=memory.arena_bytes,
        notes=tuple(filter(None, notes)),
    )


def _node(part: CutOperator, microseconds: float, share: float, kernels: str) -> NodeTime:
    first = part.first
    return NodeTime(
        name=part.name,
        kind=part.kind,
        microseconds=microseconds,
        share=share,
        integer=first.dtype.name in INTEGERS,
        channels=first.shape[3] if first.ndim == 4 else 0,
        kernels=kernels,
        hybrid=part.hybrid,
        dtype=first.dtype.name,
    )


def _values(runner: LiteRtRunner, network: Network, native: npt.NDArray[Any]) -> dict[int, npt.NDArray[Any]]:
    """What every computed tensor holds, by built-in kernels: delegates keep their tensors to themselves."""
    interpreter = _fed(
        runner,
        runner.fresh_interpreter(batch=len(native), resolver="BUILTIN_WITHOUT_DEFAULT_DELEGATES", keep=True),
        native,
    )
    indices = [index for operator in network.operators for index in outputs(operator)]
    try:
        found = {index: interpreter.get_tensor(index) for index in indices}
    except _NATIVE_ERRORS as error:
        raise InputError(f"{runner.label}: the values inside of it cannot be read ({error}).") from error
    return {**found, int(interpreter.get_input_details()[0]["index"]): native}


def _fed(runner: LiteRtRunner, interpreter: Any, *feeds: npt.NDArray[Any]) -> Any:
    """Set the inputs and run once."""
    try:
        for details, value in zip(interpreter.get_input_details(), feeds, strict=True):
            interpreter.set_tensor(details["index"], value)
        with quiet_stderr():
            interpreter.invoke()
    except _NATIVE_ERRORS as error:
        reason = " ".join(str(error).split())
        raise InputError(
            f"{runner.label}: LiteRT cannot run it with {len(feeds[0])} images a call ({reason[:300]})."
        ) from error
    return interpreter


def _interpreter(runner: LiteRtRunner, part: CutOperator) -> Any:
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    try:
        interpreter = Interpreter(
            model_content=part.content,
            num_threads=runner.threads,
            experimental_op_resolver_type=getattr(OpResolverType, runner.resolver),
        )
        with quiet_stderr():
            interpreter.allocate_tensors()
            for details, value in zip(interpreter.get_input_details(), part.feeds, strict=True):
                interpreter.set_tensor(details["index"], value)
            interpreter.invoke()
    except _NATIVE_ERRORS as error:
        reason = " ".join(str(error).split())
        raise InputError(
            f"{runner.label}: LiteRT cannot run {part.kind} '{part.name}' alone ({reason[:300]})."
        ) from error
    return interpreter


def _empty(runner: LiteRtRunner) -> Any:
    """One ReLU of one value: what a call costs before anything is computed."""
    one, dtype = (1, 1), np.dtype(np.float32)
    tensors = tuple(Tensor(name=name, shape=one, dtype=dtype) for name in ("x", "y"))
    graph = Graph(
        tensors=tensors, ops=(Op(kind="RELU", inputs=(0,), outputs=(1,)),), inputs=(0,), outputs=(1,)
    )
    part = CutOperator(
        name="y", kind="RELU", content=write_tflite(graph), feeds=(np.ones(one, dtype),), hybrid=False
    )
    return _interpreter(runner, part)


def _kernels(runner: LiteRtRunner, interpreter: Any) -> str:
    """What computes an operator, as far as LiteRT says."""
    if runner.resolver == "BUILTIN_REF":
        return "reference"
    listed: list[dict[str, Any]] = getattr(interpreter, "_get_ops_details", list)()
    return "XNNPACK" if any(found.get("op_name") == "DELEGATE" for found in listed) else "builtin"


def _turn(invoke: Callable[[], None], limit_s: float) -> Turn:
    def call(_: npt.NDArray[Any]) -> None:
        invoke()

    nothing = np.empty(0)
    runs, stable, single_ns = warm_up(call, nothing, limit_s=limit_s)
    return Turn(
        take=lambda count: time_block(call, nothing, count),
        warmup_runs=runs,
        stable=stable,
        single_ns=single_ns,
    )
