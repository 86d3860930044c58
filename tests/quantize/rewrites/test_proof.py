"""The proof of float rewrites: what changed agrees, however much later layers raise its rounding."""

from __future__ import annotations

import numpy as np
import pytest

from mnist_export.core.errors import ConversionError
from mnist_export.quantize.rewrites.proof import prove
from mnist_export.quantize.rewrites.regions import largest_error


def network(net_builder, factors, steepness=1.0, shift=0.0):
    """Factors, a shift that is taken off again, and the sine of many times what they give."""
    net = net_builder((4, 4, 3))
    x = 0
    for place, factor in enumerate(factors):
        x = scaled(net, x, factor, f"times{place}" if place < len(factors) - 1 else "scaled")
    for kind, name in (("ADD", "raised"), ("SUB", "lowered")):
        constant = net.constant(name, np.full(3, shift, np.float32))
        options = f"{kind.title()}Options"
        x = net.op(kind, f"{name}/out", (x, constant), net.shape(x), options, fusedActivationFunction=0)
    x = net.op("SIN", "wave", (scaled(net, x, steepness, "steep"),), net.shape(x))
    return net.graph(net.dense(net.flatten(x), 4))


def scaled(net, x, factor, name):
    constant = net.constant(f"{name}/factor", np.full(3, factor, np.float32))
    return net.op("MUL", f"{name}/out", (x, constant), net.shape(x), "MulOptions", fusedActivationFunction=0)


@pytest.mark.parametrize("steepness", [1.0, 1e5])
def test_rounding_passes_whatever_later_layers_make_of_it(net_builder, steepness):
    before = network(net_builder, (1.1, 0.7), steepness)

    prove(before, network(net_builder, (1.1 * 0.7,), steepness), "a test")


@pytest.mark.parametrize("steepness", [1.0, 1e5])
def test_more_than_rounding_is_refused(net_builder, steepness):
    before = network(net_builder, (1.1, 0.7), steepness)

    with pytest.raises(ConversionError, match="no_rewrites"):
        prove(before, network(net_builder, (1.1 * 0.7 * 1.001,), steepness), "a test")


def test_a_tensor_that_means_something_else_is_followed_to_where_values_agree(net_builder):
    before, after = (network(net_builder, (1.1, 0.7), shift=shift) for shift in (1.0, 2.0))
    inputs = np.random.default_rng(0).uniform(-1, 1, (2, 4, 4, 3)).astype(np.float32)

    assert largest_error(before, after, inputs, 1e-5) <= 1e-5  # 1 or 2 is added and taken off again
