"""Text from outside made safe to print: control characters, direction overrides, markup."""

from __future__ import annotations

import html
import unicodedata

_PICTURES = 0x2400  # Unicode's "control pictures" block, one picture for each C0 control
_REPLACEMENT = "\ufffd"


def clean(text: str) -> str:
    """Make every control character visible and harmless, on one line.

    C0 controls become their control pictures (a newline becomes U+240A), DEL becomes U+2421. C1
    controls, invisible format characters such as direction overrides, lone surrogates and
    non-characters become U+FFFD.
    """
    return "".join(_clean_character(c) for c in text)


def _clean_character(character: str) -> str:
    code = ord(character)
    if code < 0x20:
        return chr(_PICTURES + code)
    if code == 0x7F:
        return "\u2421"
    category = unicodedata.category(character)
    if category in ("Cc", "Cf", "Cs", "Zl", "Zp") or (code & 0xFFFE) == 0xFFFE:
        return _REPLACEMENT
    return character


def escape(text: str) -> str:
    """`clean`, then escape for HTML text and quoted attributes."""
    return html.escape(clean(text), quote=True)


def cell(text: str) -> str:
    """`clean`, then escape for a cell of a Markdown table."""
    safe = clean(text)
    for character in "\\|`*[]":  # the backslash first
        safe = safe.replace(character, "\\" + character)
    return safe.replace("<", "&lt;").replace(">", "&gt;")


def width(text: str) -> int:
    """Columns that a text takes on a terminal."""
    return sum(
        0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text
    )


def pad(text: str, columns: int, *, right: bool = False) -> str:
    """Fill a text with spaces to a number of terminal columns."""
    fill = " " * max(0, columns - width(text))
    return fill + text if right else text + fill
