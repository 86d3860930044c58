"""How a model ends: a final softmax is cut off; a sub-model may end at any named layer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from mnist_export.core.errors import InputError, UnsupportedError
from mnist_export.core.registry import unknown_name
from mnist_export.data.limits import shown
from mnist_export.models.heads import flat_output, two_logits
from mnist_export.models.judging import LABELS, VALUES
from mnist_export.models.structure.activations import last_activation
from mnist_export.models.structure.engine import package_of
from mnist_export.models.structure.nodes import is_operation, parts

Framework = Literal["keras", "tf_keras"]


@dataclass(frozen=True, kw_only=True)
class Ending:
    """A model with a new end.

    Attributes:
        model: what to use.
        notes: what was done.
    """

    model: Any
    notes: tuple[str, ...]


def to_logits(model: Any, framework: Framework, head: str = "classes") -> Ending:
    """Make a classifier end in logits.

    A softmax in the last Dense layer is replaced by nothing; a Softmax or Activation layer after it is
    left out. The weights are the model's own, shared.

    Args:
        model: a built functional or sequential model of one output.
        framework: whose.
        head: what its outputs are; `judging.VALUES` keep whatever end they have, labels keep one logit each.

    Raises:
        UnsupportedError: it ends in something that no logits can be had from.
    """
    if head == VALUES:
        return Ending(model=model, notes=())
    activation = last_activation(model)
    pair = head != LABELS and activation in {"linear", "sigmoid"} and int(model.output_shape[-1]) == 1
    if activation in {"linear", "relu"}:
        note = ("ends in relu: outputs below 0 are lost before comparing",) if activation == "relu" else ()
        return _two_classes(model, framework) if pair else Ending(model=model, notes=note)
    if activation not in {"softmax", "sigmoid"}:
        raise UnsupportedError(
            f"model '{shown(model.name)}': expected logits or a softmax at its end, found {activation}. "
            "Save it with a last layer without activation."
        )
    last = parts(model)[-1]
    if getattr(last, "layers", None):
        raise UnsupportedError(
            f"model '{shown(model.name)}': expected its {activation} in its own last layer, found it inside "
            f"of the nested model '{shown(last.name)}'. Save the inner layers as one flat model."
        )
    name = shown(last.name)
    if type(last).__name__ in {"Softmax", "Activation", "TFOpLambda"} or is_operation(last):
        cut = package_of(framework).Model(model.inputs, last.input, name=model.name)
        return (
            _two_classes(cut, framework)
            if pair
            else Ending(model=cut, notes=(f"final {activation} layer '{name}' cut off",))
        )
    last.activation = package_of(framework).activations.linear
    # A model traced before would still hold the old function.
    rebuilt = package_of(framework).Model(model.inputs, last(last.input), name=model.name)
    if pair:
        return _two_classes(rebuilt, framework)
    return Ending(model=rebuilt, notes=(f"final {activation} of layer '{name}' cut off",))


def _two_classes(model: Any, framework: Framework) -> Ending:
    """A single sigmoid, cut off, as two classes."""
    flat, said = flat_output(model, package_of(framework))
    wide, note = two_logits(flat, package_of(framework))
    return Ending(model=wide, notes=(*said, *note))


def cut_at(model: Any, layer_name: str, framework: Framework) -> Ending:
    """Take the sub-model from the input to a named layer's or operation's output, flattened to (n, width).

    Args:
        model: a built functional or sequential model.
        layer_name: of the layer that the sub-model ends at.
        framework: whose model it is.

    Raises:
        InputError: no such layer; the message lists the names and the nearest.
    """
    layers = {layer.name: layer for layer in parts(model) if type(layer).__name__ != "InputLayer"}
    if layer_name not in layers:
        raise unknown_name(f"layer of '{shown(model.name)}'", shown(layer_name), [shown(n) for n in layers])
    output = layers[layer_name].output
    if isinstance(output, (list, tuple)):
        raise InputError(
            f'`until="{shown(layer_name)}"`: expected a layer of one output, found {len(output)}.'
        )
    if len(output.shape) > 2:
        output = package_of(framework).layers.Flatten(name="until_flatten")(output)
    cut = package_of(framework).Model(model.inputs, output, name=model.name)
    return Ending(model=cut, notes=(f"ends at layer '{shown(layer_name)}' (`until`)",))
