"""Each kind of damage fails its check and is called by its name."""

from dataclasses import replace

import numpy as np
import pytest

from mnist_export.core.affine import QuantParams
from mnist_export.core.graph.tflite_writer import write_tflite
from mnist_export.core.kinds import Verdict
from mnist_export.core.pixels import InputRange
from mnist_export.parity.checking import check
from mnist_export.parity.comparison import Thresholds
from mnist_export.runtime.runners.litert import LiteRtRunner
from mnist_export.runtime.runners.ort import OnnxRuntimeRunner


def judge(models, digits, content, *, reference="float.tflite", **options):
    """Check a candidate's bytes against the sound float model."""
    with (
        LiteRtRunner(models.files[reference], label="reference") as original,
        LiteRtRunner(content, label="candidate", **options) as candidate,
    ):
        result = check(original, [candidate], digits.test, timed=False)
    return result.candidates[0]


def changed(graph, **arrays):
    index = {t.name: i for i, t in enumerate(graph.tensors)}
    return write_tflite(
        graph.with_tensors(
            {
                index[name.replace("_", "/")]: replace(
                    graph.tensors[index[name.replace("_", "/")]], data=value
                )
                for name, value in arrays.items()
            }
        )
    )


def test_the_sound_int8_file_passes(models, digits):
    found = judge(models, digits, models.files["foreign.tflite"])
    assert found.parity.verdict is Verdict.PASS, found.parity.why
    assert found.diagnosis == ""


def test_changed_weights_fail(models, digits):
    graph = models.graph
    kernel = graph.tensors[1].data.copy()
    kernel[0, 1, 1, 0] = -127  # one weight of 36
    found = judge(models, digits, changed(graph, conv_kernel=kernel))
    assert found.parity.verdict is Verdict.FAIL
    assert "mnist-parity layers" in found.diagnosis


def test_permuted_classes_are_named(models, digits):
    order = np.array([1, 0, 2, 3, 4, 5, 6, 7, 9, 8])
    graph = models.graph
    content = changed(
        graph, dense_kernel=graph.tensors[7].data[order], dense_bias=graph.tensors[8].data[order]
    )
    found = judge(models, digits, content)
    assert found.parity.verdict is Verdict.FAIL
    assert "permuted classes: 0 as 1, 1 as 0, 8 as 9, 9 as 8" in found.diagnosis


def test_an_input_that_is_scaled_twice_is_named(models, digits):
    """The model expects pixels / 255 and is given (pixels / 255) / 255: the bias drowns the image."""
    found = judge(models, digits, models.files["float.tflite"], input_range=InputRange(lo=0, hi=1 / 255))
    assert found.parity.verdict is Verdict.FAIL
    assert "scaled twice" in found.diagnosis
    assert '`input_range="0,1"`' in found.diagnosis


def test_an_input_that_is_not_scaled_is_named(models, digits):
    found = judge(models, digits, models.files["float.tflite"], input_range=InputRange(lo=-1, hi=0.1))
    assert found.parity.verdict is Verdict.FAIL
    assert "looks like an input" in found.diagnosis


def test_an_output_zero_point_off_by_one_is_named_although_it_passes(models, digits):
    graph = models.graph
    end = graph.tensors[9]
    off = QuantParams(scale=end.quant.scale, zero_point=end.quant.zero_point - 1)
    content = write_tflite(graph.with_tensors({9: replace(end, quant=off)}))
    # the kernels write with the file's zero point, so damage the reading side: keep the old integers
    with (
        LiteRtRunner(models.files["float.tflite"], label="reference") as original,
        LiteRtRunner(models.files["foreign.tflite"], label="candidate") as candidate,
    ):
        candidate._output = replace(candidate.output, quant=off)
        found = check(original, [candidate], digits.test, timed=False).candidates[0]
    assert "1 step above" in found.diagnosis
    assert "zero point" in found.diagnosis
    # rewritten as a whole the file means the same values again
    assert judge(models, digits, content).diagnosis == ""


def test_an_inner_zero_point_off_by_one_shows_in_the_logits(models, digits):
    """ReLU's zero point must be -128: one step less real zero, and every feature gains a step."""
    graph = models.graph
    act = graph.tensors[3].quant
    off = QuantParams(scale=act.scale, zero_point=act.zero_point + 1)
    # only the dense layer's side is changed: what the convolution writes is read one step lower
    content = write_tflite(graph.with_tensors({i: replace(graph.tensors[i], quant=off) for i in (4, 6)}))
    sound = judge(models, digits, models.files["foreign.tflite"]).parity
    with pytest.raises(Exception, match=r"candidate|LiteRT") if _refused(content) else _nothing():
        damaged = judge(models, digits, content).parity
        assert damaged.logits.rmse > 2 * sound.logits.rmse


def _refused(content):
    from mnist_export.core.errors import MnistExportError

    try:
        LiteRtRunner(content).close()
    except MnistExportError:
        return True
    return False


def _nothing():
    import contextlib

    return contextlib.nullcontext()


def test_answers_that_ignore_the_image_are_named(models, digits):
    graph = models.graph
    content = changed(graph, dense_kernel=np.zeros_like(graph.tensors[7].data))
    found = judge(models, digits, content)
    assert found.parity.verdict is Verdict.FAIL
    assert "same values" in found.diagnosis


def test_another_model_is_not_explained_away(models, digits):
    rng = np.random.default_rng(0)
    graph = models.graph
    content = changed(graph, dense_kernel=rng.integers(-127, 128, (10, 676)).astype(np.int8))
    found = judge(models, digits, content)
    assert found.parity.verdict is Verdict.FAIL
    assert "another model" in found.diagnosis
    assert found.parity.significant


def test_kernels_of_one_runtime_are_compared_like_files(models, digits):
    found = judge(models, digits, models.files["int8.tflite"], reference="int8.tflite", kernels="reference")
    assert found.parity.verdict is Verdict.PASS
    assert found.parity.logits.max_error_steps <= 2.001
    if found.parity.logits.different:
        assert "same integers under other kernels" in found.diagnosis


def test_one_file_fails_without_the_others(models, digits):
    random = np.random.default_rng(0).integers(-127, 128, (10, 676)).astype(np.int8)
    with (
        OnnxRuntimeRunner(models.files["float.onnx"]) as original,
        LiteRtRunner(models.files["int8.tflite"]) as good,
        LiteRtRunner(changed(models.graph, dense_kernel=random)) as bad,
    ):
        result = check(original, [good, bad], digits.test, timed=False, thresholds=Thresholds())
    assert [c.parity.verdict for c in result.candidates] == [Verdict.PASS, Verdict.FAIL]
    assert result.verdict is Verdict.FAIL
