"""LiteRT and ONNX Runtime give the classifier's answers, at any batch size, and say what they take."""

import numpy as np
import pytest

from mnist_export.core.errors import InputError
from mnist_export.core.pixels import InputRange
from mnist_export.runtime.runners.litert import LiteRtRunner
from mnist_export.runtime.runners.opening import open_runner
from mnist_export.runtime.runners.ort import OnnxRuntimeRunner


@pytest.mark.parametrize("name", ["float.tflite", "float.onnx", "fixed.onnx"])
def test_float_files_give_the_logits_that_numpy_computes(models, digits, name, tmp_path):
    images = digits.test.images
    (path,) = models.write(tmp_path, name)
    with open_runner(path) as runner:
        logits = runner.run(images)
    expected = models.edges.logits(images)
    # 676 float32 products of magnitude under 8 are summed: 676 * 8 * 2**-24 bounds their rounding
    assert np.abs(logits - expected).max() < 676 * 8 * 2**-24
    assert logits.dtype == np.float32


def test_the_int8_classifier_is_right_on_most_digits(models, digits):
    with LiteRtRunner(models.files["int8.tflite"]) as runner:
        logits = runner.run(digits.test.images)
    assert np.mean(logits.argmax(axis=1) == digits.test.labels) > 0.9


def test_litert_and_onnx_runtime_agree_bit_for_bit_on_the_same_integers(models, digits):
    images = digits.test.images
    with (
        LiteRtRunner(models.files["int8.tflite"]) as ours,
        OnnxRuntimeRunner(models.files["int8.onnx"]) as theirs,
    ):
        a, b = ours.run_integers(images), theirs.run_integers(images)
        assert a.dtype == np.int8
        assert b.dtype == np.uint8
        assert np.array_equal(a.astype(np.int64) + 128, b.astype(np.int64))
        assert np.array_equal(ours.run(images), theirs.run(images))
        assert ours.output_step == theirs.output_step


@pytest.mark.parametrize("name", ["int8.tflite", "float.tflite", "int8.onnx", "fixed.onnx"])
@pytest.mark.parametrize("batch_size", [1, 7, 64])
def test_the_batch_size_does_not_change_answers(models, digits, name, batch_size):
    images = digits.test.images[:100]
    cls = LiteRtRunner if name.endswith("tflite") else OnnxRuntimeRunner
    with cls(models.files[name]) as runner:
        whole = runner.run(images)
        parts = runner.run(images, batch_size=batch_size)
    tolerance = 0 if "int8" in name else 676 * 8 * 2**-24
    assert np.abs(whole - parts).max() <= tolerance
    assert whole.shape == (100, 10)


@pytest.mark.parametrize("kernels", ["xnnpack", "builtin", "reference"])
def test_litert_kernels_differ_by_at_most_one_step(models, digits, kernels):
    images = digits.test.images[:100]
    with LiteRtRunner(models.files["int8.tflite"]) as default:
        expected = default.run_integers(images).astype(int)
    with LiteRtRunner(models.files["int8.tflite"], kernels=kernels) as runner:
        found = runner.run_integers(images).astype(int)
    # a convolution's rounding may differ by one step and is carried on by the dense layer
    assert np.abs(found - expected).max() <= 2


@pytest.mark.parametrize("level", ["all", "extended", "basic", "disabled"])
def test_every_optimization_level_opens(models, digits, level):
    with OnnxRuntimeRunner(models.files["float.onnx"], kernels=level) as runner:
        assert runner.run(digits.test.images[:3]).shape == (3, 10)


def test_unknown_kernels_name_the_nearest(models):
    with pytest.raises(InputError, match="Did you mean 'xnnpack'"):
        LiteRtRunner(models.files["int8.tflite"], kernels="xnpack")


