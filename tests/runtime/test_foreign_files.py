"""Damaged and hostile .tflite and .onnx files end in one clear error, never in a crash."""

import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mnist_export.core.errors import InputError, MnistExportError
from mnist_export.core.graph import schema
from mnist_export.core.known import remember
from mnist_export.runtime.foreign.onnx_check import check_onnx
from mnist_export.runtime.foreign.tflite_check import check_tflite
from mnist_export.runtime.runners.opening import open_runner
from mnist_export.runtime.runners.sandbox import is_vouched, try_in_child


def packed(content, change):
    """The .tflite with its object tree changed."""
    import flatbuffers

    tables = schema.module()
    model = tables.ModelT.InitFromObj(tables.Model.GetRootAs(content, 0))
    change(model)
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    return bytes(builder.Output())


def edited(content, change):
    """The .onnx with its message changed."""
    import onnx

    model = onnx.load_from_string(content)
    change(model)
    return model.SerializeToString()


def test_sound_files_pass_and_their_metadata_is_found(models):
    assert check_tflite(models.files["int8.tflite"], label="m").name == "edges"
    assert check_tflite(models.files["foreign.tflite"], label="m") is None
    assert check_onnx(models.files["int8.onnx"], label="m").class_names[9] == "9"
    assert check_onnx(models.files["float.onnx"], label="m") is None


def _constant_input(m):
    m.subgraphs[0].inputs = [1]


def _index(m):
    m.subgraphs[0].operators[0].inputs = [0, 99, 2]


def _negative_index(m):
    m.subgraphs[0].operators[0].outputs = [-5]


def _scale(value):
    def change(m):
        m.subgraphs[0].tensors[3].quantization.scale = [value]

    return change


def _stride(m):
    m.subgraphs[0].operators[0].builtinOptions.strideW = 0


def _custom(m):
    m.operatorCodes[0].customCode = b"FlexErf"
    m.operatorCodes[0].builtinCode = m.operatorCodes[0].deprecatedBuiltinCode = 32


def _loop(m):
    m.operatorCodes[0].builtinCode = m.operatorCodes[0].deprecatedBuiltinCode = 119


def _buffer(m):
    m.subgraphs[0].tensors[1].buffer = 1000


def _shape(m):
    m.subgraphs[0].tensors[1].shape = [4, 3, 3, 2]


def _huge(m):
    m.subgraphs[0].tensors[3].shape = [1, 1 << 20, 1 << 20, 4]


def _many(m):
    m.subgraphs[0].operators = m.subgraphs[0].operators[:1] * 20_000


def _twice(m):
    m.subgraphs[0].operators[1].outputs = m.subgraphs[0].operators[0].outputs


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (_constant_input, "input is a constant"),
        (_index, "tensor 99"),
        (_negative_index, "tensor -5"),
        (_scale(0.0), "scale that is not finite"),
        (_scale(float("nan")), "scale that is not finite"),
        (_scale(-1.0), "scale that is not finite"),
        (_stride, "stride below 1"),
        (_custom, "custom operator 'FlexErf'"),
        (_loop, "WHILE"),
        (_buffer, "buffer 1000"),
        (_shape, "takes 72 bytes, found 36"),
        (_huge, "has the shape"),
        (_many, "operators, found 20000"),
        (_twice, "another operator wrote"),
    ],
)
def test_structural_damage_of_tflite_is_named(models, change, text):
    with pytest.raises(MnistExportError, match=text):
        check_tflite(packed(models.files["int8.tflite"], change), label="m.tflite")


def test_weights_that_are_not_finite_are_refused(models):
    from dataclasses import replace

    from mnist_export.core.graph.tflite_writer import write_tflite

    graph = models.float_graph
    bad = graph.tensors[7].data.copy()
    bad[3, 5] = np.nan
    content = write_tflite(graph.with_tensors({7: replace(graph.tensors[7], data=bad)}))
    with pytest.raises(InputError, match="'dense/kernel' hold values that are not finite"):
        check_tflite(content, label="m.tflite")


