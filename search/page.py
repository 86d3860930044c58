"""search.html: the front over each pair of figures, every point a row with its settings and command."""

from __future__ import annotations

import math
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from mnist_export.report.html import whole_page
from mnist_export.report.markup import Html, bullets, code, el, facts, join, section, table
from mnist_export.search.figures import FIGURES, Figure
from mnist_export.search.store import Tried

if TYPE_CHECKING:
    from mnist_export.search.space import Space

_SHOWN: Final = ("accuracy", "flash", "ram", "latency", "macs", "parameters")
_ROWS: Final = 200
_WIDTH, _HEIGHT, _LEFT, _BOTTOM = 520, 300, 64, 40
_STYLE: Final = """
.scatter { width: 100%; max-width: 560px; height: auto; }
.scatter text { font-size: 12px; fill: var(--soft); }
.scatter .axis { stroke: var(--rule); }
.scatter .other { fill: var(--accent-low); }
.scatter .fits { fill: var(--accent-mid); }
.scatter .front { fill: var(--pass); }
.plots { display: flex; flex-wrap: wrap; gap: 20px; }
"""


def render_search(space: Space, tried: Sequence[Tried], importances: dict[str, float], folder: Path) -> str:
    """The page of a search.

    Args:
        space: what was searched.
        tried: every finished trial.
        importances: setting to its share of the first objective's variance; may be empty.
        folder: of the search, for the commands.
    """
    best = [item for item in tried if item.on_front]
    best.sort(key=lambda item: item.figures[space.objectives[0].name], reverse=True)
    ends = {
        end: sum(item.ended == end for item in tried) for end in ("done", "over budget", "behind", "failed")
    }
    header = el(
        "header",
        el("p", f"search: {space.name}", class_="eyebrow"),
        el("h1", _headline(space, tried, best)),
        facts(
            [
                ("data", f"{space.data}: accuracy is on validation images, test images decide nothing"),
                ("objectives", ", ".join(f"{f.better} {f.name}" for f in space.objectives)),
                ("budget", ", ".join(map(str, space.budget)) or "none"),
                ("trials", ", ".join(f"{count} {end}" for end, count in ends.items() if count)),
                ("seed", str(space.seed)),
            ]
        ),
        class_=None if best else "fail",
    )
    first = space.objectives[0]
    others = [f for f in FIGURES.values() if f.name in _SHOWN and f.name != first.name]
    plots = [plot for f in others if (plot := scatter(tried, f, first))]
    body = join(
        [
            header,
            section("front", "The front", _front_table(space, best)),
            section("plots", f"{first.name.capitalize()} over each figure", el("div", *plots, class_="plots"))
            if plots
            else None,
            section("choices", f"What decides {first.name}", _importance_table(importances)),
            section("use", "Use one", _commands(best, folder)),
            section("rest", "Trials without a figure", bullets(_reasons(tried))),
        ],
        "\n",
    )
    return whole_page(f"search {space.name}: {len(best)} on the front", body, style=_STYLE)


def _headline(space: Space, tried: Sequence[Tried], best: Sequence[Tried]) -> str:
    if not best:
        return f"None of {len(tried)} trials keeps the budget"
    lead = best[0]
    figures = ", ".join(f"{f.name} {f.text(lead.figures[f.name])}" for f in space.objectives)
    return (
        f"{len(best)} of {len(tried)} trials are on the front; first in {space.objectives[0].name}: {figures}"
    )


def _front_table(space: Space, best: Sequence[Tried]) -> Html:
    names = [f.name for f in space.objectives]
    names += [name for name in _SHOWN if name not in names]
    chosen = sorted(
        {key for item in best for key in item.values} & {v.name for v in space.settings if not v.is_fixed}
    )
    chosen = chosen or sorted({key for item in best for key in item.values})
    rows = [
        [
            f"trial {item.index}",
            *(FIGURES[n].text(item.figures[n]) if n in item.figures else "" for n in names),
            *(_value(item.values.get(key)) for key in chosen),
        ]
        for item in best[:_ROWS]
    ]
    header = ["", *names, *(key.partition(".")[2] or key for key in chosen)]
    return table(header, rows, numeric=range(1, len(header)), kind="cards dense") if rows else Html("")


def _value(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:.4g}" if isinstance(value, float) else "" if value is None else str(value)


def _importance_table(importances: dict[str, float]) -> Html:
    ranked = sorted(importances.items(), key=lambda pair: -pair[1])
    return (
        table(["setting", "share"], [[n, f"{v:.0%}"] for n, v in ranked], numeric=[1]) if ranked else Html("")
    )


def _commands(best: Sequence[Tried], folder: Path) -> Html | None:
    if not best:
        return None
    place = shlex.quote(str(folder))
    lines = [f"mnist-search best -o {place} --trial {item.index} --to exports" for item in best[:5]]
    return join(
        [el("p", "Writes a trial's model, files and report to a folder:"), code("\n".join(lines), "sh")]
    )


def _reasons(tried: Sequence[Tried]) -> list[str]:
    return [f"trial {item.index}, {item.ended}: {item.why[:300]}" for item in tried if item.ended != "done"][
        :_ROWS
    ]


def scatter(tried: Sequence[Tried], across: Figure, up: Figure) -> Html | None:
    """Trials as points, ``across`` by orders of magnitude, ``up`` upwards; None where there are none."""
    items = [item for item in tried if item.ended == "done" and {across.name, up.name} <= item.figures.keys()]
    if len(items) < 2:
        return None
    xs = [math.log10(max(item.figures[across.name], 1e-9)) for item in items]
    ys = [item.figures[up.name] for item in items]
    points = []
    for item, x, y in sorted(zip(items, xs, ys, strict=True), key=lambda each: each[0].on_front):
        kind = "front" if item.on_front else "fits" if item.fits else "other"
        place = across.text(item.figures[across.name])
        title = f"trial {item.index}: {up.name} {up.text(y)}, {across.name} {place}"
        left, top = _place(x, xs, _LEFT + 8, _WIDTH - 12), _place(y, ys, _HEIGHT - _BOTTOM - 8, 12)
        circle = el("circle", cx=f"{left:.1f}", cy=f"{top:.1f}", r=5 if item.on_front else 3, class_=kind)
        points.append(el("g", el("title", title), circle))
    low, high = (across.text(10**value) for value in (min(xs), max(xs)))
    floor = _HEIGHT - _BOTTOM
    labels = [
        el("text", up.text(max(ys)), x=2, y=20),
        el("text", up.text(min(ys)), x=2, y=floor - 4),
        el("text", low, x=_LEFT, y=floor + 18),
        el("text", high, x=_WIDTH - 8, y=floor + 18, text_anchor="end"),
        el("text", f"{across.title} (log)", x=(_WIDTH + _LEFT) / 2, y=floor + 34, text_anchor="middle"),
    ]
    axes = [
        el("line", x1=_LEFT, y1=8, x2=_LEFT, y2=floor, class_="axis"),
        el("line", x1=_LEFT, y1=floor, x2=_WIDTH - 8, y2=floor, class_="axis"),
    ]
    return el(
        "svg", *axes, *points, *labels, class_="scatter", viewBox=f"0 0 {_WIDTH} {_HEIGHT}", role="img",
        aria_label=f"{up.name} over {across.name}",
    )  # fmt: skip


def _place(value: float, values: Sequence[float], start: float, end: float) -> float:
    low, high = min(values), max(values)
    share = 0.5 if high == low else (value - low) / (high - low)
    return start + share * (end - start)
