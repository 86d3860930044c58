"""This project's own int8 files under its own pytest plugin, as a user would test theirs."""

from dataclasses import replace

import numpy as np
import pytest

from mnist_export.core.errors import InputError
from mnist_export.core.graph.tflite_reader import read_tflite
from mnist_export.core.graph.tflite_writer import write_tflite


def test_both_files_give_the_originals_answers(parity, exports):
    result = parity(exports.golden, exports.tflite, exports.onnx, max_drop=0.5, min_agreement=99)
    assert [c.runtime for c in result.candidates] == ["litert", "onnxruntime"]


def test_int8_loses_at_most_a_tenth_of_a_point_on_mnist(parity, exports, real_mnist):
    parity(exports.golden, exports.tflite, exports.onnx, data="mnist", max_drop=0.1, min_agreement=99.8)


def test_the_two_files_are_one_model(parity, exports):
    result = parity(exports.tflite, exports.onnx, max_drop=0, min_agreement=100)
    assert result.candidates[0].parity.logits.different == 0


def test_a_file_whose_classes_were_swapped_fails_and_is_named(parity, exports, tmp_path):
    damaged = damage(exports.tflite, tmp_path, lambda rows: rows[[1, 0, *range(2, 10)]])
    with pytest.raises(pytest.fail.Exception) as failure:
        parity(exports.golden, damaged)
    assert "drop is over the 0.5 pp allowed" in str(failure.value)
    assert "classes" in str(failure.value)


def test_a_file_with_a_dead_class_fails(parity, exports, tmp_path):
    def kill(rows):
        rows = rows.copy()
        rows[3] = -128 if rows.dtype == np.int8 else rows.min()
        return rows

    with pytest.raises(pytest.fail.Exception, match="agreement is under"):
        parity(exports.golden, damage(exports.tflite, tmp_path, kill))


def test_an_onnx_file_that_lost_a_layers_weights_fails(parity, exports, tmp_path):
    import onnx
    from onnx import numpy_helper

    model = onnx.load(exports.onnx)
    largest = max(model.graph.initializer, key=lambda tensor: numpy_helper.to_array(tensor).size)
    values = numpy_helper.to_array(largest)
    largest.CopyFrom(numpy_helper.from_array(np.zeros_like(values), largest.name))
    onnx.save(model, tmp_path / "damaged.onnx")
    with pytest.raises(pytest.fail.Exception, match=r"damaged\.onnx"):
        parity(exports.golden, tmp_path / "damaged.onnx")


def test_a_file_that_was_cut_off_is_refused(parity, exports, tmp_path):
    for source in (exports.tflite, exports.onnx):
        cut = tmp_path / f"cut{source.suffix}"
        cut.write_bytes(source.read_bytes()[:-5000])
        with pytest.raises(InputError, match=cut.name):
            parity(exports.golden, cut)


def damage(path, folder, change):
    """Write a copy of a .tflite whose last dense layer's weights, int8 (10, n), went through ``change``."""
    graph = read_tflite(path.read_bytes())
    dense = [op for op in graph.ops if op.kind == "FULLY_CONNECTED"][-1]
    weights = graph.tensors[dense.inputs[1]]
    assert weights.shape[0] == 10
    changed = graph.with_tensors({dense.inputs[1]: replace(weights, data=change(weights.data))})
    target = folder / "damaged.tflite"
    target.write_bytes(write_tflite(changed))
    return target
