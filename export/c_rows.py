"""Convolutions of few inputs and few outputs, for processors with vectors: a whole row of pixels at a time.

Rows are copied with their padding into a band of 16-bit numbers; sums are of 16 bits, in as few groups of
taps as have fewer than 2**16 possible values each.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from mnist_export.export.c_channels import lift_table
from mnist_export.export.c_text import filled, summed
from mnist_export.export.c_weights import PIXEL, Weights

MOST_INPUTS: Final = 4
MOST_TAPS: Final = 50
MOST_GROUPS: Final = 3
LEAST_WIDTH: Final = 8
LANES: Final = 16

_CONV: Final = """\
static void @NAME@(const uint8_t *restrict in, uint8_t *restrict out, @PARAMETERS@)
{
@LIFT@    uint16_t band[@C@ * @ROWS@ * @LENGTH@];
    int y, x, r, c, o;
    (void)scratch;
    for (y = 0; y < @OH@; y++) {
        for (r = 0; r < @ROWS@; r++) {
            const int row = y * @DOWN@ - @TOP@ + r;
            const int inside = row >= 0 && row < @H@;
            const uint8_t *from = in + (inside ? row : 0) * @W@ * @C@;
            for (c = 0; c < @C@; c++) {
                uint16_t *to = band + (c * @ROWS@ + r) * @LENGTH@;
                for (x = 0; x < @LENGTH@; x++) to[x] = @ZERO@;
                if (inside)
                    for (x = 0; x < @KEPT@; x++) to[x + @LEFT@] = from[x * @C@ + c];
            }
        }
        for (o = 0; o < @OUTS@; o++) {
            const int8_t *v = w + o * @TAPS@;
            @TYPE@ sums[@LINE@];
            uint8_t codes[@OW@];
@LIFTS@
            for (x = 0; x < @LINE@; x++) {
                const uint16_t *t = band + x;
@SUMS@
            }
            for (x = 0; x < @OW@; x++) {
@BEST@
                codes[x] = requantize((int32_t)best + base, shifts[o], @LOW@, @HIGH@);
            }
            for (x = 0; x < @OW@; x++) out[(y * @OW@ + x) * @OUTS@ + o] = codes[x];
        }
    }
}
"""


def groups_of(weights: Weights) -> list[tuple[int, int]]:
    """The fewest runs of taps whose sums have fewer than 2**16 values each."""
    found, start = [], 0
    for end in range(1, weights.taps.shape[1] + 1):
        if not weights.fits_short(start, end):
            found.append((start, end - 1))
            start = end - 1
    return [*found, (start, weights.taps.shape[1])]


def fits(values: dict[str, Any], weights: Weights, *, pooled: bool) -> bool:
    """Whether a layer is one of few inputs and outputs over wide enough rows."""
    width = values["OW"] * (2 if pooled else 1)
    small = values["C"] <= MOST_INPUTS and values["TAPS"] <= MOST_TAPS and values["OUTS"] < 2 * LANES
    return (
        small
        and values["SX"] == 1
        and (values["SY"] == 1 or not pooled)
        and width >= LEAST_WIDTH
        and len(groups_of(weights)) <= MOST_GROUPS
    )


def conv_function(values: dict[str, Any], weights: Weights, *, pooled: bool) -> str:
    """The convolution.

    Args:
        values: the layer's constants.
        weights: its integers, for the groups.
        pooled: whether the maximum of each 2x2 windows is what is wanted.
    """
    outs = values["OUTS"]
    groups, step = groups_of(weights), 2 if pooled else 1
    line = -(-values["OW"] * step // LANES) * LANES
    rows = (values["KH"] - 1) * values["DY"] + step
    length = line + (values["KW"] - 1) * values["DX"]
    kind = "uint16_t" if len(groups) == 1 else "uint32_t"

    def total(down: int) -> str:
        parts = []
        for number, (start, end) in enumerate(groups):
            terms = [f"t[{_place(values, tap, rows, length, down)}] * v[{tap}]" for tap in range(start, end)]
            parts.append(f"(uint16_t)({summed([*terms, f'lift{number}'], ' ' * 20)})")
        return " + ".join(f"({kind}){part}" if len(groups) > 1 else part for part in parts)

    sums = [f"                const {kind} a = {total(0)};"]
    best = [f"                const {kind} best = sums[x];"]
    keep = "                sums[x] = a;"
    if pooled:
        sums.append(f"                const {kind} b = {total(1)};")
        keep = "                sums[x] = a > b ? a : b;"
        best = [
            f"                const {kind} a = sums[2 * x], b = sums[2 * x + 1];",
            f"                const {kind} best = a > b ? a : b;",
        ]
    lifts = [f"            const uint16_t lift{g} = lift[{g * outs} + o];" for g in range(len(groups))]
    base = "".join(f" - lift{g}" for g in range(len(groups)))
    lifts.append(f"            const int32_t base = bias[o]{base};")
    table = np.stack([PIXEL * -np.minimum(weights.taps[:, a:b], 0).sum(axis=1) for a, b in groups])
    own = {
        "LIFT": lift_table(table), "ROWS": rows, "LENGTH": length, "LINE": line, "TYPE": kind,
        "DOWN": step * values["SY"],
        "KEPT": min(values["W"], length - values["LEFT"]), "LIFTS": "\n".join(lifts),
        "SUMS": "\n".join([*sums, keep]), "BEST": "\n".join(best),
    }  # fmt: skip
    return filled(filled(_CONV, {name: f"@{name}@" for name in values} | own), values)


def _place(values: dict[str, Any], tap: int, rows: int, length: int, down: int) -> int:
    """Where a tap lies from a pixel's place in the band."""
    at, channel = divmod(tap, values["C"])
    ky, kx = divmod(at, values["KW"])
    return int((channel * rows + ky * values["DY"] + down) * length + kx * values["DX"])
