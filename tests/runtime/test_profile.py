"""Profiles by operator, and the paragraph that is written from them."""

import json

import numpy as np
import pytest

from mnist_export.cli.parity import main
from mnist_export.core.errors import UnsupportedError
from mnist_export.runtime.runners.opening import open_runner
from mnist_export.runtime.runners.ort import OnnxRuntimeRunner
from mnist_export.runtime.timing.profile import NodeTime, Profile, profile, why_slow


def node(kind, share, *, integer=True, channels=0):
    return NodeTime(
        name=f"n/{kind}", kind=kind, microseconds=100 * share, share=share, integer=integer, channels=channels
    )


def test_a_quantized_graph_runs_in_integers_without_conversions(models, digits):
    with OnnxRuntimeRunner(models.files["int8.onnx"], label="int8.onnx") as runner:
        found = profile(runner, digits.test.images[:8], runs=20)
    kinds = [n.kind for n in found.nodes]
    assert "QLinearConv" in kinds
    assert "DequantizeLinear" not in kinds
    assert found.float_islands == ()
    assert sum(n.share for n in found.nodes) == pytest.approx(1)
    assert next(n for n in found.nodes if n.kind == "QLinearConv").channels == 1


def test_without_optimizations_the_islands_and_conversions_are_counted(models, digits):
    with OnnxRuntimeRunner(models.files["int8.onnx"], label="int8.onnx", kernels="disabled") as runner:
        found = profile(runner, digits.test.images[:8], runs=5)
    text = why_slow(found, ratio=3.0, flags=())
    assert "3.00 times as long" in text
    assert "QuantizeLinear and DequantizeLinear nodes were not fused" in text
    assert "no 8-bit dot products" in text


def test_a_float_graph_has_no_islands(models, digits):
    with OnnxRuntimeRunner(models.files["float.onnx"]) as runner:
        found = profile(runner, digits.test.images[:1], runs=5)
    assert found.float_islands == ()
    assert not any(n.integer for n in found.nodes if n.kind not in ("Transpose", "Reshape"))
    assert "computed in float" in why_slow(found)


def test_the_paragraph_names_what_costs_the_time():
    nodes = (
        node("QLinearConv", 0.7, channels=1),
        node("DequantizeLinear", 0.1),
        node("Sigmoid", 0.05, integer=False),
        node("Mul", 0.05, integer=False),
        node("QuantizeLinear", 0.02, integer=False),
        node("Transpose", 0.06),
        node("QGemm", 0.02),
    )
    found = Profile(label="m.onnx", batch=1, nodes=nodes)
    assert [[n.kind for n in island] for island in found.float_islands] == [["Sigmoid", "Mul"]]
    text = why_slow(found, ratio=1.5, flags=("avx2", "avx512_vnni"))
    assert "m.onnx takes 1.50 times" in text
    assert "QLinearConv 'n/QLinearConv' 70%" in text
    assert "one input channel" in text
    assert "2 QuantizeLinear and DequantizeLinear nodes" in text
    assert "Left in float (1 island): Sigmoid, Mul." in text
    assert "Transposes and reshapes take 6%" in text
    assert "avx512_vnni" in text


def test_what_has_no_operators_is_refused(models, digits, tmp_path):
    golden = record_of(models, digits, tmp_path)
    with open_runner(golden) as runner, pytest.raises(UnsupportedError, match="can be profiled by operator"):
        profile(runner, digits.test.images[:1])
    assert main(["profile", golden, "--data", "digits"]) == 2


def record_of(models, digits, tmp_path):
    (path,) = models.write(tmp_path, "float.onnx")
    golden = str(tmp_path / "golden.npz")
    assert main(["record", path, "-o", golden, "--data", "digits", "--no-latency", "-q", "--trust"]) == 0
    return golden


def test_the_command_prints_nodes_and_the_paragraph(models, tmp_path, capsys):
    int8, plain = models.write(tmp_path, "int8.onnx", "float.onnx")
    assert main(["profile", int8, "--against", plain, "--data", "digits", "--json"]) == 0
    value = json.loads(capsys.readouterr().out)
    assert value["ratio"] > 0
    assert np.isclose(sum(n["share"] for n in value["nodes"]), 1)
    assert main(["profile", int8, "--batch", "0", "--data", "digits"]) == 2
    capsys.readouterr()
