"""Runs a graph before and after a rewrite on the same inputs and compares what comes out.

The rewrites are equalities on paper, and tests prove them over many graphs; this is the check of the one
graph at hand. Both forms run in LiteRT's built-in kernels, whose integer arithmetic does not depend on how
a layer is tiled.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from mnist_export.core.batches import fitting
from mnist_export.core.errors import ConversionError
from mnist_export.core.graph import Graph
from mnist_export.core.graph.memory import live_activation_bytes
from mnist_export.core.graph.tflite_writer import write_tflite
from mnist_export.quantize.rewrites.regions import largest_error

SAMPLES = 4
FLOAT_TOLERANCE = 1e-4
"""Of the largest output. Folding multiplies and adds each weight in another order: a few units in the last
place (2**-24) a layer, which sums of 1e3 to 1e4 products and ten layers raise to some 1e-6."""


def prove(before: Graph, after: Graph, where: str, *, seed: int = 0) -> None:
    """Compare two forms of a network.

    Args:
        before: the form that is known to be right.
        after: the rewritten form, float or integer like ``before``.
        where: what was done, for the message.
        seed: of the inputs: all smallest, all largest, and random ones.

    Raises:
        ConversionError: integers differ at all; or floats by more than `FLOAT_TOLERANCE`, both at the outputs
            and behind the operators that changed.
    """
    tensor = before.tensors[before.inputs[0]]
    inputs = sample_inputs(tensor.shape[1:], tensor.dtype, seed)
    try:
        one, two = outputs_of(before, inputs), outputs_of(after, inputs)
    except RuntimeError as refused:
        # Built-in kernels refuse multipliers over 2**31, as a channel that is all but dead has them;
        # XNNPACK's take them, and round each output by itself too.
        try:
            one, two = (outputs_of(graph, inputs, builtin=False) for graph in (before, after))
        except RuntimeError:
            found = " ".join(str(refused).split())
            raise ConversionError(
                f"{where}: LiteRT cannot run the network: {found}. Use `no_rewrites=True`."
            ) from refused
    if one.dtype.kind == "f":
        largest = float(np.abs(one).max())
        error = float(np.abs(one - two).max())
        allowed = FLOAT_TOLERANCE * max(largest, 1e-6)
        same = bool(np.isfinite(two).all()) and (
            # Hundreds of layers raise rounding without bound: then what changed is judged by itself.
            error <= allowed or largest_error(before, after, inputs, FLOAT_TOLERANCE) <= FLOAT_TOLERANCE
        )
        found = f"an error of {error:.3g} beside outputs up to {largest:.3g}"
    else:
        wrong = int((one != two).sum())
        same, found = wrong == 0, f"{wrong} of {one.size} integers that differ"
    if not same:
        raise ConversionError(
            f"{where}: expected the same outputs as before the rewrite, found {found}. Use "
            "`no_rewrites=True`, and report this model."
        )


def sample_inputs(shape: tuple[int, ...], dtype: npt.DTypeLike, seed: int) -> npt.NDArray[Any]:
    """All smallest, all largest and random values: shape (SAMPLES + 2, *shape)."""
    rng = np.random.default_rng(seed)
    if np.dtype(dtype).kind == "f":
        real = rng.uniform(-1.0, 1.0, (SAMPLES, *shape))
        return np.concatenate([-np.ones((1, *shape)), np.ones((1, *shape)), real]).astype(dtype)
    info = np.iinfo(np.dtype(dtype))
    random = rng.integers(info.min, info.max, (SAMPLES, *shape), endpoint=True)
    ends = [np.full((1, *shape), info.min), np.full((1, *shape), info.max)]
    return np.concatenate([*ends, random]).astype(dtype)


def outputs_of(graph: Graph, inputs: npt.NDArray[Any], *, builtin: bool = True) -> npt.NDArray[Any]:
    """A graph's outputs from LiteRT, shape (n, ...).

    Args:
        graph: what to run.
        inputs: shape (n, ...), as the graph takes them.
        builtin: in the built-in kernels; else in those that LiteRT chooses, XNNPACK's.

    Raises:
        RuntimeError: the kernels refuse the graph.
    """
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    interpreter = Interpreter(
        model_content=write_tflite(graph),
        experimental_op_resolver_type=(
            OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES if builtin else OpResolverType.AUTO
        ),
        num_threads=1,
    )
    (entry,), results = interpreter.get_input_details(), interpreter.get_output_details()
    step = fitting(live_activation_bytes(graph), largest=len(inputs))
    made: list[npt.NDArray[Any]] = []
    for start in range(0, len(inputs), step):
        part = inputs[start : start + step]
        interpreter.resize_tensor_input(entry["index"], part.shape)
        interpreter.allocate_tensors()
        interpreter.set_tensor(entry["index"], part)
        interpreter.invoke()
        found = [interpreter.get_tensor(result["index"]) for result in results]
        # several outputs are compared as one
        made.append(
            found[0] if len(found) == 1 else np.concatenate([v.reshape(len(part), -1) for v in found], 1)
        )
    return np.concatenate(made)
