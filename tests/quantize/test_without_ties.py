"""Sums that every runtime rounds in the same way: all pairs of codes, in every kernel."""

from __future__ import annotations

import itertools
from dataclasses import replace
from types import MappingProxyType

import numpy as np
import pytest

from mnist_export.core.affine import QuantParams, asymmetric
from mnist_export.core.graph import Graph, Op, Tensor
from mnist_export.core.kinds import IoType
from mnist_export.export.onnx_writer import write_onnx
from mnist_export.quantize.scales.without_ties import distance_from_ties, error_bound, params_without_ties

KERNELS = ("AUTO", "BUILTIN_WITHOUT_DEFAULT_DELEGATES", "BUILTIN_REF")
PAIRS = np.array(list(itertools.product(range(-128, 128), repeat=2)), np.int8).reshape(-1, 1, 1, 2)


def float_sum(kind, activation):
    """x and y come from somewhere, and are added."""
    shape = (-1, 1, 1, 1)
    tensors = [
        Tensor(name=name, shape=shape, dtype=np.dtype(np.float32)) for name in ("image", "x", "y", "z")
    ]
    options = MappingProxyType({"fusedActivationFunction": activation})
    ops = [
        Op(kind="RELU", inputs=(0,), outputs=(1,)),
        Op(kind="RELU", inputs=(0,), outputs=(2,)),
        Op(kind=kind, inputs=(1, 2), outputs=(3,), options=options),
    ]
    return Graph(tensors=tuple(tensors), ops=tuple(ops), inputs=(0,), outputs=(3,))


def integer_sum(kind, activation, first, second, out):
    """An int8 network whose two channels of pixels become the two operands' codes, and are added."""
    tensors: list[Tensor] = []

    def tensor(name, shape, quant, data=None, dtype=np.int8):
        tensors.append(Tensor(name=name, shape=shape, dtype=np.dtype(dtype), data=data, quant=quant))
        return len(tensors) - 1

    entry = tensor("image", (-1, 1, 1, 2), QuantParams.per_tensor(1 / 256, -128))
    ops, operands = [], []
    for channel, quant in enumerate((first, second)):
        weights = np.zeros((1, 1, 1, 2), np.int8)
        weights[..., channel] = 127
        scale = float(quant.scale[0]) * 256 / 127
        shift = np.array([-127 * (128 + int(quant.zero_point[0]))], np.int32)
        inputs = (
            entry,
            tensor(f"w{channel}", weights.shape, QuantParams.per_tensor(scale), weights),
            tensor(f"b{channel}", (1,), QuantParams.per_tensor(scale / 256), shift, np.int32),
        )
        operands.append(tensor(f"x{channel}", (-1, 1, 1, 1), quant))
        window = {"padding": 1, "strideH": 1, "strideW": 1, "dilationHFactor": 1, "dilationWFactor": 1}
        ops.append(
            Op(
                kind="CONV_2D",
                inputs=inputs,
                outputs=(operands[-1],),
                options_type="Conv2DOptions",
                options=MappingProxyType(window | {"fusedActivationFunction": 0}),
            )
        )
    end = tensor("logits", (-1, 1, 1, 1), out)
    ops.append(
        Op(
            kind=kind,
            inputs=tuple(operands),
            outputs=(end,),
            options_type=f"{kind.capitalize()}Options",
            options=MappingProxyType({"fusedActivationFunction": activation}),
        )
    )
    return Graph(tensors=tuple(tensors), ops=tuple(ops), inputs=(entry,), outputs=(end,))


@pytest.fixture
def differing(litert):
    """How many of all pairs of codes each of LiteRT's kernels rounds otherwise than ONNX Runtime."""

    def count(graph):
        import onnxruntime

        session = onnxruntime.InferenceSession(
            write_onnx(graph, io=IoType.INT8), providers=["CPUExecutionProvider"]
        )
        expected = session.run(None, {session.get_inputs()[0].name: PAIRS})[0]
        return {kernels: int((litert(graph, PAIRS, kernels) != expected).sum()) for kernels in KERNELS}

    return count


