"""C++ that runs a .tflite in TensorFlow Lite Micro: the model as an array, operators, an arena, a call."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from mnist_export.core.graph import Graph, Tensor
from mnist_export.export.c_names import identifier, rows
from mnist_export.export.tflm_arena import tflm_arena

_IRREGULAR: Final = {
    "BATCH_MATMUL": "AddBatchMatMul",
    "CUMSUM": "AddCumSum",
    "PADV2": "AddPadV2",
    "UNIDIRECTIONAL_SEQUENCE_LSTM": "AddUnidirectionalSequenceLSTM",
}
_ELIDED: Final = "    /* {size:,} bytes: in {file} */"
_FIELDS: Final = {"int8": "int8", "uint8": "uint8", "int16": "i16", "float32": "f"}
_TYPES: Final = {"int8": "int8_t", "uint8": "uint8_t", "int16": "int16_t", "float32": "float"}


@dataclass(frozen=True, kw_only=True)
class Board:
    """Where the C++ is compiled.

    Attributes:
        extension: of the file, after the stem.
        includes: before TFLM's.
        entry: a main function; ``@NAME@`` and ``@CALL@`` stand for the network's name and a call that prints.
        hint: how TFLM comes into the build.
    """

    extension: str
    includes: str = ""
    entry: str = ""
    hint: str = ""


@dataclass(frozen=True, kw_only=True)
class ArenaSize:
    """What the arena takes.

    Attributes:
        size_bytes: of the arena.
        measured: whether TFLM itself reported it; else it was computed.
    """

    size_bytes: int
    measured: bool

    @classmethod
    def estimated(cls, graph: Graph) -> ArenaSize:
        """The computed size and a sixteenth on top, in multiples of 16."""
        size = tflm_arena(graph).size_bytes
        return cls(size_bytes=-(-(size + size // 16) // 16) * 16, measured=False)

    def comment(self) -> str:
        """What the number means."""
        how = "Reported by TensorFlow Lite Micro" if self.measured else "Estimated, with a sixteenth on top"
        return (
            f"{how}, for its reference kernels on a 64-bit machine. CMSIS-NN and\n"
            "// ESP-NN need more: where setup fails, raise it; arena_used_bytes() tells what was used."
        )


def resolver_method(kind: str) -> str:
    """The method of MicroMutableOpResolver that adds an operator, by TFLM's naming."""
    words = [word if word[0].isdigit() else word.capitalize() for word in kind.split("_")]
    return _IRREGULAR.get(kind, "Add" + "".join(words))


def tflm_source(
    content: bytes,
    graph: Graph,
    *,
    file: str,
    name: str,
    arena: ArenaSize,
    pixels: tuple[float, float],
    class_names: Sequence[str] = (),
    board: Board | None = None,
    array: bool = True,
) -> str:
    """Write the program.

    Args:
        content: the .tflite.
        graph: what is in it.
        file: name of the file that the program is kept in, for the comment that stands for the array.
        name: the model's.
        arena: its size.
        pixels: what pixels 0 and 255 become for the model.
        class_names: one for each output; otherwise the call gives the outputs as real numbers.
        board: where it is compiled; None for any.
        array: whether the model's bytes stand in it.
    """
    called = identifier(name)
    width = int(np.prod(graph.tensors[graph.outputs[0]].shape[1:]))
    class_names = class_names if len(class_names) == width else ()
    source, target = graph.tensors[graph.inputs[0]], graph.tensors[graph.outputs[0]]
    methods = sorted({resolver_method(op.kind) for op in graph.ops})
    adds = "\n".join(f"  if (resolver.{method}() != kTfLiteOk) return false;" for method in methods)
    size = int(np.prod(source.shape[1:]))
    literals = rows([f"0x{byte:02x}" for byte in content]).rstrip(",")
    place = board or Board(extension="")
    text = _PROGRAM.format(
        file=file,
        hint=f"// {place.hint}\n" if place.hint else "",
        includes=place.includes,
        name=called,
        bytes=literals if array else _ELIDED.format(size=len(content), file=file),
        size_bytes=len(content),
        comment=arena.comment(),
        arena=arena.size_bytes,
        count=len(methods),
        adds=adds,
        shape=" x ".join(map(str, source.shape[1:])),
        call=_answer(called, source, target, pixels, class_names, size, width),
    )
    outputs = f"{called}_classes[answer]" if class_names else ""
    entry = place.entry.replace("@NAME@", called).replace("@PIXELS@", str(size)).replace("@ANSWER@", outputs)
    return text + (f"\n{entry}" if entry and class_names else "")


