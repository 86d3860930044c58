"""Brings a model's input and output to the forms that everything after expects: one image in, classes out."""

from __future__ import annotations

from typing import Any

from mnist_export.models.thresholds import logit

Shape = tuple[int, ...]


def one_output(model: Any, package: Any) -> tuple[Any, tuple[str, ...]]:
    """Take the only output out of a dict or a list of one.

    Args:
        model: a built Keras model.
        package: the Keras that it is of.

    Returns:
        The model of one tensor, and what was done; the model itself where nothing had to be.
    """
    # Keras 3 keeps the structure here, and gives the shape of a single tensor for a dict of one
    structure = getattr(model, "_outputs_struct", None)
    if structure is None:
        structure = getattr(model, "output_shape", None)
    if not isinstance(structure, (dict, list)) or len(structure) != 1:
        return model, ()
    note = (f"its output '{next(iter(structure))}' is taken",) if isinstance(structure, dict) else ()
    return package.Model(model.inputs, model.outputs[0], name=model.name), note


def fixed_input(model: Any, image: Shape | None, package: Any) -> tuple[Any, tuple[str, ...]]:
    """Give a model without a fixed height and width the size of the data.

    Args:
        model: a built functional or sequential model.
        image: (height, width, channels) of the data; None leaves the model as it is.
        package: the Keras that it is of.

    Returns:
        The model and what was done. Weights are the same.
    """
    tail = model.input_shape[1:] if isinstance(model.input_shape, tuple) else ()
    if image is None or len(tail) != len(image) or None not in tail:
        return model, ()
    if any(size not in (None, found) for size, found in zip(tail, image, strict=True)):
        return model, ()
    entry = package.Input(image)
    clone = package.models.clone_model(model, input_tensors=entry)
    clone.set_weights(model.get_weights())
    size = "x".join(map(str, image[:2]))
    return clone, (f"takes pictures of any size; exported for {size}, the data's",)


def flat_output(model: Any, package: Any) -> tuple[Any, tuple[str, ...]]:
    """Flatten an output of shape (1, 1, classes) or (1, classes), as fully convolutional networks have it."""
    shape = model.output_shape
    if not isinstance(shape, tuple) or len(shape) < 3 or any(size != 1 for size in shape[1:-1]):
        return model, ()
    flat = package.layers.Flatten(name="flat_output")(model.outputs[0])
    return package.Model(model.inputs, flat, name=model.name), (f"output {shape} flattened to its classes",)


def two_logits(model: Any, package: Any, threshold: float = 0.5) -> tuple[Any, tuple[str, ...]]:
    """Make a single logit z, whose sigmoid is the chance of class 1, into the logits (c, z).

    ``c = log(t / (1 - t))`` for a threshold t, 0 for 0.5: class 1 is the larger one where the sigmoid is
    over t, and ``sigmoid(z)`` stays its chance. A last Dense layer gets a column of zeros and the bias c;
    behind anything else stands a Dense layer of weights 0 and 1.

    Args:
        model: a model of output (batch, 1), its sigmoid cut off.
        package: the Keras that it is of.
        threshold: t, between 0 and 1.
    """
    import numpy as np

    cut = float(logit(threshold))
    note = (
        f"one sigmoid: written as two logits, {cut:.4g} and z; class 1 wins where the sigmoid is over "
        f"{threshold:g}"
    )
    last = model.layers[-1]
    if type(last).__name__ != "Dense" or isinstance(getattr(last, "output", None), (list, tuple)):
        wide = package.layers.Dense(2, name="two_logits")
        outputs = wide(model.outputs[0])
        wide.set_weights([np.array([[0.0, 1.0]], np.float32), np.array([cut, 0.0], np.float32)])
        return package.Model(model.inputs, outputs, name=model.name), (note,)
    kernel, *bias = last.get_weights()
    wide = package.layers.Dense(2, name=f"{last.name}_two_logits")
    outputs = wide(last.input)
    column = np.concatenate([np.zeros_like(kernel), kernel], axis=1)
    shift = np.array([cut, bias[0][0] if bias else 0.0], np.float32)
    wide.set_weights([column, shift])
    return package.Model(model.inputs, outputs, name=model.name), (note,)


def channels_last(model: Any, image: Shape | None, package: Any) -> tuple[Any, tuple[str, ...]]:
    """Let a model of (channels, height, width) take pictures as files hold them: (height, width, channels).

    Args:
        model: a built Keras model.
        image: (height, width, channels) of the data; None leaves the model as it is.
        package: the Keras that it is of.

    Returns:
        The model behind a transposition, and what was done; the model itself where its input is another.
    """
    shape = model.input_shape
    takes = tuple(shape[1:]) if isinstance(shape, tuple) and shape and not isinstance(shape[0], tuple) else ()
    if image is None or len(image) != 3 or takes == tuple(image) or takes != (image[2], *image[:2]):
        return model, ()
    entry = package.Input(image, name="pixels")
    first = package.layers.Permute((3, 1, 2), name="channels_first")(entry)
    note = f"takes its channels first, {takes}; the files take {tuple(image)} and put the pixels in order"
    return package.Model(entry, model(first), name=model.name), (note,)
