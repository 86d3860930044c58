"""Intermediate tensors of a .tflite in LiteRT, with any of its kernels."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from mnist_export.core.affine import QuantParams
from mnist_export.core.errors import InputError
from mnist_export.core.graph.operator import Family
from mnist_export.core.graph.operators import kinds
from mnist_export.core.graph.schema import operator_names
from mnist_export.parity.layers.activations import Activation
from mnist_export.runtime.foreign.flatbuffer import Reader

if TYPE_CHECKING:
    from mnist_export.runtime.runners.litert import LiteRtRunner

_TRANSPARENT: Final = {*kinds(Family.VIEW, Family.SHAPE), "PACK", "STRIDED_SLICE"}


def read(runner: LiteRtRunner, images: npt.NDArray[np.uint8]) -> list[Activation]:
    """Read the output of every operator; see `activations.activations_of`.

    ``experimental_preserve_all_tensors`` keeps them, also those inside of the XNNPACK delegate: they equal
    what the tensors hold when they are made outputs of the model.
    """
    native = runner.prepare(images)
    interpreter, rows = _run(runner, native)
    details = {int(d["index"]): d for d in interpreter.get_tensor_details()}
    found: list[Activation] = []
    for kind, outputs in operators(runner):
        for index in outputs:
            item = activation(kind, details[index], rows[index]) if index in details else None
            if item is not None:
                found.append(item)
    return found


def _run(runner: LiteRtRunner, native: npt.NDArray[Any]) -> tuple[Any, dict[int, npt.NDArray[Any]]]:
    interpreter = runner.fresh_interpreter(keep=True)
    feed = interpreter.get_input_details()[0]
    indices = [index for _, outputs in operators(runner) for index in outputs]
    parts: dict[int, list[npt.NDArray[Any]]] = {index: [] for index in indices}
    step = int(feed["shape"][0])
    for start in range(0, len(native), step):
        piece = native[start : start + step]
        filled = np.concatenate([piece, np.repeat(piece[:1], step - len(piece), axis=0)])
        interpreter.set_tensor(feed["index"], filled)
        interpreter.invoke()
        for index in indices:
            try:
                values = interpreter.get_tensor(index)
                parts[index].append(values[: len(piece) * max(1, len(values) // step)])
            except ValueError as error:
                raise InputError(
                    f"{runner.label}: LiteRT does not keep the intermediate tensors of these kernels. "
                    'Use `kernels="builtin"`.'
                ) from error
    return interpreter, {index: np.concatenate(rows) for index, rows in parts.items()}


def operators(runner: LiteRtRunner) -> list[tuple[str, tuple[int, ...]]]:
    """Operators' names and output tensors, in the file's (execution) order."""
    model = Reader(runner.content, runner.label).root()
    names = operator_names()
    codes = [max(c.integer(0, "b"), c.integer(3, "i")) for c in model.tables(1)]
    return [
        (names.get(codes[op.integer(0, "I")], ""), op.integers(2, "i")) for op in model.tables(2)[0].tables(3)
    ]


def activation(kind: str, details: dict[str, Any], values: npt.NDArray[Any]) -> Activation | None:
    """The output of an operator in real units; None of one that only moves values.

    Args:
        kind: the operator's name.
        details: of the tensor, as LiteRT's ``get_tensor_details`` gives them.
        values: what the tensor holds, (n, ...).
    """
    if kind in _TRANSPARENT:
        return None
    scales = np.asarray(details["quantization_parameters"]["scales"], np.float32)
    name = str(details["name"]).split(";", maxsplit=1)[0]
    if scales.size != 1 or values.dtype.kind not in "iu":
        return Activation(name=name, kind=kind, values=values.astype(np.float32))
    points = np.asarray(details["quantization_parameters"]["zero_points"], np.int64)
    quant = QuantParams(scale=scales, zero_point=points)
    info = np.iinfo(values.dtype)
    ends = quant.dequantize(np.array([info.min, info.max], values.dtype))
    return Activation(
        name=name,
        kind=kind,
        values=quant.dequantize(values),
        step=float(scales[0]),
        qrange=(float(ends[0]), float(ends[1])),
    )
