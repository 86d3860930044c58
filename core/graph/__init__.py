"""A network as data: tensors, operators and quantization parameters, read from and written to TFLite."""

from mnist_export.core.graph.ir import Activation, Graph, Op, Padding, Tensor

__all__ = ["Activation", "Graph", "Op", "Padding", "Tensor"]
