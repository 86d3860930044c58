"""The page's evidence about answers: flips as pictures, confusion matrices, accuracy by class."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from mnist_export.parity.comparison import Flip
from mnist_export.report import wording
from mnist_export.report.markup import Html, el, fold, join, section, table
from mnist_export.report.parts import Matrix
from mnist_export.report.pictures import data_uri, png_bytes
from mnist_export.report.schema import ArtifactResult, Report
from mnist_export.report.sections import DASH, typeset

MOST_PICTURES = 24
MOST_CLASSES = 20
"""Confusion matrices of more classes than this are left to the JSON."""

K = TypeVar("K")


def group(
    artifacts: Sequence[ArtifactResult], key: Callable[[ArtifactResult], K]
) -> list[tuple[list[ArtifactResult], K]]:
    """Artifacts with equal evidence together, so that nothing is shown twice.

    Args:
        artifacts: in the order of the report.
        key: what must be equal; artifacts where it is empty or None are left out.
    """
    groups: list[tuple[list[ArtifactResult], K]] = []
    for artifact in artifacts:
        value = key(artifact)
        if not value:
            continue
        for members, known in groups:
            if known == value:
                members.append(artifact)
                break
        else:
            groups.append(([artifact], value))
    return groups


def names(artifacts: Sequence[ArtifactResult]) -> Html:
    """The artifacts' file names, as one heading."""
    return join([el("code", a.name) for a in artifacts], ", ")


def class_name(report: Report, index: int) -> str:
    """Name of a class, its number where it has none."""
    known = report.data.class_names
    return known[index] if 0 <= index < len(known) else str(index)


def flips(report: Report, images: Mapping[int, npt.NDArray[np.uint8]]) -> Html:
    """Images on which a file and the original differ, the original's surest answers first."""
    parts: list[Html] = []
    for members, flipped in group(report.artifacts, lambda a: a.flip_list):
        ordered = sorted(flipped, key=lambda f: (-(f.margin or 0.0), f.index))
        shown = ordered[:MOST_PICTURES]
        total = max(members[0].flips or 0, len(flipped))
        more = f" The {len(shown)} with the largest margin are shown." if total > len(shown) else ""
        parts += [
            el("h3", names(members)),
            el("p", _flip_sentence(flipped, total, report.data.images) + more),
            el("div", *(_flip(report, flip, images) for flip in shown), class_="flips"),
        ]
    untouched = [a for a in report.artifacts if a.flips == 0]
    if untouched:
        sentence = f": no flips among {wording.count(report.data.images, 'image')}."
        parts.append(el("p", names(untouched), sentence))
    return section("flips", "Flips: where the answers differ", *parts)


def _flip_sentence(flipped: Sequence[Flip], total: int, images: int) -> str:
    lost = sum(f.reference == f.label for f in flipped)
    gained = sum(f.candidate == f.label for f in flipped)
    listed = "" if total == len(flipped) else f" Of the {len(flipped)} listed:"
    return (
        f"{wording.count(total, 'flip')} in {wording.count(images, 'image')}.{listed} {lost} right only in "
        f"the original, {gained} right only in the file, {len(flipped) - lost - gained} wrong in both."
    )


def _flip(report: Report, flip: Flip, images: Mapping[int, npt.NDArray[np.uint8]]) -> Html:
    if flip.reference == flip.label:
        outcome, css = "original right", "lost"
    elif flip.candidate == flip.label:
        outcome, css = "file right", "gained"
    else:
        outcome, css = "both wrong", "both"
    true = class_name(report, flip.label)
    before, after = class_name(report, flip.reference), class_name(report, flip.candidate)
    image = images.get(flip.index)
    if image is None:
        picture = el("div", "no picture", class_="blank")
    else:
        alt = f"image {flip.index}, true class {true}"
        picture = el("img", src=data_uri(png_bytes(image)), alt=alt)
    margin = None if flip.margin is None else el("small", f"margin {flip.margin:.3g}")
    return el(
        "figure",
        picture,
        el(
            "figcaption",
            el("b", f"{before} \u2192 {after}"),
            el("span", f"true: {true}"),
            el("em", outcome),
            el("small", f"#{flip.index}"),
            margin,
        ),
        class_=css,
    )


