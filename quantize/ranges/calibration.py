"""Activation ranges from calibration images, streamed so that memory does not grow with their number."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from mnist_export.core.batches import fitting
from mnist_export.core.errors import ConversionError, InputError
from mnist_export.core.graph import Graph
from mnist_export.core.graph.memory import all_activation_bytes
from mnist_export.core.graph.tflite_writer import write_tflite
from mnist_export.core.pixels import InputRange
from mnist_export.core.registry import LazyRegistry

BATCH = 32
"""Images a step where their activations, all kept, fit the budget; fewer where not."""


@dataclass(frozen=True, kw_only=True)
class Range:
    """A tensor's calibrated range in real units, ``lo <= hi``."""

    lo: float
    hi: float


class Observer(Protocol):
    """Watches one tensor's values over all calibration batches and settles on a range."""

    passes: int
    """How many times the images are run: 1, or 2 where a histogram needs the extremes first."""

    def update(self, values: npt.NDArray[np.float32], number: int) -> None:
        """Take in one batch's values, of any shape, during pass ``number`` (0 or 1)."""

    def range(self) -> Range:
        """The range to quantize with."""


OBSERVERS: LazyRegistry[type[Observer]] = LazyRegistry(
    "calibration method",
    {
        "minmax": "mnist_export.quantize.ranges.observers:MinMaxObserver",
        "percentile": "mnist_export.quantize.ranges.observe_percentile:PercentileObserver",
        "entropy": "mnist_export.quantize.ranges.observe_entropy:EntropyObserver",
        "mse": "mnist_export.quantize.ranges.observe_mse:MseObserver",
    },
)


def calibrate(
    graph: Graph,
    images: npt.NDArray[np.uint8],
    *,
    input_range: InputRange,
    method: str = "minmax",
) -> dict[int, Range]:
    """Run a float graph on calibration images and give each activation's range.

    Args:
        graph: a float graph.
        images: uint8 of shape (n, H, W, C), n >= 1.
        input_range: what pixel values 0 and 255 become for the model.
        method: a name in `OBSERVERS`.

    Returns:
        Tensor index to range, for the inputs and every operator's output of type float32.

    Raises:
        InputError: no images, or an unknown method.
        ConversionError: an activation is not finite.
    """
    if not len(images):
        raise InputError("calibration: expected at least 1 image, found 0. Use `calibration_samples=300`.")
    make = OBSERVERS.get(method)
    watched = [i for i in graph.activations() if graph.tensors[i].dtype == np.float32]
    observers = {i: make() for i in watched}
    for number in range(max(o.passes for o in observers.values())):
        for values in run_activations(graph, images, input_range=input_range):
            for index, observer in observers.items():
                observer.update(values[index], number)
    return {index: observer.range() for index, observer in observers.items()}


def run_activations(
    graph: Graph, images: npt.NDArray[np.uint8], *, input_range: InputRange, batch: int = BATCH
) -> Iterator[Mapping[int, npt.NDArray[np.float32]]]:
    """Yield every activation of a float graph, batch by batch, from LiteRT's built-in kernels.

    Each tensor is copied when it is looked up, and is that of the latest batch: one that is kept is kept by
    its reader alone.

    Args:
        graph: a float graph with one input.
        images: uint8 of shape (n, H, W, C).
        input_range: what pixel values 0 and 255 become for the model.
        batch: the most images a step; fewer where their activations would not fit `core.batches`' budget.

    Yields:
        Tensor index to float32 values, the batch first.

    Raises:
        ConversionError: a value that is looked up is NaN or infinite; the message names the layer.
    """
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    interpreter = Interpreter(
        model_content=write_tflite(graph),
        experimental_preserve_all_tensors=True,
        experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
        num_threads=2,
    )
    (entry,) = interpreter.get_input_details()
    shape = graph.tensors[graph.inputs[0]].shape[1:]
    watched = [i for i in graph.activations() if graph.tensors[i].dtype == np.float32]
    size = 0
    batch = fitting(all_activation_bytes(graph), largest=batch)
    for start in range(0, len(images), batch):
        part = images[start : start + batch]
        if len(part) != size:
            size = len(part)
            interpreter.resize_tensor_input(entry["index"], (size, *shape))
            interpreter.allocate_tensors()
        interpreter.set_tensor(entry["index"], input_range.to_real(part).reshape(size, *shape))
        interpreter.invoke()
        yield _Activations(graph, interpreter, watched)


class _Activations(Mapping[int, npt.NDArray[np.float32]]):
    """The interpreter's tensors, copied and checked one at a time."""

    def __init__(self, graph: Graph, interpreter: Any, watched: list[int]) -> None:
        self._graph, self._interpreter, self._watched = graph, interpreter, watched

    def __getitem__(self, index: int) -> npt.NDArray[np.float32]:
        value: npt.NDArray[np.float32] = self._interpreter.get_tensor(index)
        if not _is_finite(value):
            raise ConversionError(
                f"calibration: expected finite activations, found NaN or infinity at layer "
                f"'{self._graph.tensors[index].name}'. Check the model's weights and `input_range`."
            )
        return value

    def __iter__(self) -> Iterator[int]:
        return iter(self._watched)

    def __len__(self) -> int:
        return len(self._watched)


def _is_finite(value: npt.NDArray[np.float32]) -> bool:
    """Whether all values are: their sum tells, but for sums that overflow."""
    with np.errstate(over="ignore", invalid="ignore"):
        return bool(np.isfinite(value.sum()) or np.isfinite(value).all())
