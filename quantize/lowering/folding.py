"""Computes what a converted graph computes from constants alone, once and for all."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np

from mnist_export.core.errors import ConversionError
from mnist_export.core.graph import Graph, Op, Tensor
from mnist_export.core.graph.tflite_writer import write_tflite
from mnist_export.core.native_log import quiet_stderr

MAX_FOLDED_BYTES: Final = 64 << 20
"""Larger results stay computed at run time: a file holds a constant whole."""


def fold_constants(graph: Graph) -> Graph:
    """Replace operators that read constants alone by their results, as LiteRT computes them.

    Args:
        graph: as the converter gives it; it leaves some such operators, such as MATRIX_DIAG.

    Raises:
        ConversionError: LiteRT cannot compute one of them.
    """
    known = {index for index, tensor in enumerate(graph.tensors) if tensor.is_constant}
    folded: list[Op] = []
    for op in graph.ops:
        size = sum(_size_bytes(graph.tensors[index]) for index in op.outputs)
        if size <= MAX_FOLDED_BYTES and all(index < 0 or index in known for index in op.inputs):
            known.update(op.outputs)
            folded.append(op)
    if not folded:
        return graph
    gone = set(folded)
    rest = tuple(op for op in graph.ops if op not in gone)
    read = {index for op in rest for index in op.inputs} | set(graph.outputs)
    wanted = sorted({index for op in folded for index in op.outputs} & read)
    if set(wanted) & set(graph.outputs):
        raise ConversionError(
            "TFLite conversion: expected a result that depends on the image, found a constant one. "
            "Export a model whose output is computed from its input."
        )
    values = _computed(replace(graph, ops=tuple(folded), inputs=(), outputs=tuple(wanted)).pruned(), wanted)
    return replace(graph.with_tensors(_filled(graph, values)), ops=rest).pruned()


def _size_bytes(tensor: Tensor) -> int:
    return int(np.prod(tensor.shape, dtype=np.int64)) * tensor.dtype.itemsize


def _filled(graph: Graph, values: dict[int, np.ndarray]) -> dict[int, Tensor]:
    return {
        index: replace(graph.tensors[index], data=value, shape=value.shape, dtype=value.dtype)
        for index, value in values.items()
    }


def _computed(graph: Graph, wanted: list[int]) -> dict[int, np.ndarray]:
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    try:
        interpreter = Interpreter(
            model_content=write_tflite(graph),
            experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
        )
        with quiet_stderr():
            interpreter.allocate_tensors()
            interpreter.invoke()
    except (RuntimeError, ValueError) as error:
        raise ConversionError(
            f"LiteRT cannot compute the model's constants: {' '.join(str(error).split())}"
        ) from error
    details = interpreter.get_output_details()
    return {
        index: np.array(interpreter.get_tensor(detail["index"]))
        for index, detail in zip(wanted, details, strict=True)
    }
