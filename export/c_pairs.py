"""The same layers for processors without vectors, such as microcontrollers: integers of 32 bits alone.

Two windows share a multiplication: their activations lie in the upper and the lower half of a word, and so
do the sums. Runs of taps are chosen so that no half leaves its 16 bits.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from mnist_export.export.c_names import rows
from mnist_export.export.c_text import filled
from mnist_export.export.c_weights import PIXEL, Weights

_LONGEST: Final = 255

_PAIR: Final = """\
/* Two windows side by side, in the lower and the upper half of every other word. */
static void pair@ID@(const uint8_t *in, uint32_t *to, int y, int x, int under, int beside)
{
    int r, @COUNTERS@;
@INSIDE@    for (r = 0; r < @KH@; r++@STEP@) {
@ROWS@    }
}
"""
_INSIDE: Final = """\
    const int within = x >= 0 && beside >= 0 && x <= @W@ - @KW@ && beside <= @W@ - @KW@;
"""
_STEP: Final = ", y += @DY@, under += @DY@"
_COPY: Final = """\
        const uint8_t *a = in + (y * @W@ + x) * @C@, *b = in + (under * @W@ + beside) * @C@;
        for (i = 0; i < @ROW@; i++, to += 2) *to = a[i] | (uint32_t)b[i] << 16;
"""
_COPY_WITHIN: Final = """\
        if (within && y >= 0 && under >= 0 && y < @H@ && under < @H@) {
            const uint8_t *a = in + (y * @W@ + x) * @C@, *b = in + (under * @W@ + beside) * @C@;
            for (i = 0; i < @ROW@; i++, to += 2) *to = a[i] | (uint32_t)b[i] << 16;
            continue;
        }
"""
_BY_TAP: Final = """\
        for (t = 0; t < @KW@; t++)
            for (i = 0; i < @C@; i++, to += 2)
                *to = tap@ID@(in, y, x + t * @DX@, i) | tap@ID@(in, under, beside + t * @DX@, i) << 16;
"""
_TAP: Final = """\
static uint32_t tap@ID@(const uint8_t *in, int y, int x, int i)
{
    if (y < 0 || y >= @H@ || x < 0 || x >= @W@) return @ZERO@;
    return in[(y * @W@ + x) * @C@ + i];
}
"""

ADD_HALVES: Final = """\
/* Lifted, the lower half is not negative and borrows nothing from the upper one; the bias has it deducted. */
static void add_halves(int32_t *sums, int32_t both)
{
    const uint32_t lifted = (uint32_t)both + 0x80008000u;
    sums[0] += (int32_t)(lifted & 0xffffu);
    sums[1] += (int32_t)(lifted >> 16);
}
"""
_HALVES: Final = """\
/* Sums of both halves of two words' products with two rows of weights, for as many taps as 16 bits hold. */
NOT_INLINE static void halves@UNROLL@@KIND@(const int32_t *t, const int8_t *v, const int8_t *w, int turns,
                                      int32_t *sums)
{
    int32_t q = 0, r = 0, s = 0, u = 0;
    for (; turns > 0; turns--, t += @T_STEP@, v += @V_STEP@, w += @V_STEP@) {
        int32_t m, l, x;
@TERMS@    }
    add_halves(sums, q);
    add_halves(sums + 2, r);
    add_halves(sums + 4, s);
    add_halves(sums + 6, u);
}
"""
_CONV: Final = """\
static void @NAME@(const uint8_t *in, uint8_t *out, @PARAMETERS@)
{
@RUNS@    int32_t *const sums = (int32_t *)scratch + 2 * @TAPS@; /* in memory: registers are few */
    int n, o, k, i;
    for (n = 0; n < @COUNT@; n += @STRIDE@) {
@FIRST@        const uint8_t *run = runs;
        for (o = 0; o < @OUTS@; o += 2) {
            const int z = @FIRST_OUT@;
            const int8_t *v = w + z * @V_OUT@;
            const int32_t *t = (const int32_t *)scratch;
            int32_t a = bias[z] - 32768 * *run, b = bias[z + @NEXT@] - 32768 * *run;
            sums[0] = sums[1] = sums[2] = sums[3] = a;
            sums[4] = sums[5] = sums[6] = sums[7] = b;
            for (k = *run++; k > 0; k--, run++) {
                halves@UNROLL@@KIND@(t, v, v + @APART@, *run, sums);
                t += *run * @T_STEP@;
                v += *run * @V_STEP@;
            }
@STORE@        }
    }
}
"""
_TAP_PAIRS: Final = """\
        m = t[@T@];
        l = t[@T1@];
        x = v[@V@];
        q += m * x;
        r += l * x;
        x = w[@V@];
        s += m * x;
        u += l * x;
"""
_POOLED: Final = {
    "FIRST": """\
        const int y = n / @OW@ * 2 * @SY@ - @TOP@, x = n % @OW@ * 2 * @SX@ - @LEFT@;
        pair@ID@(in, scratch, y, x, y, x + @SX@);
        pair@ID@(in, scratch + 1, y + @SY@, x, y + @SY@, x + @SX@);
