"""Gathers the taps of a window into a row, with and without padding around the map."""

from __future__ import annotations

from typing import Any, Final

from mnist_export.export.c_text import filled

_GATHER: Final = """\
static void window@ID@(const uint8_t *restrict in, @TAP@ *restrict to, int y, int x)
{
    int r, t, i;
    for (r = 0; r < @KH@; r++) {
        const int row = y + r * @DY@;
@OUTSIDE@@WHOLE@@BY_TAP@    }
}
"""
_OUTSIDE: Final = """\
        if (row < 0 || row >= @H@) {
            for (i = 0; i < @ROW@; i++) to[r * @ROW@ + i] = @FILL@;
            continue;
        }
"""
_WHOLE: Final = """\
        {
            const uint8_t *from = in + (row * @W@ + x) * @C@;
            for (i = 0; i < @ROW@; i++) to[r * @ROW@ + i] = from[i];
        }
"""
_WHOLE_INSIDE: Final = """\
        if (x >= 0 && x <= @W@ - @KW@) {
            const uint8_t *from = in + (row * @W@ + x) * @C@;
            for (i = 0; i < @ROW@; i++) to[r * @ROW@ + i] = from[i];
            continue;
        }
"""
_BY_TAP: Final = """\
        for (t = 0; t < @KW@; t++) {
            const int column = x + t * @DX@;
            const int inside = column >= 0 && column < @W@;
            const uint8_t *from = inside ? in + (row * @W@ + column) * @C@ : in;
            for (i = 0; i < @C@; i++) to[r * @ROW@ + t * @C@ + i] = inside ? from[i] : @FILL@;
        }
"""


def gather(values: dict[str, Any], *, tap: str, fill: int) -> str:
    """The text of a function that copies one window's taps side by side.

    Args:
        values: the layer's constants.
        tap: the type of a tap in the row.
        fill: the code of a tap outside of the map.
    """
    text = _GATHER.replace("@OUTSIDE@", _OUTSIDE if values["PADS"] else "")
    contiguous = values["DX"] == 1
    by_tap = values["PADS"] or not contiguous
    whole = "" if not contiguous else _WHOLE_INSIDE if by_tap else _WHOLE
    text = text.replace("@WHOLE@", whole).replace("@BY_TAP@", _BY_TAP if by_tap else "")
    if not by_tap:
        text = text.replace("int r, t, i;", "int r, i;")
    return filled(text, {**values, "TAP": tap, "FILL": fill})
