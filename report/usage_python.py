"""Python for runtimes that read an .onnx or a .tflite: what `snippets` has, and OpenVINO and tract."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from mnist_export.report.context import ModelInfo
from mnist_export.report.schema import ArtifactResult
from mnist_export.report.snippets import python_snippet
from mnist_export.report.usage import Usage

_SESSION: Final = 'session = onnxruntime.InferenceSession({path}, providers=["CPUExecutionProvider"])\n'
_INPUT: Final = "[model_input] = session.get_inputs()\n"
_OPENVINO: Final = """\
settings = {{"INFERENCE_PRECISION_HINT": "f32"}}  # without it, bfloat16 where the processor has it
model = openvino.Core().compile_model({path}, "CPU", settings)
"""
_TRACT: Final = """\
model = tract.onnx().load({path})
model.set_input_fact(0, "{fact}")
runnable = model.into_model().into_runnable()
"""
_FACTS: Final = {"uint8": "u8", "int8": "i8", "float32": "f32"}


def python_usage(
    artifact: ArtifactResult, model: ModelInfo, class_names: Sequence[str], head: str
) -> Usage | None:
    """LiteRT's for a .tflite, ONNX Runtime's for an .onnx; None where `python_snippet` gives none."""
    text = python_snippet(artifact, model, class_names, head)
    if text is None:
        return None
    onnx = artifact.format == "onnx"
    return _usage(
        artifact, text, "ONNX Runtime" if onnx else "LiteRT", "onnxruntime" if onnx else "ai-edge-litert"
    )


def openvino_usage(
    artifact: ArtifactResult, model: ModelInfo, class_names: Sequence[str], head: str
) -> Usage | None:
    """OpenVINO's for an .onnx."""
    made = _instead(artifact, model, class_names, head)
    if made is None:
        return None
    text, path, batch = made
    text = text.replace("import onnxruntime", "import openvino")
    text = text.replace(_SESSION.format(path=path) + _INPUT, _OPENVINO.format(path=path))
    return _usage(artifact, text.replace(batch[0], f"model({batch[1]})[0][0]"), "OpenVINO", "openvino")


def tract_usage(
    artifact: ArtifactResult, model: ModelInfo, class_names: Sequence[str], head: str
) -> Usage | None:
    """Tract's for an .onnx, by its Python binding; its Rust interface has the same steps."""
    made = _instead(artifact, model, class_names, head)
    kind = _FACTS.get(artifact.input_type or "float32")
    if made is None or kind is None or artifact.input_shape is None:
        return None
    text, path, batch = made
    fact = ",".join(map(str, (*artifact.input_shape, kind)))
    text = text.replace("import onnxruntime", "import tract")
    text = text.replace(_SESSION.format(path=path) + _INPUT, _TRACT.format(path=path, fact=fact))
    return _usage(
        artifact, text.replace(batch[0], f"runnable.run([{batch[1]}])[0].to_numpy()[0]"), "tract", "tract"
    )


def _instead(
    artifact: ArtifactResult, model: ModelInfo, class_names: Sequence[str], head: str
) -> tuple[str, str, tuple[str, str]] | None:
    """ONNX Runtime's snippet, the file's path in it, its call, and the call's argument."""
    text = python_snippet(artifact, model, class_names, head) if artifact.format == "onnx" else None
    if text is None:
        return None
    call = next(line for line in text.splitlines() if line.startswith("logits = session.run"))
    expression = call.removeprefix("logits = ")
    argument = expression[expression.index("model_input.name: ") + 18 : expression.rindex("}")]
    return text, ascii(artifact.name), (expression, argument)


def _usage(artifact: ArtifactResult, text: str, title: str, package: str) -> Usage:
    code = f"# pip install numpy {package}\n{text}"
    return Usage(file=artifact.name, title=title, language="python", code=code)
