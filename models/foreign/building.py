"""Builds a checked configuration: first as shapes only, then with its weights."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, Literal

import numpy as np

from mnist_export.core.errors import InputError, MnistExportError
from mnist_export.core.scratch import cannot_write_scratch, scratch_folder
from mnist_export.data.limits import bad_file as refuse
from mnist_export.models.foreign import allowlist
from mnist_export.models.foreign.custom_code import NO_CODE, CustomCode
from mnist_export.models.foreign.limits import MAX_ACTIVATION_ELEMENTS, MAX_PARAMETERS, quoted
from mnist_export.models.structure.engine import keras as keras_3
from mnist_export.models.structure.engine import tensorflow, tf_keras
from mnist_export.models.structure.nodes import Call, all_calls, graph_of, is_function

# What the two Keras raise for configurations and weights that they do not understand.
_KERAS_ERRORS = (
    ValueError, TypeError, KeyError, IndexError, AttributeError, NotImplementedError, OSError,
    RuntimeError, RecursionError, ImportError, ArithmeticError, AssertionError,
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Built:
    """A foreign model, built.

    Attributes:
        model: with its weights.
        framework: that could build it.
        notes: what should be known.
    """

    model: Any
    framework: Literal["keras", "tf_keras"]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Ingredients:
    """A checked file, ready to be built.

    Attributes:
        where: its name, for messages.
        config: checked.
        content: bytes of a file that Keras reads, made of checked parts only.
        suffix: of that file, ``.keras`` or ``.h5``.
        stored_elements: numbers that the file holds as weights, an optimizer's too.
        code: the user's own layers.
        weights_only: ``content`` has no layers in it: those of ``config`` get its weights.
    """

    where: Path
    config: dict[str, Any]
    content: bytes
    suffix: str
    stored_elements: int
    code: CustomCode = NO_CODE
    weights_only: bool = False


def build(ingredients: Ingredients) -> Built:
    """Build with Keras 3, or with tf_keras what only Keras 2 understands.

    Raises:
        InputError: neither can build it, its sizes do not fit its weights, or weights are not finite.
    """
    kinds = json.dumps(ingredients.config)
    first = "" if "OpLambda" in kinds else _attempt(_with_keras, ingredients)
    if isinstance(first, Built):
        return first
    second = _attempt(_with_tf_keras, ingredients)
    if isinstance(second, Built):
        return second
    reason = f"Keras 3: {first}; tf_keras: {second}" if first else f"tf_keras: {second}"
    raise refuse(
        ingredients.where,
        "a model that Keras 3 or tf_keras can build",
        f"one that fits neither ({reason})",
        "Save the whole model again with model.save('net.keras').",
    )


def _attempt(builder: Callable[[Ingredients], Built], ingredients: Ingredients) -> Built | str:
    try:
        return builder(ingredients)
    except MnistExportError:
        raise
    except _errors(ingredients.code) as error:
        if (own := ingredients.code.blame(error)) is not None:
            raise own from error
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        return quoted(lines[0] if lines else type(error).__name__)


def _errors(code: CustomCode) -> tuple[type[Exception], ...]:
    if code.objects or code.trust:
        return (Exception,)  # code of a user's raises what it likes
    # TensorFlow's own are of another family; it is not imported for them.
    tf = sys.modules.get("tensorflow")
    return (*_KERAS_ERRORS, tf.errors.OpError) if tf is not None else _KERAS_ERRORS


def _with_keras(ingredients: Ingredients) -> Built:
    keras = keras_3()
    config = json.loads(json.dumps(ingredients.config))
    try:
        # Variables made in this scope have shapes but take no memory.
        with (
            keras.saving.custom_object_scope(dict(ingredients.code.objects)),
            keras.StatelessScope(initialize_variables=False),
        ):
            plan = _from_configuration(keras, config, ingredients.code)
            _check_sizes(plan, ingredients)
    finally:
        keras.utils.clear_session()
    return Built(model=_load(keras, ingredients, _from_configuration), framework="keras")


def _from_configuration(keras: Any, config: dict[str, Any], code: CustomCode) -> Any:
    own = dict(code.objects) or None
    if "module" in config:
        return keras.saving.deserialize_keras_object(config, custom_objects=own, safe_mode=not code.trust)
    kind = keras.Sequential if config["class_name"] == "Sequential" else keras.Model
    return kind.from_config(_as_dict(config["config"]), custom_objects=own)


def _with_tf_keras(ingredients: Ingredients) -> Built:
    legacy = tf_keras()
    tf = tensorflow()
    # In a graph, variables are nodes: shapes without memory.
    with tf.Graph().as_default(), legacy.saving.custom_object_scope(dict(ingredients.code.objects)):
        # Once something was trained in this process, dropout in a graph asks for that graph's own seed.
        tf.random.set_seed(0)
        plan = _from_json(legacy, ingredients.config, ingredients.code)
        _check_sizes(plan, ingredients)
    return Built(
        model=_load(legacy, ingredients, _from_json),
        framework="tf_keras",
        notes=("loaded with tf_keras (Keras 2)",),
    )


def _from_json(legacy: Any, config: dict[str, Any], _: CustomCode) -> Any:
    return legacy.models.model_from_json(json.dumps(_with_tensors_first(config)))


def _with_tensors_first(value: Any) -> Any:
    """Keras 2's ``1 - x`` as ``x - 1``: of the same shape, and in a graph only a tensor may stand first."""
    if isinstance(value, dict):
        return {key: _with_tensors_first(item) for key, item in value.items()}
    if not isinstance(value, list):
        return value
    if len(value) == 4 and value[:2] == ["_CONSTANT_VALUE", -1] and isinstance(value[3], dict):
        other = value[3].get("y")
        if isinstance(other, list) and len(other) == 3 and isinstance(other[0], str):
            return [*other, {**value[3], "y": value[2]}]
    return [_with_tensors_first(item) for item in value]


