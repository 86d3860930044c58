"""The kinds of network that tutorials and forums are full of: float files answer as Keras, int8 alike."""

from __future__ import annotations

import numpy as np
import pytest

import mnist_export as mx

COUNT = 24
CLASSES = 4


def _mobilenet(k, side, **given):
    return k.applications.MobileNetV2(weights=None, input_shape=(side, side, 3), **given)


def _transfer(k, net, x):
    base = _mobilenet(k, 32, include_top=False)
    inputs = net.Input((32, 32, 3))
    x = base(k.applications.mobilenet_v2.preprocess_input(inputs), training=False)
    return k.Model(inputs, net.Dense(CLASSES)(net.Dropout(0.2)(net.GlobalAveragePooling2D()(x))))


def _mixed(k, net, x):
    k.mixed_precision.set_global_policy("mixed_float16")
    try:
        return k.Sequential(
            [
                x,
                net.Conv2D(8, 3, activation="relu"),
                net.MaxPooling2D(4),
                net.Flatten(),
                net.Dense(CLASSES, dtype="float32"),
            ]
        )
    finally:
        k.mixed_precision.set_global_policy("float32")


def _convnext(k, net, x):
    t = r = net.LayerNormalization()(net.Conv2D(8, 4, strides=4)(x))
    t = net.LayerNormalization()(net.DepthwiseConv2D(7, padding="same")(t))
    t = net.Add()([net.Dense(8)(net.Dense(16, activation="gelu")(t)), r])
    return k.Model(x, net.Dense(CLASSES)(net.GlobalAveragePooling2D()(t)))


def _attention(k, net, x):
    t = net.LayerNormalization()(net.Reshape((16, 16))(net.Conv2D(16, 8, strides=8)(x)))
    t = net.Add()([t, net.MultiHeadAttention(2, 8)(t, t)])
    return k.Model(x, net.Dense(CLASSES)(net.GlobalAveragePooling1D()(t)))


def _transposed(k, net, x):
    t = net.Conv2D(4, 3, strides=2, padding="same", activation="relu")(x)
    t = net.Conv2DTranspose(4, 3, strides=2, padding="same", activation="relu")(t)
    return k.Model(x, net.Dense(CLASSES)(net.Flatten()(net.MaxPooling2D(8)(net.UpSampling2D(2)(t)))))


def _groups(k, net, x):
    t = net.LeakyReLU()(net.Conv2D(8, 3, dilation_rate=2, padding="same")(x))
    t = net.ReLU(6.0)(net.GroupNormalization(4)(net.Conv2D(8, 3, groups=4, padding="same")(t)))
    return k.Model(x, net.Dense(CLASSES)(net.GlobalAveragePooling2D()(t)))


def _squeeze(k, net, x):
    t = net.Conv2D(8, 3, padding="same", activation="swish")(x)
    s = net.Dense(4, activation="relu")(net.GlobalAveragePooling2D(keepdims=True)(t))
    t = net.Multiply()([t, net.Dense(8, activation="sigmoid")(s)])
    return k.Model(x, net.Dense(CLASSES, activation="softmax")(net.GlobalAveragePooling2D()(t)))


def _normalization(k, net, x):
    norm = net.Normalization(mean=[120.0, 110.0, 100.0], variance=[4000.0, 3000.0, 5000.0])
    first = [x, norm, net.SeparableConv2D(8, 3, activation="relu"), net.BatchNormalization()]
    return k.Sequential([*first, net.MaxPooling2D(8), net.Flatten(), net.Dense(CLASSES)])


def _line(*names):
    """A sequence of layers written as text, from an input on."""
    return lambda k, net, x: k.Sequential([x, *(eval(f"net.{name}", {"net": net}) for name in names)])


