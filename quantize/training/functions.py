"""Functions on tensors between layers, such as ``x + 3`` or ``keras.ops.relu(x)``, as layers of tf_keras.

Keras 3 holds them as operations, Keras 2 as layers of the classes TFOpLambda and SlicingOpLambda; tfmot knows
neither. Which of them a name is decides nothing: an addition of a number is no layer ``Add``, so the
operands are looked at, in the order in which they were given.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np

from mnist_export.core.errors import UnsupportedError
from mnist_export.models.structure.nodes import Call, is_operation
from mnist_export.models.structure.scopes import own_names, stand_in
from mnist_export.quantize.training.translate import refuse, scaled

_NAMES: Mapping[str, str] = MappingProxyType(
    {
        "__operators__.add": "Add", "math.add": "Add", "math.subtract": "Subtract",
        "math.multiply": "Multiply", "math.truediv": "Divide", "math.divide": "Divide",
        "TrueDivide": "Divide", "nn.relu": "Relu", "nn.relu6": "Relu6", "nn.softmax": "Softmax",
        "math.sigmoid": "Sigmoid", "math.tanh": "Tanh", "concat": "Concatenate", "reshape": "Reshape",
        "squeeze": "Reshape", "compat.v1.squeeze": "Reshape", "Squeeze": "Reshape", "expand_dims": "Reshape",
        "ExpandDims": "Reshape",
    }
)  # fmt: skip
"""TensorFlow's names, and kinds that another one covers, to the key in `_FORMS`."""


@dataclass(frozen=True, kw_only=True)
class _Function:
    """One call: what is called, its settings, and its operands as tensors of tf_keras and numbers."""

    layer: Any
    name: str
    settings: Mapping[str, Any]
    operands: tuple[Any, ...]
    tensors: tuple[Any, ...]
    shape: tuple[int | None, ...]

    def refused(self, why: str = "has no form that tfmot can train") -> UnsupportedError:
        return refuse(self.layer, why)

    def scaled(self, tensor: Any, scale: Any, shift: Any) -> Any:
        return scaled(self.layer, tensor, scale, shift, self.name)


def translate_function(call: Call, made: Mapping[int, Any], name: str) -> Any:
    """Apply the tf_keras form of a function on tensors.

    Args:
        call: of the original model.
        made: tf_keras tensor by the ``id`` of the original's tensor; holds all that the call reads.
        name: for the layer that is made, one that no other has.

    Returns:
        The output, a tf_keras tensor.

    Raises:
        UnsupportedError: there is no such form; the message names the function as the model does.
    """
    layer = call.layer
    settings = layer.get_config() if hasattr(layer, "get_config") else {}
    kind = type(layer).__name__
    if not is_operation(layer):
        kind = str(settings.get("function", kind)).removeprefix("tf.")
    given = (*call.arguments, *(v for key, v in call.keywords.items() if key != "name" and v is not None))
    function = _Function(
        layer=layer,
        name=stand_in(name),
        settings={**call.keywords, **settings},
        operands=tuple(made.get(id(part), part) for value in given for part in _flat(value)),
        tensors=tuple(made[id(tensor)] for tensor in call.inputs),
        shape=tuple(call.outputs[0].shape),
    )
    form = _FORMS.get(_NAMES.get(kind, kind))
    if form is None or len(call.outputs) != 1:
        raise function.refused()
    try:
        return form(function)
    except (ValueError, TypeError) as error:
        reason = own_names((str(error).splitlines() or [type(error).__name__])[0])[:200]
        raise function.refused(f"cannot be rebuilt in tf_keras ({reason})") from error


def _flat(value: Any) -> Iterator[Any]:
    if isinstance(value, (list, tuple)) and not all(isinstance(part, (int, float)) for part in value):
        yield from value
    else:
        yield value


def _is_number(value: Any) -> bool:
    if isinstance(value, (str, slice, dict)) or value is None:
        return False
    return np.asarray(value).dtype.kind in "fiub"


def _with_number(function: _Function) -> tuple[Any, Any, bool] | None:
    """(tensor, number, tensor stands first) of a function of one of each; None where it is another."""
    if len(function.operands) != 2 or len(function.tensors) != 1:
        return None
    first = function.operands[0] is function.tensors[0]
    number = function.operands[1 if first else 0]
    if not _is_number(number):
        return None
    number = np.asarray(number, np.float32)
    if number.size != max(number.shape[-1:], default=1):
        raise function.refused("computes with numbers that are not one for each channel")
    return function.tensors[0], number.ravel() if number.size > 1 else float(number.reshape(())), first


