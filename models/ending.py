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
from mnist_export.models.thresholds import HALF

Framework = Literal["keras", "tf_keras"]


@dataclass(frozen=True, kw_only=True)
class Ending:
    """A model with a new end.

    Attributes:
        model: what to use.
        notes: what was done.
        threshold: see `loaded.LoadedModel`.
    """

    model: Any
    notes: tuple[str, ...]
    threshold: tuple[float, ...] = ()


def to_logits(
    model: Any, framework: Framework, head: str = "classes", threshold: tuple[float, ...] = HALF
) -> Ending:
    """Make a classifier end in logits.

    A softmax in the last Dense layer is replaced by nothing; a Softmax or Activation layer after it is
    left out. The weights are the model's own, shared.

    Args:
        model: a built functional or sequential model of one output.
        framework: whose.
        head: what its outputs are; `judging.VALUES` keep whatever end they have, labels keep one logit each.
        threshold: of its sigmoids, one or one a label.

    Raises:
        UnsupportedError: it ends in something that no logits can be had from.
    """
    if head == VALUES:
        return Ending(model=model, notes=())
    activation = last_activation(model)
    outputs = int(model.output_shape[-1])
    if head == LABELS and len(threshold) not in {1, outputs}:
        raise InputError(
            f"`threshold`: expected one number, or one for each of {outputs} labels, found {len(threshold)}."
        )
    pair = head != LABELS and activation in {"linear", "sigmoid"} and outputs == 1
    cuts = threshold if head == LABELS else ()
    if activation in {"linear", "relu"}:
        note = ("ends in relu: outputs below 0 are lost before comparing",) if activation == "relu" else ()
        if pair:
            return _two_classes(model, framework, threshold)
        return Ending(model=model, notes=note, threshold=cuts)
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
            _two_classes(cut, framework, threshold)
            if pair
            else Ending(model=cut, notes=(f"final {activation} layer '{name}' cut off",), threshold=cuts)
        )
    last.activation = package_of(framework).activations.linear
    # A model traced before would still hold the old function.
    rebuilt = package_of(framework).Model(model.inputs, last(last.input), name=model.name)
    if pair:
        return _two_classes(rebuilt, framework, threshold)
    return Ending(model=rebuilt, notes=(f"final {activation} of layer '{name}' cut off",), threshold=cuts)


def _two_classes(model: Any, framework: Framework, threshold: tuple[float, ...]) -> Ending:
    """A single sigmoid, cut off, as two classes."""
    if len(threshold) != 1:
        raise InputError(f"`threshold`: expected one number for one sigmoid, found {len(threshold)}.")
    flat, said = flat_output(model, package_of(framework))
    wide, note = two_logits(flat, package_of(framework), threshold[0])
    return Ending(model=wide, notes=(*said, *note), threshold=threshold)


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
