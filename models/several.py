"""Loads a model of several outputs: each is brought to its own end, and all stay in one model."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from mnist_export.models.ending import to_logits
from mnist_export.models.heads import flat_output
from mnist_export.models.judging import activation_of, head_of
from mnist_export.models.loaded import LoadedModel, ModelSource
from mnist_export.models.outputs import SEVERAL, joined, output_names
from mnist_export.models.recurrent import unroll
from mnist_export.models.structure.activations import check_output_shape
from mnist_export.models.structure.engine import package_of
from mnist_export.models.structure.macs import count_macs
from mnist_export.models.structure.scopes import traceable

if TYPE_CHECKING:
    from mnist_export.data.dataset import Dataset
    from mnist_export.models.foreign.building import Built


def of_several(
    built: Built,
    name: str,
    source: ModelSource,
    dataset: Dataset | None,
    *,
    asked: str,
    threshold: tuple[float, ...],
) -> LoadedModel:
    """A model of several outputs, each brought to its own end.

    Args:
        built: the model, of one input.
        name: fit for a file name.
        source: where it came from.
        dataset: what it is for.
        asked: what the user said that the outputs are, ``auto`` where nothing.
        threshold: of sigmoids.
    """
    package, notes = package_of(built.framework), [*built.notes, *unroll(built.model)]

    def finish(one: Any) -> tuple[Any, str, tuple[float, ...]]:
        one, flat = flat_output(one, package)
        width = int(one.output_shape[-1])
        head = head_of(activation_of(one), width, dataset, asked=asked, from_logits=None, alone=False)
        ended = to_logits(one, built.framework, head, threshold)
        check_output_shape(ended.model, None)
        notes.extend((*flat, *ended.notes))
        return ended.model, head, ended.threshold

    model, outputs = joined(built.model, output_names(built.model), finish, package)
    return LoadedModel(
        model=traceable(model) if built.framework == "keras" else model,
        name=name,
        source=source,
        framework=built.framework,
        input_shape=tuple(int(size) for size in model.input_shape[1:]),
        num_classes=sum(output.width for output in outputs),
        parameters=int(model.count_params()),
        macs=count_macs(model),
        notes=tuple(dict.fromkeys(notes)),
        head=SEVERAL,
        outputs=outputs,
    )
