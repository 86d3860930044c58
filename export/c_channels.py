"""Convolutions of few taps and many outputs, for processors with vectors: outputs innermost, sums of 16 bits.

Such a layer, as the first one of most networks, would spend its time on adding up the lanes of short vectors.
A sum of fewer than 2**16 possible values is whole in 16 bits once it is lifted above 0.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from mnist_export.export.c_names import rows
from mnist_export.export.c_text import filled, summed
from mnist_export.export.c_weights import Weights

MOST_TAPS: Final = 27
LANES: Final = 16

_CONV: Final = """\
static void @NAME@(const uint8_t *restrict in, uint8_t *restrict out, @PARAMETERS@)
{
@LIFT@    int n, o;
    (void)scratch;
    for (n = 0; n < @COUNT@; n++, out += @OUTS@) {
        uint8_t t[@MANY@];
        uint16_t sums[@OUTS@];
@WINDOWS@
        for (o = 0; o < @OUTS@; o++) {
@SUMS@
            sums[o] = a;
        }
        /* A loop of its own: not every vector unit can shift each lane by another number. */
        for (o = 0; o < @OUTS@; o++)
            out[o] = requantize((int32_t)sums[o] - lift[o] + bias[o], shifts[o], @LOW@, @HIGH@);
    }
}
"""


def fits(values: dict[str, Any], weights: Weights) -> bool:
    """Whether a layer is one of few taps and many outputs."""
    return values["OUTS"] % LANES == 0 and values["TAPS"] <= MOST_TAPS and weights.fits_short()


def lift_table(lifts: npt.NDArray[np.int64]) -> str:
    """The text of a function's table of what lifts sums above 0."""
    literals = rows([str(v) for v in lifts.ravel().tolist()], indent=" " * 8).rstrip(",")
    return f"    static const uint16_t lift[{lifts.size}] = {{\n{literals}\n    }};\n"


def conv_function(values: dict[str, Any], weights: Weights, *, pooled: bool) -> str:
    """The convolution.

    Args:
        values: the layer's constants.
        weights: its integers.
        pooled: whether the maximum of each 2x2 windows is what is wanted.
    """
    outs, taps, width = values["OUTS"], values["TAPS"], values["OW"]
    windows, sums = [], []
    for p, name in enumerate("abcd" if pooled else "a"):
        y, x = f"n / {width}", f"n % {width}"
        if pooled:
            y, x = f"({y} * 2 + {p // 2})", f"({x} * 2 + {p % 2})"
        windows.append(
            f"        window@ID@(in, t{f' + {p * taps}' if p else ''}, "
            f"{y} * {values['SY']} - {values['TOP']}, {x} * {values['SX']} - {values['LEFT']});"
        )
        terms = [f"t[{p * taps + k}] * w[{f'{k * outs} + ' if k else ''}o]" for k in range(taps)]
        kind = "uint16_t" if pooled else "const uint16_t"
        sums.append(f"            {kind} {name} = (uint16_t)({summed([*terms, 'lift[o]'], ' ' * 16)});")
    if pooled:
        sums += [
            "            a = a > b ? a : b;",
            "            c = c > d ? c : d;",
            "            a = a > c ? a : c;",
        ]
    own = {
        "LIFT": lift_table(-weights.spans[0]),
        "MANY": taps * len(windows),
        "WINDOWS": "\n".join(windows),
        "SUMS": "\n".join(sums),
    }
    return filled(filled(_CONV, {name: f"@{name}@" for name in values} | own), values)
