"""Models of several outputs: their names, one of them by its name, and what each of them is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from mnist_export.core.errors import InputError
from mnist_export.core.registry import unknown_name
from mnist_export.data.limits import shown

SEVERAL = "outputs"
"""`loaded.LoadedModel.head` of a model whose outputs are each of its own kind."""
MOST = 64


@dataclass(frozen=True, kw_only=True)
class ModelOutput:
    """One of several outputs; answers hold them side by side, in this order.

    Attributes:
        name: the model's own.
        start: its first column of the answers.
        width: how many columns it has.
        head: what it is, see `judging.HEADS`.
        threshold: of sigmoids, see `loaded.LoadedModel`.
    """

    name: str
    start: int
    width: int
    head: str
    threshold: tuple[float, ...] = ()

    @property
    def columns(self) -> slice:
        """Its part of the answers."""
        return slice(self.start, self.start + self.width)


def output_names(model: Any) -> tuple[str, ...]:
    """The names of a built Keras model's outputs, in the order of `model.outputs`.

    They are a dict's keys, else its layers' names; those that stand for several are numbered.
    """
    structure = getattr(model, "_outputs_struct", None)
    if structure is None:
        structure = getattr(model, "output_shape", None)
    tensors = getattr(model, "outputs", None) or []
    if isinstance(structure, dict) and len(structure) == len(tensors):
        return tuple(str(key) for key in sorted(structure))
    given = [str(name) for name in getattr(model, "output_names", ())]
    if len(given) != len(tensors):
        given = [str(getattr(tensor, "name", "output")).split("/")[0].split(":")[0] for tensor in tensors]
    return tuple(
        name if given.count(name) == 1 else f"{name}_{given[:place].count(name)}"
        for place, name in enumerate(given)
    )


def chosen_output(model: Any, name: str, package: Any) -> tuple[Any, tuple[str, ...]]:
    """A model of one of its outputs.

    Args:
        model: a built functional or sequential model.
        name: of the output.
        package: the Keras that it is of.

    Returns:
        The model and what was done.

    Raises:
        InputError: no such output; the message lists them.
    """
    names = output_names(model)
    if name not in names:
        raise unknown_name(f"output of '{shown(model.name)}'", shown(name), [shown(n) for n in names])
    chosen = package.Model(model.inputs, model.outputs[names.index(name)], name=model.name)
    others = len(names) - 1
    return chosen, ((f"its output '{shown(name)}' is taken, {others} others are left out",) if others else ())


def joined(
    model: Any,
    names: tuple[str, ...],
    finish: Callable[[Any], tuple[Any, str, tuple[float, ...]]],
    package: Any,
) -> tuple[Any, tuple[ModelOutput, ...]]:
    """Bring each output to its end on its own, and put all into one model again.

    Args:
        model: of several outputs.
        names: theirs.
        finish: from a model of one output to one that ends in (n, width), what it is, and its thresholds.
        package: the Keras that it is of.

    Raises:
        InputError: too many outputs.
    """
    if len(names) > MOST:
        raise InputError(f"model '{shown(model.name)}': expected at most {MOST} outputs, found {len(names)}.")
    ends, outputs, start = [], [], 0
    for name, tensor in zip(names, model.outputs, strict=True):
        ended, head, threshold = finish(package.Model(model.inputs, tensor, name=model.name))
        width = int(ended.output_shape[-1])
        outputs.append(ModelOutput(name=name, start=start, width=width, head=head, threshold=threshold))
        ends.append(ended.outputs[0])
        start += width
    return package.Model(model.inputs, ends, name=model.name), tuple(outputs)
