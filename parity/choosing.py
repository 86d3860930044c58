"""Tells what the outputs of a reference are: by what a model, recording or file says, else by the data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from mnist_export.core.errors import InputError
from mnist_export.core.registry import unknown_name
from mnist_export.data.targets import are_label_sets, as_two_classes
from mnist_export.models.judging import CLASSES, HEADS, LABELS, VALUES
from mnist_export.models.thresholds import HALF
from mnist_export.parity.heads import Head
from mnist_export.parity.values import ValueLimit

if TYPE_CHECKING:
    from mnist_export.data.dataset import Dataset
    from mnist_export.runtime.runners.runner import Runner

AUTO = "auto"


def stated_limit(value: object) -> float | None:
    """Read the largest allowed error of outputs that are numbers; None stays None.

    Raises:
        InputError: no number of 0 or more.
    """
    if value is None:
        return None
    try:
        limit = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, OverflowError):
        raise InputError(
            f"`max_error`: expected a number of 0 or more, found '{value}'. Example: `max_error=0.5`"
        ) from None
    return ValueLimit(max_error=limit).max_error


def stated_head(value: object) -> str:
    """Check what the outputs are said to be.

    Raises:
        InputError: an unknown kind.
    """
    if not isinstance(value, str) or value not in HEADS:
        raise unknown_name("head", str(value), HEADS)
    return value


def choose_head(
    reference: Runner,
    candidates: Sequence[Runner],
    dataset: Dataset,
    *,
    asked: str = AUTO,
    threshold: tuple[float, ...] | None = None,
    max_error: float | None = None,
) -> tuple[Head, Dataset]:
    """Settle what the outputs are, and take the data's y for it.

    Args:
        reference: the original.
        candidates: the files; one that says what it holds speaks for a reference that does not.
        dataset: the data; y of one 0 or 1 stored as numbers become two classes where classes are judged.
        asked: what the user said, ``auto`` where nothing.
        threshold: of sigmoids, as the user said; None takes the model's or the file's own, else 0.5.
        max_error: largest allowed error of numbers.

    Raises:
        InputError: a limit of errors for what has no values; a recording judged otherwise than it was
            recorded; y that are not what the outputs are.
    """
    runners = [reference, *candidates]
    known = next((runner.head for runner in runners if runner.head), "")
    own = next((runner.threshold for runner in runners if runner.threshold), HALF)
    if reference.name == "golden" and asked not in {AUTO, reference.head}:
        raise InputError(
            f'`head="{asked}"`: expected "{reference.head}", as {reference.label} was recorded, found '
            f'"{asked}". '
            "Leave it out, or record again."
        )
    kind = asked if asked != AUTO else known or _by_data(reference, dataset)
    cut = _baked(candidates, threshold, kind)
    head = Head(kind=kind, threshold=threshold or cut or own, max_error=max_error)
    if kind == CLASSES:
        dataset = as_two_classes(dataset)
    _require_y(head, reference, dataset)
    return head, dataset


def _baked(
    candidates: Sequence[Runner], threshold: tuple[float, ...] | None, kind: str
) -> tuple[float, ...] | None:
    """The threshold that files of two classes were written with: it is in their integers."""
    if kind != CLASSES:
        return None
    found = {runner.threshold for runner in candidates if runner.threshold and runner.num_classes > 1}
    if threshold is not None and any(cut != threshold for cut in found):
        cuts = " and ".join(f"{cut[0]:g}" for cut in sorted(found))
        raise InputError(
            f"`threshold={threshold[0]:g}`: expected {cuts}, with which the files were written, found "
            f"another. Leave "
            "it out, or export again with it."
        )
    return found.pop() if len(found) == 1 else None


def _by_data(reference: Runner, dataset: Dataset) -> str:
    targets, outputs = dataset.test.targets, reference.num_classes
    if targets is None:
        return CLASSES if outputs > 1 or dataset.num_classes == 2 else VALUES
    if not are_label_sets(targets):
        return VALUES
    return LABELS if outputs > 1 else CLASSES


def _require_y(head: Head, reference: Runner, dataset: Dataset) -> None:
    targets, outputs = dataset.test.targets, reference.num_classes
    if head.max_error is not None and head.kind != VALUES:
        raise InputError(
            f"`max_error`: expected a model whose outputs are numbers, found that those of "
            f"{reference.label} are "
            f'judged as {head.kind}. Use `max_drop` and `min_agreement`, or `head="values"`.'
        )
    if targets is None:
        return
    if head.kind == CLASSES:
        raise InputError(
            f"{reference.label}: expected y of class numbers, as its outputs are judged as classes, found "
            f"{targets.shape[1]} numbers an image in {dataset.name}. Store integers (y.astype('int64')), or "
            f"judge "
            'it by its values with `head="values"`.'
        )
    if targets.shape[1] != outputs:
        raise InputError(
            f"{reference.label}: expected {outputs} numbers of y an image, one an output, found "
            f"{targets.shape[1]} in {dataset.name}. Choose the data that it was trained on with `data`."
        )