def _add(function: _Function) -> Any:
    from tf_keras import layers

    if len(function.operands) == len(function.tensors) == 2:
        return layers.Add(name=function.name)(list(function.tensors))
    if (pair := _with_number(function)) is None:
        raise function.refused()
    return function.scaled(pair[0], 1.0, pair[1])


def _subtract(function: _Function) -> Any:
    if (pair := _with_number(function)) is None:
        raise function.refused()
    tensor, number, first = pair
    return function.scaled(tensor, 1.0 if first else -1.0, -number if first else number)


def _multiply(function: _Function) -> Any:
    if (pair := _with_number(function)) is None:
        raise function.refused()
    return function.scaled(pair[0], pair[1], 0.0)


def _divide(function: _Function) -> Any:
    pair = _with_number(function)
    if pair is None or not pair[2] or not np.all(pair[1]):
        raise function.refused()
    return function.scaled(pair[0], np.float32(1) / pair[1], 0.0)


def _concatenate(function: _Function) -> Any:
    from tf_keras import layers

    positional = (value for value in function.operands if isinstance(value, int))
    axis = next(positional, function.settings.get("axis", -1))
    return layers.Concatenate(axis=axis, name=function.name)(list(function.tensors))


def _reshape(function: _Function) -> Any:
    from tf_keras import layers

    if function.shape[:1] != (None,) or None in function.shape[1:]:
        raise function.refused(f"gives an output of shape {function.shape}")
    return layers.Reshape(function.shape[1:], name=function.name)(function.tensors[0])


def _transpose(function: _Function) -> Any:
    from tf_keras import layers

    axes = tuple(function.settings.get("axes") or ())
    if axes[:1] != (0,):
        raise function.refused()
    return layers.Permute(axes[1:], name=function.name)(function.tensors[0])


def _pool(function: _Function) -> Any:
    from tf_keras import layers

    known = function.settings
    kind = {"MaxPool": "MaxPooling2D", "AveragePool": "AveragePooling2D"}[type(function.layer).__name__]
    return getattr(layers, kind)(
        known["pool_size"], strides=known["strides"], padding=known["padding"], name=function.name
    )(function.tensors[0])


def _mean(function: _Function) -> Any:
    from tf_keras import layers

    tensor, axis = function.tensors[0], function.settings.get("axis")
    axes = {int(a) % len(tensor.shape) for a in (axis if isinstance(axis, (list, tuple)) else ())}
    if len(tensor.shape) != 4 or axes != {1, 2}:
        raise function.refused("is a mean over other axes than an image's height and width")
    keepdims = bool(function.settings.get("keepdims"))
    return layers.GlobalAveragePooling2D(keepdims=keepdims, name=function.name)(tensor)


def _layer(kind: str, *names: str, **fixed: Any) -> Callable[[_Function], Any]:
    def form(function: _Function) -> Any:
        import tf_keras

        settings = {name: function.settings[name] for name in names if name in function.settings}
        made = getattr(tf_keras.layers, kind)(**settings, **fixed, name=function.name)
        return made(function.tensors[0])

    return form


def _leaky_relu(function: _Function) -> Any:
    from tf_keras import layers

    slope = float(function.settings.get("negative_slope", 0.2))
    return layers.LeakyReLU(alpha=slope, name=function.name)(function.tensors[0])


_FORMS: Mapping[str, Callable[[_Function], Any]] = MappingProxyType(
    {
        "Add": _add,
        "Subtract": _subtract,
        "Multiply": _multiply,
        "Divide": _divide,
        "Relu": _layer("ReLU"),
        "Relu6": _layer("ReLU", max_value=6.0),
        "LeakyRelu": _leaky_relu,
        "Softmax": _layer("Softmax", "axis"),
        "Sigmoid": _layer("Activation", activation="sigmoid"),
        "Tanh": _layer("Activation", activation="tanh"),
        "Concatenate": _concatenate,
        "Reshape": _reshape,
        "Transpose": _transpose,
        "MaxPool": _pool,
        "AveragePool": _pool,
        "Mean": _mean,
    }
)
"""Function to what builds it from layers."""
