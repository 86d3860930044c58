"""Runs exact graphs in LiteRT: the integers of `arithmetic`, many times faster."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np
import numpy.typing as npt

from mnist_export.core.batches import fitting
from mnist_export.core.graph import Graph, Op, Tensor
from mnist_export.core.graph.memory import live_activation_bytes
from mnist_export.core.graph.tflite_writer import write_tflite
from mnist_export.core.native_log import quiet_stderr

_BATCH: Final = 64


def advance(tensors: tuple[Tensor, ...], op: Op, codes: npt.NDArray[np.int8]) -> npt.NDArray[np.int8]:
    """Run one operator that has one activation as its input.

    Args:
        tensors: the integer graph's tensors so far.
        op: the operator, its weights on the grid.
        codes: the input's codes, batch first.

    Returns:
        The output's codes.
    """
    graph = Graph(tensors=tensors, ops=(op,), inputs=(op.inputs[0],), outputs=(op.outputs[0],)).pruned()
    named = tuple(replace(t, name=f"t{i}") for i, t in enumerate(graph.tensors))
    return _run(replace(graph, tensors=named), codes)


def run_network(graph: Graph, pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.int8]:
    """Run a whole exact graph on raw pixels.

    Args:
        graph: int8 throughout, with an int8 input that is ``pixel - 128``.
        pixels: uint8, batch first.

    Returns:
        Codes of the logits, shape (n, classes).
    """
    codes = (pixels.astype(np.int16) - 128).astype(np.int8)
    return _run(graph, codes.reshape(len(pixels), *graph.tensors[graph.inputs[0]].shape[1:]))


def _run(graph: Graph, codes: npt.NDArray[np.int8]) -> npt.NDArray[np.int8]:
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_content=write_tflite(graph), num_threads=2)
    entry = interpreter.get_input_details()[0]["index"]
    result = interpreter.get_output_details()[0]["index"]
    parts = []
    size = 0
    batch = fitting(live_activation_bytes(graph), largest=_BATCH)
    for start in range(0, len(codes), batch):
        part = codes[start : start + batch]
        if len(part) != size:
            size = len(part)
            interpreter.resize_tensor_input(entry, part.shape)
            with quiet_stderr():
                interpreter.allocate_tensors()
        interpreter.set_tensor(entry, part)
        interpreter.invoke()
        parts.append(interpreter.get_tensor(result))
    return np.concatenate(parts)
