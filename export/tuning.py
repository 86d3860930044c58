"""Chooses a convolution's block by measuring the whole network in its own runtime, on this machine.

Bytes then depend on the machine that wrote them, so this is asked for (``--target auto``), never the
default. What is measured is the thread's own processor time, which other processes disturb least.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from statistics import median
from typing import Any

import numpy as np

from mnist_export.core.graph import Graph, Op
from mnist_export.core.graph.tflite_writer import write_tflite
from mnist_export.core.kinds import Format, IoType
from mnist_export.core.native_log import quiet_stderr
from mnist_export.quantize.rewrites import TARGETS, Block, Choose, Target
from mnist_export.quantize.rewrites.block_choice import MLAS, work
from mnist_export.quantize.rewrites.block_convolution import block_convolution
from mnist_export.quantize.rewrites.merge_reshapes import merge_reshapes

CANDIDATES = 4
ROUNDS = 15
_BLOCK_S = 0.002
_WORTH = 0.98
"""A block has to take at most this share of the plain form's time: under 2 % is noise."""


def measured(fmt: Format, target: Target) -> Choose:
    """A choice by measurement.

    Args:
        fmt: the format whose runtime is measured: LiteRT for .tflite, ONNX Runtime for .onnx.
        target: whose rule ranks the candidates; only the best of them are measured.
    """
    kernels = TARGETS.get(target).kernels or MLAS
    load = _litert if fmt == Format.TFLITE else _onnxruntime

    def choose(graph: Graph, conv: Op, blocks: Sequence[Block]) -> Block | None:
        if graph.tensors[conv.inputs[1]].dtype != np.int8:
            return None
        plain = work(graph, conv, Block(), kernels)
        promising = sorted((b for b in blocks), key=lambda b: work(graph, conv, b, kernels))
        promising = [b for b in promising if work(graph, conv, b, kernels) <= plain][:CANDIDATES]
        if not promising:
            return None
        forms: list[Block | None] = [None, *promising]
        calls = [
            load(graph if b is None else merge_reshapes(block_convolution(graph, conv, b))) for b in forms
        ]
        times = interleaved(calls)
        best = min(range(len(forms)), key=times.__getitem__)
        return forms[best] if times[best] <= _WORTH * times[0] else None

    return choose


def interleaved(calls: Sequence[Callable[[], Any]]) -> list[float]:
    """Median processor time of each call in seconds, measured in turns."""
    counts = []
    for call in calls:
        call()
        started = time.thread_time()
        call()
        counts.append(max(1, min(200, int(_BLOCK_S / max(time.thread_time() - started, 1e-6)))))
    found: list[list[float]] = [[] for _ in calls]
    for _ in range(ROUNDS):
        for number, call in enumerate(calls):
            started = time.thread_time()
            for _ in range(counts[number]):
                call()
            found[number].append((time.thread_time() - started) / counts[number])
    return [median(values) for values in found]


def _images(graph: Graph, dtype: str) -> Any:
    shape = (1, *graph.tensors[graph.inputs[0]].shape[1:])
    info = np.iinfo(np.dtype(dtype))
    return np.random.default_rng(0).integers(info.min, info.max, shape, endpoint=True).astype(dtype)


def _litert(graph: Graph) -> Callable[[], Any]:
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_content=write_tflite(graph), num_threads=1)
    with quiet_stderr():
        interpreter.allocate_tensors()
    (entry,) = interpreter.get_input_details()
    interpreter.set_tensor(entry["index"], _images(graph, "int8"))

    def invoke() -> None:  # holds on to the interpreter, which its bound method would not
        interpreter.invoke()

    return invoke


def _onnxruntime(graph: Graph) -> Callable[[], Any]:
    import onnxruntime

    from mnist_export.export.onnx_writer import write_onnx

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    content = write_onnx(graph, io=IoType.UINT8, channels_last=True)
    session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
    feed = {session.get_inputs()[0].name: _images(graph, "uint8")}
    return lambda: session.run(None, feed)
