"""Exact networks against an independent integer reference, and over every kernel of both runtimes."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from mnist_export.core.graph.tflite_writer import write_tflite
from mnist_export.core.kinds import IoType, Precision, Verdict
from mnist_export.core.pixels import InputRange
from mnist_export.export.onnx_writer import write_onnx
from mnist_export.parity.certificate.certifying import certify
from mnist_export.parity.certificate.equality import equality
from mnist_export.quantize.exact import quantize_exact
from mnist_export.quantize.exact.arithmetic import run_graph
from mnist_export.quantize.network.scheme import SchemeConfig
from mnist_export.runtime.foreign.metadata import METADATA_KEY

INT8 = SchemeConfig(precision=Precision.INT8)
EVERYWHERE = (
    "litert xnnpack", "litert xnnpack batch 1", "litert builtin", "litert reference", "onnxruntime all",
    "onnxruntime extended", "onnxruntime basic", "onnxruntime disabled", "onnxruntime all 2 threads",
    "numpy integers",
)  # fmt: skip


METADATA = json.dumps(
    {
        "schema_version": 1, "name": "net", "class_names": ["a", "b"], "pixel_rule": "input = pixel",
        "input_range": [0, 1], "precision": "int8", "variant": "exact",
    }
)  # fmt: skip


def files_of(graph):
    return {
        ".tflite": write_tflite(graph, metadata={METADATA_KEY: METADATA.encode()}),
        ".onnx": write_onnx(graph, io=IoType.UINT8, metadata={METADATA_KEY: METADATA}),
    }


def images_of(shape, count=24, seed=0):
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 256, (count, *shape), dtype=np.uint8)
    images[::3] = np.where(images[::3] > 128, 255, 0)
    return images


def naive(graph, pixels):  # noqa: PLR0912 - one place, so that it can be read against the specification
    """Plain loops over Python integers' semantics: nothing shared with the package but the numbers."""
    values = {graph.inputs[0]: pixels.astype(np.int64) - 128}

    def quant(i):
        q = graph.tensors[i].quant
        return float(q.scale[0]), int(q.zero_point[0])

    for op in graph.ops:
        target = graph.tensors[op.outputs[0]]
        x, out = values[op.inputs[0]], op.outputs[0]
        scale_in, zero_in = quant(op.inputs[0])
        scale_out, zero_out = quant(out)
        act = op.options.get("fusedActivationFunction", 0)
        lo = max(-128, zero_out) if act else -128
        hi = min(127, zero_out + int(6 / scale_out)) if act == 3 else 127
        if op.kind in {"RESHAPE"}:
            values[out] = x.reshape(len(x), *target.shape[1:])
            continue
        if op.kind == "PAD":
            table = graph.tensors[op.inputs[1]].data
            values[out] = np.pad(x, table, constant_values=zero_in)
            continue
        if op.kind == "ADD":
            y, zero_y = values[op.inputs[1]], quant(op.inputs[1])[1]
            values[out] = np.clip((x - zero_in) + (y - zero_y) + zero_out, lo, hi)
            continue
        if op.kind == "CONCATENATION":
            values[out] = np.concatenate([values[i] for i in op.inputs], axis=op.options["axis"])
            continue
        stride = (op.options.get("strideH", 1), op.options.get("strideW", 1))
        if op.kind == "MAX_POOL_2D":
            size, dilation = (op.options["filterHeight"], op.options["filterWidth"]), (1, 1)
        else:
            w = graph.tensors[op.inputs[1]].data.astype(np.int64)
            b = graph.tensors[op.inputs[2]].data.astype(np.int64)
            if op.kind == "FULLY_CONNECTED":
                x, w = x[:, None, None, :], w[:, None, None, :]
            size = w.shape[1:3]
            dilation = (op.options.get("dilationHFactor", 1), op.options.get("dilationWFactor", 1))
        height, width = x.shape[1:3]
        rows, columns = (1, 1) if op.kind == "FULLY_CONNECTED" else target.shape[1:3]
        top = left = 0
        if op.options.get("padding", 1) == 0 and op.kind != "FULLY_CONNECTED":
            reach = [(k - 1) * d + 1 for k, d in zip(size, dilation, strict=True)]
            top = max((rows - 1) * stride[0] + reach[0] - height, 0) // 2
            left = max((columns - 1) * stride[1] + reach[1] - width, 0) // 2
        channels = target.shape[-1]
        result = np.zeros((len(x), rows, columns, channels), np.int64)
        for i in range(rows):
            for j in range(columns):
                taps = [
                    (ky, kx, i * stride[0] - top + ky * dilation[0], j * stride[1] - left + kx * dilation[1])
                    for ky in range(size[0])
                    for kx in range(size[1])
                ]
                taps = [t for t in taps if 0 <= t[2] < height and 0 <= t[3] < width]
                if op.kind == "MAX_POOL_2D":
                    result[:, i, j] = np.max([x[:, y, u] for _, _, y, u in taps], axis=0)
                    continue
                a = np.tile(b, (len(x), 1))
                for ky, kx, y, u in taps:
                    value = x[:, y, u] - zero_in
                    if op.kind == "DEPTHWISE_CONV_2D":
                        a += np.repeat(value, channels // value.shape[1], axis=1) * w[0, ky, kx]
                    else:
                        a += value @ w[:, ky, kx].T
                scales = np.broadcast_to(
                    graph.tensors[op.inputs[1]].quant.scale.astype(np.float64), (channels,)
                )
                # Exact in float64: a has at most 31 bits, the multiplier is a power of two.
                exact = a * (scale_in * scales / scale_out)
                assert np.all(np.abs(exact - np.floor(exact) - 0.5) > 0), "a tie"
                result[:, i, j] = np.clip(np.rint(exact) + zero_out, lo, hi)
        values[out] = result.reshape(len(x), *target.shape[1:])
    return values[graph.outputs[0]]


KINDS = [
    "conv", "strided", "valid", "dilated", "depthwise", "wide", "max", "average", "pad", "norm", "residual",
    "relu6", "concat",
]  # fmt: skip


@st.composite
def networks(draw):
    """A random small network: its description as a list of steps."""
    steps = draw(
        st.lists(
            st.sampled_from(KINDS),
            min_size=1, max_size=4,
        )
    )  # fmt: skip
    return steps, draw(st.integers(1, 3)), draw(st.integers(0, 2**16)), draw(st.booleans())


def assemble(net_builder, steps, channels, seed):  # noqa: PLR0912
    net = net_builder((10, 10, channels), seed=seed)
    x = net.conv(0, 4, name="stem")
    for number, wanted in enumerate(steps):
        small = net.shape(x)[0] < 5 and wanted in {"strided", "valid", "dilated", "max", "average"}
        kind, name = "conv" if small else wanted, f"{wanted}{number}"
        if kind == "conv":
            x = net.conv(x, 5, name=name)
        elif kind == "strided":
            x = net.conv(x, 4, 3, stride=2, act=0, name=name)
        elif kind == "valid":
            x = net.conv(x, 6, 3, same=False, name=name)
        elif kind == "dilated":
            x = net.conv(x, 3, 3, dilation=2, name=name)
        elif kind == "depthwise":
            x = net.depthwise(x, act=1, name=name)
        elif kind == "wide":
            x = net.depthwise(x, multiplier=2, stride=2, name=name)
        elif kind == "max":
            x = net.pool(x, size=3, stride=2, same=True, name=name)
        elif kind == "average":
            x = net.pool(x, "AVERAGE_POOL_2D", 2, name=name)
        elif kind == "pad":
            x = net.conv(net.pad(x, name=name), 3, same=False, name=f"{name}_conv")
        elif kind == "norm":
            count = net.shape(x)[2]
            x = net.conv(
                net.affine(x, net.rng.normal(0, 1, count), net.rng.normal(0, 1, count), name),
                4,
                name=f"{name}_conv",
            )
        elif kind == "residual":
            x = net.add(x, net.conv(x, net.shape(x)[2], act=0, name=f"{name}_conv"), act=1, name=name)
        elif kind == "relu6":
            x = net.conv(x, 4, act=3, name=name)
        else:
            x = net.concatenate(x, net.conv(x, 2, name=f"{name}_conv"), name=name)
    x = net.mean(x) if seed % 2 else net.flatten(x)
    return net.graph(net.dense(x, 5))


@given(networks())
@settings(
    max_examples=8,
    deadline=None,
    derandomize=True,
    phases=[Phase.generate],  # shrinking would take minutes
)
def test_random_networks_are_the_same_integers_everywhere(net_builder, network):
    steps, channels, seed, reduced = network
    graph = assemble(net_builder, steps, channels, seed)
    config = SchemeConfig(precision=Precision.INT8, reduce_range=reduced)
    images = images_of((10, 10, channels), seed=seed)
    model = quantize_exact(graph, images, None, config)
    files = files_of(model.graph)
    found = equality(files, images, names=EVERYWHERE)
    assert found.verdict is Verdict.PASS, found.text
    np.testing.assert_array_equal(naive(model.graph, images[:6]), found.logits[:6])
    for extension, content in files.items():
        certificate = certify(content)
        assert certificate.verdict is Verdict.PASS, (extension, certificate.text)
        assert certificate.is_float32_exact
        assert certificate.fits_16_bit_pairs or not reduced


def test_exact_answers_stay_near_the_float_networks(exact_lenet, digits):
    from mnist_export.quantize.ranges.calibration import run_activations

    images = digits.validation.images[:64]
    model = exact_lenet
    runs = run_activations(model.source, images, input_range=model.input_range)
    floats = np.concatenate([values[model.source.outputs[0]].copy() for values in runs])
    quant = model.output_quant
    given_logits = quant.dequantize(run_graph(model.graph, images)[model.graph.outputs[0]])
    # 8-bit activations and 6-bit weights through five layers: an error of a few percent of the signal
    assert np.sqrt(np.mean((given_logits - floats) ** 2)) < 0.08 * floats.std()


def test_the_same_request_gives_the_same_integers(net_builder, exact_lenet):
    net = net_builder((10, 10, 1), seed=9)
    graph = net.graph(net.dense(net.flatten(net.conv(0, 4)), 5))
    images = images_of((10, 10, 1))
    first, second = (write_tflite(quantize_exact(graph, images, None, INT8).graph) for _ in range(2))
    assert first == second


@pytest.mark.parametrize("per_channel_dense", [True, False])
def test_dense_layers_have_one_scale_where_asked(net_builder, per_channel_dense):
    net = net_builder((10, 10, 1), seed=9)
    graph = net.graph(net.dense(net.flatten(net.conv(0, 4)), 5))
    config = SchemeConfig(precision=Precision.INT8, per_channel_dense=per_channel_dense)
    model = quantize_exact(graph, images_of((10, 10, 1)), None, config)
    dense = model.graph.ops[-1]
    assert (model.graph.tensors[dense.inputs[1]].quant.scale.size == 5) is per_channel_dense
    assert certify(write_tflite(model.graph)).verdict is Verdict.PASS


def test_an_input_range_of_minus_1_to_1_is_exact_too(net_builder):
    net = net_builder((10, 10, 1), seed=9)
    graph = net.graph(net.dense(net.flatten(net.conv(0, 4)), 5))
    images = images_of((10, 10, 1))
    config = SchemeConfig(precision=Precision.INT8, input_range=InputRange(lo=-1, hi=1))
    model = quantize_exact(graph, images, None, config)
    found = equality(files_of(model.graph), images, names=EVERYWHERE)
    assert found.verdict is Verdict.PASS, found.text


def test_a_difference_names_the_runtime_the_image_and_the_layer(exact_lenet, digits):
    """An ordinary scale in one layer: kernels part, and the finding says where."""
    from dataclasses import replace

    graph = exact_lenet.graph
    op = next(o for o in graph.ops if graph.tensors[o.outputs[0]].name == "conv2")
    weights = graph.tensors[op.inputs[1]]
    skewed = replace(weights, quant=replace(weights.quant, scale=(weights.quant.scale * np.float32(0.37))))
    files = files_of(graph.with_tensors({op.inputs[1]: skewed}))
    found = equality(files, digits.test.images[:100], names=["litert xnnpack", "litert builtin"])
    assert found.verdict is Verdict.FAIL
    assert "litert builtin" in found.text
    assert found.compared[0].first_layer == "conv2"
    assert found.compared[0].first_image is not None


def test_scales_are_chosen_by_answers_on_validation_images(net_builder, digits):
    net = net_builder((28, 28, 1), seed=5)
    x = net.pool(net.conv(0, 6, 5))
    graph = net.graph(net.dense(net.flatten(x), 10))
    model = quantize_exact(graph, digits.train.images[:64], digits.validation, INT8)
    assert certify(write_tflite(model.graph)).verdict is Verdict.PASS
