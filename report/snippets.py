"""A few lines of Python that run a written file without this project."""

from __future__ import annotations

from collections.abc import Sequence

from mnist_export.report.context import ModelInfo
from mnist_export.report.heads import CLASSES, LABELS, VALUES
from mnist_export.report.schema import ArtifactResult

_DEFAULT_SHAPE = (28, 28, 1)

_LITERT = """\
import numpy as np
from ai_edge_litert.interpreter import Interpreter

{classes}pixels = np.zeros({shape}, np.uint8)  # your image, {values}
interpreter = Interpreter({path})
interpreter.allocate_tensors()
[model_input] = interpreter.get_input_details()
[model_output] = interpreter.get_output_details()
batch = {batch}
interpreter.set_tensor(model_input["index"], batch.reshape(model_input["shape"]))
interpreter.invoke()
logits = interpreter.get_tensor(model_output["index"])[0]
print({answer})
"""

_ONNX = """\
import numpy as np
import onnxruntime

{classes}pixels = np.zeros({shape}, np.uint8)  # your image, {values}
session = onnxruntime.InferenceSession({path}, providers=["CPUExecutionProvider"])
[model_input] = session.get_inputs()
batch = {batch}
logits = session.run(None, {{model_input.name: batch.reshape({input_shape})}})[0][0]
print({answer})
"""

_TEMPLATES = {"tflite": _LITERT, "onnx": _ONNX}


def python_snippet(
    artifact: ArtifactResult, model: ModelInfo, class_names: Sequence[str] = (), head: str = CLASSES
) -> str | None:
    """Python that classifies one image with the file, or None for a format without a Python runtime.

    The snippet needs NumPy and the runtime only; it starts from an all-black image.

    Args:
        artifact: the file; ``input_type`` None is taken for float32.
        model: gives the image's shape and the input range.
        class_names: names in the order of the logits.
        head: what the outputs are; an .onnx of integers does not say what they stand for, and gets none.
    """
    template = _TEMPLATES.get(artifact.format)
    if template is None:
        return None
    real = _real_values(artifact)
    if head != CLASSES and real is None:
        return None
    is_float = (artifact.input_type or "float32").startswith("float")
    if is_float and model.preprocessing is not None and artifact.input_range is None:
        return None  # a file of others, whose pixels the caller has to bring into the model's rule
    shape = image_shape(model)
    input_shape = tuple(artifact.input_shape or (1, *shape))
    return template.format(
        classes=f"CLASSES = {list(class_names)!a}\n" if class_names and head != VALUES else "",
        shape=shape,
        values="0 (black) to 255 (white)" if shape[-1] == 1 else "RGB, 0 to 255",
        path=ascii(artifact.name),
        batch=_batch(artifact, model),
        input_shape=input_shape,
        answer=_answer(head, real or "", named=bool(class_names)),
    )


def _answer(head: str, real: str, *, named: bool) -> str:
    if head == VALUES:
        return real
    if head == LABELS:
        return f"[name for name, logit in zip(CLASSES, {real}) if logit > 0]"
    return "CLASSES[int(logits.argmax())]" if named else "int(logits.argmax())"


def _real_values(artifact: ArtifactResult) -> str | None:
    """The outputs as real numbers, in Python; None where the file does not say what its integers are."""
    if (artifact.output_type or "float32").startswith("float"):
        return "logits"
    if artifact.format != "tflite":
        return None
    scale, zero = 'model_output["quantization"][0]', 'model_output["quantization"][1]'
    return f"{scale} * (logits.astype(np.float32) - {zero})"


def image_shape(model: ModelInfo) -> tuple[int, ...]:
    """Height, width and channels of a model's image."""
    shape = tuple(model.input_shape or _DEFAULT_SHAPE)
    if len(shape) == 1:
        side = round(shape[0] ** 0.5)
        return (side, side, 1) if side * side == shape[0] else (*shape, 1)
    return (*shape, 1) if len(shape) == 2 else shape


def _batch(artifact: ArtifactResult, model: ModelInfo) -> str:
    pixels = "np.moveaxis(pixels, -1, 0)" if artifact.input_layout == "NCHW" else "pixels"
    kind = artifact.input_type or "float32"
    if kind == "uint8":
        return pixels
    if kind == "int8":
        return f"({pixels}.astype(np.int16) - 128).astype(np.int8)"
    lo, hi = artifact.input_range or model.input_range or (0.0, 1.0)
    text = f"{pixels}.astype(np.float32)"
    if (lo, hi) != (0.0, 255.0):
        step = "/ np.float32(255)" if (lo, hi) == (0.0, 1.0) else f"* np.float32({(hi - lo) / 255!r})"
        text += f" {step}"
    return text if lo == 0.0 else f"{text} + np.float32({lo!r})"