@pytest.mark.parametrize("content", [b"", b"hello world, this is text", b"\x00" * 64, b"TFL3TFL3TFL3"])
def test_what_is_no_tflite_is_refused(content):
    with pytest.raises(InputError):
        check_tflite(content, label="m.tflite")


def test_a_huge_root_offset_is_refused(models):
    content = struct.pack("<I", 0xFFFFFFF0) + models.files["int8.tflite"][4:]
    with pytest.raises(InputError, match="damaged or truncated"):
        check_tflite(content, label="m.tflite")


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_truncated_and_flipped_files_raise_only_our_errors(models, data):
    name = data.draw(st.sampled_from(["int8.tflite", "float.onnx", "int8.onnx"]))
    content = bytearray(models.files[name])
    check = check_tflite if name.endswith("tflite") else check_onnx
    if data.draw(st.booleans()):
        content = content[: data.draw(st.integers(0, len(content) - 1))]
    else:
        for _ in range(data.draw(st.integers(1, 8))):
            place = data.draw(st.integers(0, len(content) - 1))
            content[place] ^= 1 << data.draw(st.integers(0, 7))
    try:
        check(bytes(content), label="m")
    except MnistExportError as error:
        assert str(error).startswith("m: ")


def _external(m):
    t = m.graph.initializer[0]
    t.data_location = 1
    entry = t.external_data.add()
    entry.key, entry.value = "location", "../../etc/passwd"


def _opset(m):
    m.opset_import[0].version = 9999


def _bomb(m):
    m.graph.node.add(op_type="ConstantOfShape", input=["kernel"], output=["bomb"])


def _endless(m):
    m.graph.node.add(op_type="Loop", input=["", ""], output=["x"])


def _domain(m):
    m.graph.node.add(op_type="Conv", domain="evil.example", input=["x"], output=["y"])


def _function(m):
    m.functions.add(name="f", domain="")


def _lying(m):
    m.graph.initializer[0].dims[0] = 400


def _negative(m):
    m.graph.initializer[0].dims[0] = -4


def _nan(m):
    t = m.graph.initializer[0]
    t.raw_data = np.full(36, np.nan, np.float32).tobytes()


def _nested(m):
    node = m.graph.node.add(op_type="Relu", input=["x"], output=["y"])
    node.attribute.add(name="body", type=5).g.node.add(op_type="Relu")


def _block(m):
    node = m.graph.node.add(op_type="DepthToSpace", input=["conv"], output=["y"])
    node.attribute.add(name="blocksize", type=2, i=0)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (_external, "external data"),
        (_opset, "found 9999"),
        (_bomb, "'ConstantOfShape' is not one"),
        (_endless, "'Loop' is not one"),
        (_domain, "'evil.example.Conv' is not one"),
        (_function, "functions"),
        (_lying, "take 14400 bytes, found 144"),
        (_negative, "have the shape"),
        (_nan, "not finite"),
        (_nested, "holds a graph"),
        (_block, "block size"),
    ],
)
def test_hostile_onnx_is_named(models, change, text):
    with pytest.raises(MnistExportError, match=text):
        check_onnx(edited(models.files["float.onnx"], change), label="m.onnx")


def test_a_cycle_is_refused_by_the_runtime_with_one_line(models, tmp_path):
    def cycle(m):
        m.graph.node[1].input[0] = "pool"

    path = tmp_path / "cycle.onnx"
    path.write_bytes(edited(models.files["float.onnx"], cycle))
    with pytest.raises(InputError, match=r"cycle\.onnx") as caught:
        open_runner(path)
    assert "\n" not in str(caught.value)


def test_a_model_that_needs_too_much_memory_ends_in_the_trial_process(models):
    def grow(m):
        # Pad by 2 GiB a side: allowed operators, an output that nothing can hold
        from onnx import numpy_helper

        pads = np.array([0, 0, 1 << 20, 1 << 20, 0, 0, 0, 0], np.int64)
        m.graph.initializer.append(numpy_helper.from_array(pads, "pads"))
        m.graph.node.insert(0, type(m.graph.node[0])(op_type="Pad", input=["images", "pads"], output=["big"]))
        m.graph.node[1].input[0] = "big"

    with pytest.raises(InputError, match=r"m\.onnx"):
        try_in_child(edited(models.files["float.onnx"], grow), runtime="onnxruntime", label="m.onnx")


