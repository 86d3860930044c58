"""Values on the way through an ONNX graph that is rebuilt in TensorFlow, images kept channels last."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

import numpy as np
import numpy.typing as npt

from mnist_export.core.errors import UnsupportedError
from mnist_export.data.limits import bad_file as refuse
from mnist_export.models.structure.engine import tensorflow

TO_LAST, TO_FIRST = (0, 2, 3, 1), (0, 3, 1, 2)
_AXIS_LAST = {0: 0, 1: 3, 2: 1, 3: 2}


class Layout(Enum):
    """In which order a tensor's values lie."""

    PLAIN = "as ONNX has them"
    LAST = "images with channels last, where ONNX has them first"
    FLAT = "one row an image, flattened with channels last"


@dataclass(frozen=True, kw_only=True, eq=False)
class Value:
    """One value of the graph.

    Attributes:
        tensor: of TensorFlow, or a numpy constant.
        layout: its order.
        image: (channels, height, width) of what a `Layout.FLAT` row was.
        positive: whether no value is below 0.
    """

    tensor: Any
    layout: Layout = Layout.PLAIN
    image: tuple[int, int, int] | None = None
    positive: bool = False

    @property
    def constant(self) -> npt.NDArray[Any] | None:
        """The array of a constant; None for what depends on the input."""
        return self.tensor if isinstance(self.tensor, np.ndarray) else None

    @property
    def shape(self) -> tuple[int | None, ...]:
        """As ONNX has it."""
        found = tuple(self.tensor.shape)
        return tuple(found[axis] for axis in TO_FIRST) if self.layout is Layout.LAST else found

    def axis(self, axis: int) -> int:
        """Where an axis of ONNX's is in the tensor."""
        axis = axis % len(self.tensor.shape)
        return _AXIS_LAST[axis] if self.layout is Layout.LAST else axis

    def plain(self) -> Any:
        """The tensor in ONNX's own order."""
        tf = tensorflow()
        if self.layout is Layout.LAST:
            return tf.transpose(self.tensor, TO_FIRST)
        if self.layout is Layout.FLAT and self.image is not None:
            channels, height, width = self.image
            images = tf.reshape(self.tensor, (-1, height, width, channels))
            return tf.reshape(tf.transpose(images, TO_FIRST), (-1, channels * height * width))
        return self.tensor

    def with_tensor(self, tensor: Any, *, positive: bool = False) -> Value:
        """Another tensor of the same order."""
        return Value(tensor=tensor, layout=self.layout, image=self.image, positive=positive)


@dataclass(frozen=True, kw_only=True)
class Node:
    """One operator of the graph.

    Attributes:
        kind: its ONNX name.
        inputs: values, None for what is left out.
        settings: its attributes.
        where: the file and the node, for messages.
        fixed_batch: whether the file's input is one image.
    """

    kind: str
    inputs: tuple[Value | None, ...]
    settings: Mapping[str, Any] = field(default_factory=dict)
    where: str
    fixed_batch: bool

    def value(self, place: int = 0) -> Value:
        """An input that has to be there.

        Raises:
            InputError: it is not.
        """
        found = self.inputs[place] if place < len(self.inputs) else None
        if found is None:
            raise refuse(self.where, f"an input at place {place}", "none", "The file is damaged.")
        return found

    def constant(self, place: int, setting: str = "") -> npt.NDArray[Any] | None:
        """A constant input, or the attribute that older opsets have for it; None where neither is there.

        Raises:
            UnsupportedError: it is computed from the image.
        """
        if place < len(self.inputs) and self.inputs[place] is not None:
            found = self.value(place).constant
            if found is None:
                raise self.unsupported(f"with a computed input at place {place}")
            return found
        return np.asarray(self.settings[setting]) if setting in self.settings else None

    def unsupported(self, why: str) -> UnsupportedError:
        """Build the error that names the operator."""
        return UnsupportedError(
            f"{self.where}: the operator {self.kind} {why} has no form here. Export the network without "
            "it, or give it as a Keras model."
        )


def rows_for(value: Value, weights: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Weights of shape (inputs, outputs) whose rows are in the order of a value's columns."""
    if value.layout is not Layout.FLAT or value.image is None:
        return weights
    order = np.arange(len(weights)).reshape(value.image).transpose(1, 2, 0).reshape(-1)
    return np.ascontiguousarray(weights[order])


def like(value: Value, constant: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """A constant that is to be combined with a value, in the value's order; it is broadcast as in ONNX."""
    if value.layout is Layout.LAST and constant.ndim > 0:
        whole = constant.reshape((1,) * (4 - constant.ndim) + constant.shape)
        return np.ascontiguousarray(whole.transpose(TO_LAST))
    if value.layout is Layout.FLAT and constant.ndim > 0 and constant.shape[-1] > 1:
        return rows_for(value, constant.reshape(-1, constant.shape[-1]).T).T
    return constant
