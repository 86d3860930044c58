"""A pixel rule inside of a graph: the same function, in the first weights where that is exact."""

from __future__ import annotations

import numpy as np
import pytest

from mnist_export.core.errors import InputError
from mnist_export.core.kinds import Precision
from mnist_export.core.pixel_rules import PRESETS, between, by_channel
from mnist_export.core.pixels import InputRange
from mnist_export.quantize import SchemeConfig, quantize
from mnist_export.quantize.entering import LAYER, enter_rule, holds_zero
from mnist_export.quantize.network.simulate import run_logits
from mnist_export.quantize.ranges.calibration import run_activations

SHAPE = (8, 8, 3)
RULES = {
    "caffe": PRESETS["caffe"],
    "torch": PRESETS["torch"],
    "bgr": between(-1, 1, reverse=True),
    "inverted": between(1, 0),
    "std": by_channel((0,), (0.2, 0.3, 0.4)),
    "far": between(3, 2),
}


def _nets(net_builder, kind):
    net = net_builder((8 * 8 * 3,) if kind == "flat" else SHAPE, seed=3)
    if kind == "flat":
        return net.graph(net.dense(0, 5))
    first = {
        "same": lambda: net.conv(0, 4),
        "valid": lambda: net.conv(0, 4, same=False),
        "one": lambda: net.conv(0, 4, 1),
        "padded": lambda: net.conv(net.pad(0), 4, same=False),
        "depthwise": lambda: net.depthwise(0, 2, same=False, act=1),
        "dense": lambda: net.flatten(0),
        "branches": lambda: net.concatenate(net.conv(0, 4, 1), net.conv(0, 3, 1, name="other")),
        "residual": lambda: net.add(0, net.conv(0, 3, act=0)),
        "pool": lambda: net.pool(0),
    }[kind]()
    return net.graph(net.dense(first if kind == "dense" else net.flatten(first), 5))


def _answers(graph, images, pixels):
    runs = run_activations(graph, images, input_range=pixels)
    return np.concatenate([values[graph.outputs[0]].copy() for values in runs])


def _has_layer(graph):
    return any(tensor.name.startswith(LAYER) for tensor in graph.tensors)


ALWAYS_FOLDED = {"valid", "one", "dense", "branches", "flat"}
ZERO_IS_A_PIXEL = {"bgr", "inverted", "std"}


@pytest.mark.parametrize("name", RULES)
@pytest.mark.parametrize(
    "kind", ["same", "valid", "one", "padded", "depthwise", "dense", "flat", "branches", "residual", "pool"]
)
def test_the_graph_keeps_its_function(net_builder, kind, name):
    graph, rule = _nets(net_builder, kind), RULES[name]
    images = np.random.default_rng(0).integers(0, 256, (6, *SHAPE), dtype=np.uint8)
    entered = enter_rule(graph, rule)
    expected = _answers(graph, images, rule)
    found = _answers(entered.graph, images, entered.input_range)
    # float32 sums of terms that cancel: some units in the last place of the largest pixel's value
    size = max(np.abs(expected).max(), *map(abs, rule.span))
    np.testing.assert_allclose(found, expected, atol=1e-5 * size)
    folds = kind in ALWAYS_FOLDED or (
        {"same": name in ZERO_IS_A_PIXEL, "padded": name in ZERO_IS_A_PIXEL}.get(kind, False)
        or (kind == "depthwise" and name not in {"caffe", "bgr"})
    )
    assert _has_layer(entered.graph) != folds
    assert bool(entered.layers) == folds
    assert holds_zero(entered.input_range)


def test_padding_is_the_pixel_that_stands_for_0(net_builder):
    """White: zero padding of an inverted network has the input's zero point at 255."""
    entered = enter_rule(_nets(net_builder, "same"), between(1, 0))
    assert int(entered.input_range.params_int8().zero_point[0]) == 127


def test_weights_of_the_layer_are_127_steps_and_0(net_builder):
    graph = enter_rule(_nets(net_builder, "same"), PRESETS["caffe"]).graph
    images = np.random.default_rng(0).integers(0, 256, (20, *SHAPE), dtype=np.uint8)
    made = quantize(graph, SchemeConfig(precision=Precision.INT8), images)
    (kernel,) = [t for t in made.graph.tensors if t.name.startswith(f"{LAYER}/kernel")]
    assert sorted(np.abs(kernel.data.astype(int)).ravel()) == [0] * 6 + [127] * 3
    assert np.argmax(kernel.data[:, 0, 0], axis=1).tolist() == [2, 1, 0]
    step = float(made.graph.tensors[made.graph.ops[0].outputs[0]].quant.scale[0])
    assert step < 1.2  # 276 values of caffe's rule in 255 steps
    logits = run_logits(made.graph, images, input_range=InputRange())
    expected = _answers(graph, images, InputRange())
    assert np.mean(logits.argmax(axis=1) == expected.argmax(axis=1)) >= 0.9


def test_a_rule_for_other_channels_is_refused(net_builder):
    net = net_builder((8, 8, 1))
    graph = net.graph(net.dense(net.flatten(net.conv(0, 2)), 5))
    with pytest.raises(InputError, match="expected pictures of 3 channels"):
        enter_rule(graph, PRESETS["caffe"])
