"""C++ for TensorFlow Lite Micro: it compiles, and runs, with a stand-in of its interface."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import replace

import numpy as np
import pytest

from mnist_export.core.graph.tflite_reader import read_tflite
from mnist_export.core.kinds import IoType, Precision
from mnist_export.export.request import ExportRequest
from mnist_export.export.targets.operators import TFLM
from mnist_export.export.tflite_format import TfliteExporter
from mnist_export.export.tflm_boards import BOARDS
from mnist_export.export.tflm_source import ArenaSize, resolver_method, tflm_source
from mnist_export.quantize import quantize
from mnist_export.quantize.network.scheme import SchemeConfig

COMPILER = shutil.which("g++") or shutil.which("clang++")
REQUEST = ExportRequest(name="net", class_names=(), source_sha256="0" * 64, stem="net", batch=1)
NASTY = ('quote " and \\', "new\nline", "Größe", "*/ ?? \\u", "d")

# The interface that the program uses, by its real names. Nothing is computed: the output is the input's first
# values, so that an answer can be told.
STAND_IN = {
    "tensorflow/lite/schema/schema_generated.h": """
#pragma once
namespace tflite { struct Model {}; inline const Model* GetModel(const void* p) { return (const Model*)p; } }
""",
    "tensorflow/lite/micro/micro_mutable_op_resolver.h": """
#pragma once
enum TfLiteStatus { kTfLiteOk, kTfLiteError };
namespace tflite {
struct MicroOpResolver {};
template <unsigned int kCount>
struct MicroMutableOpResolver : MicroOpResolver {
  unsigned int used = 0;
  TfLiteStatus Add() { return used++ < kCount ? kTfLiteOk : kTfLiteError; }
@METHODS@
};
}
""",
    "tensorflow/lite/micro/micro_interpreter.h": """
#pragma once
#include <stddef.h>
#include <stdint.h>
#include "tensorflow/lite/micro/micro_mutable_op_resolver.h"
#include "tensorflow/lite/schema/schema_generated.h"
union TfLitePtrUnion { int8_t* int8; uint8_t* uint8; int16_t* i16; float* f; void* raw; };
struct TfLiteTensor { TfLitePtrUnion data; };
namespace tflite {
struct MicroInterpreter {
  TfLiteTensor tensor;
  MicroInterpreter(const Model*, const MicroOpResolver&, uint8_t* arena, size_t) { tensor.data.raw = arena; }
  TfLiteStatus AllocateTensors() { return kTfLiteOk; }
  TfLiteStatus Invoke() { return kTfLiteOk; }
  TfLiteTensor* input(size_t) { return &tensor; }
  TfLiteTensor* output(size_t) { return &tensor; }
  size_t arena_used_bytes() const { return 0; }
};
}
""",
    "Arduino.h": """
#pragma once
struct Out { void begin(int) {} void println(const char*) {} };
static Out Serial;
inline void delay(int) {}
""",
    "TensorFlowLite.h": "#pragma once\n",
    "pico/stdlib.h": "#pragma once\ninline void stdio_init_all() {}\n",
}


@pytest.fixture(scope="module")
def model(net_builder):
    net = net_builder((4, 4, 1), seed=5)
    graph = net.graph(net.dense(net.flatten(net.pool(net.conv(0, 3))), 5))
    images = np.random.default_rng(0).integers(0, 256, (8, 4, 4, 1), dtype=np.uint8)
    return quantize(graph, SchemeConfig(precision=Precision.INT8), images)


@pytest.fixture
def compiled(tmp_path):
    """Compile a program, and run it where it has a main function."""
    if COMPILER is None:
        pytest.skip("no C++ compiler on this machine")
    methods = "\n".join(
        f"  TfLiteStatus {resolver_method(kind)}() {{ return Add(); }}" for kind in sorted(TFLM.kinds)
    )
    for name, text in STAND_IN.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text.replace("@METHODS@", methods))

    def build(text, *, run=False):
        (tmp_path / "net.cc").write_text(text, encoding="ascii")
        command = [COMPILER, "-std=c++17", "-Wall", "-Wextra", "-Werror", "-Wno-unused-function", "-I."]
        command += ["-o", "net", "net.cc"] if run else ["-fsyntax-only", "net.cc"]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        if not run:
            return ""
        return subprocess.run([str(tmp_path / "net")], capture_output=True, text=True, check=True).stdout

    return build


def program(model, *, io=None, **options):
    content = TfliteExporter().export(model, replace(REQUEST, io=io))[".tflite"]
    given = {
        "file": "net.cc",
        "name": "my net",
        "arena": ArenaSize(size_bytes=4096, measured=True),
        "pixels": (0.0, 1.0),
        "class_names": NASTY,
    }
    return tflm_source(content, read_tflite(content), **(given | options)), content


@pytest.mark.parametrize("board", list(BOARDS))
@pytest.mark.parametrize("io", [IoType.INT8, IoType.UINT8, IoType.FLOAT32])
def test_it_compiles_for_every_board_and_type(model, compiled, board, io):
    compiled(program(model, io=io, board=BOARDS[board])[0])


def test_outputs_that_are_no_classes_are_real_numbers(model, compiled):
    text, _ = program(model, class_names=(), pixels=(-1.0, 1.0), board=BOARDS["tflm"])
    main = "int main() { uint8_t p[16] = {255, 0, 128}; float v[5]; if (!my_net_setup()) return 1;\n"
    main += 'if (!my_net_run(p, v)) return 2;\nprintf("%.6f %.6f", v[0], v[1]); }\n'
    quant = model.output_quant
    first, second = (quant.scale[0] * (code - quant.zero_point[0]) for code in (127, -128))
    assert compiled(text + main, run=True) == f"{first:.6f} {second:.6f}"


def test_it_answers_with_the_class_of_the_largest_output(model, compiled):
    text, _ = program(model, board=BOARDS["tflm"])
    main = "int main() { uint8_t p[16] = {1, 9, 250, 3}; if (!my_net_setup() || !my_net_setup()) return 1;\n"
    main += 'printf("%s", my_net_classes[my_net_classify(p)]); }\n'
    assert compiled(text + main, run=True) == "Größe"


def test_the_array_is_the_file_and_the_shown_code_leaves_it_out(model):
    text, content = program(model)
    body = text[text.index("_tflite[] = {") : text.index("};")]
    assert bytes(int(word, 16) for word in re.findall(r"0x([0-9a-f]{2})", body)) == content
    shown, _ = program(model, array=False)
    assert "0x" not in shown
    assert f"{len(content):,} bytes: in net.cc" in shown


def test_the_resolver_has_exactly_the_operators_of_the_file(model):
    text, _ = program(model, io=IoType.FLOAT32)
    added = re.findall(r"resolver\.(Add\w+)\(\)", text)
    assert added == sorted(
        ["AddConv2D", "AddDequantize", "AddFullyConnected", "AddMaxPool2D", "AddQuantize", "AddReshape"]
    )
    assert text.count("MicroMutableOpResolver<6>") == 2


def test_a_comment_says_whether_the_arena_was_measured(model):
    assert "Reported by TensorFlow Lite Micro" in program(model)[0]
    guess = ArenaSize.estimated(model.graph)
    text, _ = program(model, arena=guess)
    assert "Estimated, with a sixteenth on top" in text
    assert f"kArenaBytes = {guess.size_bytes};" in text
    assert guess.size_bytes % 16 == 0
