"""Puts the batch first again where layers move it: recurrent layers transpose to (time, batch, features).

Such a tensor is kept with its batch first; what reads it takes its axes from there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType

import numpy as np

from mnist_export.core.errors import ConversionError
from mnist_export.core.graph import Graph, Op, Tensor
from mnist_export.core.graph.editing import GraphEditor
from mnist_export.core.graph.operator import Family
from mnist_export.core.graph.operators import kinds

_POINTWISE = {*kinds(Family.CLIP, Family.FUNCTION, Family.DENSE), "SOFTMAX"}
_MASKS = ("beginMask", "endMask", "shrinkAxisMask")
Order = tuple[int, ...]
"""Axis ``j`` of the tensor that is kept is axis ``order[j]`` of the one that the converter named."""


def batch_first(graph: Graph, batch: int) -> Graph:
    """Keep every tensor with its batch first.

    Args:
        graph: as the converter gives it, for a fixed batch.
        batch: how many images it was made for.

    Raises:
        ConversionError: a layer reads such a tensor in a way that is not known here; it is named.
    """
    if not any(_moves_batch(graph, op) for op in graph.ops):
        return graph
    return _Keeper(graph, batch).kept()


def _moves_batch(graph: Graph, op: Op) -> bool:
    if op.kind == "TRANSPOSE":
        order = graph.tensors[op.inputs[1]].data
        return order is not None and int(order.ravel()[0]) != 0
    return op.kind == "PACK" and int(op.options["axis"]) % len(graph.tensors[op.outputs[0]].shape) == 0


class _Keeper:
    """Copies a graph, the batch first."""

    def __init__(self, graph: Graph, batch: int) -> None:
        self.graph = graph
        self.batch = batch
        self.editor = GraphEditor(graph)
        self.orders: dict[int, Order] = {}
        self.alias: dict[int, int] = {}

    def kept(self) -> Graph:
        forms: Mapping[str, Callable[[Op], None]] = {
            "TRANSPOSE": self._transpose,
            "PACK": self._pack,
            "UNPACK": self._unpack,
            "STRIDED_SLICE": self._slice,
            "REVERSE_V2": self._reverse,
            "CONCATENATION": self._concatenation,
        }
        for original in self.graph.ops:
            op = replace(original, inputs=tuple(self.alias.get(i, i) for i in original.inputs))
            moved = any(i in self.orders for i in op.inputs)
            if not moved and not _moves_batch(self.graph, original):
                self.editor.keep(op)
            elif op.kind in forms:
                forms[op.kind](op)
            elif (
                op.kind in _POINTWISE and self.orders[op.inputs[0]][-1] == len(self.orders[op.inputs[0]]) - 1
            ):
                self._leave(op, op.outputs[0], self.orders[op.inputs[0]])
            else:
                raise self._refusal(op)
        self.editor.outputs = tuple(self.alias.get(i, i) for i in self.graph.outputs)
        return self.editor.finish()

    def _keeps_last(self, index: int) -> bool:
        order = self._order(index)
        return order[-1] == len(order) - 1

    def _refusal(self, op: Op) -> ConversionError:
        name = self.graph.tensors[op.outputs[0]].name
        return ConversionError(
            f"TFLite conversion: layer '{name}' ({op.kind}) computes across the images of a batch, or on "
            "a tensor whose batch is not first. Replace the layer by one that keeps images apart."
        )

    def _order(self, index: int) -> Order:
        return self.orders.get(index) or tuple(range(len(self.editor.tensor(index).shape)))

    def _set(self, index: int, order: Order) -> None:
        """Note a result's order of axes, its batch first."""
        tensor: Tensor = self.graph.tensors[index]
        if tensor.shape[order[0]] % self.batch:  # windows of attention are several rows an image
            raise ConversionError(
                f"TFLite conversion: layer '{tensor.name}': expected a result of one row an image, found "
                f"the shape {tensor.shape} for {self.batch} images. Replace the layer by one that keeps "
                "images apart."
            )
        shape = tuple(tensor.shape[axis] for axis in order)
        self.editor.set_tensor(index, replace(tensor, shape=shape))
        if order == tuple(range(len(order))):
            self.orders.pop(index, None)
        else:
            self.orders[index] = order

    def _leave(self, op: Op, index: int, order: Order, **options: int) -> None:
        self._set(index, order)
        self.editor.keep(replace(op, options=MappingProxyType(dict(op.options) | options)))

    def _constant(self, index: int, values: list[int]) -> int:
        tensor = self.graph.tensors[index]
        data = np.asarray(values, np.int32)
        return self.editor.add_tensor(
            replace(tensor, name=f"{tensor.name}/kept", data=data, shape=data.shape)
        )

    def _transpose(self, op: Op) -> None:
        source, target = op.inputs[0], op.outputs[0]
        data = self.graph.tensors[op.inputs[1]].data
        if data is None:
            raise self._refusal(op)
        before = self._order(source)
        named = [int(axis) for axis in data.ravel()]  # the source's axis for each of the result's
        place = named.index(before[0])
        # Kept: the batch, then the result's other axes in their order.
        order = (place, *(axis for axis in range(len(named)) if axis != place))
        wanted = [before.index(named[axis]) for axis in order]
        self._set(target, order)
        if wanted == list(range(len(wanted))):
            self.alias[target] = source
            # The source's tensor stands for the result; its own order is the result's from here on.
            self._alias_order(target, source)
            return
        table = self._constant(op.inputs[1], wanted)
        self.editor.keep(replace(op, inputs=(source, table)))

    def _alias_order(self, target: int, source: int) -> None:
        """Give an alias with another order of named axes a tensor of its own."""
        if self.orders.get(target) == self.orders.get(source):
            return
        self.alias.pop(target)
        sizes = np.asarray(self.editor.tensor(target).shape, np.int32)
        shape = self.editor.constant(f"{self.editor.tensor(target).name}/shape", sizes)
        options = {"newShape": sizes.tolist()}
        self.editor.add("RESHAPE", (source, shape), (target,), "ReshapeOptions", options)

    def _pack(self, op: Op) -> None:
        if any(i in self.orders for i in op.inputs):
            raise self._refusal(op)
        rank = len(self.graph.tensors[op.outputs[0]].shape)
        self._leave(op, op.outputs[0], (1, 0, *range(2, rank)), axis=1)

    def _without(self, order: Order, gone: set[int]) -> Order:
        left = [axis for axis in range(len(order)) if axis not in gone]
        return tuple(left.index(axis) for axis in order if axis not in gone)

    def _unpack(self, op: Op) -> None:
        order = self._order(op.inputs[0])
        axis = int(op.options["axis"]) % len(order)
        if axis == order[0]:
            raise self._refusal(op)
        for index in op.outputs:
            self._set(index, self._without(order, {axis}))
        self.editor.keep(
            replace(op, options=MappingProxyType(dict(op.options) | {"axis": order.index(axis)}))
        )

    def _slice(self, op: Op) -> None:
        order = self._order(op.inputs[0])
        bounds = [self.graph.tensors[i].data for i in op.inputs[1:4]]
        masks = {name: int(op.options.get(name, 0)) for name in _MASKS}
        others = int(op.options.get("ellipsisMask", 0)) or int(op.options.get("newAxisMask", 0))
        if others or any(value is None or len(value) != len(order) for value in bounds):
            raise self._refusal(op)
        tables = [
            self._constant(i, [int(value[axis]) for axis in order])
            for i, value in zip(op.inputs[1:4], bounds, strict=True)
            if value is not None
        ]
        moved = {
            name: sum((mask >> axis & 1) << place for place, axis in enumerate(order))
            for name, mask in masks.items()
        }
        gone = {axis for axis in order if masks["shrinkAxisMask"] >> axis & 1}
        if order[0] in gone:
            raise self._refusal(op)
        self._leave(
            replace(op, inputs=(op.inputs[0], *tables)), op.outputs[0], self._without(order, gone), **moved
        )

    def _reverse(self, op: Op) -> None:
        order = self._order(op.inputs[0])
        data = self.graph.tensors[op.inputs[1]].data
        if data is None:
            raise self._refusal(op)
        table = self._constant(op.inputs[1], [order.index(int(axis) % len(order)) for axis in data.ravel()])
        self._leave(replace(op, inputs=(op.inputs[0], table)), op.outputs[0], order)

    def _concatenation(self, op: Op) -> None:
        orders = {self._order(i) for i in op.inputs}
        if len(orders) != 1:
            raise self._refusal(op)
        (order,) = orders
        axis = int(op.options["axis"]) % len(order)
        self._leave(op, op.outputs[0], order, axis=order.index(axis))
