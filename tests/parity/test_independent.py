"""The two int8 files compared by plain calls of LiteRT and ONNX Runtime: none of this project's runners."""

import numpy as np
import onnxruntime
import pytest
from ai_edge_litert.interpreter import Interpreter


def litert_codes(path, images):
    """int8 logits, one image at a time, at LiteRT's defaults."""
    interpreter = Interpreter(str(path))
    interpreter.allocate_tensors()
    (entry,), (end,) = interpreter.get_input_details(), interpreter.get_output_details()
    assert (entry["dtype"], end["dtype"]) == (np.int8, np.int8)
    codes = np.empty((len(images), 10), np.int8)
    shape = tuple(entry["shape"])
    for index, image in enumerate(images):
        # the artifact's pixel rule: an int8 input is the pixel minus 128
        interpreter.set_tensor(entry["index"], (image.astype(np.int16) - 128).astype(np.int8).reshape(shape))
        interpreter.invoke()
        codes[index] = interpreter.get_tensor(end["index"])[0]
    return codes, end["quantization"]


def onnx_codes(path, images):
    """uint8 logits, in batches, at ONNX Runtime's defaults."""
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    (entry,), (end,) = session.get_inputs(), session.get_outputs()
    assert (entry.type, end.type) == ("tensor(uint8)", "tensor(uint8)")
    tail = entry.shape[1:]
    parts = [
        session.run(None, {entry.name: images[i : i + 100].reshape(-1, *tail)})[0]
        for i in range(0, len(images), 100)
    ]
    return np.concatenate(parts)


@pytest.fixture(scope="module")
def codes(exports, dataset):
    images = dataset.test.images
    tflite, quantization = litert_codes(exports.tflite, images)
    return tflite, onnx_codes(exports.onnx, images), quantization


def test_no_logit_differs_between_the_two_files(codes, dataset):
    tflite, onnx, _ = codes
    assert tflite.size == onnx.size == 10 * len(dataset.test)
    # outputs follow the inputs' rule: a uint8 logit is the int8 one plus 128
    assert np.count_nonzero(tflite.astype(np.int16) + 128 != onnx) == 0


def test_the_files_lose_at_most_a_tenth_of_a_point(codes, exports, dataset):
    tflite, _, _ = codes
    labels = dataset.test.labels
    kept, before = ((values.argmax(axis=1) == labels).mean() for values in (tflite, exports.logits))
    # a tenth of a point is 10 of MNIST's images; of 400 digits it is less than one, so one is allowed
    assert before - kept <= max(0.001, 1 / len(labels)) + 1e-9


def test_the_logits_are_within_a_few_steps_of_the_originals(codes, exports):
    tflite, _, (scale, zero_point) = codes
    steps = np.abs(scale * (tflite.astype(np.float64) - zero_point) - exports.logits) / scale
    # an ideal quantizer is within half a step; each of the five layers adds rounding of its own
    assert np.median(steps) < 1
    assert np.quantile(steps, 0.999) < 6
