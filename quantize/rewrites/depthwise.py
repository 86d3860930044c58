"""Writes a mean over windows as a depthwise convolution of one weight, in float or in integers."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from mnist_export.core.affine import QuantParams
from mnist_export.core.graph import Padding, Tensor
from mnist_export.core.graph.editing import GraphEditor

WEIGHTS = "/average"
"""How the names of the made weights end."""

_Constant = tuple[npt.NDArray[Any], QuantParams | None]


def add_average(
    editor: GraphEditor,
    source: int,
    result: int,
    *,
    kernel: tuple[int, int],
    strides: tuple[int, int] = (1, 1),
    padding: int = Padding.VALID,
    activation: int = 0,
) -> None:
    """Append the mean over windows; every runtime requantizes a convolution's sum in the same way.

    Args:
        editor: of a float32 or an int8 graph.
        source: tensor index, of shape (batch, height, width, channels).
        result: the tensor that gets the means; where its rank is another, through a RESHAPE.
        kernel: height and width of a window.
        strides: vertical and horizontal.
        padding: how windows lie at the border; a window that leaves the input counts zeros.
        activation: the fused one, as `Activation` numbers them.
    """
    target = editor.tensor(result)
    channels = editor.tensor(source).shape[3]
    weights, zeros = _constants(editor.tensor(source), (1, *kernel, channels), 1 / (kernel[0] * kernel[1]))
    output = result
    if len(target.shape) != 4:
        size = editor.tensor(source).shape[1:3] if kernel == (1, 1) else (1, 1)
        output = editor.activation_like(result, f"{target.name}/pooled", (-1, *size, channels))
    constants = (
        editor.constant(f"{target.name}{WEIGHTS}", *weights),
        editor.constant(f"{target.name}/zero", *zeros),
    )
    add_depthwise(
        editor, (source, *constants), output, strides=strides, padding=padding, activation=activation
    )
    if output != result:
        editor.reshape(output, result)


def add_depthwise(
    editor: GraphEditor,
    inputs: tuple[int, int, int],
    result: int,
    *,
    strides: tuple[int, int] = (1, 1),
    padding: int = Padding.VALID,
    activation: int = 0,
) -> None:
    """Append a DEPTHWISE_CONV_2D of one output channel an input channel.

    Args:
        editor: of a float32 or an int8 graph.
        inputs: tensor indices of the map, the weights (1, height, width, channels) and the bias (channels,).
        result: the tensor that it writes.
        strides: vertical and horizontal.
        padding: how windows lie at the border.
        activation: the fused one, as `Activation` numbers them.
    """
    editor.add(
        "DEPTHWISE_CONV_2D",
        inputs,
        (result,),
        "DepthwiseConv2DOptions",
        {
            "padding": padding,
            "strideH": strides[0],
            "strideW": strides[1],
            "depthMultiplier": 1,
            "dilationHFactor": 1,
            "dilationWFactor": 1,
            "fusedActivationFunction": activation,
        },
    )


def _constants(source: Tensor, shape: tuple[int, ...], share: float) -> tuple[_Constant, _Constant]:
    """Weights of one value and a bias of zeros: float32, or integers where the graph is of integers."""
    channels = shape[-1]
    if source.quant is None:
        return (np.full(shape, share, np.float32), None), (np.zeros(channels, np.float32), None)
    scale = np.full(channels, share / 127, np.float32)
    of_sums = QuantParams.per_channel(scale * source.quant.scale[0], 0)
    return (np.full(shape, 127, np.int8), QuantParams.per_channel(scale, 3)), (
        np.zeros(channels, np.int32),
        of_sums,
    )