""",
    "STORE": """\
            a = sums[0];
            b = sums[4];
            for (i = 1; i < 4; i++) {
                a = a > sums[i] ? a : sums[i];
                b = b > sums[4 + i] ? b : sums[4 + i];
            }
            out[n * @OUTS@ + z] = requantize(a, shifts[z], @LOW@, @HIGH@);
            out[n * @OUTS@ + z + @NEXT@] = requantize(b, shifts[z + @NEXT@], @LOW@, @HIGH@);
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
            for (i = 0; i < 4; i++) {
                uint8_t *to = out + (m + i) * @OUTS@ + z;
                to[0] = requantize(sums[i], shifts[z], @LOW@, @HIGH@);
                to[@NEXT@] = requantize(sums[4 + i], shifts[z + @NEXT@], @LOW@, @HIGH@);
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
    return next(size for size in (8, 6, 5, 4, 3, 2, 1) if count % size == 0)


def conv_function(values: dict[str, Any], weights: Weights, *, pooled: bool) -> str:
    """A convolution over two pairs of windows and two outputs at a time.

    Args:
        values: the layer's constants.
        weights: its integers, for how many taps may be added up in 16 bits.
        pooled: whether the maximum of each four windows is what is wanted.
    """
    unroll = turn_of(weights)
    runs = [number for each in runs_of(weights, unroll) for number in (len(each), *each)]
    literals = rows([str(number) for number in runs], indent=" " * 8).rstrip(",")
    following = 1 if values["OUTS"] > 1 else 0
    apart, step = values["V_OUT"] * following, values["V_TAP"]
    last = values["OUTS"] - 2
    own = {
        "RUNS": f"    static const uint8_t runs[{len(runs)}] = {{\n{literals}\n    }};\n",
        **_turn(unroll, step),
        "APART": apart,
        "NEXT": following,
        "FIRST_OUT": "o" if values["OUTS"] % 2 == 0 or last < 0 else f"o < {last} ? o : {last}",
        "STRIDE": 1 if pooled else 4,
    }
    text = filled(_CONV, {name: f"@{name}@" for name in {**values, **own}} | (_POOLED if pooled else _FOUR))
    return pair_functions(values) + filled(text, {**values, **own})


def _turn(unroll: int, step: int) -> dict[str, object]:
    """What the loop over taps of one turn is called, and how far it goes."""
    kind = "" if step == 1 else f"_{step}"
    return {"UNROLL": unroll, "KIND": kind, "T_STEP": 2 * unroll, "V_STEP": unroll * step}


def halves_function(values: dict[str, Any], weights: Weights) -> str:
    """The function for a run of taps that a convolution calls."""
    unroll, step = turn_of(weights), values["V_TAP"]
    terms = [filled(_TAP_PAIRS, {"T": 2 * k, "T1": 2 * k + 1, "V": k * step}) for k in range(unroll)]
    return filled(_HALVES, {**_turn(unroll, step), "TERMS": "".join(terms)})


def pair_functions(values: dict[str, Any]) -> str:
    """What puts two windows side by side."""
    contiguous, padded = values["DX"] == 1, bool(values["PADS"])
    by_tap = padded or not contiguous
    rows = (_COPY_WITHIN if by_tap else _COPY) if contiguous else ""
    own = {
        "COUNTERS": "t, i" if by_tap else "i",
        "INSIDE": _INSIDE if contiguous and by_tap else "",
        "STEP": _STEP,
        "ROWS": rows + (_BY_TAP if by_tap else ""),
    }
    text = filled(_PAIR, {name: f"@{name}@" for name in values} | own)
    return filled((_TAP if by_tap else "") + text, values)


def runs_of(weights: Weights, unroll: int) -> list[list[int]]:
    """For each two outputs, runs of turns of the loop whose sums stay within 16 signed bits.

    Args:
        weights: the layer's integers.
        unroll: taps of a turn; it divides their number, and each turn's own sums must stay within.
    """
    outs, count = weights.taps.shape
    turns = weights.taps.reshape(outs, count // unroll, unroll)
    up, down = PIXEL * np.maximum(turns, 0).sum(axis=2), -PIXEL * np.minimum(turns, 0).sum(axis=2)
    found = []
    for first in range(0, outs, 2):
        two = slice(max(min(first, outs - 2), 0), None)
        reach = np.stack([up[two][:2], down[two][:2]]).reshape(-1, turns.shape[1])
        runs, total = [0], np.zeros(len(reach), np.int64)
        for turn in range(turns.shape[1]):
            if (total + reach[:, turn] >= 2**15).any() or runs[-1] == _LONGEST:
                runs.append(0)
                total = np.zeros(len(reach), np.int64)
            total = total + reach[:, turn]
            runs[-1] += 1
        found.append(runs)
    return found


def turn_of(weights: Weights) -> int:
    """How many taps a turn of a convolution's loop takes."""
    count = weights.taps.shape[1]
    for size in (6, 5, 4, 3, 2):
        if count % size == 0:
            parts = weights.taps.reshape(len(weights.taps), -1, size)
            if (
                max(np.maximum(parts, 0).sum(axis=2).max(), -np.minimum(parts, 0).sum(axis=2).min()) * PIXEL
                < 2**15
            ):
                return size
    return 1


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