def confusion(report: Report) -> Html:
    """Confusion matrices of the original and of the files, side by side."""
    reference = report.reference.confusion
    matrices: list[tuple[Html, Matrix, Matrix | None]] = []
    if reference is not None:
        matrices.append((join([f"{report.reference.runtime} (original)"]), reference, None))
    same = [a for a in report.artifacts if a.confusion is not None and a.confusion == reference]
    for members, matrix in group(report.artifacts, lambda a: a.confusion):
        if matrix is not None and matrix != reference:
            matrices.append((names(members), matrix, reference))
    if not matrices:
        return Html("")
    classes = len(matrices[0][1])
    if classes > MOST_CLASSES:
        text = f"{classes} classes are too many to show here; report.json holds the matrices."
        return section("confusion", "Confusion matrices", el("p", text))
    note = "Rows are true classes, columns are answers. Coloured cells are errors; "
    note += "a signed number is the difference from the original."
    return section(
        "confusion",
        "Confusion matrices",
        el("p", note),
        el("p", names(same), ": as the original's.") if same else None,
        el("div", *(_matrix(report, *entry) for entry in matrices), class_="matrices"),
    )


def _matrix(report: Report, title: Html, matrix: Matrix, reference: Matrix | None) -> Html:
    if reference is not None and len(reference) != len(matrix):
        reference = None
    labels = [class_name(report, i) for i in range(len(matrix))]
    short = [text if len(text) <= 3 else str(i) for i, text in enumerate(labels)]
    worst = max((n for i, row in enumerate(matrix) for j, n in enumerate(row) if i != j), default=0)
    rows = [el("tr", el("td"), *(el("th", text, scope="col") for text in short))]
    for i, counts in enumerate(matrix):
        cells = []
        for j, amount in enumerate(counts):
            change = 0 if reference is None else amount - reference[i][j]
            level = "d" if i == j else f"e{-(-4 * amount // worst)}" if amount and worst else "z"
            text = str(amount) if amount or change else "\u00b7"
            small = el("small", typeset(f"{change:+d}")) if change else None
            cells.append(el("td", text, small, class_=level, title=f"true {labels[i]}, answer {labels[j]}"))
        name = labels[i] if labels[i] == short[i] else f"{i} {labels[i]}"
        rows.append(el("tr", el("th", name, scope="row"), *cells))
    return el(
        "figure",
        el("figcaption", title),
        el(
            "div",
            el("table", *rows, class_="confusion short" if short == labels else "confusion"),
            class_="scroll",
        ),
    )


def per_class(report: Report) -> Html:
    """Accuracy by class, with the change from the original."""
    base = report.reference.per_class_accuracy
    groups = group(report.artifacts, lambda a: a.per_class_accuracy)
    amount = len(base or (groups[0][1] if groups else ()) or ())
    columns = [(m, v) for m, v in groups if v is not None and len(v) == amount]
    if not amount:
        return Html("")
    confusion_matrix = report.reference.confusion
    counted = confusion_matrix is not None and len(confusion_matrix) == amount
    rows: list[list[str]] = []
    for i in range(amount):
        row = [class_name(report, i)]
        if confusion_matrix is not None and counted:
            row.append(f"{sum(confusion_matrix[i]):,}")
        before = base[i] if base is not None else None
        if base is not None:
            row.append(typeset(wording.percent(before)))
        row += [_class_cell(before, values[i]) for _, values in columns]
        rows.append(row)
    header = ["class"] + (["images"] if counted else []) + (["original"] if base is not None else [])
    titles = [*header, *(", ".join(wording.label(a) for a in m) for m, _ in columns)]
    grid = table(titles, rows, numeric=range(1, len(titles)), kind="dense")
    title = "Accuracy by class"
    return section("classes", title, grid if amount <= 30 else fold(f"All {amount} classes", grid))


def _class_cell(before: float | None, after: float | None) -> Html:
    shown = typeset(wording.percent(after))
    if before is None or after is None:
        return join([shown if after is not None else DASH])
    change = (after - before) * 100
    if f"{abs(change):.2f}" == "0.00":
        return join([shown])
    css = "up" if change > 0 else "down"
    return join([el("small", typeset(f"{change:+.2f}"), class_=css), shown])