CONV, POOL, LAST = "Conv2D(8, 3, activation='relu')", "GlobalAveragePooling2D()", "Dense(4)"
FLAT = ("MaxPooling2D(4)", "Flatten()")
SIGMOID, SOFTMAX = "activation='sigmoid'", "activation='softmax'"
AVERAGE = (
    "Conv2D(4, 2, strides=4, activation='relu')",
    "Conv2D(4, 9, padding='same', activation='relu')",
    "AveragePooling2D(3, strides=2, padding='same')",
    "Flatten()",
)
ONE = ("Reshape((32, 96))", "Conv1D(8, 3, activation='relu')", "UpSampling1D(2)", "Cropping1D(3)")
RGB, WIDE = (32, 32, 3), (64, 64, 3)
CASES = {
    # name: (shape of an image, shape of the input, the layers, what its end is, the range of pixels)
    "binary": (RGB, RGB, _line(CONV, *FLAT, f"Dense(1, {SIGMOID})"), "binary", "0,1"),
    "transfer": (RGB, None, _transfer, "linear", "0,255"),
    "mixed16": (RGB, RGB, _mixed, "half", "0,1"),
    "convnext": (RGB, RGB, _convnext, "linear", "0,1"),
    "attention": (RGB, RGB, _attention, "linear", "0,1"),
    "lstm": ((28, 28), (28, 28), _line("LSTM(8)", LAST), "linear", "0,1"),
    "transposed": (RGB, RGB, _transposed, "linear", "0,1"),
    "group_norm": (RGB, RGB, _groups, "linear", "0,1"),
    "resizing": (
        WIDE, WIDE, _line("Resizing(32, 32)", "Rescaling(1 / 127.5, offset=-1)", CONV, POOL, LAST),
        "linear", "0,255",
    ),
    "any_size": (RGB, (None, None, 3), _line(CONV, POOL, LAST), "linear", "0,1"),
    "channels_first": (RGB, (3, 32, 32), _line("Permute((2, 3, 1))", CONV, POOL, LAST), "linear", "0,1"),
    "squeeze_excite": (RGB, RGB, _squeeze, "softmax", "0,1"),
    "normalization": (RGB, RGB, _normalization, "linear", "0,255"),
    "multi_label": (RGB, RGB, _line(CONV, "GlobalMaxPooling2D()", f"Dense(4, {SIGMOID})"), "sigmoid", "0,1"),
    "regression": (RGB, RGB, _line(CONV, POOL, "Dense(1)"), "linear", "0,1"),
    "stated_range": (RGB, RGB, _line(CONV, *FLAT, f"Dense(4, {SOFTMAX})"), "softmax", "0,1"),
    "padded_average": (RGB, RGB, _line(*AVERAGE, LAST), "linear", "0,1"),
    "one_dimension": (RGB, RGB, _line(*ONE, "GlobalAveragePooling1D()", LAST), "linear", "0,1"),
    "mobilenet": (
        WIDE, None, lambda k, net, x: _mobilenet(k, 64, classes=4, classifier_activation=None),
        "linear", "-1,1",
    ),
}  # fmt: skip


def _images(shape, rng):
    """Noise with one quarter brightened by class."""
    images, labels = rng.integers(0, 255, (2 * COUNT, *shape), dtype=np.uint8), np.arange(2 * COUNT) % CLASSES
    half = shape[0] // 2
    for image, label in zip(images, labels, strict=True):
        rows, columns = (label % 2) * half, (label // 2) * half
        part = image[rows : rows + half, columns : columns + half]
        part[...] = np.clip(part.astype(int) // 2 + 127, 0, 255)
    return images, labels


def _answers(path, inputs):
    """From the runtimes themselves."""
    if path.suffix == ".onnx":
        import onnxruntime

        session = onnxruntime.InferenceSession(path.read_bytes())
        return session.run(None, {session.get_inputs()[0].name: inputs})[0]
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=str(path))
    interpreter.resize_tensor_input(interpreter.get_input_details()[0]["index"], inputs.shape)
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], inputs)
    interpreter.invoke()
    return interpreter.get_tensor(interpreter.get_output_details()[0]["index"])


ENDS = {
    "linear": lambda z: z,
    "half": lambda z: z,
    "softmax": lambda z: np.exp(z) / np.exp(z).sum(axis=1, keepdims=True),
    "sigmoid": lambda z: 1 / (1 + np.exp(-z)),
    "binary": lambda z: 1 / (1 + np.exp(-z[:, 1:])),
}


@pytest.mark.parametrize("case", CASES)
def test_files_of_a_case_answer_as_keras_and_alike(brief, keras, case, tmp_path):
    shape, takes, build, end, pixels = CASES[case]
    keras.utils.set_random_seed(0)
    model = build(keras, keras.layers, None if takes is None else keras.layers.Input(takes))
    images, labels = _images(shape, np.random.default_rng(0))
    labels = labels % 2 if end == "binary" or case == "regression" else labels
    data = (images[:COUNT], labels[:COUNT], images[COUNT:], labels[COUNT:])
    # what counts is that the network goes through, correctly: its weights are random
    given = {
        "data": data,
        "formats": "tflite,onnx",
        "input_range": pixels,
        "max_drop": 100,
        "min_agreement": 0,
    }
    if case == "regression":
        given |= {"max_error": 100}
        del given["max_drop"], given["min_agreement"]
    found = mx.export(model, output=tmp_path / "float", **given)
    low, high = map(float, pixels.split(","))
    real = (low + (high - low) * (images[:4].astype(np.float32) / 255)).astype(np.float32)
    wanted = model(real.transpose(0, 3, 1, 2) if case == "channels_first" else real, training=False)
    for artifact in found.report.artifacts:
        path = (tmp_path / "float" / artifact.path).absolute()
        logits = _answers(next((tmp_path / "float").glob(f"*{path.suffix}")), real)
        atol = 5e-3 if end == "half" else 1e-4
        np.testing.assert_allclose(ENDS[end](logits), np.asarray(wanted, np.float32), atol=atol, rtol=1e-4)
    found = mx.export(model, output=tmp_path / "int8", int8=True, **given)
    assert found.passed
    assert all(pair.differing == 0 for pair in found.report.pairs)
