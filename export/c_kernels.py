"""The C99 text of each operator: integer adds, multiplies and shifts, and nothing else.

Activations are uint8 (the int8 code plus 128), so that pixels enter as they are. Right shifts are made on
unsigned integers: C99 leaves the shift of a negative one to the compiler. Each layer is a function with its
sizes as constants; layers of one text share it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from mnist_export.core.errors import UnsupportedError
from mnist_export.core.graph import Graph
from mnist_export.export import c_channels, c_dot, c_pairs, c_rows
from mnist_export.export.c_depthwise import (
    MOST_TAPS,
    columns,
    depthwise_function,
    in_place_function,
    max_pool_function,
)
from mnist_export.export.c_moves import add_function, copy_function, pad_function
from mnist_export.export.c_steps import Step, window_for
from mnist_export.export.c_weights import Weights, lengthened, weights_of
from mnist_export.export.c_window import gather
from mnist_export.quantize.exact.arithmetic import code_range, zero_point

PARAMETERS: Final = "const int8_t *w, const int32_t *bias, const uint8_t *shifts, uint32_t *scratch"


@dataclass(frozen=True, kw_only=True, eq=False)
class Call:
    """A call of a generated function.

    Attributes:
        kind: what its name begins with.
        wide: the function's text for processors with vectors; ``@NAME@`` is its name, ``@ID@`` its number.
        narrow: for processors without; the same where it is None.
        helpers: functions that the narrow text calls, which layers share.
        arrays: its constants, in the order of its parameters.
        scratch: bytes that it needs while it runs.
        takes_scratch: whether it has a parameter for them.
        source: which of the operator's inputs it reads, where it reads one.
        offset: bytes into the output at which it writes.
    """

    kind: str
    wide: str
    narrow: str | None = None
    helpers: tuple[str, ...] = ()
    arrays: tuple[npt.NDArray[Any], ...] = ()
    scratch: int = 0
    takes_scratch: bool = False
    source: int | None = None
    offset: int = 0
    in_place: bool = field(default=False)


def _values(graph: Graph, step: Step) -> dict[str, Any]:
    """The constants of a layer with a window."""
    op = step.op
    window = window_for(graph, op)
    _, height, width, channels = graph.tensors[op.inputs[0]].shape
    outs = graph.tensors[op.outputs[0]].shape[3]
    out_height, out_width = window.out
    if step.pool is not None:
        out_height, out_width = out_height // 2, out_width // 2
    (kernel_height, kernel_width), count = window.kernel, out_height * out_width
    taps = kernel_height * kernel_width * channels
    return {
        "PARAMETERS": PARAMETERS, "H": height, "W": width, "C": channels, "OH": out_height, "OW": out_width,
        "OUTS": outs, "KH": kernel_height, "KW": kernel_width, "SY": window.strides[0],
        "SX": window.strides[1], "DY": window.dilations[0], "DX": window.dilations[1],
        "TOP": window.pads[0][0], "LEFT": window.pads[1][0], "PADS": window.is_padded,
        "ROW": kernel_width * channels, "TAPS": taps, "PADDED": -(-taps // c_dot.ALIGN) * c_dot.ALIGN,
        "COUNT": count, "LAST": count - 4, "NAME": "@NAME@", "ID": "@ID@",
    }  # fmt: skip


def _arrays(weights: Weights, taps: npt.NDArray[np.int64]) -> tuple[npt.NDArray[Any], ...]:
    return taps.astype(np.int8), weights.bias.astype(np.int32), weights.shifts.astype(np.uint8)


def _conv(graph: Graph, step: Step) -> list[Call]:
    weights = weights_of(graph, step.op)
    values = _values(graph, step)
    values |= {"ZERO": weights.zero_in, "LOW": weights.low, "HIGH": weights.high}
    values |= {"V_OUT": values["TAPS"], "V_TAP": 1}
    pooled = step.pool is not None
    if not pooled and values["COUNT"] < 4:
        window = gather(values, tap="tap_t", fill=weights.zero_in)
        bytes_window = gather(values, tap="uint8_t", fill=weights.zero_in)
        return [
            Call(
                kind="conv",
                wide=window + c_dot.single_function(values, gathered=True),
                narrow=bytes_window + c_pairs.single_function(values, gathered=True),
                arrays=_arrays(weights, lengthened(weights, values["PADDED"])),
                scratch=values["TAPS"],
                takes_scratch=True,
            )
        ]
    if c_channels.fits(values, weights):
        return [_short(values, weights, pooled=pooled, rows=False)]
    if c_rows.fits(values, weights, pooled=pooled):
        return [_short(values, weights, pooled=pooled, rows=True)]
    taps = lengthened(weights, values["PADDED"])
    wide = gather(values, tap="tap_t", fill=weights.zero_in) + c_dot.conv_function(values, pooled=pooled)
    narrow = c_pairs.conv_function(values, weights, pooled=pooled)
    return [
        Call(
            kind="conv",
            wide=wide,
            narrow=narrow,
            helpers=(c_pairs.ADD_HALVES, c_pairs.halves_function(values, weights)),
            arrays=_arrays(weights, taps),
            scratch=8 * values["TAPS"] + 32,
            takes_scratch=True,
        )
    ]


def _short(values: dict[str, Any], weights: Weights, *, pooled: bool, rows: bool) -> Call:
    """A convolution with sums of 16 bits."""
    if rows:
        values |= {"V_OUT": values["TAPS"], "V_TAP": 1}
        wide = c_rows.conv_function(values, weights, pooled=pooled)
    else:
        values |= {"V_OUT": 1, "V_TAP": values["OUTS"]}
        wide = gather(values, tap="uint8_t", fill=weights.zero_in)
        wide += c_channels.conv_function(values, weights, pooled=pooled)
    taps = weights.taps if rows else columns(weights)
    return Call(
        kind="conv",
        wide=wide,
        narrow=c_pairs.conv_function(values, weights, pooled=pooled),
        helpers=(c_pairs.ADD_HALVES, c_pairs.halves_function(values, weights)),
        arrays=_arrays(weights, taps),
        scratch=8 * values["TAPS"] + 32,
        takes_scratch=True,
    )


def _dense(graph: Graph, step: Step) -> list[Call]:
    weights = weights_of(graph, step.op)
    outs, count = weights.taps.shape
    length = -(-count // c_dot.ALIGN) * c_dot.ALIGN
    values = {
        "PARAMETERS": PARAMETERS, "OUTS": outs, "TAPS": count, "PADDED": length, "V_OUT": count, "V_TAP": 1,
        "LOW": weights.low, "HIGH": weights.high, "NAME": "@NAME@",
    }  # fmt: skip
    return [
        Call(
            kind="dense",
            wide=c_dot.single_function(values, gathered=False),
            narrow=c_pairs.single_function(values, gathered=False),
            arrays=_arrays(weights, lengthened(weights, length)),
            takes_scratch=True,
        )
    ]


def _depthwise(graph: Graph, step: Step) -> list[Call]:
    weights = weights_of(graph, step.op)
    values = _values(graph, step)
    # One output's taps are those of its channel alone.
    values |= {"ZERO": weights.zero_in, "LOW": weights.low, "HIGH": weights.high}
    values |= {"TAPS": values["KH"] * values["KW"]}
    arrays = _arrays(weights, columns(weights))
    if step.in_place:
        return [Call(kind="scale", wide=in_place_function(values), arrays=arrays, in_place=True)]
    gathered = values["PADS"] or values["DX"] > 1 or values["DY"] > 1
    window = gather(values, tap="uint8_t", fill=weights.zero_in) if gathered else ""
    short = weights.fits_short() and values["TAPS"] <= MOST_TAPS
    plain = window + depthwise_function(values, weights, short=False)
    return [
        Call(
            kind="depthwise",
            wide=window + depthwise_function(values, weights, short=True) if short else plain,
            narrow=plain,
            arrays=arrays,
            scratch=values["ROW"] * values["KH"] if gathered else 0,
            takes_scratch=True,
        )
    ]


def _max_pool(graph: Graph, step: Step) -> list[Call]:
    values = _values(graph, step)
    values |= {"ZERO": 0, "TAPS": values["KH"] * values["KW"]}
    window = gather(values, tap="uint8_t", fill=0) if values["PADS"] else ""
    scratch = values["ROW"] * values["KH"] if values["PADS"] else 0
    return [
        Call(kind="max_pool", wide=window + max_pool_function(values), scratch=scratch, takes_scratch=True)
    ]


def _add(graph: Graph, step: Step) -> list[Call]:
    first, second, total = (graph.tensors[i] for i in (*step.op.inputs, step.op.outputs[0]))
    low, high = code_range(total, step.op.options.get("fusedActivationFunction", 0))
    offset = zero_point(total) - zero_point(first) - zero_point(second) - 128
    values = {
        "COUNT": int(np.prod(total.shape[1:])), "OFFSET": offset, "LOW": low + 128, "HIGH": high + 128,
        "NAME": "@NAME@",
    }  # fmt: skip
    return [Call(kind="add", wide=add_function(values))]


def _pad(graph: Graph, step: Step) -> list[Call]:
    source, target = graph.tensors[step.op.inputs[0]], graph.tensors[step.op.outputs[0]]
    amounts = graph.tensors[step.op.inputs[1]].data
    if amounts is None or len(amounts) != 4 or amounts[0].any() or amounts[3].any():
        raise UnsupportedError(f"C export: layer '{target.name}' pads other than height and width.")
    (top, _), (left, right) = amounts[1].tolist(), amounts[2].tolist()
    _, height, width, channels = source.shape
    values = {
        "H": height, "OH": target.shape[1], "TOP": top, "LINE": target.shape[2] * channels,
        "LEFT": left * channels, "BYTES": width * channels, "RIGHT": right * channels,
        "ZERO": zero_point(source) + 128, "NAME": "@NAME@",
    }  # fmt: skip
    return [Call(kind="pad", wide=pad_function(values))]


def _concatenate(graph: Graph, step: Step) -> list[Call]:
    target = graph.tensors[step.op.outputs[0]].shape
    axis = int(step.op.options["axis"]) % len(target)
    calls, offset = [], 0
    for number, index in enumerate(step.op.inputs):
        size = int(np.prod(graph.tensors[index].shape[axis:]))
        values = {
            "BLOCKS": int(np.prod(target[1:axis])), "SIZE": size, "STEP": int(np.prod(target[axis:])),
            "NAME": "@NAME@",
        }  # fmt: skip
        calls.append(Call(kind="copy", wide=copy_function(values), source=number, offset=offset))
        offset += size
    return calls


KERNELS: Mapping[str, Callable[[Graph, Step], list[Call]]] = MappingProxyType(
    {
        "CONV_2D": _conv,
        "DEPTHWISE_CONV_2D": _depthwise,
        "FULLY_CONNECTED": _dense,
        "MAX_POOL_2D": _max_pool,
        "ADD": _add,
        "PAD": _pad,
        "CONCATENATION": _concatenate,
    }
)
"""Operator to what writes the calls that compute it."""
