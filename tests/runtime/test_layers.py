"""Layers are matched whatever the runtime's layout, and the damaged one is named."""

import json
from dataclasses import replace

import numpy as np
import pytest

from mnist_export.cli.parity import main
from mnist_export.core.affine import QuantParams
from mnist_export.core.errors import InputError
from mnist_export.core.graph import Graph, Op, Tensor
from mnist_export.core.graph.tflite_writer import write_tflite
from mnist_export.parity.layers.activations import Activation, activations_of, default_images
from mnist_export.parity.layers.comparison import compare_layers
from mnist_export.parity.layers.ort import with_outputs
from mnist_export.runtime.runners.litert import LiteRtRunner
from mnist_export.runtime.runners.ort import OnnxRuntimeRunner


def read(models, digits, name, **options):
    cls = LiteRtRunner if name.endswith("tflite") else OnnxRuntimeRunner
    with cls(models.files[name], **options) as runner:
        return activations_of(runner, digits.test.images, count=16)


def read_bytes(content, digits):
    with LiteRtRunner(content) as runner:
        return activations_of(runner, digits.test.images, count=16)


@pytest.mark.parametrize("kernels", ["xnnpack", "builtin", "reference"])
def test_litert_gives_what_numpy_computes_for_every_layer(models, digits, kernels):
    found = {a.name: a.values for a in read(models, digits, "float.tflite", kernels=kernels)}
    images = digits.test.images[:16]
    assert list(found) == ["conv/Relu", "pool", "logits"]
    # nine products of magnitude under 1 are summed in float32
    assert np.abs(found["pool"] - models.edges.features(images)).max() < 9 * 2**-23
    assert np.abs(found["logits"] - models.edges.logits(images)).max() < 676 * 8 * 2**-24


def test_quantized_tensors_come_with_their_step_and_range(models, digits):
    relu = read(models, digits, "int8.tflite")[0]
    quant = models.graph.tensors[3].quant
    assert relu.step == pytest.approx(float(quant.scale[0]))
    assert relu.qrange == (0.0, pytest.approx(255 * float(quant.scale[0])))
    steps = relu.values / relu.step
    assert np.abs(steps - np.rint(steps)).max() < 1e-3


def test_onnx_layers_match_tflite_layers_across_layouts(models, digits):
    result = compare_layers(read(models, digits, "float.tflite"), read(models, digits, "float.onnx"))
    assert [(layer.reference, layer.candidate) for layer in result.layers] == [
        ("conv/Relu", "relu"),
        ("pool", "pool"),
        ("logits", "logits"),
    ]
    assert result.first is None
    assert max(layer.max_abs_error for layer in result.layers) < 676 * 8 * 2**-24


def test_the_same_integers_are_equal_in_every_layer(models, digits):
    result = compare_layers(read(models, digits, "int8.tflite"), read(models, digits, "int8.onnx"))
    assert len(result.layers) == 3
    assert all(layer.max_abs_error == 0 and layer.sqnr_db is None for layer in result.layers)
    assert result.why == "All 3 layers are equal."


def test_a_sound_int8_file_stays_within_its_budgets(models, digits):
    for candidate in ("int8.tflite", "int8.onnx"):
        result = compare_layers(read(models, digits, "float.onnx"), read(models, digits, candidate))
        assert result.first is None, result.why
        # the first layer: half a step of its own rounding, and the input's and weights' on top
        assert result.layers[0].rmse_steps < 1


@pytest.mark.parametrize(
    ("tensor", "place", "value", "layer"),
    [(1, (2, 1, 1, 0), 100, "conv/Relu"), (7, (4, ...), -127, "logits"), (8, (3,), 10**5, "logits")],
)
def test_one_changed_weight_is_found_in_its_layer(models, digits, tensor, place, value, layer):
    old = models.graph.tensors[tensor]
    data = old.data.copy()
    if ... in place:  # of the dense layer's weights take one that most images use
        place = (place[0], int(models.edges.features(digits.test.images).mean(axis=0).argmax()))
    assert abs(int(data[place]) - value) > 50
    data[place] = value
    content = write_tflite(models.graph.with_tensors({tensor: replace(old, data=data)}))
    result = compare_layers(
        read(models, digits, "float.tflite"), read_bytes(content, digits), budget_steps=1.5
    )
    assert result.first is not None, result.why
    assert result.first.candidate == layer
    assert result.first.worst_channel == place[0]
    assert f"channel {place[0]}" in result.why


