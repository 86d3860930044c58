"""Ordinary int8 as C: an aligned array, the operators its interpreter needs, and an arena estimate."""

from __future__ import annotations

import re
import shutil
import subprocess
from dataclasses import replace

import pytest

from mnist_export.core.kinds import IoType, Precision
from mnist_export.export.c_format import CExporter
from mnist_export.export.request import ExportRequest
from mnist_export.export.tflite_format import TfliteExporter
from mnist_export.export.tflm_source import resolver_method
from mnist_export.quantize import quantize
from mnist_export.quantize.network.scheme import SchemeConfig
from mnist_export.runtime.runners.opening import open_runner

REQUEST = ExportRequest(name="edges", class_names=tuple("0123456789"), source_sha256="0" * 64, stem="net")
COMPILERS = [name for name in ("gcc", "clang") if shutil.which(name)]


@pytest.fixture(scope="module")
def model(net_builder, digits):
    net = net_builder((28, 28, 1), seed=5)
    graph = net.graph(net.dense(net.flatten(net.pool(net.conv(0, 4))), 10))
    return quantize(graph, SchemeConfig(precision=Precision.INT8), digits.train.images[:16])


def test_the_array_is_the_tflite_file(model):
    source = CExporter().export(model, REQUEST)[".c"].decode("ascii")
    body = source[source.index("= {") :]
    content = bytes(int(word, 16) for word in re.findall(r"0x([0-9a-f]{2})", body))
    assert content == TfliteExporter().export(model, REQUEST)[".tflite"]


@pytest.mark.skipif(not COMPILERS, reason="no C compiler on this machine")
@pytest.mark.parametrize("compiler", COMPILERS)
@pytest.mark.parametrize("level", ["-O0", "-O3"])
def test_it_compiles_and_lies_on_16_bytes(tmp_path, model, compiler, level):
    for extension, content in CExporter().export(model, REQUEST).items():
        (tmp_path / f"net{extension}").write_bytes(content)
    (tmp_path / "main.c").write_text(
        '#include <stdint.h>\n#include "net.h"\n'
        "int main(void) { return (uintptr_t)edges_tflite % 16u || edges_tflite_len != EDGES_TFLITE_BYTES; }\n"
    )
    command = [
        compiler,
        "-std=c99",
        "-Wall",
        "-Wextra",
        "-Werror",
        "-pedantic",
        level,
        "-o",
        "main",
        "main.c",
        "net.c",
    ]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert subprocess.run([str(tmp_path / "main")], check=False).returncode == 0


def test_the_header_names_each_operator_once_and_how_many(model):
    header = CExporter().export(model, REQUEST)[".h"].decode("ascii")
    methods = re.findall(r"resolver\.(\w+)\(\);", header)
    assert methods == ["AddConv2D", "AddFullyConnected", "AddMaxPool2D", "AddReshape"]
    assert "#define EDGES_OPERATORS 4" in header


def test_the_arena_holds_at_least_what_lives_at_one_time(model):
    # the convolution reads 784 bytes and writes 28 * 28 * 4
    header = CExporter().export(model, REQUEST)[".h"].decode("ascii")
    assert int(re.search(r"EDGES_ARENA_BYTES (\d+)", header)[1]) >= 784 + 28 * 28 * 4


def test_the_operators_at_the_ends_of_a_float_file_are_among_those_to_add(model):
    header = CExporter().export(model, replace(REQUEST, io=IoType.FLOAT32))[".h"].decode("ascii")
    assert {"AddQuantize", "AddDequantize"} <= set(re.findall(r"resolver\.(\w+)\(\);", header))


def test_operators_without_an_entry_follow_the_resolvers_naming():
    assert resolver_method("HARD_SWISH") == "AddHardSwish"
    assert resolver_method("PADV2") == "AddPadV2"


def test_it_answers_in_litert_like_the_file_it_holds(tmp_path, model, digits):
    for extension, content in CExporter().export(model, REQUEST).items():
        (tmp_path / f"net{extension}").write_bytes(content)
    (tmp_path / "net.tflite").write_bytes(TfliteExporter().export(model, REQUEST)[".tflite"])
    images = digits.test.images[:20]
    with (
        open_runner(tmp_path / "net.c") as embedded,
        open_runner(tmp_path / "net.tflite", trust=True) as plain,
    ):
        assert (embedded.run_integers(images) == plain.run_integers(images)).all()
