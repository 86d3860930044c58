"""Convolutions and dense layers as sums of constant length, for processors with vectors.

Compilers turn such a sum into the processor's dot products: of bytes where it has them, else of 16 bits. Four
windows are gathered at a time, so that each weight that is read serves four sums.
"""

from __future__ import annotations

from typing import Any, Final

from mnist_export.export.c_text import filled

ALIGN: Final = 32
"""Sums run over a multiple of this many taps, so that vectors leave no rest: behind a window's taps lie
zeros, which meet the next output's weights."""

REQUANTIZE: Final = """\
/* The bias holds both zero points and the rounding: what is below 0 would be cut off by the least code. */
static uint8_t requantize(int32_t a, unsigned s, int32_t low, int32_t high)
{
    a = a > 0 ? a : 0;
    a = (int32_t)((uint32_t)a >> s);
    a = a < low ? low : a;
    return (uint8_t)(a > high ? high : a);
}
"""

_CONV: Final = """\
static void @NAME@(const uint8_t *restrict in, uint8_t *restrict out, @PARAMETERS@)
{
    tap_t taps[4 * @PADDED@];
    int32_t sums[@SUMS@];
    int n, o, p, i;
    (void)scratch;
    for (p = 0; p < 4; p++)
        for (i = @TAPS@; i < @PADDED@; i++) taps[p * @PADDED@ + i] = 0;
    for (n = 0; n < @COUNT@; n += @STRIDE@) {
@FIRST@        for (p = 0; p < 4; p++) {
            const int y = @Y@, x = @X@;
            window@ID@(in, taps + p * @PADDED@, y * @SY@ - @TOP@, x * @SX@ - @LEFT@);
        }
        for (o = 0; o < @OUTS@; o++) {
            const int8_t *v = w + o * @TAPS@;
            int32_t a = 0, b = 0, c = 0, d = 0;
            for (i = 0; i < @PADDED@; i++) {
                a += taps[i] * v[i];
                b += taps[@PADDED@ + i] * v[i];
                c += taps[2 * @PADDED@ + i] * v[i];
                d += taps[3 * @PADDED@ + i] * v[i];
            }
@STORE@        }
@WRITE@    }
}
"""
_POOLED: Final = {
    "FIRST": "",
    "Y": "n / @OW@ * 2 + p / 2",
    "X": "n % @OW@ * 2 + p % 2",
    "STORE": """\
            a = a > b ? a : b;
            c = c > d ? c : d;
            sums[o] = (a > c ? a : c) + bias[o];
""",
    "WRITE": """\
        for (o = 0; o < @OUTS@; o++) out[n * @OUTS@ + o] = requantize(sums[o], shifts[o], @LOW@, @HIGH@);
""",
}
_FOUR: Final = {
    "FIRST": """\
        const int m = n < @LAST@ ? n : @LAST@;
""",
    "Y": "(m + p) / @OW@",
    "X": "(m + p) % @OW@",
    "STORE": """\
            sums[o] = a + bias[o];
            sums[@OUTS@ + o] = b + bias[o];
            sums[2 * @OUTS@ + o] = c + bias[o];
            sums[3 * @OUTS@ + o] = d + bias[o];
""",
    "WRITE": """\
        for (p = 0; p < 4; p++)
            for (o = 0; o < @OUTS@; o++)
                out[(m + p) * @OUTS@ + o] = requantize(sums[p * @OUTS@ + o], shifts[o], @LOW@, @HIGH@);
""",
}

_SINGLE: Final = """\
static void @NAME@(const uint8_t *restrict in, uint8_t *restrict out, @PARAMETERS@)
{
    tap_t taps[@PADDED@];
    int32_t sums[@OUTS@];
    int o, i@COUNTER@;
    (void)scratch;
    for (i = @TAPS@; i < @PADDED@; i++) taps[i] = 0;
@LOOP@    for (o = 0; o < @OUTS@; o += @MANY@) {
        const int z = @FIRST_OUT@;
        const int8_t *v = w + z * @TAPS@;
        int32_t @STARTS@;
        for (i = 0; i < @PADDED@; i++) {
@TERMS@
        }
@STORES@
    }
    for (o = 0; o < @OUTS@; o++) out[o] = requantize(sums[o], shifts[o], @LOW@, @HIGH@);
@END@}
"""
_GATHERED: Final = """\
    for (n = 0; n < @COUNT@; n++, out += @OUTS@) {
    window@ID@(in, taps, n / @OW@ * @SY@ - @TOP@, n % @OW@ * @SX@ - @LEFT@);
"""
_COPIED: Final = """\
    for (i = 0; i < @TAPS@; i++) taps[i] = in[i];
"""


def conv_function(values: dict[str, Any], *, pooled: bool) -> str:
    """A convolution over four windows at a time: those of a pool's 2x2, or four in a row.

    Args:
        values: the layer's constants.
        pooled: whether the maximum of each four is what is wanted.
    """
    pieces = _POOLED if pooled else _FOUR
    text = filled(_CONV, {name: f"@{name}@" for name in values} | pieces | _OPEN)
    sums = values["OUTS"] * (1 if pooled else 4)
    return filled(text, {**values, "SUMS": sums, "STRIDE": 1 if pooled else 4})


def single_function(values: dict[str, Any], *, gathered: bool) -> str:
    """A dense layer, or a convolution of few windows: four outputs at a time.

    Args:
        values: the layer's constants.
        gathered: whether windows are taken from a map; else the input is one row.
    """
    many = 4 if values["OUTS"] >= 4 else 1
    names = "abcd"[:many]
    row = values["TAPS"]
    pieces: dict[str, object] = {
        "LOOP": _GATHERED if gathered else _COPIED,
        "COUNTER": ", n" if gathered else "",
        "END": "    }\n" if gathered else "",
        "MANY": many,
        "FIRST_OUT": f"o < {values['OUTS'] - many} ? o : {values['OUTS'] - many}",
        "STARTS": ", ".join(f"{name} = 0" for name in names),
        "TERMS": "\n".join(
            f"            {name} += taps[i] * v[{f'{k * row} + ' if k else ''}i];"
            for k, name in enumerate(names)
        ),
        "STORES": "\n".join(
            f"        sums[z{f' + {k}' if k else ''}] = {name} + bias[z{f' + {k}' if k else ''}];"
            for k, name in enumerate(names)
        ),
    }
    return filled(filled(_SINGLE, {**{name: f"@{name}@" for name in values}, **pieces}), values)


_OPEN: Final = {"SUMS": "@SUMS@", "STRIDE": "@STRIDE@"}