def test_a_zero_point_off_by_one_in_the_middle_is_found_there(models, digits):
    """The convolution's output holds real zero one step higher: ReLU's floor is then one step off."""
    graph = models.graph
    act = graph.tensors[3].quant
    wrong = QuantParams(scale=act.scale, zero_point=act.zero_point + 3)
    content = write_tflite(graph.with_tensors({i: replace(graph.tensors[i], quant=wrong) for i in (3, 4, 6)}))
    with LiteRtRunner(content) as runner:
        shifted = [
            replace(a, values=a.values + 3 * float(act.scale[0])) if a.name != "logits" else a
            for a in activations_of(runner, digits.test.images, count=16)
        ]
    result = compare_layers(read(models, digits, "float.tflite"), shifted)
    assert result.first is not None
    assert result.first.candidate == "conv/Relu"


def test_two_kernels_of_one_file_differ_by_a_step_at_most_in_the_first_layer(models, digits):
    result = compare_layers(
        read(models, digits, "int8.tflite", kernels="xnnpack"),
        read(models, digits, "int8.tflite", kernels="reference"),
    )
    assert result.layers[0].max_steps <= 1 + 1e-3  # float32 arithmetic of dequantization
    assert result.first is None


def act(name, values, **options):
    return Activation(name=name, kind="", values=np.asarray(values, np.float32), **options)


def test_layers_without_a_counterpart_are_left_out_and_named():
    rng = np.random.default_rng(0)
    a, b, c = (rng.normal(size=(4, size)) for size in (5, 7, 3))
    result = compare_layers([act("a", a), act("c", c)], [act("a2", a), act("b2", b), act("c2", c)])
    assert [layer.candidate for layer in result.layers] == ["a2", "c2"]
    assert result.unmatched == ("b2",)


def test_of_two_layers_with_one_shape_the_like_one_is_taken():
    rng = np.random.default_rng(0)
    before = rng.normal(size=(4, 6))
    after = np.maximum(before, 0)
    result = compare_layers([act("conv", before), act("relu", after)], [act("fused", after)])
    assert [layer.reference for layer in result.layers] == ["relu"]


def test_saturation_is_counted_apart_from_error():
    wanted = np.array([[0.0, 1.0, 2.0, 9.0]])
    found = act("x", np.minimum(wanted, 4), step=0.1, qrange=(0.0, 4.0))
    layer = compare_layers([act("x", wanted)], [found]).layers[0]
    assert layer.max_abs_error == 0
    assert layer.clipped == 0.25


def test_what_cannot_be_matched_is_refused():
    a = act("a", np.ones((4, 5)))
    with pytest.raises(InputError, match="same images"):
        compare_layers([a], [act("b", np.ones((3, 5)))])
    with pytest.raises(InputError, match="no layer of the candidate"):
        compare_layers([a], [act("b", np.ones((4, 6)))])
    with pytest.raises(InputError, match="finite budget"):
        compare_layers([a], [a], budget_steps=0)


def test_the_first_layer_that_is_not_finite_is_named(models, digits):
    old = models.float_graph.tensors[8]
    data = old.data.copy()
    data[2] = 3e38
    twice = models.float_graph.tensors[7]
    weights = np.full_like(twice.data, 3e38)
    content = write_tflite(
        models.float_graph.with_tensors({8: replace(old, data=data), 7: replace(twice, data=weights)})
    )
    with pytest.raises(InputError, match="'logits' gives values that are not finite"):
        read_bytes(content, digits)


def test_outputs_are_added_without_the_onnx_package(models):
    import onnx

    model = onnx.load_from_string(with_outputs(models.files["float.onnx"], ["conv", "pool"]))
    assert [value.name for value in model.graph.output] == ["logits", "conv", "pool"]


