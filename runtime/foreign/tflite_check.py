"""Checks a .tflite file in pure Python before native code reads it, and finds its metadata.

Native loaders run a file's operators with few questions; an input that is a constant, for one, makes LiteRT
write into the caller's buffer. Reference: tensorflow/lite/schema/schema.fbs (field numbers below).
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from mnist_export.core.errors import InputError, UnsupportedError
from mnist_export.models.outputs import MOST
from mnist_export.runtime.foreign.flatbuffer import DamagedError, Reader, Table
from mnist_export.runtime.foreign.metadata import METADATA_KEY, Metadata

MAX_OPERATORS: Final = 10_000
MAX_TENSORS: Final = 50_000
MAX_ELEMENTS: Final = 1 << 28  # of one activation at batch 1
MAX_RANK: Final = 8

_FLOAT32, _FLOAT16, _CUSTOM, _PLACEHOLDER = 0, 1, 32, 127
# Control flow, calls and resources: no classifier needs them, and their cost has no bound.
_REFUSED: Final = {
    31: "CALL",
    51: "DELEGATE",
    118: "IF",
    119: "WHILE",
    129: "CALL_ONCE",
    136: "HASHTABLE",
    142: "VAR_HANDLE",
    143: "READ_VARIABLE",
    144: "ASSIGN_VARIABLE",
    200: "STABLEHLO_WHILE",
}
_POOL: Final = 5
_STRIDED_OPTIONS: Final = {1: "Conv2D", 2: "DepthwiseConv2D", _POOL: "Pool2D"}
_SIZES: Final = {0: 4, 1: 2, 2: 4, 3: 1, 4: 8, 6: 1, 7: 2, 9: 1, 10: 8, 12: 8, 15: 4, 16: 2}


def _fail(label: str, what: str) -> InputError:
    return InputError(f"{label}: {what} The file is damaged or was made by hand; export it again.")


def check_tflite(data: bytes, *, label: str, several: bool = False) -> Metadata | None:
    """Refuse a .tflite file that native code should not see.

    Args:
        data: the whole file.
        label: its name for messages.
        several: whether several outputs are taken.

    Returns:
        Our metadata, or None for a file of others.

    Raises:
        InputError: empty, another format, truncated, offsets or indices outside of the file, a constant as
            input, a scale that is not finite and positive, weights that are not finite, too many operators.
        UnsupportedError: custom or Flex operators, control flow.
    """
    if not data:
        raise InputError(f"{label}: expected a TFLite model, found an empty file.")
    if data[4:8] != b"TFL3":
        raise InputError(
            f"{label}: expected a TFLite model (identifier TFL3 at byte 4), found {data[4:8]!r}. "
            "Check the file's format or get it again."
        )
    model = Reader(data, label).root()
    subgraphs = model.tables(2)
    if len(subgraphs) != 1:
        raise UnsupportedError(f"{label}: expected one subgraph, found {len(subgraphs)} (control flow).")
    buffers = model.tables(4)
    graph = subgraphs[0]
    constants = _check_tensors(graph, buffers, label)
    _check_operators(model, graph, len(constants), label)
    for what, field in (("input", 1), ("output", 2)):
        indices = graph.integers(field, "i")
        if len(indices) != 1 and not (several and what == "output" and 0 < len(indices) <= MOST):
            raise UnsupportedError(f"{label}: expected one {what}, found {len(indices)}.")
        for index in indices:
            if not 0 <= index < len(constants):
                raise _fail(label, f"the {what} is tensor {index} of {len(constants)}.")
        if what == "input" and constants[indices[0]]:
            raise _fail(label, "the input is a constant.")
    return _metadata(model, buffers, label)


def _text(value: bytes, what: str, label: str) -> str:
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError as error:
        raise _fail(label, f"{what} is no text ({error.reason}).") from error


def _check_tensors(graph: Table, buffers: list[Table], label: str) -> list[bool]:
    count = graph.count(0)
    if not 0 < count <= MAX_TENSORS:
        raise _fail(label, f"expected 1 to {MAX_TENSORS} tensors, found {count}.")
    constants: list[bool] = []
    for index, tensor in enumerate(graph.tables(0)):
        name = _text(tensor.blob(3), f"the name of tensor {index}", label)
        rank = tensor.count(0)
        if rank > MAX_RANK:
            raise _fail(label, f"tensor {index} '{name}' has a shape of {rank} dimensions.")
        shape = tensor.integers(0, "i")
        kind = tensor.integer(1, "b")
        buffer = tensor.integer(2, "I")
        if any(size < 0 for size in shape) or math.prod(shape) > MAX_ELEMENTS:
            raise _fail(label, f"tensor {index} '{name}' has the shape {shape}.")
        if buffer >= len(buffers):
            raise _fail(label, f"tensor {index} '{name}' is in buffer {buffer} of {len(buffers)}.")
        content = stored(buffers[buffer], label) if buffer else b""
        constants.append(bool(content))
        if content:
            _check_constant(content, name, shape, kind, label)
        _check_quantization(tensor.table(4), name, shape, label)
    return constants


def stored(buffer: Table, label: str) -> bytes:
    """The bytes of a buffer: in its own vector, or behind the tables, where large models keep them.

    Args:
        buffer: of the model's table of buffers.
        label: the file's name for messages.

    Raises:
        InputError: both at once, or bytes outside of the file.
    """
    if buffer.integer(1, "Q") <= 1:  # the schema's own words: 0 and 1 mean that there is none
        return buffer.blob(0)
    if buffer.count(0, 1):
        raise _fail(label, "a buffer holds bytes and points to others.")
    return buffer.span(1, 2)


def _check_constant(content: bytes, name: str, shape: tuple[int, ...], kind: int, label: str) -> None:
    size = len(content)
    expected = math.prod(shape) * _SIZES.get(kind, 0)
    if kind in _SIZES and size != expected:
        raise _fail(label, f"'{name}' of shape {shape} takes {expected} bytes, found {size}.")
    if kind in (_FLOAT32, _FLOAT16):
        values = np.frombuffer(content, np.float32 if kind == _FLOAT32 else np.float16)
        if not np.all(np.isfinite(values)):
            raise _fail(label, f"the weights '{name}' hold values that are not finite.")


def _check_quantization(table: Table | None, name: str, shape: tuple[int, ...], label: str) -> None:
    if table is None:
        return
    scales = table.numbers(2, "f")
    if any(not math.isfinite(scale) or scale <= 0 for scale in scales):
        raise _fail(label, f"'{name}' has a scale that is not finite and positive.")
    if len(scales) > 1:
        axis = table.integer(6, "i")
        if not 0 <= axis < len(shape) or shape[axis] != len(scales):
            raise _fail(label, f"'{name}' has {len(scales)} scales along axis {axis} of shape {shape}.")
    if scales and table.count(3, 8) not in (0, len(scales)):
        raise _fail(label, f"'{name}' has {len(scales)} scales and {table.count(3, 8)} zero points.")


def _check_operators(model: Table, graph: Table, tensors: int, label: str) -> None:
    count = graph.count(3)
    if not 0 < count <= MAX_OPERATORS:
        raise _fail(label, f"expected 1 to {MAX_OPERATORS} operators, found {count}.")
    codes = [(max(c.integer(0, "b"), c.integer(3, "i")), c.blob(1)) for c in model.tables(1)]
    written: set[int] = set()
    for index, operator in enumerate(graph.tables(3)):
        opcode = operator.integer(0, "I")
        if opcode >= len(codes):
            raise _fail(label, f"operator {index} has the code {opcode} of {len(codes)}.")
        code, custom = codes[opcode]
        if code in (_CUSTOM, _PLACEHOLDER) or custom:
            text = custom.decode("utf-8", "replace") or "unnamed"
            raise UnsupportedError(
                f"{label}: operator {index} is the custom operator '{text}', which LiteRT cannot run by "
                "itself. Convert the model with built-in operators only."
            )
        if code in _REFUSED:
            raise UnsupportedError(f"{label}: operator {index} is {_REFUSED[code]}, which is not run here.")
        outputs = operator.integers(2, "i")
        for tensor in (*operator.integers(1, "i"), *outputs):
            if not -1 <= tensor < tensors:
                raise _fail(label, f"operator {index} refers to tensor {tensor} of {tensors}.")
        if written.intersection(outputs):
            raise _fail(label, f"operator {index} writes a tensor that another operator wrote.")
        written.update(outputs)
        if operator.integer(3, "B") in _STRIDED_OPTIONS:
            options = operator.table(4)
            if options is None or options.integer(1, "i") < 1 or options.integer(2, "i") < 1:
                raise _fail(label, f"operator {index} has a stride below 1.")
            pools = operator.integer(3, "B") == _POOL
            if pools and (options.integer(3, "i") < 1 or options.integer(4, "i") < 1):
                raise _fail(label, f"operator {index} has a filter below 1x1.")


def _metadata(model: Table, buffers: list[Table], label: str) -> Metadata | None:
    for entry in model.tables(6):
        if entry.blob(0) == METADATA_KEY.encode():
            place = entry.integer(1, "I")
            if place >= len(buffers):
                raise DamagedError(f"{label}: the metadata is in buffer {place} of {len(buffers)}.")
            return Metadata.parse(buffers[place].blob(0), label=label)
    return None