def _answer(
    name: str,
    source: Tensor,
    target: Tensor,
    pixels: tuple[float, float],
    class_names: Sequence[str],
    size: int,
    width: int,
) -> str:
    """The function that answers one image: a class, or real numbers."""
    fill = _FILL.format(
        field=_FIELDS[str(source.dtype)],
        kind=_TYPES[str(source.dtype)],
        size=size,
        value=_value(source, pixels),
    )
    out = {"field": _FIELDS[str(target.dtype)], "kind": _TYPES[str(target.dtype)], "width": width}
    if class_names:
        names = ", ".join(_literal(text) for text in class_names)
        return _CLASSIFY.format(name=name, fill=fill, names=names, **out)
    real = "output[i]"
    if target.quant is not None:
        scale, zero = float(target.quant.scale[0]), int(target.quant.zero_point[0])
        real = f"{np.float32(scale)!s}f * (output[i] - ({zero}))"
    return _RUN.format(name=name, fill=fill, real=real, **out)


def _value(source: Tensor, pixels: tuple[float, float]) -> str:
    kind = str(source.dtype)
    if kind == "uint8":
        return "pixels[i]"
    if kind == "int8":
        return "static_cast<int8_t>(pixels[i] - 128)"
    lo, hi = pixels
    real = f"{lo!r}f + pixels[i] * ({hi - lo!r}f / 255.0f)"
    if kind == "float32" or source.quant is None:
        return real
    return f"static_cast<int16_t>(lrintf(({real}) / {np.float32(source.quant.scale[0])!s}f))"


def _literal(text: str) -> str:
    """A C string of any text: what is not plain ASCII is written in octal."""
    encoded = "".join(
        chr(byte) if 32 <= byte < 127 and byte not in b'"\\?' else f"\\{byte:03o}"
        for byte in text.encode("utf-8", "replace")
    )
    return f'"{encoded}"'


_PROGRAM: Final = """\
// {file}: written by mnist-export.
{hint}{includes}#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "tensorflow/lite/micro/micro_interpreter.h"
#include "tensorflow/lite/micro/micro_mutable_op_resolver.h"
#include "tensorflow/lite/schema/schema_generated.h"

// Flatbuffers are read in place, so the array starts on a boundary of 16 bytes.
alignas(16) const unsigned char {name}_tflite[] = {{
{bytes}
}};
const unsigned int {name}_tflite_len = {size_bytes};

namespace {{
// {comment}
constexpr size_t kArenaBytes = {arena};
alignas(16) uint8_t arena[kArenaBytes];
tflite::MicroInterpreter* interpreter = nullptr;

bool AddOperators(tflite::MicroMutableOpResolver<{count}>& resolver) {{
{adds}
  return true;
}}
}}  // namespace

// Call it once; false where the arena is too small.
bool {name}_setup() {{
  static tflite::MicroMutableOpResolver<{count}> resolver;
  if (interpreter != nullptr) return true;
  if (!AddOperators(resolver)) return false;
  static tflite::MicroInterpreter instance(tflite::GetModel({name}_tflite), resolver, arena, kArenaBytes);
  if (instance.AllocateTensors() != kTfLiteOk) return false;
  interpreter = &instance;
  return true;
}}

// pixels: {shape} values, 0 to 255.
{call}"""

_FILL: Final = """\
  {kind}* input = interpreter->input(0)->data.{field};
  for (int i = 0; i < {size}; ++i) input[i] = {value};
  if (interpreter->Invoke() != kTfLiteOk) return"""

_CLASSIFY: Final = """\
// Returns the class, or -1.
const char* const {name}_classes[] = {{{names}}};
int {name}_classify(const uint8_t* pixels) {{
{fill} -1;
  const {kind}* logits = interpreter->output(0)->data.{field};
  int best = 0;
  for (int i = 1; i < {width}; ++i) {{
    if (logits[i] > logits[best]) best = i;
  }}
  return best;
}}
"""

_RUN: Final = """\
// values: {width} outputs as real numbers. Returns whether it ran.
bool {name}_run(const uint8_t* pixels, float* values) {{
{fill} false;
  const {kind}* output = interpreter->output(0)->data.{field};
  for (int i = 0; i < {width}; ++i) values[i] = {real};
  return true;
}}
"""
