"""The same layers for processors without vectors, such as microcontrollers: integers of 32 bits alone.

Two windows share a multiplication: their activations lie in the upper and the lower half of a word, and so
do the sums. Groups of taps are chosen so that no sum leaves its 16 bits; starting from 0x80008000 no half
borrows from the other.
"""

from __future__ import annotations

from typing import Any, Final

from mnist_export.export.c_text import filled

_PAIR: Final = """\
/* Two windows side by side, in the lower and the upper half of every other word. */
static void pair@ID@(const uint8_t *in, uint32_t *to, int y, int x, int under, int beside)
{
    int r, t, i;
    for (r = 0; r < @KH@; r++) {
@INSIDE@@BY_TAP@    }
}
"""
_INSIDE: Final = """\
        @IF@{
            const uint8_t *a = in + ((y + r * @DY@) * @W@ + x) * @C@;
            const uint8_t *b = in + ((under + r * @DY@) * @W@ + beside) * @C@;
            for (i = 0; i < @ROW@; i++, to += 2) *to = a[i] | (uint32_t)b[i] << 16;
            @CONTINUE@
        }
"""
_IF_INSIDE: Final = (
    "if (x >= 0 && beside >= 0 && x <= @W@ - @KW@ && beside <= @W@ - @KW@ && y + r * @DY@ >= 0\n"
    "            && under + r * @DY@ >= 0 && y + r * @DY@ < @H@ && under + r * @DY@ < @H@) "
)
_BY_TAP: Final = """\
        for (t = 0; t < @KW@; t++)
            for (i = 0; i < @C@; i++, to += 2)
                *to = tap@ID@(in, y + r * @DY@, x + t * @DX@, i)
                      | tap@ID@(in, under + r * @DY@, beside + t * @DX@, i) << 16;
"""
_TAP: Final = """\
static uint32_t tap@ID@(const uint8_t *in, int y, int x, int i)
{
    if (y < 0 || y >= @H@ || x < 0 || x >= @W@) return @ZERO@;
    return in[(y * @W@ + x) * @C@ + i];
}
"""

_CONV: Final = """\
static void @NAME@(const uint8_t *in, uint8_t *out, @PARAMETERS@)
{
    int n, o, @GROUP_COUNTER@i;
    for (n = 0; n < @COUNT@; n += @STRIDE@) {
@FIRST@        for (o = 0; o < @OUTS@; o += 2) {
            const int z = @FIRST_OUT@;
            const int8_t *v = w + z * @V_OUT@;
            const uint32_t *t = scratch;
            int32_t a = bias[z] - @OFFSET@, b = a, c = a, d = a;
            int32_t e = bias[z + @NEXT@] - @OFFSET@, f = e, g = e, h = e;
            @GROUPS@{
                uint32_t q = 0x80008000u, r = q, s = q, u = q;
                for (i = 0; i < @STEPS@; i++, v += @V_STEP@, t += @T_STEP@) {
@TERMS@
                }
                a += (int32_t)(q & 0xffffu);
                b += (int32_t)(q >> 16);
                c += (int32_t)(r & 0xffffu);
                d += (int32_t)(r >> 16);
                e += (int32_t)(s & 0xffffu);
                f += (int32_t)(s >> 16);
                g += (int32_t)(u & 0xffffu);
                h += (int32_t)(u >> 16);
            }
@STORE@        }
    }
}
"""
_POOLED: Final = {
    "FIRST": """\
        const int y = n / @OW@ * 2 * @SY@ - @TOP@, x = n % @OW@ * 2 * @SX@ - @LEFT@;
        pair@ID@(in, scratch, y, x, y, x + @SX@);
        pair@ID@(in, scratch + 1, y + @SY@, x, y + @SY@, x + @SX@);
""",
    "STORE": """\
            a = a > b ? a : b;
            c = c > d ? c : d;
            e = e > f ? e : f;
            g = g > h ? g : h;
            out[n * @OUTS@ + z] = requantize(a > c ? a : c, shifts[z], @LOW@, @HIGH@);
            out[n * @OUTS@ + z + @NEXT@] = requantize(e > g ? e : g, shifts[z + @NEXT@], @LOW@, @HIGH@);
""",
}
_FOUR: Final = {
    "FIRST": """\
        const int m = n < @LAST@ ? n : @LAST@;
        for (i = 0; i < 4; i += 2)
            pair@ID@(in, scratch + i / 2, (m + i) / @OW@ * @SY@ - @TOP@, (m + i) % @OW@ * @SX@ - @LEFT@,
                     (m + i + 1) / @OW@ * @SY@ - @TOP@, (m + i + 1) % @OW@ * @SX@ - @LEFT@);
""",
    "STORE": """\
            {
                uint8_t *to = out + m * @OUTS@ + z;
                to[0] = requantize(a, shifts[z], @LOW@, @HIGH@);
                to[@OUTS@] = requantize(b, shifts[z], @LOW@, @HIGH@);
                to[2 * @OUTS@] = requantize(c, shifts[z], @LOW@, @HIGH@);
                to[3 * @OUTS@] = requantize(d, shifts[z], @LOW@, @HIGH@);
                to += @NEXT@;
                to[0] = requantize(e, shifts[z + @NEXT@], @LOW@, @HIGH@);
                to[@OUTS@] = requantize(f, shifts[z + @NEXT@], @LOW@, @HIGH@);
                to[2 * @OUTS@] = requantize(g, shifts[z + @NEXT@], @LOW@, @HIGH@);
                to[3 * @OUTS@] = requantize(h, shifts[z + @NEXT@], @LOW@, @HIGH@);
            }
""",
}