def test_a_crash_in_the_trial_process_is_one_clear_error(models, monkeypatch):
    from mnist_export.runtime.runners import sandbox

    real = sandbox.subprocess.run

    def crash(command, **options):
        code = "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)"
        return real([command[0], "-c", code], **options)

    monkeypatch.setattr(sandbox.subprocess, "run", crash)
    with pytest.raises(InputError, match=r"crashed \(SIGSEGV\)"):
        try_in_child(models.files["float.onnx"], runtime="onnxruntime", label="m.onnx")


def test_a_hang_in_the_trial_process_ends(models, monkeypatch):
    from mnist_export.runtime.runners import sandbox

    real = sandbox.subprocess.run

    def hang(command, **options):
        return real([command[0], "-c", "import time; time.sleep(60)"], **options)

    monkeypatch.setattr(sandbox.subprocess, "run", hang)
    monkeypatch.setattr(sandbox, "WALL_SECONDS", 0.5)
    with pytest.raises(InputError, match="it ran over"):
        try_in_child(models.files["float.onnx"], runtime="onnxruntime", label="m.onnx")


def test_a_manifest_vouches_only_for_the_hash_it_holds(tmp_path, monkeypatch):
    monkeypatch.setenv("MNIST_EXPORT_CACHE", str(tmp_path / "cache"))
    path, ours, other = tmp_path / "m.tflite", "ab" * 32, "cd" * 32
    remember([ours, other])
    (tmp_path / "manifest.json").write_text(f'{{"outputs": [{{"path": "m.tflite", "sha256": "{ours}"}}]}}')
    assert is_vouched(path, ours)
    assert not is_vouched(path, other)
    (tmp_path / "manifest.json").write_text("{damaged")
    assert not is_vouched(path, ours)


def test_a_manifest_that_came_with_the_file_vouches_for_nothing(tmp_path, monkeypatch):
    monkeypatch.setenv("MNIST_EXPORT_CACHE", str(tmp_path / "cache"))
    digest = "ab" * 32
    (tmp_path / "manifest.json").write_text(f'{{"outputs": [{{"sha256": "{digest}"}}]}}')
    assert not is_vouched(tmp_path / "m.tflite", digest)


def behind_the_tables(content):
    """The same model with its constants behind the FlatBuffer, as files of large models have them."""
    import flatbuffers

    module = schema.module()
    model = module.ModelT.InitFromPackedBuf(content, 0)
    moved = {}
    for index, buffer in enumerate(model.buffers):
        if index and buffer.data is not None and len(buffer.data):
            mark = 0x7F00_0000_0000_0000 + index  # found again in the packed bytes, and replaced
            moved[mark] = bytes(buffer.data)
            buffer.data, buffer.offset, buffer.size = None, mark, len(moved[mark])
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    packed = bytearray(builder.Output())
    for mark, data in moved.items():
        packed += bytes(-len(packed) % 16)
        place = packed.index(struct.pack("<Q", mark))
        packed[place : place + 8] = struct.pack("<Q", len(packed))
        packed += data
    return bytes(packed)


def test_constants_behind_the_tables_are_read(models, digits, tmp_path):
    images = digits.test.images[:50]
    (tmp_path / "moved.tflite").write_bytes(behind_the_tables(models.files["foreign.tflite"]))
    (tmp_path / "plain.tflite").write_bytes(models.files["foreign.tflite"])
    with open_runner(tmp_path / "moved.tflite") as moved, open_runner(tmp_path / "plain.tflite") as plain:
        assert moved.source.precision == plain.source.precision == "int8"
        assert np.array_equal(moved.run(images), plain.run(images))


def test_constants_behind_the_end_of_the_file_are_refused(models, tmp_path):
    path = tmp_path / "short.tflite"
    path.write_bytes(behind_the_tables(models.files["foreign.tflite"])[:-16])
    with pytest.raises(InputError, match=r"short\.tflite: expected \d+ bytes at byte"):
        open_runner(path)
