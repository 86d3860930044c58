"""Hostile and damaged .tflite files through `mnist-parity check`: one line, no crash of this process."""

from __future__ import annotations

import shutil
import struct

import flatbuffers
import numpy as np
import pytest

from mnist_export.core.graph import Graph, Op, Tensor, schema
from mnist_export.core.graph.tflite_writer import write_tflite


@pytest.fixture(scope="module")
def good(exported):
    return (exported / "net.int8.tflite").read_bytes()


@pytest.fixture()
def edited(good):
    """The good file with its object tree changed."""

    def make(change):
        tables = schema.module()
        model = tables.ModelT.InitFromObj(tables.Model.GetRootAs(good, 0))
        change(model)
        builder = flatbuffers.Builder(1024)
        builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
        return bytes(builder.Output())

    return make


@pytest.fixture()
def refuse_tflite(refuses, parity_main, golden, tmp_path, out):
    def check(content, says, **options):
        path = tmp_path / "net.tflite"
        path.write_bytes(content)
        words = ("check", golden, path, "--data", "digits", "--no-latency", "-q", "-o", out)
        return refuses(parity_main, *words, says=says, **options)

    return check


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "empty file"),
        (b"\x18\0\0\0TFL2" + bytes(64), "TFL3"),
        (b"not a model at all " * 9, "TFL3"),
        (b"\xf0\xff\xff\xffTFL3" + bytes(64), "damaged"),
    ],
)
def test_what_is_no_tflite(refuse_tflite, content, says):
    refuse_tflite(content, says)


@pytest.mark.parametrize("share", [0.01, 0.4, 0.97])
def test_truncated(refuse_tflite, good, share):
    refuse_tflite(good[: int(len(good) * share)], "damaged|expected")


def test_an_offset_that_wraps(refuse_tflite, good):
    # the root's first vector offset, so large that adding it to its place passes 2**32
    root = struct.unpack_from("<I", good)[0]
    vtable = root - struct.unpack_from("<i", good, root)[0]
    field = root + struct.unpack_from("<H", good, vtable + 8)[0]
    content = bytearray(good)
    struct.pack_into("<I", content, field, 0xFFFFFFFC - field)
    refuse_tflite(bytes(content), "damaged")


def _graph(m):
    return m.subgraphs[0]


def _constant_input(m):
    constant = next(i for i, t in enumerate(_graph(m).tensors) if m.buffers[t.buffer].data is not None)
    _graph(m).inputs = [constant]


def _index(m):
    _graph(m).operators[0].inputs = [10_000]


def _negative_output(m):
    _graph(m).operators[0].outputs = [-7]


def _buffer(m):
    _graph(m).tensors[0].buffer = 1 << 30


def _quantized(m):
    return next(
        t for t in _graph(m).tensors if t.quantization is not None and t.quantization.scale is not None
    )


def _scale(value):
    def change(m):
        table = _quantized(m).quantization
        table.scale = [value] * len(table.scale)

    return change


def _axis(m):
    kernel = next(
        t
        for t in _graph(m).tensors
        if t.quantization is not None and t.quantization.scale is not None and len(t.quantization.scale) > 1
    )
    kernel.quantization.quantizedDimension = 77


def _pool(m):
    tables = schema.module()
    return next(
        o for o in _graph(m).operators if isinstance(o.builtinOptions, tables.Pool2DOptionsT)
    ).builtinOptions


def _stride(m):
    _pool(m).strideH = 0


def _filter(m):
    _pool(m).filterWidth = 0


def _custom(name):
    def change(m):
        code = m.operatorCodes[0]
        code.customCode = name
        code.builtinCode = code.deprecatedBuiltinCode = 32

    return change


def _loop(m):
    m.operatorCodes[0].builtinCode = m.operatorCodes[0].deprecatedBuiltinCode = 119


def _many(m):
    _graph(m).operators = _graph(m).operators[:1] * 10_001


def _huge(m):
    _graph(m).tensors[_graph(m).inputs[0]].shape = [1, 1 << 20, 1 << 20, 1]


def _rank(m):
    _graph(m).tensors[_graph(m).inputs[0]].shape = [1] * 1000


def _second_graph(m):
    m.subgraphs = [m.subgraphs[0], m.subgraphs[0]]


def _no_graph(m):
    m.subgraphs = []


def _two_inputs(m):
    _graph(m).inputs = [_graph(m).inputs[0]] * 2


def _cycle(m):
    first, last = _graph(m).operators[0], _graph(m).operators[-1]
    first.inputs = [last.outputs[0], *first.inputs[1:]]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (_constant_input, "input is a constant"),
        (_index, "tensor 10000"),
        (_negative_output, "tensor -7"),
        (_buffer, "buffer 1073741824"),
        (_scale(0.0), "scale"),
        (_scale(float("nan")), "scale"),
        (_scale(float("inf")), "scale"),
        (_axis, "axis 77"),
        (_stride, "stride"),
        (_filter, "filter|LiteRT"),
        (_custom(b"FlexWriteFile"), "custom operator 'FlexWriteFile'"),
        (_custom(b"\x1b]0;owned\x07"), "custom operator"),
        (_loop, "WHILE"),
        (_many, "operators"),
        (_huge, "shape"),
        (_rank, "shape|dimensions"),
        (_second_graph, "one subgraph"),
        (_no_graph, "one subgraph"),
        (_two_inputs, "one input"),
        (_cycle, "."),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_structural_damage(refuse_tflite, edited, change, says):
    refuse_tflite(edited(change), says)


def test_weights_that_are_not_finite(refuse_tflite):
    float32 = np.dtype(np.float32)
    weights = np.zeros((10, 784), float32)
    weights[3, 5] = np.nan
    tensors = (
        Tensor(name="images", shape=(-1, 784), dtype=float32),
        Tensor(name="dense/kernel", shape=(10, 784), dtype=float32, data=weights),
        Tensor(name="logits", shape=(-1, 10), dtype=float32),
    )
    op = Op(kind="FULLY_CONNECTED", inputs=(0, 1), outputs=(2,), options_type="FullyConnectedOptions")
    refuse_tflite(write_tflite(Graph(tensors=tensors, ops=(op,), inputs=(0,), outputs=(2,))), "finite")


def test_a_flipped_weight_is_found_by_verify(run, parity_main, exported, tmp_path):
    folder = shutil.copytree(exported, tmp_path / "copy")
    path = folder / "net.int8.tflite"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    done = run(parity_main, "verify", folder)
    assert done.code == 1
    assert "CHANGED: net.int8.tflite" in done.out


def test_a_sound_foreign_file_passes(run, parity_main, good, golden, tmp_path):
    path = tmp_path / "foreign.tflite"
    path.write_bytes(good)
    done = run(parity_main, "check", golden, path, "--data", "digits", "--no-latency", "-q")
    assert done.code == 0, done.err