_SINGLE: Final = """\
static void @NAME@(const uint8_t *in, uint8_t *out, @PARAMETERS@)
{
    int o, i@COUNTER@;
@LOOP@    for (o = 0; o < @OUTS@; o += @MANY@) {
        const int z = @FIRST_OUT@;
        const int8_t *v = w + z * @V_OUT@;
        const uint8_t *x = @ROW_OF@;
        int32_t @STARTS@;
        for (i = 0; i < @STEPS@; i++, v += @V_STEP@, x += @UNROLL@) {
@TERMS@
        }
@STORES@
    }
@END@}
"""
_GATHERED: Final = """\
    for (n = 0; n < @COUNT@; n++, out += @OUTS@) {
    window@ID@(in, (uint8_t *)scratch, n / @OW@ * @SY@ - @TOP@, n % @OW@ * @SX@ - @LEFT@);
"""
_NAMES: Final = "abcd"


def unroll_of(count: int) -> int:
    """How many taps a turn of a loop takes: a divisor of their number."""
    return next(size for size in (6, 5, 4, 3, 2, 1) if count % size == 0)


def conv_function(values: dict[str, Any], *, pooled: bool, group: int) -> str:
    """A convolution over two pairs of windows and two outputs at a time.

    Args:
        values: the layer's constants.
        pooled: whether the maximum of each four windows is what is wanted.
        group: taps whose sums stay within 16 bits; it divides their number.
    """
    unroll, count = unroll_of(group), values["TAPS"] // group
    following = 1 if values["OUTS"] > 1 else 0
    apart, step = values["V_OUT"] * following, values["V_TAP"]
    terms = []
    for k in range(unroll):
        for lane, tap in zip("qr", (2 * k, 2 * k + 1), strict=True):
            terms.append(f"{lane} += t[{tap}] * (uint32_t)v[{k * step}];")
        for lane, tap in zip("su", (2 * k, 2 * k + 1), strict=True):
            terms.append(f"{lane} += t[{tap}] * (uint32_t)v[{k * step + apart}];")
    last = values["OUTS"] - 2
    own = {
        "GROUP_COUNTER": "k, " if count > 1 else "",
        "GROUPS": f"for (k = 0; k < {count}; k++) " if count > 1 else "",
        "TERMS": "\n".join(f"                    {term}" for term in terms),
        "STEPS": group // unroll,
        "V_STEP": unroll * step,
        "T_STEP": 2 * unroll,
        "OFFSET": 32768 * count,
        "NEXT": following,
        "FIRST_OUT": "o" if values["OUTS"] % 2 == 0 or last < 0 else f"o < {last} ? o : {last}",
        "STRIDE": 1 if pooled else 4,
    }
    text = filled(_CONV, {name: f"@{name}@" for name in {**values, **own}} | (_POOLED if pooled else _FOUR))
    return pair_functions(values) + filled(text, {**values, **own})


def pair_functions(values: dict[str, Any]) -> str:
    """What puts two windows side by side."""
    contiguous, padded = values["DX"] == 1, bool(values["PADS"])
    inside = "" if not contiguous else _INSIDE.replace("@IF@", _IF_INSIDE if padded else "")
    inside = inside.replace("            @CONTINUE@\n", "            continue;\n" if padded else "")
    by_tap = padded or not contiguous
    text = _PAIR.replace("@INSIDE@", inside).replace("@BY_TAP@", _BY_TAP if by_tap else "")
    if not by_tap:
        text = text.replace("int r, t, i;", "int r, i;")
    return filled((_TAP if by_tap else "") + text, values)


def single_function(values: dict[str, Any], *, gathered: bool) -> str:
    """A dense layer, or a convolution of few windows: four outputs at a time.

    Args:
        values: the layer's constants.
        gathered: whether windows are taken from a map; else the input is one row.
    """
    many = 4 if values["OUTS"] >= 4 else 1
    names = _NAMES[:many]
    unroll = unroll_of(values["TAPS"])
    apart, step, last = values["V_OUT"], values["V_TAP"], values["OUTS"] - many

    def plus(k: int) -> str:
        return f" + {k}" if k else ""

    terms = [
        f"{name} += x[{k}] * v[{j * apart + k * step}];"
        for k in range(unroll)
        for j, name in enumerate(names)
    ]
    pieces = {
        "LOOP": _GATHERED if gathered else "",
        "COUNTER": ", n" if gathered else "",
        "END": "    }\n" if gathered else "    (void)scratch;\n",
        "ROW_OF": "(const uint8_t *)scratch" if gathered else "in",
        "MANY": many,
        "FIRST_OUT": f"o < {last} ? o : {last}" if values["OUTS"] % many else "o",
        "STARTS": ", ".join(f"{name} = bias[z{plus(k)}]" for k, name in enumerate(names)),
        "TERMS": "\n".join(f"            {term}" for term in terms),
        "STORES": "\n".join(
            f"        out[z{plus(k)}] = requantize({name}, shifts[z{plus(k)}], @LOW@, @HIGH@);"
            for k, name in enumerate(names)
        ),
        "STEPS": values["TAPS"] // unroll,
        "V_STEP": unroll * step,
        "UNROLL": unroll,
    }
    return filled(filled(_SINGLE, {name: f"@{name}@" for name in values} | pieces), values)