def drawn(seed):
    """Ranges of two operands and their sum."""
    rng = np.random.default_rng(seed)
    kind, activation = ("ADD", int(rng.integers(0, 2))) if seed % 3 else ("SUB", 0)
    spans = [asymmetric(-rng.uniform(0, 4), rng.uniform(1, 6), np.int8) for _ in range(2)]
    out = asymmetric(0.0 if activation else -rng.uniform(1, 6), rng.uniform(3, 9), np.int8)
    return kind, activation, dict(enumerate([*spans, out], start=1))


@pytest.mark.parametrize("seed", range(9))
def test_every_pair_of_codes_is_rounded_alike(differing, seed):
    kind, activation, params = drawn(seed)
    made = params_without_ties(float_sum(kind, activation), params, {i: i for i in params})

    for index in (1, 2, 3):
        assert made[index].zero_point == params[index].zero_point
        assert 1 <= made[index].scale[0] / params[index].scale[0] < 1.02
    assert differing(integer_sum(kind, activation, *made.values())) == dict.fromkeys(KERNELS, 0)


def test_scales_as_they_come_part_the_runtimes(differing):
    counts = []
    for seed in range(9):
        kind, activation, params = drawn(seed)
        counts += differing(integer_sum(kind, activation, *params.values())).values()

    assert sum(counts) > 0


def residual_blocks(net_builder, blocks):
    net = net_builder((8, 8, 1), seed=2)
    x = net.conv(0, 4, name="stem")
    for number in range(blocks):
        branch = net.conv(net.conv(x, 4, name=f"a{number}"), 4, act=0, name=f"b{number}")
        x = net.add(x, branch, act=1, name=f"sum{number}")
    return net.graph(net.dense(net.flatten(x), 5))


def ratios_of(graph, op):
    scales = [float(graph.tensors[i].quant.scale[0]) for i in (*op.inputs, *op.outputs)]
    points = tuple(int(graph.tensors[i].quant.zero_point[0]) for i in op.inputs)
    return (scales[0] / scales[2], scales[1] / scales[2]), points


def test_a_chain_of_blocks_has_no_ties_and_the_same_logits_everywhere(net_builder, in_int8, litert):
    import onnxruntime

    graph = in_int8(residual_blocks(net_builder, 3)).graph
    sums = [op for op in graph.ops if op.kind == "ADD"]
    for op in sums:
        ratios, points = ratios_of(graph, op)
        assert distance_from_ties(ratios, points) > error_bound(ratios)
    codes = np.random.default_rng(1).integers(-128, 128, (128, 8, 8, 1), dtype=np.int8)
    session = onnxruntime.InferenceSession(
        write_onnx(graph, io=IoType.INT8), providers=["CPUExecutionProvider"]
    )
    found = session.run(None, {session.get_inputs()[0].name: codes})[0]

    assert len(sums) == 3
    np.testing.assert_array_equal(found, litert(graph, codes))


def test_the_pixels_scale_stays_and_the_sums_gives_way(net_builder, in_int8):
    net = net_builder((8, 8, 2))
    x = net.add(net.conv(0, 2, act=0, name="branch"), 0)
    graph = in_int8(net.graph(net.dense(net.flatten(x), 3))).graph
    op = next(op for op in graph.ops if op.kind == "ADD")
    ratios, points = ratios_of(graph, op)

    assert graph.tensors[graph.inputs[0]].quant.scale[0] == np.float32(1 / 255)
    assert distance_from_ties(ratios, points) > error_bound(ratios)


