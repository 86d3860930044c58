"""A signature of a SavedModel as a frozen graph that ends in logits."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np

from mnist_export.data.limits import bad_file as refuse
from mnist_export.models.structure.engine import tensorflow

_PASSING = frozenset({"Identity", "IdentityN", "StopGradient", "Snapshot"})


class FrozenFunction:
    """A function from images to logits with its variables as constants; it behaves like a Keras model.

    Attributes:
        name: for messages.
        input_shape: with the batch, which is None.
        output_shape: the same.
        parameters: numbers in all variables.
        macs: multiply-accumulates of one image, where the shapes are known.
        cut_softmax: whether a final softmax was left out.
    """

    def __init__(self, function: Any, *, parameters: int, cut_softmax: bool) -> None:
        """Keep a pruned concrete function of one input and one output."""
        self._function = function
        self.name = "savedmodel"
        self.input_shape = tuple(function.inputs[0].shape)
        self.output_shape = tuple(function.outputs[0].shape)
        self.parameters = parameters
        self.macs = _count_macs(function.graph)
        self.cut_softmax = cut_softmax

    def count_params(self) -> int:
        """Numbers in all variables."""
        return self.parameters

    def __call__(self, images: Any, training: bool = False) -> Any:
        """Compute logits (n, classes) from float32 images; ``training`` changes nothing."""
        del training
        result = self._function(tensorflow().convert_to_tensor(images, np.float32))
        return result[0] if isinstance(result, (list, tuple)) else result


def freeze(signature: Any, keep_alive: Any, path: Path) -> FrozenFunction:
    """Turn a signature into a `FrozenFunction`.

    Args:
        signature: a concrete function of the SavedModel.
        keep_alive: the loaded object, whose variables the signature uses.
        path: for messages.

    Raises:
        InputError: it has not exactly one float32 input of known size and one output of classes, or a
            variable is not finite.
    """
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    variables = [value.numpy() for value in getattr(keep_alive, "variables", signature.variables)]
    for value in variables or [v.numpy() for v in signature.variables]:
        if value.dtype.kind == "f" and not np.all(np.isfinite(value)):
            raise refuse(path, "finite weights", "NaN or infinity in a variable", "Train it again.")
    flat = convert_variables_to_constants_v2(signature)
    inputs = [tensor for tensor in flat.inputs if tensor.dtype.name != "resource"]
    outputs = list(flat.outputs)
    if len(inputs) != 1 or len(outputs) != 1 or inputs[0].dtype.name != "float32":
        raise refuse(
            path,
            "one float32 input and one output",
            f"{len(inputs)} input(s) and {len(outputs)} output(s)",
            "Export a signature from images to classes.",
        )
    end = outputs[0]
    while end.op.type in _PASSING:
        end = end.op.inputs[0]
    cut = end.op.type == "Softmax"
    pruned = flat.prune(inputs[0].name, [end.op.inputs[0].name if cut else end.name])
    return FrozenFunction(pruned, parameters=sum(math.prod(v.shape) for v in variables), cut_softmax=cut)


def _count_macs(graph: Any) -> int:
    total = 0
    for op in graph.get_operations():
        if op.type in {"Conv2D", "DepthwiseConv2dNative", "MatMul"}:
            kernel = [int(size or 1) for size in op.inputs[1].shape]
            pixels = math.prod(int(size or 1) for size in op.outputs[0].shape[1:-1])
            total += pixels * math.prod(kernel)
    return total
