"""Sums of two maps, zero padding and concatenation."""

from __future__ import annotations

from typing import Any, Final

from mnist_export.export.c_text import filled

_ADD: Final = """\
static void @NAME@(const uint8_t *a, const uint8_t *b, uint8_t *out)
{
    int n, i;
    for (n = 0; n < @COUNT@; n += @PART@) {
        uint8_t row[@PART@];
        for (i = 0; i < @PART@; i++) {
            int32_t code = a[n + i] + b[n + i] + (@OFFSET@);
            code = code < @LOW@ ? @LOW@ : code;
            row[i] = (uint8_t)(code > @HIGH@ ? @HIGH@ : code);
        }
        for (i = 0; i < @PART@; i++) out[n + i] = row[i];
    }
}
"""
_PAD: Final = """\
static void @NAME@(const uint8_t *restrict in, uint8_t *restrict out)
{
    int y, i;
    for (y = 0; y < @OH@; y++) {
        if (y < @TOP@ || y >= @TOP@ + @H@) {
            for (i = 0; i < @LINE@; i++) *out++ = @ZERO@;
            continue;
        }
        for (i = 0; i < @LEFT@; i++) *out++ = @ZERO@;
        for (i = 0; i < @BYTES@; i++) *out++ = *in++;
        for (i = 0; i < @RIGHT@; i++) *out++ = @ZERO@;
    }
}
"""
_COPY: Final = """\
static void @NAME@(const uint8_t *restrict in, uint8_t *restrict out)
{
    int n, i;
    for (n = 0; n < @BLOCKS@; n++)
        for (i = 0; i < @SIZE@; i++) out[n * @STEP@ + i] = in[n * @SIZE@ + i];
}
"""


def add_function(values: dict[str, Any]) -> str:
    """The sum of two maps of one scale; the result may lie where an operand does."""
    part = next(size for size in range(min(values["COUNT"], 64), 0, -1) if values["COUNT"] % size == 0)
    return filled(_ADD, {**values, "PART": part})


def pad_function(values: dict[str, Any]) -> str:
    """Real zeros around a map."""
    return filled(_PAD, values)


def copy_function(values: dict[str, Any]) -> str:
    """One operand of a concatenation, block by block."""
    return filled(_COPY, values)