def test_an_operand_of_two_sums_fits_both_where_the_earlier_ones_scale_is_free(net_builder, in_int8):
    net = net_builder((8, 8, 1), seed=3)
    x = net.conv(0, 4, name="stem")
    early = net.add(x, net.conv(x, 4, act=0, name="a"), name="early")
    late = net.add(x, net.conv(early, 4, act=0, name="b"), name="late")
    graph = in_int8(net.graph(net.dense(net.flatten(late), 3))).graph
    sums = [ratios_of(graph, op) for op in graph.ops if op.kind == "ADD"]

    assert [distance_from_ties(*found) > error_bound(found[0]) for found in sums] == [True, True]


def mean_network(scale, point, side, *, rows=False):
    """A map of pixels, or as many rows of one value, to its mean."""
    pixels = QuantParams.per_tensor(1 / 255, -128)
    shape = (-1, side * side, 1) if rows else (-1, side, side, 1)
    entry = Tensor(name="image", shape=shape, dtype=np.dtype(np.int8), quant=pixels)
    over = np.array([1] if rows else [1, 2], np.int32)
    axes = Tensor(name="axes", shape=over.shape, dtype=np.dtype(np.int32), data=over)
    out = Tensor(
        name="logits", shape=(-1, 1), dtype=np.dtype(np.int8), quant=QuantParams.per_tensor(scale, point)
    )
    op = Op(
        kind="MEAN",
        inputs=(0, 1),
        outputs=(2,),
        options_type="ReducerOptions",
        options=MappingProxyType({"keepDims": False}),
    )
    return Graph(tensors=(entry, axes, out), ops=(op,), inputs=(0,), outputs=(2,))


def every_sum(side):
    """Maps whose sums are all that there are."""
    pixels = side * side
    sums = np.arange(255 * pixels + 1)
    maps = np.clip(sums[:, None] - 255 * np.arange(pixels), 0, 255) - 128
    return maps.astype(np.int8).reshape(-1, side, side, 1)


@pytest.mark.parametrize("rows", [False, True])
@pytest.mark.parametrize(
    ("side", "share"), [(2, 0.9), (3, 0.37), (4, 0.61), (7, 0.23), (7, 0.5), (14, 0.0679), (14, 0.0438)]
)
def test_every_sum_of_a_map_has_one_mean(litert, side, share, rows):
    import onnxruntime

    asked = QuantParams.per_tensor(share / 255, -128)
    plain = mean_network(share / 255, -128, side, rows=rows)
    real = np.dtype(np.float32)
    tensors = tuple(t if t.is_constant else replace(t, dtype=real) for t in plain.tensors)
    as_float = replace(plain, tensors=tensors)
    params = {0: plain.tensors[0].quant, 2: asked}
    scale = float(params_without_ties(as_float, params, {0: 0, 2: 2})[2].scale[0])
    graph = mean_network(scale, -128, side, rows=rows)
    codes = every_sum(side).reshape(-1, *graph.tensors[0].shape[1:])
    session = onnxruntime.InferenceSession(
        write_onnx(graph, io=IoType.INT8), providers=["CPUExecutionProvider"]
    )
    found = session.run(None, {session.get_inputs()[0].name: codes})[0]

    assert 1 <= scale / asked.scale[0] < 1.02
    np.testing.assert_array_equal(found, litert(graph, codes))  # the built-in kernels round such means twice


def test_a_mean_over_a_large_map_keeps_its_range():
    tensors = (
        Tensor(name="image", shape=(-1, 56, 56, 1), dtype=np.dtype(np.float32)),
        Tensor(name="axes", shape=(2,), dtype=np.dtype(np.int32), data=np.array([1, 2], np.int32)),
        Tensor(name="logits", shape=(-1, 1), dtype=np.dtype(np.float32)),
    )
    op = Op(kind="MEAN", inputs=(0, 1), outputs=(2,), options=MappingProxyType({"keepDims": False}))
    graph = Graph(tensors=tensors, ops=(op,), inputs=(0,), outputs=(2,))
    params = {0: QuantParams.per_tensor(1 / 255, -128), 2: QuantParams.per_tensor(0.9 / 255, -128)}

    assert params_without_ties(graph, params, {0: 0, 2: 2})[2].scale[0] == params[2].scale[0]