def test_the_command_names_the_layer_and_fails(models, digits, tmp_path, capsys):
    old = models.graph.tensors[1]
    data = old.data.copy()
    data[0, 0, 0, 0] = -100
    damaged = tmp_path / "damaged.tflite"
    damaged.write_bytes(write_tflite(models.graph.with_tensors({1: replace(old, data=data)})))
    reference, sound = models.write(tmp_path, "float.onnx", "int8.tflite")
    assert main(["layers", reference, str(damaged), "--data", "digits"]) == 1
    out = capsys.readouterr().out
    assert "The first layer over its budget is 'conv/Relu' (CONV_2D): channel 0" in out
    assert main(["layers", reference, sound, "--data", "digits", "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["layers"]) == 3
    assert main(["layers", sound, sound, "--data", "digits", "--kernels", "builtin,reference"]) == 0
    assert main(["layers", sound, sound, "--data", "digits", "--kernels", "a,b,c"]) == 2
    capsys.readouterr()


def test_recorded_layers_serve_as_a_reference(models, tmp_path, capsys):
    reference, candidate = models.write(tmp_path, "float.onnx", "int8.tflite")
    golden, plain = str(tmp_path / "layers.npz"), str(tmp_path / "plain.npz")
    record = ["--data", "digits", "--no-latency", "-q"]
    assert main(["record", reference, "-o", golden, "--layers", *record]) == 0
    assert main(["record", reference, "-o", plain, *record]) == 0
    assert main(["layers", golden, candidate]) == 0
    assert main(["layers", plain, candidate]) == 2
    assert "--layers" in capsys.readouterr().err


def test_a_layer_that_only_passes_an_error_on_is_not_named():
    rng = np.random.default_rng(0)
    signal = rng.normal(size=(64, 8))
    noisy = signal + rng.normal(scale=0.05, size=signal.shape)  # 26 dB: half a step of 0.1
    handed_on = [act("a", signal), act("b", 3 * signal[:, :5])]
    fine = {"step": 0.05, "qrange": (-100.0, 100.0)}  # the second layer's steps are smaller than the error
    candidate = [act("a", noisy, step=0.1, qrange=(-100.0, 100.0)), act("b", 3 * noisy[:, :5], **fine)]
    result = compare_layers(handed_on, candidate)
    assert result.layers[1].worst_channel_steps > 2  # over its own rounding's share
    assert result.first is None
    damaged = [candidate[0], act("b", 3 * noisy[:, :5] + 0.5, **fine)]
    assert compare_layers(handed_on, damaged).first.candidate == "b"


def test_layers_of_large_pictures_are_read_for_few_images():
    small, large = (np.zeros((1, side, side, 3), np.uint8) for side in (32, 224))
    assert default_images(small) == 32
    assert 1 <= default_images(large) < 4


def test_layers_of_several_rows_an_image_are_matched(digits):
    """Windows of attention: as many rows as there are windows, for each image."""
    real = np.dtype(np.float32)
    tensors = tuple(
        Tensor(name=name, shape=shape, dtype=real)
        for name, shape in (("image", (-1, 28, 28, 1)), ("rows", (-1, 196)), ("relu", (-1, 196)))
    )
    sizes = [np.array(size, np.int32) for size in ([-1, 196], [-1, 784])]
    tensors += tuple(
        Tensor(name=f"shape{place}", shape=(2,), dtype=np.dtype(np.int32), data=data)
        for place, data in enumerate(sizes)
    )
    tensors += (
        Tensor(name="flat", shape=(-1, 784), dtype=real),
        Tensor(name="logits", shape=(-1, 784), dtype=real),
    )
    ops = (
        Op(kind="RESHAPE", inputs=(0, 3), outputs=(1,), options_type="ReshapeOptions"),
        Op(kind="RELU", inputs=(1,), outputs=(2,)),
        Op(kind="RESHAPE", inputs=(2, 4), outputs=(5,), options_type="ReshapeOptions"),
        Op(kind="ABS", inputs=(5,), outputs=(6,), options_type="AbsOptions"),
    )
    found = read_bytes(write_tflite(Graph(tensors=tensors, ops=ops, inputs=(0,), outputs=(6,))), digits)

    assert {layer.name: layer.values.shape for layer in found} == {"relu": (16, 4, 196), "logits": (16, 784)}
    assert compare_layers(found, found).images == 16