def _as_dict(config: Any) -> dict[str, Any]:
    # The first Keras 2 wrote a Sequential's configuration as a bare list of layers.
    return {"name": "sequential", "layers": config} if isinstance(config, list) else config


def _load(
    package: Any, ingredients: Ingredients, build_empty: Callable[[Any, dict[str, Any], CustomCode], Any]
) -> Any:
    code = ingredients.code
    with scratch_folder() as folder:
        path = folder / f"model{ingredients.suffix}"
        try:
            path.write_bytes(ingredients.content)
        except OSError as error:
            raise cannot_write_scratch(folder, error) from error
        with package.saving.custom_object_scope(dict(code.objects)):
            if ingredients.weights_only:
                model = build_empty(package, json.loads(json.dumps(ingredients.config)), code)
                model.load_weights(str(path))
            else:
                model = package.models.load_model(
                    path, custom_objects=dict(code.objects) or None, compile=False, safe_mode=not code.trust
                )
    check_weights(model, ingredients.where)
    return model


def _check_sizes(plan: Any, ingredients: Ingredients) -> None:
    """Compare what the configuration claims with what the file holds, before memory is taken."""
    if not plan.built or not plan.weights or graph_of(plan) is None:
        raise refuse(
            ingredients.where,
            "a functional or sequential model with weights and a known input shape",
            "one without",
            "Build it (call it once, or give it an Input layer) and save it again; a model that is a class "
            "of its own is read as a SavedModel: model.export('FOLDER'), and `trust=True`.",
        )
    claimed = sum(math.prod(int(size) for size in weight.shape) for weight in plan.weights)
    if claimed > MAX_PARAMETERS:
        raise refuse(
            ingredients.where,
            f"at most {MAX_PARAMETERS:,} parameters",
            f"{claimed:,}",
            "Such a model is far beyond an edge device.",
        )
    if claimed > ingredients.stored_elements:
        raise refuse(
            ingredients.where,
            f"weights for the {claimed:,} parameters of its layers",
            f"{ingredients.stored_elements:,} numbers",
            "Weights are missing; save the whole model again.",
        )
    rows: dict[int, Fraction] = {}
    for call in all_calls(plan):
        name = quoted(call.layer.name)
        made = _rows_per_image(call, rows)
        for tensor in call.outputs:
            shape = tuple(tensor.shape)
            rows[id(tensor)] = made
            elements = _size(shape)
            if elements > MAX_ACTIVATION_ELEMENTS:
                raise refuse(
                    ingredients.where,
                    f"layers of at most {MAX_ACTIVATION_ELEMENTS:,} outputs",
                    f"{elements:,} at {name}",
                    "Such a model is far beyond an edge device.",
                )
            if is_function(call.layer) and not (made.denominator == 1 and _keeps_images_apart(call, shape)):
                raise refuse(
                    ingredients.where,
                    "operations that keep the images of a batch apart, as their first axis",
                    f"an output of shape {shape} at {name}",
                    "Give the operation other axes and save again.",
                )


def _keeps_images_apart(call: Call, shape: tuple[int | None, ...]) -> bool:
    if not shape or shape[0] is not None or None in shape[1:]:
        return False
    kind = type(call.layer).__name__
    return kind == "Reshape" or kind not in allowlist.GROWING or _images_made_of_one(call) == {1}


def _rows_per_image(call: Call, known: Mapping[int, Fraction]) -> Fraction:
    """Rows of the first axis that one image has in what a call makes: several, as windows of attention are.

    Args:
        call: of a layer or an operation.
        known: the same of the tensors before, by their identity; one row where nothing is known.
    """
    rows = max((known.get(id(tensor), Fraction(1)) for tensor in call.inputs), default=Fraction(1))
    if type(call.layer).__name__ != "Reshape" or not is_function(call.layer) or not call.outputs:
        return rows
    sizes = [_size(tensor.shape) for tensor in (call.inputs[0], call.outputs[0])]
    return rows * sizes[0] / sizes[1]


def _images_made_of_one(call: Call) -> set[int]:
    """First axis of what a Keras 3 operation makes of a batch of one; nothing is computed."""
    keras = keras_3()

    def one(value: Any) -> Any:
        known = isinstance(value, keras.KerasTensor)
        return keras.KerasTensor((1, *value.shape[1:]), value.dtype) if known else value

    arguments, keywords = keras.tree.map_structure(one, (call.arguments, dict(call.keywords)))
    made = call.layer.compute_output_spec(*arguments, **keywords)
    return {int(tensor.shape[0]) for tensor in keras.tree.flatten(made)}


def _size(shape: Iterable[int | None]) -> int:
    """How many values a tensor of this shape holds, for each None of it."""
    return math.prod(int(size) if size else 1 for size in shape)


def check_weights(model: Any, where: Path) -> None:
    """Refuse weights that are NaN or infinite.

    Raises:
        InputError: the message names the first such weight.
    """
    for weight, value in zip(model.weights, model.get_weights(), strict=True):
        if not np.all(np.isfinite(value)):
            label = getattr(weight, "path", weight.name)
            raise InputError(
                f"{where}: expected finite weights, found NaN or infinity in {quoted(label)}. Training "
                "diverged or the file is damaged; train again with a smaller learning rate."
            )