def test_our_int8_input_is_the_pixel_minus_128(models, digits):
    images = digits.test.images[:2]
    with LiteRtRunner(models.files["int8.tflite"]) as runner:
        assert runner.metadata is not None
        native = runner.prepare(images)
    assert native.dtype == np.int8
    assert np.array_equal(native.astype(int), images.astype(int) - 128)


def test_a_foreign_int8_input_is_quantized_with_its_own_parameters(models):
    images = np.arange(256, dtype=np.uint8).repeat(28 * 28).reshape(256, 28, 28, 1)
    with LiteRtRunner(models.files["foreign.tflite"]) as runner:
        assert runner.metadata is None
        native = runner.prepare(images)[:, 0, 0, 0].astype(int)
    # scale 1/255 and zero point -128: the real value p/255 is exactly the step p - 128
    assert np.array_equal(native, np.arange(256) - 128)


def test_the_input_range_reaches_float_inputs(models, digits):
    with OnnxRuntimeRunner(models.files["float.onnx"], input_range=InputRange(lo=-1, hi=1)) as runner:
        native = runner.prepare(digits.test.images[:1])
    assert native.min() == pytest.approx(-1, abs=1e-6)


def test_images_are_laid_out_as_the_model_takes_them(models, digits):
    with OnnxRuntimeRunner(models.files["float.onnx"]) as runner:
        assert runner.prepare(digits.test.images[:5]).shape == (5, 1, 28, 28)


@pytest.mark.parametrize(
    ("images", "text"),
    [
        (np.zeros((0, 28, 28, 1), np.uint8), "at least one image"),
        (np.zeros((2, 28, 28, 1), np.float32), "uint8 images"),
        (np.zeros((2, 28, 28), np.uint8), "uint8 images"),
        (np.zeros((2, 14, 56, 1), np.uint8), "input of shape"),
        (np.zeros((2, 28, 28, 3), np.uint8), "input of shape"),
    ],
)
def test_wrong_images_are_refused(models, images, text):
    with LiteRtRunner(models.files["int8.tflite"]) as runner, pytest.raises(InputError, match=text):
        runner.run(images)


def test_a_batch_that_was_not_prepared_is_refused(models):
    with LiteRtRunner(models.files["int8.tflite"]) as runner, pytest.raises(InputError, match="prepare"):
        runner.invoke(np.zeros((1, 28, 28, 1), np.uint8))


def test_a_closed_runner_says_so(models, digits):
    runner = LiteRtRunner(models.files["int8.tflite"])
    runner.close()
    runner.close()
    with pytest.raises(InputError, match="closed"):
        runner.run(digits.test.images[:1])


def test_open_runner_tells_formats_by_content_not_by_name(models, tmp_path, digits):
    path = tmp_path / "model.bin"
    path.write_bytes(models.files["int8.tflite"])
    with open_runner(path) as runner:
        assert runner.name == "litert"
        assert runner.source.precision == "int8"
        assert runner.source.size_bytes == len(models.files["int8.tflite"])


@pytest.mark.parametrize(
    ("name", "precision"),
    [
        ("float.tflite", "float32"),
        ("foreign.tflite", "int8"),
        ("float.onnx", "float32"),
        ("int8.onnx", "int8"),
    ],
)
def test_the_precision_of_foreign_files_is_found(models, tmp_path, name, precision):
    (path,) = models.write(tmp_path, name)
    with open_runner(path) as runner:
        assert runner.source.precision == precision
        assert runner.source.load_ms > 0


def test_a_missing_file_and_an_unknown_format_are_refused(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        open_runner(tmp_path / "absent.tflite")
    (tmp_path / "notes.txt").write_text("hello")
    with pytest.raises(InputError, match=r"expected a \.tflite"):
        open_runner(tmp_path / "notes.txt")
    with pytest.raises(InputError, match="another folder"):
        open_runner(tmp_path)


def test_a_fixed_batch_is_noted(models):
    with OnnxRuntimeRunner(models.files["fixed.onnx"]) as runner:
        assert "fixed at 1" in runner.notes[0]
