"""From what a user writes after ``-m`` to a model that is ready to be converted or run."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from mnist_export.core.errors import InputError
from mnist_export.core.files import sha256_bytes
from mnist_export.core.registry import unknown_name
from mnist_export.data.limits import shown
from mnist_export.data.request import to_stderr
from mnist_export.models.card import ModelCard, refuse_training_data
from mnist_export.models.fitting import check_fit, check_interface
from mnist_export.models.foreign.beside import Beside
from mnist_export.models.judging import (
    CLASSES,
    activation_of,
    head_of,
    note_of,
    refuse_targets_for,
    refuse_threshold_for,
)
from mnist_export.models.loaded import LoadedModel, ModelSource
from mnist_export.models.outputs import output_names
from mnist_export.models.registry import ARCHITECTURES
from mnist_export.models.several import of_several
from mnist_export.models.thresholds import HALF

if TYPE_CHECKING:
    from mnist_export.data.dataset import Dataset
    from mnist_export.models.foreign.building import Built
    from mnist_export.models.shipped import KeptWeights
    from mnist_export.models.trained import Trained

Notify = Callable[[str], None]
Train = Callable[[str, "Dataset", Notify], "Trained"]

__all__ = ["LoadedModel", "ModelSource", "load_model"]


def load_model(
    spec: str,
    dataset: Dataset | None = None,
    *,
    trust: bool = False,
    notify: Notify = to_stderr,
    until: str | None = None,
    train: Train | None = None,
    beside: Beside | None = None,
    head: str = "classes",
    threshold: tuple[float, ...] | None = None,
    output_name: str | None = None,
    several: bool = False,
) -> LoadedModel:
    """Load a model by the name of an architecture, or from a file or folder.

    An architecture's weights come with this package, or from the cache, or from ``train``. A file is
    a .keras, an .h5, a float .onnx or .tflite (all read as data and checked before anything is built) or
    a SavedModel folder, which has to be trusted. A final softmax is cut off, with a note.

    Args:
        spec: such as ``"lenet5"`` or ``"net.keras"``.
        dataset: what the model is for; None for shipped weights on MNIST (or the digits) and for files
            of any shape.
        trust: whether code in a SavedModel may run.
        notify: receives one sentence for whatever the user should know.
        until: name of a layer; the result is the sub-model that ends there.
        train: makes weights for an architecture that has none for this data; see `train.obtaining`.
        beside: the code of a model's own layers, or the architecture of a file of weights.
        head: what the model's outputs are, see `judging.HEADS`; ``auto`` tells it by model and data.
        threshold: of a model's sigmoids, see `LoadedModel`; None is 0.5.
        output_name: of a model of several outputs: only this one.
        several: whether several outputs may be taken together.

    Raises:
        InputError: no such name or file, a file that is refused, a model that does not take the data's
            images or give its classes, or one that was trained on the data's test images.
        UnsupportedError: its end is none that logits can be had from.
    """
    path = Path(spec).expanduser()
    if spec in ARCHITECTURES:
        if dataset is not None:
            refuse_targets_for(spec, dataset)
        loaded = _by_name(spec, dataset, notify, until, train)
    elif _exists(path):
        given = _given(beside, trust)
        loaded = _by_path(
            path, given, until=until, dataset=dataset, head=head, threshold=threshold or HALF,
            output_name=output_name, several=several,
        )  # fmt: skip
    else:
        raise _no_such(spec)
    if threshold is not None and until is None:
        refuse_threshold_for(loaded)
    if dataset is not None:
        check_fit(loaded, dataset, classes=until is None)
        refuse_training_data(loaded.card, dataset.test, f"the test part of {shown(dataset.name)}")
    for note in loaded.notes:
        notify(f"{loaded.name}: {note}")
    return loaded


def _given(beside: Beside | None, trust: bool) -> Beside:
    return replace(beside or Beside(), trust=trust or (beside is not None and beside.trust))


def input_shape_of(
    spec: str, *, trust: bool = False, beside: Beside | None = None
) -> tuple[int | None, ...] | None:
    """The shape of one input of a model file, None where it is open; None for an architecture's name.

    Args:
        spec: see `load_model`.
        trust: see `load_model`.
        beside: see `load_model`.

    Raises:
        InputError: the file is refused.
    """
    path = Path(spec).expanduser()
    if spec in ARCHITECTURES or not _exists(path):
        return None
    given = _given(beside, trust)
    if given.architecture in ARCHITECTURES:
        return None  # it takes what the data has
    shape = _built(path, given, None)[0].model.input_shape
    return (
        tuple(shape[1:]) if isinstance(shape, tuple) and shape and not isinstance(shape[0], tuple) else None
    )


def require_model(spec: str) -> None:
    """Refuse what is neither an architecture's name nor a path that exists; costs no import.

    Raises:
        InputError: listing the architectures.
    """
    if spec not in ARCHITECTURES and not _exists(Path(spec).expanduser()):
        raise _no_such(spec)


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):
        return False


def _no_such(spec: str) -> InputError:
    if "/" in spec or "." in spec:
        return InputError(
            f"model '{shown(spec)}': expected a .keras, .h5, .onnx or .tflite file, a SavedModel folder or "
            f"an architecture ({', '.join(ARCHITECTURES)}), found no such file. Check the path."
        )
    return unknown_name("architecture or file", shown(spec), ARCHITECTURES)


def _by_name(
    name: str, dataset: Dataset | None, notify: Notify, until: str | None, train: Train | None
) -> LoadedModel:
    from mnist_export.models.shipped import find_shipped, find_weights, load_weights

    kept = None
    if dataset is None:
        kept = find_shipped(name, "mnist") or find_shipped(name, "digits")
        if kept is None:
            raise InputError(
                f"model '{name}': expected data to train it on, since no weights are shipped for it. "
                "Choose data with `data`."
            )
    else:
        kept = find_weights(name, dataset)
        if kept is None and train is not None:
            kept = _trained_now(name, dataset, notify, train)
        if kept is None:
            raise InputError(
                f"model '{name}': expected weights for {shown(dataset.name)}, found none. Train "
                f"it first: mnist-train {name} --data {shown(dataset.name)}"
            )
    trained = load_weights(kept)
    return _finished(
        trained.model,
        name=name,
        source=ModelSource(
            kind="shipped" if kept.shipped else "trained",
            path=str(kept.weights),
            sha256=sha256_bytes(kept.weights.read_bytes()),
        ),
        framework="keras",
        notes=(),
        card=trained.card,
        until=until,
    )


def _trained_now(name: str, dataset: Dataset, notify: Notify, train: Train) -> KeptWeights:
    from mnist_export.models.shipped import keep_trained

    notify(
        f"{name}: no weights are shipped for {dataset.name}: training it now (kept for the next time; "
        "Ctrl-C and the same command again go on where it stopped)"
    )
    return keep_trained(train(name, dataset, notify))


def _built(path: Path, beside: Beside, dataset: Dataset | None) -> tuple[Built, dict[str, Any], str]:
    """Open a file or folder: the model, how it was compiled, and the SHA-256 of what was read."""
    from mnist_export.models.foreign.files import open_file, read_file
    from mnist_export.models.foreign.other_sources import other_source
    from mnist_export.models.foreign.savedmodel import (
        folder_sha256,
        looks_like_savedmodel,
        open_savedmodel,
    )

    if path.is_dir():
        if not looks_like_savedmodel(path):
            raise InputError(
                f"{shown(path)}: expected a SavedModel folder with a saved_model.pb, found a folder without "
                "one. Give the model's own folder or file."
            )
        return open_savedmodel(path, trust=beside.trust), {}, folder_sha256(path)
    if path.name == "saved_model.pb":
        raise InputError(
            f"{shown(path)}: expected the SavedModel's folder, found a file in it. Give its folder."
        )
    if beside.architecture is not None:
        from mnist_export.models.foreign.weights import open_weights

        content = read_file(path)
        named = _layers_of(beside.architecture, dataset) if beside.architecture in ARCHITECTURES else None
        return open_weights(path, content, beside, named), {}, sha256_bytes(content)
    content = read_file(path)
    if (other := other_source(path, content)) is not None:
        return other, {}, sha256_bytes(content)
    built, compiled = open_file(path, content, beside)
    return built, compiled, sha256_bytes(content)


def _layers_of(name: str, dataset: Dataset | None) -> str:
    """An architecture's layers as JSON, for the data's images and classes."""
    image = tuple(dataset.image_shape) if dataset is not None else (28, 28, 1)
    classes = dataset.num_classes if dataset is not None else 10
    return str(ARCHITECTURES.get(name).build_for(image, classes).to_json())


def _by_path(
    path: Path,
    beside: Beside,
    *,
    until: str | None,
    dataset: Dataset | None,
    head: str,
    threshold: tuple[float, ...],
    output_name: str | None,
    several: bool,
) -> LoadedModel:
    from mnist_export.models.foreign.compiled import compiled_takes_logits
    from mnist_export.models.structure.activations import last_activation, loss_mismatch

    notes: list[str] = []
    built, compiled, digest = _built(path, beside, dataset)
    mismatch, from_logits = None, None
    if compiled:
        from_logits = compiled_takes_logits(compiled)
        mismatch = loss_mismatch(last_activation(built.model), from_logits)
    if mismatch:
        notes.append(f"it was compiled with a loss that does not fit: {mismatch}")
    built = _with_plain_ends(built, tuple(dataset.image_shape) if dataset is not None else None, output_name)
    together = several and until is None and len(output_names(built.model)) > 1
    check_interface(built, path, several=together)
    if together:
        source = ModelSource(kind="file", path=str(path), sha256=digest)
        return of_several(built, safe_name(path), source, dataset, asked=head, threshold=threshold)
    card = _card_beside(path, built, notes)
    outputs, asked, head = int(built.model.output_shape[-1]), head, CLASSES
    if until is None:
        head = head_of(activation_of(built.model), outputs, dataset, asked=asked, from_logits=from_logits)
        notes.extend(note_of(head, asked, outputs, threshold))
    return _finished(
        built.model,
        name=safe_name(path),
        source=ModelSource(kind="file", path=str(path), sha256=digest),
        framework=built.framework,
        notes=(*built.notes, *notes),
        card=card,
        until=until,
        head=head,
        threshold=threshold,
    )


def _with_plain_ends(built: Built, image: tuple[int, ...] | None, output_name: str | None) -> Built:
    """One tensor out of a dict or list of one; the data's size where the input has none."""
    from mnist_export.models.foreign.frozen import FrozenFunction
    from mnist_export.models.heads import channels_last, fixed_input, one_output
    from mnist_export.models.outputs import chosen_output
    from mnist_export.models.structure.engine import package_of

    if isinstance(built.model, FrozenFunction):
        if output_name is not None:
            raise InputError(
                f'`output_name="{shown(output_name)}"`: expected a Keras model, found a frozen SavedModel. '
                "Save a model of that output alone."
            )
        return built
    package = package_of(built.framework)
    if output_name is not None:
        model, taken = chosen_output(built.model, output_name, package)
    else:
        model, taken = one_output(built.model, package)
    model, sized = fixed_input(model, image, package)
    model, turned = channels_last(model, image, package)
    return replace(built, model=model, notes=(*built.notes, *taken, *sized, *turned))


