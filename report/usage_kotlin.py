"""Kotlin for an Android app: LiteRT's interpreter."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Final

from mnist_export.report.context import ModelInfo
from mnist_export.report.heads import CLASSES, LABELS
from mnist_export.report.schema import ArtifactResult
from mnist_export.report.snippets import image_shape
from mnist_export.report.usage import Usage

_CLASS: Final = """\
// build.gradle.kts: implementation("com.google.ai.edge.litert:litert:1.4.2")
// The file goes to src/main/assets.
import android.content.Context
import java.nio.ByteBuffer
import java.nio.ByteOrder
import org.tensorflow.lite.Interpreter

class Classifier(context: Context) {{
    private val interpreter = Interpreter(model(context), Interpreter.Options().setNumThreads(1))

    /** pixels: {shape} values, 0 to 255. */
    fun {call}(pixels: ByteArray): {returns} {{
        val input = ByteBuffer.allocateDirect({input_bytes}).order(ByteOrder.nativeOrder())
        for (byte in pixels) {{
            val pixel = byte.toInt() and 0xff
            input.{put}
        }}
        input.rewind()
        val target = interpreter.getOutputTensor(0)
        val output = ByteBuffer.allocateDirect(target.numBytes()).order(ByteOrder.nativeOrder())
        interpreter.run(input, output)
        output.rewind()
        {read}
        return {answer}
    }}

    private companion object {{
{classes}        fun model(context: Context): ByteBuffer {{
            val bytes = context.assets.open("{file}").use {{ it.readBytes() }}
            val buffer = ByteBuffer.allocateDirect(bytes.size).order(ByteOrder.nativeOrder()).put(bytes)
            buffer.rewind()
            return buffer
        }}
    }}
}}
"""

_BYTES: Final = {"int8": 1, "uint8": 1, "float32": 4}
_GET: Final = {
    "int8": "output.get().toInt()",
    "uint8": "output.get().toInt() and 0xff",
    "float32": "output.float",
}


def kotlin_usage(
    artifact: ArtifactResult, model: ModelInfo, class_names: Sequence[str], head: str
) -> Usage | None:
    """A class with one method; None for another format than .tflite, or types of 16 bits.

    Args:
        artifact: the file.
        model: gives the image's shape and the input range.
        class_names: in output order.
        head: what the outputs are.
    """
    source, target = artifact.input_type or "float32", artifact.output_type or "float32"
    if artifact.format != "tflite" or source not in _BYTES or target not in _BYTES:
        return None
    if head in {CLASSES, LABELS} and not class_names:
        return None
    shape = image_shape(model)
    kind = "FloatArray" if target == "float32" else "IntArray"
    values = f"val values = {kind}(target.numElements()) {{ {_GET[target]} }}"
    if target != "float32" and head != CLASSES:
        real = f"quant.scale * (({_GET[target]}) - quant.zeroPoint)"
        values = (
            "val quant = target.quantizationParams()\n        "
            f"val values = FloatArray(target.numElements()) {{ {real} }}"
        )
    names = ", ".join(_literal(name) for name in class_names)
    call, returns, answer = {
        CLASSES: ("classify", "String", "CLASSES[values.indices.maxByOrNull { values[it] }!!]"),
        LABELS: ("classify", "List<String>", "CLASSES.filterIndexed { i, _ -> values[i] > 0 }"),
    }.get(head, ("predict", "FloatArray", "values"))
    text = _CLASS.format(
        shape=" * ".join(map(str, shape)),
        call=call,
        returns=returns,
        input_bytes=prod(shape) * _BYTES[source],
        put=_put(source, artifact.input_range or model.input_range or (0.0, 1.0)),
        read=values,
        answer=answer,
        classes=f"        val CLASSES = listOf({names})\n\n" if head in {CLASSES, LABELS} else "",
        file=artifact.name,
    )
    return Usage(file=artifact.name, title="LiteRT on Android", language="kotlin", code=text)


def _put(kind: str, pixels: tuple[float, float]) -> str:
    if kind == "uint8":
        return "put(byte)"
    if kind == "int8":
        return "put((pixel - 128).toByte())"
    lo, hi = pixels
    return (
        f"putFloat(pixel / 255f * {hi - lo!r}f + {lo!r}f)"
        if (lo, hi) != (0.0, 1.0)
        else "putFloat(pixel / 255f)"
    )


def _literal(text: str) -> str:
    """A Kotlin string of any text."""
    units = text.encode("utf-16-be", "replace")
    made = ""
    for place in range(0, len(units), 2):
        unit = int.from_bytes(units[place : place + 2], "big")
        plain = 32 <= unit < 127 and chr(unit) not in '"\\$'
        made += chr(unit) if plain else f"\\u{unit:04x}"
    return f'"{made}"'
