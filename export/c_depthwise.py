"""Depthwise convolutions and maximum pools: channels innermost, windows at the border gathered."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from mnist_export.export.c_channels import lift_table
from mnist_export.export.c_text import filled, summed
from mnist_export.export.c_weights import Weights

MOST_TAPS: Final = 25
"""Windows up to this many taps are written out; larger ones are loops."""

_MAP: Final = """\
static void @NAME@(const uint8_t *restrict in, uint8_t *restrict out@PARAMETERS@, uint32_t *scratch)
{
@TABLE@    int y, x, o;
    for (y = 0; y < @OH@; y++) {
        for (x = 0; x < @OW@; x++, out += @OUTS@) {
            const int iy = y * @SY@ - @TOP@, ix = x * @SX@ - @LEFT@;
@SOURCE@            for (o = 0; o < @OUTS@; o++) {
@BODY@
            }
@AFTER@        }
    }
}
"""
_REQUANTIZED: Final = """\
            for (o = 0; o < @OUTS@; o++)
                out[o] = requantize((int32_t)sums[o] - lift[o] + bias[o], shifts[o], @LOW@, @HIGH@);
"""
_DIRECT: Final = """\
            const uint8_t *r = in + (iy * @W@ + ix) * @C@;
            enum { step = @W@ * @C@ };
"""
_EITHER: Final = """\
            const uint8_t *r = (const uint8_t *)scratch;
            int step = @ROW@;
            if (@WITHIN@) {
                r = in + (iy * @W@ + ix) * @C@;
                step = @W@ * @C@;
            } else {
                window@ID@(in, (uint8_t *)scratch, iy, ix);
            }
"""
_GATHERED: Final = """\
            const uint8_t *r = (const uint8_t *)scratch;
            enum { step = @ROW@ };
            window@ID@(in, (uint8_t *)scratch, iy, ix);
"""
_IN_PLACE: Final = """\
static void @NAME@(uint8_t *data, @PARAMETERS@)
{
    int n, o;
    for (n = 0; n < @COUNT@; n++, data += @OUTS@) {
        uint8_t row[@OUTS@];
        for (o = 0; o < @OUTS@; o++) row[o] = requantize(data[o] * w[o] + bias[o], shifts[o], @LOW@, @HIGH@);
        for (o = 0; o < @OUTS@; o++) data[o] = row[o];
    }
}
"""


def _source(values: dict[str, Any]) -> str:
    if values["DX"] > 1 or values["DY"] > 1:
        return _GATHERED
    if not values["PADS"]:
        return _DIRECT + "            (void)scratch;\n"
    return _EITHER


def _map(values: dict[str, Any], parameters: str, body: list[str], table: str = "", after: str = "") -> str:
    text = (
        _MAP.replace("@SOURCE@", _source(values))
        .replace("@PARAMETERS@", parameters)
        .replace("@TABLE@", table)
        .replace("@AFTER@", after)
    )
    within = f"iy >= 0 && iy <= {values['H'] - values['KH']} && ix >= 0 && ix <= {values['W'] - values['KW']}"
    lines = "\n".join(f"                {line}" for line in body)
    return filled(text.replace("@BODY@", lines), {**values, "WITHIN": within})


def _offset(ky: int, kx: int, channels: int) -> str:
    """Where a tap lies from the window's first byte."""
    parts = [{0: "", 1: "step"}.get(ky, f"{ky} * step"), str(kx * channels) if kx else ""]
    return " + ".join(part for part in parts if part)


def depthwise_function(values: dict[str, Any], weights: Weights, *, short: bool) -> str:
    """A depthwise convolution.

    Args:
        values: the layer's constants.
        weights: its integers.
        short: sums of 16 bits, for which every output's sum has fewer than 2**16 values.
    """
    outs, channels = values["OUTS"], values["C"]
    each = outs // channels
    place = "o" if each == 1 else f"o / {each}" if channels > 1 else ""
    if values["TAPS"] > MOST_TAPS:
        body = [
            "int32_t sum = bias[o];",
            "int i, j;",
            f"for (i = 0; i < {values['KH']}; i++)",
            f"    for (j = 0; j < {values['KW']}; j++)",
            f"        sum += r[i * step + j * {channels}{f' + {place}' if place else ''}]"
            f" * w[(i * {values['KW']} + j) * {outs} + o];",
            f"out[o] = requantize(sum, shifts[o], {values['LOW']}, {values['HIGH']});",
        ]
        return _map(values, f", {_WEIGHTS}", body)
    terms = []
    for ky in range(values["KH"]):
        for kx in range(values["KW"]):
            index = " + ".join(part for part in (_offset(ky, kx, channels), place) if part) or "0"
            tap = ky * values["KW"] + kx
            terms.append(f"r[{index}] * w[{f'{tap * outs} + ' if tap else ''}o]")
    expression = summed(terms, " " * 20)
    if short:
        table = lift_table(-weights.spans[0]) + f"    uint16_t sums[{outs}];\n"
        body = [f"sums[o] = (uint16_t)({expression} + lift[o]);"]
        return _map(values, f", {_WEIGHTS}", body, table, _REQUANTIZED)
    body = [
        f"const int32_t sum = {expression} + bias[o];",
        f"out[o] = requantize(sum, shifts[o], {values['LOW']}, {values['HIGH']});",
    ]
    return _map(values, f", {_WEIGHTS}", body)


_WEIGHTS: Final = "const int8_t *w, const int32_t *bias, const uint8_t *shifts"


def in_place_function(values: dict[str, Any]) -> str:
    """A depthwise convolution of one tap: each byte becomes another where it lies."""
    return filled(_IN_PLACE, {**values, "PARAMETERS": _WEIGHTS})


def columns(weights: Weights) -> npt.NDArray[np.int64]:
    """Taps with the outputs innermost."""
    return np.ascontiguousarray(weights.taps.T)


def max_pool_function(values: dict[str, Any]) -> str:
    """A maximum pool; taps outside of the map are the least code."""
    channels = values["C"]
    if values["TAPS"] > MOST_TAPS:
        body = [
            "uint8_t most = 0;",
            "int i, j;",
            f"for (i = 0; i < {values['KH']}; i++)",
            f"    for (j = 0; j < {values['KW']}; j++) {{",
            f"        const uint8_t tap = r[i * step + j * {channels} + o];",
            "        most = most > tap ? most : tap;",
            "    }",
            "out[o] = most;",
        ]
        return _map(values, "", body)
    body = ["uint8_t most = r[o];"]
    for ky in range(values["KH"]):
        for kx in range(values["KW"]):
            if ky or kx:
                at = f"{_offset(ky, kx, channels)} + o"
                body.append(f"most = most > r[{at}] ? most : r[{at}];")
    return _map(values, "", [*body, "out[o] = most;"])
