"""The calls that a functional model is made of: of its layers, and of functions on the tensors between them.

In Keras 3, ``x + 3`` or ``keras.ops.relu(x)`` on a tensor of a functional model becomes an operation: a node
without weights that is no layer, so that it is missing from ``model.layers``. Keras 2 wraps such functions in
layers of the class TFOpLambda.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

OPERATION_MODULES = "keras.src.ops"
"""Package of Keras 3's operations."""


@dataclass(frozen=True, kw_only=True)
class Call:
    """One call of a layer or an operation on symbolic tensors.

    Attributes:
        layer: what is called.
        inputs: the tensors that it reads.
        outputs: the tensors that it makes.
        arguments: what it was called with, tensors and constants in their places.
        keywords: the same by name.
    """

    layer: Any
    inputs: tuple[Any, ...]
    outputs: tuple[Any, ...]
    arguments: tuple[Any, ...] = ()
    keywords: Mapping[str, Any] = field(default_factory=dict)


def is_operation(layer: Any) -> bool:
    """Whether this is a function on tensors that Keras 3 wrapped, and no layer."""
    return (type(layer).__module__ + ".").startswith(f"{OPERATION_MODULES}.")


def is_function(layer: Any) -> bool:
    """Whether this is a function on tensors, of Keras 3 or of Keras 2."""
    return is_operation(layer) or type(layer).__name__ in {"TFOpLambda", "SlicingOpLambda"}


def parts(model: Any) -> list[Any]:
    """A model's layers, and its operations in their place; nested models as one part each."""
    held = getattr(model, "operations", None)
    return list(model.layers if held is None else held)


def leaves(model: Any) -> Iterator[Any]:
    """Yield a model's layers and operations in order, those of nested models in their place."""
    for part in parts(model):
        if getattr(part, "layers", None):
            yield from leaves(part)
        else:
            yield part


def last_part(model: Any) -> Any:
    """The layer or operation that makes a model's output, looked for in nested models too."""
    last = parts(model)[-1]
    while getattr(last, "layers", None):
        last = parts(last)[-1]
    return last


def graph_of(model: Any) -> Any | None:
    """The functional form of a model, which knows its calls; None where it has none."""
    inner = getattr(model, "_functional", None)  # a built Keras 3 Sequential
    found = inner if inner is not None else model
    return None if getattr(found, "_nodes_by_depth", None) is None else found


def calls(graph: Any) -> Iterator[Call]:
    """Yield the calls of a functional model in order of execution; a nested model is one call.

    Args:
        graph: as `graph_of` gives it, of Keras 3 or tf_keras.
    """
    for depth in sorted(graph._nodes_by_depth, reverse=True):
        for node in graph._nodes_by_depth[depth]:
            if hasattr(node, "operation"):  # Keras 3
                yield Call(
                    layer=node.operation,
                    inputs=tuple(node.input_tensors),
                    outputs=tuple(node.output_tensors),
                    arguments=tuple(node.arguments.args),
                    keywords=dict(node.arguments.kwargs),
                )
            else:
                outputs = node.outputs if isinstance(node.outputs, (list, tuple)) else [node.outputs]
                yield Call(
                    layer=node.layer,
                    inputs=tuple(node.keras_inputs),
                    outputs=tuple(outputs),
                    arguments=tuple(node.call_args or ()),
                    keywords=dict(node.call_kwargs or {}),
                )


def all_calls(model: Any) -> Iterator[Call]:
    """Yield the calls of a model and of the models nested in it."""
    graph = graph_of(model)
    for call in calls(graph) if graph is not None else ():
        yield call
        if getattr(call.layer, "layers", None):
            yield from all_calls(call.layer)
