"""Quantization-aware training, pruning, clustering, and all of them together."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from mnist_export.core.errors import InputError, UnsupportedError
from mnist_export.core.graph.tflite_writer import write_tflite
from mnist_export.core.kinds import Format, IoType, Precision
from mnist_export.core.pixels import InputRange
from mnist_export.data import Dataset, Split
from mnist_export.export.audit import audit
from mnist_export.export.onnx_writer import write_onnx
from mnist_export.quantize.lowering import lower
from mnist_export.quantize.network.simulate import run_logits
from mnist_export.quantize.training import distillation
from mnist_export.quantize.training.compress import Compressed, CompressionConfig, compress, copied
from mnist_export.quantize.training.compression import gzip_bytes, weight_figures
from mnist_export.quantize.training.finetune import FineTuning, fine_tune
from mnist_export.quantize.training.qat import QatResult, logits_of, simulate, start_ranges, train_quantized
from mnist_export.quantize.training.rebuild import rebuild

Images = npt.NDArray[np.uint8]
BOTH = CompressionConfig(sparsity=0.6, clusters=8)


def quiet(_: str) -> None:
    """Say nothing."""


@pytest.fixture(scope="module")
def how(small: Dataset) -> FineTuning:
    return FineTuning(dataset=small, epochs=1, notify=quiet)


@pytest.fixture(scope="module")
def rebuilt(tiny_model: Any) -> Any:
    return rebuild(tiny_model, (28, 28, 1))


@pytest.fixture(scope="module")
def trained(rebuilt: Any, how: FineTuning, calibration: Images) -> QatResult:
    return train_quantized(rebuilt, how, calibration)


@pytest.fixture(scope="module")
def compressed(rebuilt: Any, how: FineTuning) -> Compressed:
    return compress(rebuilt, BOTH, how)


def test_trained_integers_give_the_simulations_labels(
    trained: QatResult, digits: Dataset, unit: InputRange
) -> None:
    images = digits.test.images
    simulated = logits_of(trained.fake_quant, images, unit)
    integers = run_logits(trained.model.graph, images, input_range=unit)
    output = trained.model.output_quant
    assert output is not None
    # Requantization rounds at most one step apart in each of four layers.
    assert np.abs(simulated - integers).max() <= 4 * output.scale[0] + 1e-5
    assert np.mean(simulated.argmax(1) == integers.argmax(1)) >= 0.99


def test_trained_accuracy_stays(
    trained: QatResult, tiny_model: Any, digits: Dataset, unit: InputRange
) -> None:
    images, labels = digits.test.images, digits.test.labels
    before = np.mean(np.asarray(tiny_model(unit.to_real(images))).argmax(1) == labels)
    after = np.mean(run_logits(trained.model.graph, images, input_range=unit).argmax(1) == labels)
    assert after >= before - 0.02


def test_a_trained_input_is_the_pixel_minus_128_and_the_variant_is_named(trained: QatResult) -> None:
    entry = trained.model.input_quant
    assert entry is not None
    assert (float(entry.scale[0]), int(entry.zero_point[0])) == (pytest.approx(1 / 255), -128)
    assert trained.model.variant == "qat"
    names = {tensor.name for tensor in trained.model.graph.tensors}
    assert {"image", "conv1/kernel", "dense1/bias", "logits"} <= names


def test_both_trained_files_hold_int8_weights_and_agree(
    trained: QatResult, digits: Dataset, unit: InputRange
) -> None:
    import onnxruntime

    graph, images = trained.model.graph, digits.test.images
    onnx = write_onnx(graph, io=IoType.UINT8)
    for content, fmt in ((write_tflite(graph), Format.TFLITE), (onnx, Format.ONNX)):
        found = audit(content, fmt, Precision.INT8)
        assert found.weight_bytes.get("float32", 0) == 0
        assert found.weight_bytes["int8"] > 4000
    session = onnxruntime.InferenceSession(onnx, providers=["CPUExecutionProvider"])
    codes = session.run(None, {session.get_inputs()[0].name: images})[0]
    output = trained.model.output_quant
    assert output is not None
    theirs = output.scale[0] * (codes.astype(np.float32) - 128 - output.zero_point[0])
    np.testing.assert_allclose(theirs, run_logits(graph, images, input_range=unit), atol=1e-4)


def test_ranges_start_where_the_float_model_is_and_not_at_six(
    rebuilt: Any, calibration: Images, unit: InputRange
) -> None:
    model = simulate(rebuilt, unit)
    start_ranges(model, rebuilt, calibration, unit)
    (layer,) = [found for found in model.layers if found.name == "quant_logits"]
    values = {w.name.rsplit("/", 1)[-1].split(":")[0]: float(w) for w in layer.weights if w.shape == ()}
    logits = np.asarray(rebuilt(unit.to_real(calibration), training=False))
    assert values["post_activation_min"] == pytest.approx(float(logits.min()), rel=1e-5)
    assert values["post_activation_max"] == pytest.approx(float(logits.max()), rel=1e-5)


def test_a_layer_that_tfmot_cannot_train_is_refused_in_one_sentence(unit: InputRange) -> None:
    import tf_keras

    entry = tf_keras.Input((8, 8, 1))
    x = tf_keras.layers.ELU(name="curved")(tf_keras.layers.Conv2D(2, 3)(entry))
    model = tf_keras.Model(entry, tf_keras.layers.Dense(3)(tf_keras.layers.Flatten()(x)), name="odd")
    with pytest.raises(UnsupportedError, match="curved"):
        simulate(model, unit)


def test_pruning_and_clustering_leave_what_was_asked_for(compressed: Compressed, rebuilt: Any) -> None:
    figures = weight_figures(lower(compressed.model, (28, 28, 1)))
    assert figures.sparsity >= 0.59
    assert all(share >= 0.55 for share in figures.layer_sparsity.values())
    assert max(figures.distinct_weights.values()) <= BOTH.clusters  # type: ignore[operator]
    assert set(compressed.tuned) == {"pruning", "clustering"}
    assert not any("prune" in layer.name or "cluster" in layer.name for layer in compressed.model.layers)
    assert all(np.count_nonzero(w) == w.size for w in rebuilt.get_weights() if w.ndim > 1)  # left as it was


def test_training_quantized_keeps_zeros_and_clusters(
    compressed: Compressed, how: FineTuning, calibration: Images
) -> None:
    result = train_quantized(
        compressed.model, how, calibration, scheme=BOTH.scheme(), variant=f"{BOTH.variant}-qat"
    )
    figures = weight_figures(result.model.graph)
    assert figures.sparsity >= 0.59
    # Dense layers have one scale in tfmot's scheme, so clusters stay clusters in integers.
    assert figures.distinct_weights["dense1"] <= 8
    assert result.model.variant == "sparse60-clusters8-qat"
    plain = write_tflite(result.model.graph)
    assert gzip_bytes(plain) < 0.6 * len(plain)


@pytest.mark.parametrize("wrong", [{"sparsity": 0.0}, {"sparsity": 1.0}, {"clusters": 1}, {"clusters": 300}])
def test_shares_and_counts_out_of_range_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(InputError, match=r"`(sparsity|clusters)"):
        CompressionConfig(**wrong)


def test_a_teacher_is_followed_where_labels_are_wrong(
    rebuilt: Any, how: FineTuning, small: Dataset, unit: InputRange
) -> None:
    wrong = Split(images=small.train.images, labels=(small.train.labels + 1) % 10)
    misled = replace(how, dataset=replace(small, train=wrong), epochs=12, rate_factor=5.0)
    images = small.validation.images
    wanted = logits_of(rebuilt, images, unit).argmax(1)
    agreement = {}
    for name, changed in {
        "labels": misled,
        "teacher": replace(misled, teacher=rebuilt, distillation=1.0),
        "teacher without a share": replace(misled, teacher=rebuilt, distillation=0.0),
    }.items():
        model = copied(rebuilt)
        fine_tune(model, changed, name=name)
        agreement[name] = float(np.mean(logits_of(model, images, unit).argmax(1) == wanted))

    assert agreement["teacher"] >= 0.99
    assert agreement["labels"] < 0.9
    assert agreement["teacher without a share"] == agreement["labels"]


def test_the_distillation_loss_is_least_at_the_teachers_own_logits() -> None:
    teacher = np.array([[4.0, 1.0, -2.0], [0.0, 0.5, 3.0]], np.float32)
    target = np.concatenate([np.eye(3, dtype=np.float32)[[1, 1]], teacher], axis=1)
    found = distillation.loss(lambda labels, logits: 0.0, 3, 1.0)
    entropy = entropy_of(teacher / distillation.TEMPERATURE) * distillation.TEMPERATURE**2

    np.testing.assert_allclose(found(target, teacher), entropy, rtol=1e-5)
    for moved in (teacher + np.array([0.5, 0, 0]), teacher - np.array([0, 0, 1.0])):
        assert (np.asarray(found(target, moved.astype(np.float32))) > entropy).all()


def entropy_of(logits: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    chances = np.exp(logits.astype(np.float64))
    chances /= chances.sum(axis=1, keepdims=True)
    return -np.sum(chances * np.log(chances), axis=1)


@pytest.mark.parametrize("share", [-0.1, 1.5, float("nan")])
def test_a_share_is_a_fraction(how: FineTuning, share: float) -> None:
    with pytest.raises(InputError, match="`distill`"):
        replace(how, distillation=share)