def product_ratio(graph, op):
    scales = [float(graph.tensors[i].quant.scale[0]) for i in (*op.inputs, *op.outputs)]
    return scales[0] * scales[1] / scales[2]


def products_from_ties(ratio):
    """The least distance of any product of codes within the output's range from a middle."""
    products = ratio * np.arange(255 * 255 + 1)
    products = products[products < 256]
    return np.abs(products - np.floor(products) - 0.5).min()


def gated(net_builder, seed, *, added):
    """A squeeze and excitation: a map times one gate a channel, as it is or added to the map before."""
    net = net_builder((8, 8, 2), seed=seed)
    x = net.conv(0, 4, name="stem")
    y = net.conv(x, 4, name="branch")
    axes = net.constant("axes", [1, 2], np.int32)
    mean = net.op("MEAN", "squeeze", (y, axes), (1, 1, 4), "ReducerOptions", keepDims=True)
    gate = net.op("LOGISTIC", "gate", (net.conv(mean, 4, 1, act=0, name="excite"),), (1, 1, 4))
    y = net.op("MUL", "gated", (y, gate), net.shape(y), "MulOptions", fusedActivationFunction=0)
    y = net.add(x, y) if added else y
    return net.graph(net.dense(net.flatten(y), 5))


@pytest.mark.parametrize("added", [False, True])
@pytest.mark.parametrize("seed", range(3))
def test_products_have_no_ties_and_the_same_logits_everywhere(net_builder, in_int8, litert, seed, added):
    import onnxruntime

    graph = in_int8(gated(net_builder, seed, added=added)).graph
    product = next(op for op in graph.ops if op.kind == "MUL")
    codes = np.random.default_rng(seed).integers(-128, 128, (256, 8, 8, 2), dtype=np.int8)
    session = onnxruntime.InferenceSession(
        write_onnx(graph, io=IoType.INT8), providers=["CPUExecutionProvider"]
    )
    found = session.run(None, {session.get_inputs()[0].name: codes})[0]

    assert products_from_ties(product_ratio(graph, product)) > 8e-5
    np.testing.assert_array_equal(found, litert(graph, codes))


def test_products_scales_as_they_come_have_ties():
    rng = np.random.default_rng(0)
    found = [products_from_ties(rng.uniform(1, 6) * rng.uniform(1, 6) / 255 / 6) for _ in range(20)]

    assert min(found) < 1e-6


@pytest.mark.parametrize("factor", [0.3, 0.5, -0.1, 1.7])
def test_every_code_times_one_number_is_rounded_alike(differing, factor):
    quant = QuantParams.per_tensor(3 / 255, -20)
    number = asymmetric(min(factor, 0.0), max(factor, 0.0), np.int8)
    code = number.quantize(np.array([factor]), np.int8)

    def graph_of(number):
        graph = integer_sum("ADD", 0, quant, quant, quant)
        constant = Tensor(name="number", shape=(1,), dtype=np.dtype(np.int8), data=code, quant=number)
        last = replace(
            graph.ops[-1], kind="MUL", options_type="MulOptions", inputs=(graph.ops[0].outputs[0], 99)
        )
        tensors = (*graph.tensors, constant)
        last = replace(last, inputs=(last.inputs[0], len(tensors) - 1))
        return replace(graph, tensors=tensors, ops=(graph.ops[0], last)).pruned()

    graph = graph_of(number)
    params = {i: graph.tensors[i].quant for i in graph.activations()}
    constant = graph.ops[-1].inputs[1]
    made = params_without_ties(graph, params, {i: i for i in params})[constant]

    assert made.scale[0] == pytest.approx(number.scale[0], rel=0.01)
    assert differing(graph_of(made))["AUTO"] == 0
