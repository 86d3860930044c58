"""The certificate sees what is in the bytes: one number off the grid anywhere, and it names the layer."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from mnist_export.cli.parity import main
from mnist_export.core.affine import QuantParams
from mnist_export.core.errors import InputError
from mnist_export.core.graph.tflite_writer import write_tflite
from mnist_export.core.kinds import IoType, Precision, Verdict
from mnist_export.export.onnx_writer import write_onnx
from mnist_export.export.tflite_io import with_io
from mnist_export.parity.certificate.certifying import certify
from mnist_export.quantize import quantize
from mnist_export.quantize.network.scheme import SchemeConfig

FORMATS = ("tflite", "onnx")


def spell(graph, fmt):
    return write_tflite(graph) if fmt == "tflite" else write_onnx(graph, io=IoType.UINT8)


def layer(graph, name):
    return next(op for op in graph.ops if graph.tensors[op.outputs[0]].name == name)


def changed(graph, name, place, change):
    """A copy with one constant of one layer changed: place 1 holds its weights, 2 its bias."""
    index = layer(graph, name).inputs[place]
    tensor = graph.tensors[index]
    data = tensor.data.copy()
    change(data.reshape(-1))
    return graph.with_tensors({index: replace(tensor, data=data)})


def rescaled(graph, index, factor):
    tensor = graph.tensors[index]
    quant = replace(tensor.quant, scale=(tensor.quant.scale * np.float32(factor)).astype(np.float32))
    return graph.with_tensors({index: replace(tensor, quant=quant)})


@pytest.fixture(scope="module")
def graph(exact_lenet):
    return exact_lenet.graph


@pytest.mark.parametrize("fmt", FORMATS)
def test_an_exact_file_is_certified_layer_by_layer(graph, fmt):
    found = certify(spell(graph, fmt))
    assert found.verdict is Verdict.PASS
    assert found.is_float32_exact
    names = [entry.name for entry in found.layers if entry.shifts]
    assert names == ["conv1", "conv2", "dense1", "logits"]
    for entry in found.layers:
        assert entry.holds
        assert all(3 <= shift <= 30 for shift in entry.shifts)
        assert entry.weight_residues in {(), (0,)}
        assert entry.bias_residues in {(), (2,)}


def test_both_formats_hold_the_same_integers(graph):
    first, second = (certify(spell(graph, fmt)) for fmt in FORMATS)
    for one, other in zip(first.layers, second.layers, strict=True):
        assert one.name == other.name
        assert one.shifts == other.shifts
        assert one.bounds == other.bounds


@pytest.mark.parametrize("fmt", FORMATS)
@pytest.mark.parametrize("name", ["conv1", "conv2", "dense1", "logits"])
def test_a_single_weight_off_the_grid_is_caught(graph, fmt, name):
    def nudge(values):
        values[7] += 1 if values[7] < 100 else -1

    found = certify(spell(changed(graph, name, 1, nudge), fmt))
    assert found.verdict is Verdict.FAIL
    assert found.first_failure.name == name
    assert "multiple of 4" in found.text


@pytest.mark.parametrize("fmt", FORMATS)
def test_a_single_bias_off_the_grid_is_caught(graph, fmt):
    def nudge(values):
        values[3] += 2

    found = certify(spell(changed(graph, "dense1", 2, nudge), fmt))
    assert found.first_failure.name == "dense1"
    assert "channel 3" in found.text
    assert "2 mod 4" in found.text


@pytest.mark.parametrize("fmt", FORMATS)
def test_a_scale_that_is_no_power_of_two_is_caught(graph, fmt):
    found = certify(spell(rescaled(graph, layer(graph, "conv2").outputs[0], 0.999), fmt))
    assert found.verdict is Verdict.FAIL
    assert "power of two" in found.text


@pytest.mark.parametrize("fmt", FORMATS)
def test_a_shift_below_3_is_caught(graph, fmt):
    op = layer(graph, "conv1")
    bent = rescaled(rescaled(graph, op.inputs[1], 2.0**7), op.inputs[2], 2.0**7)
    found = certify(spell(bent, fmt))
    assert found.first_failure.name == "conv1"
    assert "multiplier" in found.text


@pytest.mark.parametrize("fmt", FORMATS)
def test_sums_that_float32_rounds_are_caught(graph, fmt):
    """A shift of 20 with a bias beyond 2**24: the output does not saturate, and float32 cannot hold it."""

    def raise_bias(values):
        values[0] = 2**25 + 2

    op = layer(graph, "conv2")
    bent = changed(
        rescaled(rescaled(graph, op.inputs[1], 2.0**-11), op.inputs[2], 2.0**-11), "conv2", 2, raise_bias
    )
    found = certify(spell(bent, fmt))
    assert found.first_failure.name == "conv2"
    assert "float32" in found.text


@pytest.mark.parametrize("fmt", FORMATS)
def test_sums_beyond_32_bits_are_caught(graph, fmt):
    def raise_bias(values):
        values[0] = 2**31 - 2

    found = certify(spell(changed(graph, "conv2", 2, raise_bias), fmt))
    assert "overflows" in found.text


@pytest.mark.parametrize("fmt", FORMATS)
def test_ordinary_int8_fails_with_the_first_layer_that_breaks_it(net_builder, digits, fmt):
    net = net_builder((28, 28, 1), seed=5)
    float_graph = net.graph(net.dense(net.flatten(net.pool(net.conv(0, 4, name="first"))), 10))
    model = quantize(float_graph, SchemeConfig(precision=Precision.INT8), digits.train.images[:16])
    found = certify(spell(model.graph, fmt))
    assert found.first_failure.name == "first"


@pytest.mark.parametrize("fmt", FORMATS)
def test_float_files_fail(net_builder, fmt):
    net = net_builder((28, 28, 1), seed=5)
    float_graph = net.graph(net.dense(net.flatten(net.conv(0, 4, name="first")), 10))
    content = write_tflite(float_graph) if fmt == "tflite" else write_onnx(float_graph, io=IoType.FLOAT32)
    found = certify(content)
    assert found.verdict is Verdict.FAIL
    assert found.first_failure is found.layers[0]


@pytest.mark.parametrize("io", [IoType.INT8, IoType.UINT8, IoType.FLOAT32])
@pytest.mark.parametrize("fmt", FORMATS)
def test_every_input_type_of_an_exact_network_is_certified(graph, fmt, io):
    content = write_tflite(with_io(graph, io)) if fmt == "tflite" else write_onnx(graph, io=io)
    found = certify(content)
    assert found.verdict is Verdict.PASS, found.text


@pytest.mark.parametrize("fmt", FORMATS)
def test_additions_need_one_scale(net_builder, fmt):
    from mnist_export.quantize.exact import quantize_exact

    net = net_builder((8, 8, 1), seed=3)
    x = net.conv(0, 4, name="stem")
    x = net.add(x, net.conv(x, 4, act=0, name="branch"), act=1, name="residual")
    float_graph = net.graph(net.dense(net.mean(x), 5))
    images = np.random.default_rng(0).integers(0, 256, (16, 8, 8, 1), dtype=np.uint8)
    exact = quantize_exact(float_graph, images, None, SchemeConfig(precision=Precision.INT8)).graph
    assert certify(spell(exact, fmt)).verdict is Verdict.PASS
    op = layer(exact, "branch")
    target = exact.tensors[op.outputs[0]]
    quant = QuantParams.per_tensor(float(target.quant.scale[0]) / 2, int(target.quant.zero_point[0]))
    bent = exact.with_tensors({op.outputs[0]: replace(target, quant=quant)})
    found = certify(spell(bent, fmt))
    assert found.first_failure.name == "residual"
    assert "one scale" in found.text


@pytest.mark.parametrize("fmt", FORMATS)
def test_the_fast_form_of_an_exact_network_is_certified_too(exact_lenet, fmt):
    """Blocks are joined by weights of 1 under a multiplier of 1: sums are codes, and nothing is rounded."""
    from mnist_export.core.kinds import Format
    from mnist_export.export.rewriting import rewritten
    from mnist_export.quantize.rewrites import Target

    form = rewritten(exact_lenet, Format(fmt), Target.NATIVE)
    assert form.applied
    found = certify(spell(form.model.graph, fmt))
    assert found.verdict is Verdict.PASS, found.text


def test_reduced_weights_are_said_to_fit_pairs_of_16_bits(graph):
    assert not certify(write_tflite(graph)).fits_16_bit_pairs
    small = graph
    for name in ("conv1", "conv2", "dense1", "logits"):

        def shrink(values):
            values[:] = np.clip(values, -64, 64)

        small = changed(small, name, 1, shrink)
    assert certify(write_tflite(small)).fits_16_bit_pairs


@pytest.mark.parametrize("content", [b"", b"junk that is neither", b"\x1c\0\0\0TFL3" + b"\xff" * 40])
def test_what_is_no_model_is_an_error_not_a_verdict(content):
    with pytest.raises(InputError):
        certify(content)


def test_the_command_exits_0_for_exact_files_and_1_for_others(graph, tmp_path, capsys):
    good, bad = tmp_path / "good.tflite", tmp_path / "bad.onnx"
    good.write_bytes(spell(graph, "tflite"))

    def nudge(values):
        values[0] ^= 1

    bad.write_bytes(spell(changed(graph, "conv2", 1, nudge), "onnx"))
    assert main(["certify", str(good)]) == 0
    assert main(["certify", str(good), str(bad)]) == 1
    assert "conv2" in capsys.readouterr().out
    assert main(["certify", str(tmp_path / "missing.onnx")]) == 2
    capsys.readouterr()
    assert main(["certify", str(good), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["verdict"] == "pass"
    assert found["layers"][0]["shifts"]


def test_certifying_imports_neither_tensorflow_nor_onnx(graph, tmp_path):
    paths = [tmp_path / f"net.{fmt}" for fmt in FORMATS]
    for path, fmt in zip(paths, FORMATS, strict=True):
        path.write_bytes(spell(graph, fmt))
    code = (
        "import sys; from mnist_export.cli.parity import main; code = main(['certify', *sys.argv[1:]]);"
        "bad = {'tensorflow', 'keras', 'onnx', 'onnxruntime'} & {m.split('.')[0] for m in sys.modules};"
        "sys.exit(str(bad) if bad else code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, paths)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
