"""A Keras 3 (or Keras 2) model rebuilt in tf_keras, layer by layer, and the proof that it is the same.

tfmot takes tf_keras models only. The rebuilt model shares nothing with the original: training it leaves
the original as it was.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from itertools import count
from typing import Any

import numpy as np
import numpy.typing as npt

from mnist_export.core.errors import ConversionError, UnsupportedError
from mnist_export.core.pixel_rules import PixelRule
from mnist_export.models.structure.nodes import calls, graph_of, is_function
from mnist_export.models.structure.scopes import stand_in
from mnist_export.quantize.training.functions import translate_function
from mnist_export.quantize.training.translate import translate

_STEPS_ALLOWED = 256
"""Float32 roundings that two orders of summation may be apart, in units of the largest logit's last place.

The two frameworks call the same kernels, and on most models every bit agrees; a BatchNormalization
that became a convolution, or another blocking of a sum, changes last bits."""


@dataclass(frozen=True, kw_only=True)
class Equality:
    """How the rebuilt model compares with the original.

    Attributes:
        images: how many were run through both.
        max_abs_difference: largest difference of a logit.
        largest_logit: largest magnitude of a logit.
        different: logits that differ at all.
    """

    images: int
    max_abs_difference: float
    largest_logit: float
    different: int

    @property
    def bound(self) -> float:
        """The difference that rounding explains: 256 units in the last place of the largest logit."""
        return _STEPS_ALLOWED * float(np.spacing(np.float32(max(self.largest_logit, 1.0))))

    def sentence(self) -> str:
        """What a report says."""
        if self.max_abs_difference == 0:
            return (
                f"The model rebuilt in tf_keras gives the same logits to the last bit ({self.images} images)."
            )
        return (
            f"The model rebuilt in tf_keras differs by at most {self.max_abs_difference:.2g} in a logit "
            f"({self.images} images; {self.bound:.2g} is explained by float32 rounding)."
        )


def rebuild(model: Any, input_shape: tuple[int, ...], *, for_int8: bool = True) -> Any:
    """Build the same network in tf_keras.

    A BatchNormalization behind an activation is built otherwise where int8 is going to be simulated, with
    its factors in the weights before it. Pruning and clustering choose one threshold and one set of values
    for all channels of a layer, which such factors would spoil: they get the layers as they are.

    Args:
        model: a built Sequential or functional model of Keras 3 or tf_keras, with one input and one
            output; nested models are flattened.
        input_shape: without the batch.
        for_int8: what it is for, see above.

    Returns:
        A functional tf_keras model with the same weights; the layers' names are kept, those that TensorFlow
        takes for no scope as `models.structure.scopes.stand_in` writes them.

    Raises:
        UnsupportedError: a subclassed model, a shared layer, or a layer without a form in tf_keras.
    """
    import tf_keras

    source = _functional(model)
    entry = tf_keras.Input(shape=input_shape, name="image")
    output = _copy(source, entry, set(), for_int8=for_int8)
    return tf_keras.Model(entry, output, name=stand_in(getattr(model, "name", "model")))


def _functional(model: Any) -> Any:
    found = graph_of(model)
    if found is None:
        raise UnsupportedError(
            f"quantization-aware training: '{getattr(model, 'name', 'the model')}' is a subclassed model, "
            "whose layers cannot be listed. Save it as a functional or Sequential model, or use "
            "`int8=True` alone."
        )
    if len(found.inputs) != 1 or len(found.outputs) != 1:
        raise UnsupportedError(
            f"quantization-aware training: '{model.name}' has {len(found.inputs)} inputs and "
            f"{len(found.outputs)} outputs; expected one of each. Use `int8=True` alone."
        )
    return found


def _copy(model: Any, entry: Any, seen: set[str], *, for_int8: bool) -> Any:
    made = {id(model.inputs[0]): entry}
    found = list(calls(model))
    reads = Counter(id(tensor) for call in found for tensor in call.inputs)
    reads[id(model.outputs[0])] += 1
    for call in found:
        layer, inputs = call.layer, call.inputs
        if type(layer).__name__ == "InputLayer":
            continue
        values = [made[id(tensor)] for tensor in inputs if id(tensor) in made]
        if len(values) != len(inputs) or not values:
            raise UnsupportedError(
                f"quantization-aware training: layer '{layer.name}' reads a constant; tfmot cannot train it. "
                "Replace it, or use `int8=True` alone."
            )
        name = layer.name
        if is_function(layer):  # without weights: it may be called twice, and names recur in nested models
            others = (f"{layer.name}.{number}" for number in count(2))
            name = name if name not in seen else next(other for other in others if other not in seen)
        elif name in seen:
            raise UnsupportedError(
                f"quantization-aware training: layer '{layer.name}' is used twice; tfmot cannot share a "
                "layer. Give each place a layer of its own, or use `int8=True` alone."
            )
        seen.add(name)
        given = values[0] if len(values) == 1 else values
        nested = getattr(layer, "layers", None) is not None
        if nested:
            result = _copy(_functional(layer), values[0], seen, for_int8=for_int8)
        elif is_function(layer):
            result = translate_function(call, made, name)
        else:
            # Inside of a nested model, the entry may be read outside of it as well.
            private = reads[id(inputs[0])] == 1 and inputs[0] is not model.inputs[0]
            result = translate(layer, given, private=private, for_int8=for_int8)
        made[id(call.outputs[0])] = result
    return made[id(model.outputs[0])]


def check_equal(
    original: Any, rebuilt: Any, images: npt.NDArray[np.uint8], input_range: PixelRule
) -> Equality:
    """Run both models and refuse a rebuilt one that differs by more than rounding explains.

    Args:
        original: the model that was loaded.
        rebuilt: what `rebuild` gave.
        images: uint8 of shape (n, H, W, C), n >= 1.
        input_range: how pixels become what the model takes.

    Raises:
        ConversionError: the outputs differ by more than 256 units in the last place of the largest logit.
    """
    shape = tuple(rebuilt.input_shape[1:])
    x = input_range.to_real(images).reshape(len(images), *shape)
    theirs = np.asarray(original(x, training=False), np.float32)
    ours = np.asarray(rebuilt(x, training=False), np.float32)
    difference = np.abs(theirs - ours)
    found = Equality(
        images=len(images),
        max_abs_difference=float(difference.max()),
        largest_logit=float(np.abs(theirs).max()),
        different=int(np.count_nonzero(difference)),
    )
    if not found.max_abs_difference <= found.bound:
        raise ConversionError(
            f"quantization-aware training: the model rebuilt in tf_keras gives other logits, expected "
            f"at most {found.bound:.2g} apart, found {found.max_abs_difference:.2g}. Use `int8=True` alone."
        )
    return found
