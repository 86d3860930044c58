"""Runs a graph in LiteRT while it is still data: logits for a search, every tensor for a debugger."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from mnist_export.core.batches import fitting
from mnist_export.core.errors import ConversionError
from mnist_export.core.graph import Graph
from mnist_export.core.graph.memory import all_activation_bytes, live_activation_bytes
from mnist_export.core.graph.tflite_writer import write_tflite
from mnist_export.core.images import Images
from mnist_export.core.native_log import quiet_stderr
from mnist_export.core.pixels import InputRange

BATCH = 64
"""Images a step where their activations fit `core.batches`' budget; fewer where not."""


def feed(graph: Graph, images: npt.NDArray[np.uint8], input_range: InputRange) -> npt.NDArray[Any]:
    """Raw pixels as a graph's input takes them: real values, or codes of its input's type.

    Args:
        graph: float or quantized, with one input.
        images: uint8 of shape (n, H, W, C).
        input_range: what pixel values 0 and 255 become for the model.

    Returns:
        float32, int8 (pixel - 128) or int16 of shape (n, *input shape).
    """
    tensor = graph.tensors[graph.inputs[0]]
    shape = (len(images), *tensor.shape[1:])
    if tensor.quant is None:
        return input_range.to_real(images).reshape(shape)
    if tensor.dtype == np.int8:
        return (images.astype(np.int16) - 128).astype(np.int8).reshape(shape)
    table = input_range.to_real(np.arange(256, dtype=np.uint8))
    codes: npt.NDArray[Any] = tensor.quant.quantize(table, tensor.dtype)
    return codes[images].reshape(shape)


def interpreter_of(graph: Graph, batch: int, *, keep_all: bool = False, threads: int = 1) -> Any:
    """A LiteRT interpreter for a fixed batch.

    Args:
        graph: what to run.
        batch: images a step.
        keep_all: every tensor can be read afterwards; needs the built-in kernels, else XNNPACK's.
        threads: threads of one inference.

    Raises:
        ConversionError: LiteRT refuses the graph.
    """
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    resolver = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES if keep_all else OpResolverType.AUTO
    try:
        interpreter = Interpreter(
            model_content=write_tflite(graph),
            experimental_preserve_all_tensors=keep_all,
            experimental_op_resolver_type=resolver,
            num_threads=threads,
        )
        entry = interpreter.get_input_details()[0]
        interpreter.resize_tensor_input(entry["index"], (batch, *graph.tensors[graph.inputs[0]].shape[1:]))
        with quiet_stderr():
            interpreter.allocate_tensors()
    except (RuntimeError, ValueError) as error:
        raise ConversionError(f"LiteRT cannot run the graph: {' '.join(str(error).split())}") from error
    return interpreter


def common_batch(*graphs: Graph) -> int:
    """Images a step for graphs whose tensors are read side by side with `run_tensors`."""
    return min(fitting(all_activation_bytes(graph), largest=BATCH) for graph in graphs)


def run_tensors(
    graph: Graph,
    images: Images,
    watched: Sequence[int],
    *,
    input_range: InputRange,
    batch: int = BATCH,
) -> Iterator[Mapping[int, npt.NDArray[np.float32]]]:
    """Yield chosen activations in real units, batch by batch.

    Args:
        graph: float or quantized.
        images: uint8 of shape (n, H, W, C).
        watched: tensor indices.
        input_range: what pixel values 0 and 255 become for the model.
        batch: the most images a step.

    Yields:
        Tensor index to float32 values, the batch first; quantized tensors are dequantized.
    """
    size = min(fitting(all_activation_bytes(graph), largest=batch), len(images))
    interpreter = interpreter_of(graph, size, keep_all=True)
    entry = interpreter.get_input_details()[0]["index"]
    for part, count in _batches(graph, images, input_range, size):
        interpreter.set_tensor(entry, part)
        interpreter.invoke()
        yield {
            index: _real(graph, index, _rows(interpreter.get_tensor(index), count, size)) for index in watched
        }


def _rows(values: npt.NDArray[Any], count: int, size: int) -> npt.NDArray[Any]:
    """The rows of the first images of a batch: one each, or several, as windows of attention have."""
    return values[: len(values) // size * count]


def _batches(
    graph: Graph, images: Images, input_range: InputRange, size: int
) -> Iterator[tuple[npt.NDArray[Any], int]]:
    """Batches of one size as the graph takes them, and how many of each are real; the last is filled up."""
    for start in range(0, len(images), size):
        part = images[start : start + size]
        count = len(part)
        if count < size:
            part = np.concatenate([part, np.repeat(part[-1:], size - count, axis=0)])
        yield feed(graph, part, input_range), count


def _real(graph: Graph, index: int, values: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    quant = graph.tensors[index].quant
    if quant is None or values.dtype == np.float32:
        return np.asarray(values, np.float32)
    return quant.dequantize(values)


def run_logits(
    graph: Graph, images: Images, *, input_range: InputRange, batch: int = BATCH
) -> npt.NDArray[np.float32]:
    """The logits in real units, from LiteRT's default kernels.

    Args:
        graph: float or quantized.
        images: uint8 of shape (n, H, W, C), n >= 1.
        input_range: what pixel values 0 and 255 become for the model.
        batch: the most images a step.

    Returns:
        float32 of shape (n, classes).
    """
    size = min(fitting(live_activation_bytes(graph), largest=batch), len(images))
    interpreter = interpreter_of(graph, size)
    entry = interpreter.get_input_details()[0]["index"]
    result = interpreter.get_output_details()[0]["index"]
    parts = []
    for part, count in _batches(graph, images, input_range, size):
        interpreter.set_tensor(entry, part)
        interpreter.invoke()
        parts.append(_real(graph, graph.outputs[0], interpreter.get_tensor(result)[:count]))
    return np.concatenate(parts)


def latency_ratio(
    graph: Graph, baseline: Graph, image: npt.NDArray[np.uint8], *, input_range: InputRange, rounds: int = 15
) -> float:
    """Median time of one image over a baseline's, measured in turns on one thread.

    Args:
        graph: what is timed.
        baseline: what it is compared with.
        image: uint8 of shape (1, H, W, C).
        input_range: what pixel values 0 and 255 become for the model.
        rounds: how many quotients the median is taken of.
    """
    runs = []
    for each in (graph, baseline):
        interpreter = interpreter_of(each, 1)
        interpreter.set_tensor(interpreter.get_input_details()[0]["index"], feed(each, image, input_range))
        interpreter.invoke()
        runs.append(interpreter)
    quotients = []
    for _ in range(rounds):
        times = []
        for interpreter in runs:
            started = time.perf_counter_ns()
            for _ in range(20):
                interpreter.invoke()
            times.append(time.perf_counter_ns() - started)
        quotients.append(times[0] / times[1])
    return float(np.median(quotients))


def sqnr_db(reference: npt.NDArray[np.float32], candidate: npt.NDArray[np.float32]) -> float:
    """``10 log10(sum(reference^2) / sum((reference - candidate)^2))``; infinite where nothing differs."""
    signal = float(np.sum(np.square(reference, dtype=np.float64)))
    noise = float(np.sum(np.square(np.subtract(reference, candidate, dtype=np.float64))))
    return decibels(signal, noise)


def decibels(signal: float, noise: float) -> float:
    """``10 log10(signal / noise)`` of two powers; infinite without noise, -infinite without signal."""
    if noise == 0:
        return float("inf")
    return float(10.0 * np.log10(signal / noise)) if signal > 0 else float("-inf")
