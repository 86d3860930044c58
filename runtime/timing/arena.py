"""Memory that the values inside of a .tflite take: what is live at once, and LiteRT's arena.

LiteRT's Python interface does not tell the size of its arena. With the built-in kernels every value and every
scratch buffer lies in it, at an address that can be read; a planner that places each at the start or directly
behind another leaves no holes, so the pieces that hang together with the input are the arena. XNNPACK keeps
its values in memory of its own, which nobody tells.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from mnist_export.core.errors import InputError
from mnist_export.core.graph.operator import Family
from mnist_export.core.graph.operators import kinds
from mnist_export.runtime.timing.operator_cut import Network, outputs, used

if TYPE_CHECKING:
    from mnist_export.runtime.runners.litert import LiteRtRunner

_ALIGNMENT: Final = 64  # of tensors in LiteRT's arena
# Operators whose output LiteRT's built-in kernels keep in their input's memory.
_VIEWS: Final = {*kinds(Family.VIEW), "BITCAST"}


@dataclass(frozen=True, kw_only=True)
class ActivationMemory:
    """Memory of a .tflite's values, without weights, bytes.

    Attributes:
        live_tensor_peak_bytes: most bytes of values that are needed at once, in the file's order: the input
            up to its last use, each value from its operator to its last use, the output to the end. A
            reshaped value counts as memory of its own, as TFLite Micro plans it (micro_allocation_info.cc).
            No arena of TFLite Micro can be smaller; its kernels' scratch memory, alignment and tables come
            on top.
        arena_bytes: extent of LiteRT's arena with its built-in kernels, their scratch memory included; None
            where it cannot be told (values whose size is known at run time only).
    """

    live_tensor_peak_bytes: int
    arena_bytes: int | None


def activation_memory(runner: LiteRtRunner, *, batch: int = 1) -> ActivationMemory:
    """Measure what a model's values take.

    Args:
        runner: a .tflite, with any kernels; the built-in ones are loaded for this.
        batch: images of one call.

    Raises:
        InputError: the file is damaged, or takes no such batch.
    """
    network = Network.parse(runner.content, runner.label)
    interpreter = runner.fresh_interpreter(batch=batch, resolver="BUILTIN_WITHOUT_DEFAULT_DELEGATES")
    with contextlib.suppress(RuntimeError, ValueError):
        interpreter.invoke()  # sizes that are computed are known after a run
    details = {int(found["index"]): found for found in interpreter.get_tensor_details()}
    count = len(network.tensors)
    if any(index not in details for index in range(count)):
        raise InputError(f"{runner.label}: LiteRT does not list all of the file's {count} tensors.")
    sizes = [_size(details[index]) for index in range(count)]
    arena = _arena(interpreter, network, set(details), int(interpreter.get_input_details()[0]["index"]))
    least = live_peak_bytes(network, sizes, views=True)
    return ActivationMemory(
        live_tensor_peak_bytes=live_peak_bytes(network, sizes),
        arena_bytes=arena if arena >= least else None,
    )


def live_peak_bytes(network: Network, sizes: list[int], *, views: bool = False) -> int:
    """The most bytes of values that are needed at once while the operators run in the file's order.

    Args:
        network: the file.
        sizes: of each of its tensors, bytes.
        views: a reshaped value shares its source's memory, as in LiteRT.
    """
    fixed = network.fixed()
    graph = network.model.subgraphs[0]
    alias = list(range(len(sizes)))
    last: dict[int, int] = {}
    born = {int(index): 0 for index in graph.inputs}
    operators = [op for op in network.operators if not all(index in fixed for index in used(op))]
    for step, operator in enumerate(operators, start=1):
        sources = [index for index in used(operator) if index not in fixed]
        made = outputs(operator)
        if views and network.kind(operator) in _VIEWS and sources:
            alias[made[0]] = alias[sources[0]]
        for index in made:
            born.setdefault(alias[index], step)
        for index in (*sources, *made):
            last[alias[index]] = step
    for index in graph.outputs:
        last[alias[int(index)]] = len(operators)
    change = np.zeros(len(operators) + 2, np.int64)
    for index, start in born.items():
        change[start] += sizes[index]
        change[last.get(index, start) + 1] -= sizes[index]
    return int(np.cumsum(change).max())


def _size(details: dict[str, Any]) -> int:
    return int(np.prod(details["shape"], dtype=np.int64)) * int(np.dtype(details["dtype"]).itemsize)


def _arena(interpreter: Any, network: Network, indices: set[int], start: int) -> int:
    """The extent of the allocations that hang together with the input's."""
    fixed = network.fixed()
    pieces: set[tuple[int, int]] = set()
    for index in sorted(indices - fixed):
        try:
            view = interpreter.tensor(index)()
        except (ValueError, RuntimeError):
            continue  # has no memory: of a size that is known at run time only
        if view.nbytes:
            pieces.add((_address(view), _address(view) + int(view.nbytes)))
    first = interpreter.tensor(start)()
    low, high = _address(first), _address(first) + int(first.nbytes)
    while True:
        near = [piece for piece in pieces if piece[0] <= _aligned(high) and _aligned(piece[1]) >= low]
        grown = min([low, *(a for a, _ in near)]), max([high, *(b for _, b in near)])
        if grown == (low, high):
            return high - low
        low, high = grown


def _address(view: Any) -> int:
    return int(view.__array_interface__["data"][0])


def _aligned(address: int) -> int:
    return -(-address // _ALIGNMENT) * _ALIGNMENT
