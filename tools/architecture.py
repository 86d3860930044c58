"""The rooms and who imports whom, drawn from the code's own imports.

``python tools/architecture.py`` writes ``docs/images/architecture.svg``; a test holds that it is current.
"""

from __future__ import annotations

import ast
import sys
from collections import Counter
from html import escape
from pathlib import Path

ROOT = Path(__file__).parents[1]
PICTURE = ROOT / "docs" / "images" / "architecture.svg"
ROOMS = {
    "core": "errors, the graph, affine arithmetic, registries",
    "data": "pixels, labels, where they come from",
    "models": "a Keras model with what is known of it",
    "train": "a model and a recipe give weights",
    "quantize": "one graph of integers",
    "export": ".tflite, .onnx, C; manifest",
    "runtime": "answers, latency, devices",
    "parity": "what is the same, and whether it matters",
    "report": "JSON, HTML, Markdown",
    "pipeline": "a job runs through all of them",
    "search": "many jobs, a budget",
    "cli": "arguments in, exit code out",
}
_STEP, _LEFT, _BOX, _HEIGHT = 58, 20, 330, 42


def imports() -> Counter[tuple[str, str]]:
    """(importing room, imported room) to the number of files; type checking alone does not count."""
    found: Counter[tuple[str, str]] = Counter()
    for room in ROOMS:
        for path in sorted((ROOT / room).rglob("*.py")):
            for other in _imported(path) - {room}:
                found[room, other] += 1
    return found


def _imported(path: Path) -> set[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    typing_only = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        for inner in ast.walk(node)
    }
    names = []
    for node in ast.walk(tree):
        if id(node) in typing_only:
            continue
        if isinstance(node, ast.ImportFrom) and node.module:
            names.append(node.module)
        elif isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
    parts = [name.split(".") for name in names]
    return {part[1] for part in parts if part[0] == "mnist_export" and len(part) > 1 and part[1] in ROOMS}


def drawing(found: Counter[tuple[str, str]]) -> str:
    """The picture: a box for each room in the order of the flow, an arc for each import."""
    places = {room: 20 + i * _STEP for i, room in enumerate(ROOMS)}
    right = _LEFT + _BOX
    reach = max(abs(places[a] - places[b]) for a, b in found)
    width, height = right + 60 + reach * 0.42, 20 + len(ROOMS) * _STEP
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height}" role="img"',
        '  font-family="system-ui, sans-serif" aria-label="Rooms of the house and their imports">',
        "<style>.b{fill:#eef3fc;stroke:#2458c5}.a{fill:none;stroke:#2458c5;opacity:.45}text{fill:#1b2430}"
        ".s{fill:#5b6675;font-size:12px}.n{font-weight:600;font-size:15px}"
        "@media(prefers-color-scheme:dark){.b{fill:#1a2029;stroke:#7fa8ff}.a{stroke:#7fa8ff}"
        "text{fill:#e6eaf0}.s{fill:#9aa6b5}}</style>",
    ]
    for (room, other), files in sorted(found.items()):
        start, end = places[room] + _HEIGHT * 0.3, places[other] + _HEIGHT * 0.7
        bow = right + 24 + abs(start - end) * 0.55
        thick = min(6.0, 0.8 + files / 12)
        title = f"<title>{room} imports {other}</title>"
        lines.append(
            f'<path class="a" stroke-width="{thick:.1f}" d="M{right} {start:.0f} C{bow:.0f} {start:.0f} '
            f'{bow:.0f} {end:.0f} {right} {end:.0f}">{title}</path>'
        )
    for room, what in ROOMS.items():
        y = places[room]
        lines += [
            f'<rect class="b" x="{_LEFT}" y="{y}" width="{_BOX}" height="{_HEIGHT}" rx="8"/>',
            f'<text class="n" x="{_LEFT + 14}" y="{y + 18}">{room}</text>',
            f'<text class="s" x="{_LEFT + 14}" y="{y + 34}">{escape(what)}</text>',
        ]
    return "\n".join([*lines, "</svg>"]) + "\n"


def arrows_back(found: Counter[tuple[str, str]]) -> list[tuple[str, str]]:
    """Imports of a later room; there are none."""
    order = list(ROOMS)
    return [(room, other) for room, other in found if order.index(other) > order.index(room)]


if __name__ == "__main__":
    PICTURE.write_text(drawing(imports()), encoding="utf-8")
    sys.stdout.write(f"{PICTURE.relative_to(ROOT)}\n")
