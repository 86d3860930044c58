"""A function of single values as a table of 256 codes: exact, and the same on every runtime.

The codes are moved to 0..255 and gathered from a constant: CAST, ADD and GATHER, which round nothing.
"""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from mnist_export.core.affine import QuantParams
from mnist_export.core.errors import ConversionError
from mnist_export.core.graph import Graph, Op
from mnist_export.core.graph.tflite_writer import write_tflite
from mnist_export.core.native_log import quiet_stderr
from mnist_export.quantize.network.functions import Function

OFFSET = 128
"""What is added to an int8 code to make it a place in the table."""


def table_of(graph: Graph, made: Function, before: QuantParams, after: QuantParams) -> npt.NDArray[np.int8]:
    """The function's code of every code from -128 to 127.

    Values are those of LiteRT's float kernels, ``q' = round(f(scale * (q - zero_point)) / scale') + zero'``;
    where the function has no finite value (the logarithm of a negative number), the nearest that has one
    stands in.

    Args:
        graph: the float graph.
        made: one of its functions.
        before: parameters of its source's codes.
        after: parameters of its result's codes.

    Raises:
        ConversionError: LiteRT cannot compute it, or it is finite nowhere.
    """
    codes = np.arange(-OFFSET, OFFSET, dtype=np.int64).astype(np.int8)
    values = _computed(graph, made, before.dequantize(codes))
    finite = np.flatnonzero(np.isfinite(values))
    if not finite.size:
        name = graph.tensors[made.target].name
        raise ConversionError(f"int8: layer '{name}': expected finite values of its function, found none.")
    nearest = finite[np.abs(np.arange(values.size)[:, None] - finite[None, :]).argmin(axis=1)]
    return after.quantize(values[nearest], np.int8).astype(np.int8)


def _computed(graph: Graph, made: Function, values: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """The function of 256 values, by LiteRT's kernels without a delegate."""
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    reached = {made.source, *(index for op in made.ops for index in op.outputs)}
    changes = {i: replace(graph.tensors[i], shape=(values.size,)) for i in reached}
    for op in made.ops:
        for index in op.inputs:
            data = graph.tensors[index].data
            if data is not None:
                changes[index] = replace(graph.tensors[index], data=data.reshape(1), shape=(1,))
    small = replace(
        graph.with_tensors(changes), ops=made.ops, inputs=(made.source,), outputs=(made.target,)
    ).pruned()
    try:
        interpreter = Interpreter(
            model_content=write_tflite(small),
            experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
        )
        with quiet_stderr():
            interpreter.allocate_tensors()
        interpreter.set_tensor(interpreter.get_input_details()[0]["index"], values.astype(np.float32))
        interpreter.invoke()
    except (RuntimeError, ValueError) as error:
        name = graph.tensors[made.target].name
        raise ConversionError(
            f"LiteRT cannot compute layer '{name}': {' '.join(str(error).split())}"
        ) from error
    result: npt.NDArray[np.float32] = interpreter.get_tensor(interpreter.get_output_details()[0]["index"])
    return result


def lookup_ops(codes: int, places: tuple[int, int], offset: int, table: int, target: int) -> tuple[Op, ...]:
    """The operators of one look-up.

    Args:
        codes: the tensor of int8 codes.
        places: two int32 tensors of its shape, for the codes and for the places in the table.
        offset: the constant `OFFSET`.
        table: 256 codes of the result.
        target: the result.
    """
    signed, index = places
    cast = MappingProxyType({"inDataType": 9, "outDataType": 2})  # int8 to int32, as schema.fbs numbers them
    add = MappingProxyType({"fusedActivationFunction": 0})
    gather = MappingProxyType({"axis": 0, "batchDims": 0})
    return (
        Op(kind="CAST", inputs=(codes,), outputs=(signed,), options_type="CastOptions", options=cast),
        Op(kind="ADD", inputs=(signed, offset), outputs=(index,), options_type="AddOptions", options=add),
        Op(
            kind="GATHER",
            inputs=(table, index),
            outputs=(target,),
            options_type="GatherOptions",
            options=gather,
        ),
    )
