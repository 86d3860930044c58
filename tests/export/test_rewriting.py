"""What a file's target does to the file: its form, its metadata, and none of its integers."""

from __future__ import annotations

import json

import numpy as np
import pytest

from mnist_export.core.errors import InputError
from mnist_export.core.graph import Padding
from mnist_export.core.graph.tflite_reader import metadata_of, parse_model, read_tflite
from mnist_export.core.kinds import Format
from mnist_export.export.artifacts import write_artifacts
from mnist_export.export.described import Described
from mnist_export.export.rewriting import rewritten
from mnist_export.export.tuning import interleaved, measured
from mnist_export.quantize.rewrites import TARGETS, Block, Target
from mnist_export.quantize.rewrites.block_site import candidates


@pytest.fixture
def described():
    return Described(
        name="net", data=None, class_names=tuple("0123456789"), source_sha256="0" * 64, data_sha256={}
    )


def as_codes(pixels):
    return (pixels.astype(np.int16) - 128).astype(np.int8)


@pytest.mark.parametrize("target", [None, *TARGETS])
def test_both_files_of_every_target_hold_the_plain_forms_integers(
    lenet_graph, in_int8, described, litert, onnxruntime_run, tmp_path, target
):
    model = in_int8(lenet_graph)
    pixels = np.random.default_rng(3).integers(0, 255, (16, 28, 28, 1), endpoint=True, dtype=np.uint8)
    expected = litert(model.graph, as_codes(pixels))
    run = write_artifacts(model, described, (Format.TFLITE, Format.ONNX), tmp_path, target=target)
    tflite, onnx = (artifact.path.read_bytes() for artifact in run.artifacts)

    np.testing.assert_array_equal(litert(tflite, as_codes(pixels)), expected)
    np.testing.assert_array_equal(onnxruntime_run(onnx, pixels).astype(int) - 128, expected)


def test_the_default_is_each_formats_own_runtime(lenet_graph, in_int8):
    model = in_int8(lenet_graph)

    assert rewritten(model, Format.TFLITE).target == Target.LITERT
    assert rewritten(model, Format.ONNX).target == Target.ONNXRUNTIME
    assert rewritten(model, Format.ONNX).model.rewrites == ("block_convolution", "merge_reshapes")


def test_the_plain_form_is_there_for_who_asks_and_for_c(lenet_graph, in_int8):
    model = in_int8(lenet_graph)

    assert rewritten(model, Format.TFLITE, Target.PORTABLE).model.graph is model.graph
    assert rewritten(model, Format.C, Target.NATIVE).model.graph is model.graph


def test_files_and_the_report_say_what_was_done(lenet_graph, in_int8, described, tmp_path):
    run = write_artifacts(in_int8(lenet_graph), described, (Format.TFLITE,), tmp_path)
    (artifact,) = run.artifacts
    stored = metadata_of(parse_model(artifact.path.read_bytes(), "file"))
    text = json.loads(stored["mnist_export"])

    assert (text["target"], text["rewrites"]) == ("litert", ["block_convolution"])
    assert len(artifact.notes) == 1
    assert "block_convolution at conv1, pool1" in artifact.notes[0]
    assert "7 operators became 11" in artifact.notes[0]


def test_the_portable_file_has_the_layers_operators_only(lenet_graph, in_int8, described, tmp_path):
    run = write_artifacts(in_int8(lenet_graph), described, (Format.TFLITE,), tmp_path, target=Target.PORTABLE)
    graph = read_tflite(run.artifacts[0].path.read_bytes())

    assert [op.kind for op in graph.ops] == [op.kind for op in lenet_graph.ops]
    assert run.artifacts[0].notes == ()


@pytest.mark.parametrize(("fmt", "target"), [("tflite", Target.LITERT), ("onnx", Target.ONNXRUNTIME)])
def test_a_measured_choice_is_one_of_the_candidates(lenet_graph, in_int8, fmt, target):
    graph = in_int8(lenet_graph).graph
    conv = graph.ops[0]
    blocks = candidates(graph, conv)
    chosen = measured(Format(fmt), target)(graph, conv, blocks)

    assert chosen is None or chosen in blocks


def test_nothing_is_measured_where_every_block_multiplies_more(net_builder, in_int8):
    net = net_builder((8, 8, 16))
    x = net.conv(0, 16)
    graph = in_int8(net.graph(net.dense(net.flatten(x), 3))).graph
    conv = graph.ops[0]
    wide = [b for b in candidates(graph, conv) if not b.gathered]

    assert Padding(conv.options["padding"]) == Padding.SAME
    assert wide
    assert measured(Format.TFLITE, Target.LITERT)(graph, conv, wide) is None


def test_the_faster_of_two_calls_is_measured_as_faster():
    slow, fast = interleaved([lambda: sum(range(20_000)), lambda: sum(range(200))])

    assert slow > 5 * fast


def test_the_command_refuses_contradictions_and_unknown_targets():
    from mnist_export.cli.export import build_parser
    from mnist_export.pipeline.request import job_of

    with pytest.raises(InputError, match=r"unknown target 'litter'.*Did you mean 'litert'"):
        job_of(build_parser().parse_args(["--int8", "--target", "litter"]), "")
    with pytest.raises(InputError, match="`no_rewrites`: expected no `target`"):
        job_of(build_parser().parse_args(["--int8", "--no-rewrites", "--target", "auto"]), "")
    job = job_of(build_parser().parse_args(["--int8", "--no-rewrites"]), "")
    assert (job.target, job.prepare) == (Target.PORTABLE, False)
    assert str(Block()) == "1x1"