def safe_name(path: Path) -> str:
    """Make a name for files from a path: letters, digits, dot, dash and underscore, at most 64."""
    stem = path.name if path.is_dir() else path.stem
    return re.sub(r"[^A-Za-z0-9._-]+", "_", stem).strip("._-")[:64] or "model"


def _card_beside(path: Path, built: Built, notes: list[str]) -> ModelCard | None:
    from mnist_export.models.saving import card_path
    from mnist_export.models.weights_file import weights_sha256

    beside = card_path(path)
    if not _exists(beside) or not hasattr(built.model, "get_weights"):
        return None
    try:
        card = ModelCard.load(beside)
    except InputError as error:  # a card only adds to a model; a damaged one must not keep it from loading
        notes.append(f"its model card is left aside: {error}")
        return None
    if card.weights_sha256 != weights_sha256(built.model.get_weights()):
        notes.append(f"the model card {beside.name} belongs to other weights and is left aside")
        return None
    return card


def _finished(
    model: Any,
    *,
    name: str,
    source: ModelSource,
    framework: Literal["keras", "tf_keras"],
    notes: tuple[str, ...],
    card: ModelCard | None,
    until: str | None,
    head: str = CLASSES,
    threshold: tuple[float, ...] = HALF,
) -> LoadedModel:
    from mnist_export.models.ending import cut_at, to_logits
    from mnist_export.models.foreign.frozen import FrozenFunction
    from mnist_export.models.heads import flat_output
    from mnist_export.models.recurrent import unroll
    from mnist_export.models.structure.activations import check_output_shape
    from mnist_export.models.structure.engine import package_of
    from mnist_export.models.structure.macs import count_macs
    from mnist_export.models.structure.scopes import traceable

    extra: tuple[str, ...]
    cuts: tuple[float, ...] = ()
    if isinstance(model, FrozenFunction):
        if until is not None:
            raise InputError(f'`until="{shown(until)}"`: expected a Keras model, found a frozen SavedModel.')
        check_output_shape(model, None)
        extra = ("final softmax cut off",) if model.cut_softmax else ()
        macs, parameters = model.macs, model.parameters
    else:
        notes = (*notes, *unroll(model))
        ending = (
            to_logits(model, framework, head, threshold) if until is None else cut_at(model, until, framework)
        )
        model, extra, cuts = ending.model, ending.notes, ending.threshold
        if until is None:
            model, flat = flat_output(model, package_of(framework))
            extra = (*extra, *flat)
            check_output_shape(model, None)
        if framework == "keras":
            model = traceable(model)
        macs, parameters = count_macs(model), int(model.count_params())
    return LoadedModel(
        model=model,
        name=name if until is None else f"{name}-until-{re.sub(r'[^A-Za-z0-9._-]+', '_', until)}",
        source=source,
        framework=framework,
        input_shape=tuple(int(size) for size in model.input_shape[1:]),
        num_classes=int(model.output_shape[-1]),
        parameters=parameters,
        macs=macs,
        notes=(*notes, *extra),
        card=card,
        head=head,
        threshold=cuts,
    )
