"""HTML elements as function calls: whatever is not markup already is escaped."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from mnist_export.report.text import escape

NOTHING = "\u2013"
"""What a cell shows when there is no figure."""
_VOID = {"img", "meta", "link", "br", "rect", "line", "path", "polyline", "circle"}


class Html(str):
    """Text that is markup and safe to embed; made by this module only."""

    __slots__ = ()


def el(name: str, *children: str | None, **attributes: str | float | None) -> Html:
    """One element.

    Args:
        name: the element's name.
        children: markup (`Html`), or text, which is escaped; None is left out.
        attributes: values are escaped; None leaves the attribute out. A trailing underscore of a
            name is dropped and others become hyphens (``class_``, ``data_label``).
    """
    given = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(str(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    if name in _VOID:
        return Html(f"<{name}{given}/>")
    return Html(f"<{name}{given}>{join(children)}</{name}>")


def join(children: Iterable[str | None], separator: str = "") -> Html:
    """Concatenate markup and text; text is escaped."""
    safe = [c if isinstance(c, Html) else escape(c) for c in children if c is not None]
    return Html(separator.join(safe))


def section(anchor: str, title: str, *children: str | None) -> Html:
    """A section of the page with a heading; empty when it has no content."""
    body = join(children)
    return el("section", el("h2", title), body, id=anchor) if body else Html("")


def table(
    header: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    numeric: Sequence[int] = (),
    kind: str | None = None,
    row_classes: Sequence[str | None] = (),
) -> Html:
    """A table that scrolls sideways on a narrow screen, or turns into cards there.

    Args:
        header: column titles.
        rows: cells, markup or text.
        numeric: columns that are aligned to the right.
        kind: CSS class: ``cards`` turns each row into a card on a phone, the first cell its title;
            ``dense`` puts rows close together.
        row_classes: a CSS class for each row, if any.
    """
    marks = dict.fromkeys(numeric, "num")
    head = el("tr", *(el("th", h, scope="col", class_=marks.get(i)) for i, h in enumerate(header)))
    body = []
    for place, row in enumerate(rows):
        cells = [
            el("td", text, class_=_cell_class(text, marks.get(i)), data_label=title or None)
            for i, (text, title) in enumerate(zip(row, header, strict=True))
        ]
        body.append(el("tr", *cells, class_=row_classes[place] if row_classes else None))
    grid = el("table", el("thead", head), el("tbody", *body), class_=kind)
    return el("div", grid, class_="scroll")


def _cell_class(text: str, mark: str | None) -> str | None:
    if not text or text == NOTHING:
        return f"{mark} empty" if mark else "empty"
    if text.startswith("<svg"):
        return "bars"
    return mark


def facts(pairs: Iterable[tuple[str, str | None]]) -> Html:
    """A list of names and values; a value of None or "" leaves its row out."""
    rows = [el("div", el("dt", name), el("dd", value)) for name, value in pairs if value]
    return el("dl", *rows) if rows else Html("")


def bullets(texts: Iterable[str]) -> Html:
    """An unordered list; empty when there is nothing to list."""
    items = [el("li", text) for text in texts]
    return el("ul", *items) if items else Html("")


def fold(title: str, *children: str | None, open_: bool = False) -> Html:
    """A part that is shown on a click, without any script."""
    return el("details", el("summary", title), *children, open="open" if open_ else None)


def badge(passed: bool) -> Html:
    """The word pass or fail, as text and in colour."""
    return el("span", "pass" if passed else "fail", class_=f"badge {'pass' if passed else 'fail'}")


def code(text: str, language: str = "") -> Html:
    """A block of code that one click or tap selects whole; its line breaks are kept."""
    lines = join(text.rstrip("\n").split("\n"), "\n")
    return el("pre", el("code", lines, class_=f"language-{language}" if language else None), tabindex="0")
