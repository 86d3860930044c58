"""What a model's outputs are: scores of classes, several labels at once, or numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from mnist_export.core.errors import InputError
from mnist_export.data.limits import shown
from mnist_export.data.targets import are_label_sets, is_binary
from mnist_export.models.thresholds import HALF, threshold_text

if TYPE_CHECKING:
    from mnist_export.data.dataset import Dataset
    from mnist_export.models.loaded import LoadedModel

CLASSES: Final = "classes"
LABELS: Final = "labels"
VALUES: Final = "values"
HEADS: Final = ("auto", CLASSES, LABELS, VALUES)


def head_of(
    activation: str,
    outputs: int,
    dataset: Dataset | None,
    *,
    asked: str,
    from_logits: bool | None,
    alone: bool = True,
) -> str:
    """Tell what a model's outputs are.

    Several sigmoids are labels, one stands for two classes; one linear output is a number, unless the model
    was compiled with a cross-entropy of logits; numbers as the data's y make it numbers in any case.

    Args:
        activation: that makes the output, as `last_activation` names it.
        outputs: how many there are.
        dataset: what the model is for.
        asked: what the user said, ``auto`` where nothing.
        from_logits: whether the loss that it was compiled with takes logits, where that is known.
        alone: whether it is the model's only output, which the data's y are of.
    """
    if asked != "auto" or dataset is None:
        return CLASSES if asked == "auto" else asked
    if not alone:
        return _beside_others(activation, outputs, dataset)
    targets = dataset.test.targets
    if targets is not None:
        sigmoid = activation == "sigmoid" or (activation == "linear" and from_logits is True)
        if not (sigmoid and are_label_sets(targets)):
            return VALUES
        return LABELS if outputs > 1 else CLASSES
    several = activation == "sigmoid" and outputs > 1
    number = activation == "linear" and outputs == 1 and dataset.num_classes > 1 and from_logits is not True
    return LABELS if several else VALUES if number else CLASSES


def _beside_others(activation: str, outputs: int, dataset: Dataset) -> str:
    """What one of several outputs is: linear ones are numbers, unless as many as the data's classes."""
    if activation == "linear" and (outputs == 1 or outputs != dataset.num_classes):
        return VALUES
    return LABELS if activation == "sigmoid" and outputs > 1 else CLASSES


def note_of(head: str, asked: str, outputs: int, threshold: tuple[float, ...] = HALF) -> tuple[str, ...]:
    """What the user should know of a head that was recognised."""
    if asked != "auto" or head == CLASSES:
        return ()
    if head == LABELS:
        over = threshold_text(threshold)
        return (f'{outputs} sigmoids: each label is on over {over} (`head="classes"`: the largest one wins)',)
    return ('its outputs are judged as numbers (`head="classes"`: as scores of classes)',)


def activation_of(model: Any) -> str:
    """See `last_activation`; of a frozen SavedModel only a softmax is known."""
    from mnist_export.models.foreign.frozen import FrozenFunction
    from mnist_export.models.structure.activations import last_activation

    if isinstance(model, FrozenFunction):
        return "softmax" if model.cut_softmax else "linear"
    return last_activation(model)


def refuse_targets_for(name: str, dataset: Dataset) -> None:
    """Refuse data without classes for an architecture, which is a classifier.

    Raises:
        InputError: the data's y are numbers or sets of labels.
    """
    if dataset.test.targets is not None:
        raise InputError(
            f"model '{name}': expected data of classes, as it is a classifier, found y of "
            f"{dataset.test.targets.shape[1]} numbers an image in {shown(dataset.name)}. Store class numbers "
            "as integers (y.astype('int64')), or give a model file."
        )


def refuse_threshold_for(loaded: LoadedModel) -> None:
    """Refuse a threshold for a model that ends in no sigmoids.

    Raises:
        InputError: the message names the ways out.
    """
    if loaded.threshold:
        return
    judged = "by its largest output" if loaded.head == CLASSES else "by its values"
    raise InputError(
        f"`threshold`: expected a model that ends in one sigmoid or several, found that {loaded.name} is "
        f"judged "
        f"{judged}. Leave it out"
        + (
            ', or judge each label with `head="labels"`.'
            if loaded.head == CLASSES
            else ", or leave `head` out."
        )
    )


def check_outputs(loaded: LoadedModel, dataset: Dataset) -> None:
    """Refuse a model whose outputs are not what the data's y are.

    Raises:
        InputError: the message names the ways out.
    """
    if loaded.outputs:
        return  # y may be of any of them, or of none
    found, targets = loaded.num_classes, dataset.test.targets
    data = shown(dataset.name)
    if targets is None:
        if loaded.head == VALUES or found == dataset.num_classes:
            return
        raise InputError(
            f"model '{loaded.name}': expected {dataset.num_classes} outputs, one for each class of {data}, "
            f"found {found}. Choose the data that it was trained on with `data`; or, where its outputs are "
            'numbers, have the files judged by their values with `head="values"`.'
        )
    if loaded.head == CLASSES and loaded.threshold and is_binary(targets):
        return
    if loaded.head == CLASSES:
        raise InputError(
            f"model '{loaded.name}': expected y of class numbers, as its outputs are judged as classes, "
            f"found {targets.shape[1]} numbers an image in {data}. Store integers (y.astype('int64')), "
            'or judge it by its values with `head="values"`.'
        )
    if found != targets.shape[1]:
        raise InputError(
            f"model '{loaded.name}': expected {targets.shape[1]} outputs, one for each number of y in "
            f"{data}, found {found}. Choose the data that it was trained on with `data`; class numbers are "
            "stored as integers (y.astype('int64'))."
        )
