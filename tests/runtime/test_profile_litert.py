"""Operators of a .tflite, cut out and timed alone."""

import json
from dataclasses import replace

import numpy as np
import pytest

from mnist_export.cli.parity import main
from mnist_export.core.errors import InputError
from mnist_export.core.graph import Graph, Op, Tensor
from mnist_export.core.graph.tflite_writer import write_tflite
from mnist_export.runtime.runners.litert import LiteRtRunner
from mnist_export.runtime.timing.latency import Effort
from mnist_export.runtime.timing.operator_cut import Network, cut_operators, outputs
from mnist_export.runtime.timing.profile import NodeTime, Profile, profile, why_slow

EFFORT = Effort(min_time_s=0.005, min_runs=5, min_rounds=3, max_time_s=0.5, max_warmup_s=0.01)
BUILTIN = "BUILTIN_WITHOUT_DEFAULT_DELEGATES"
F32, F16, I8, I32 = (np.dtype(kind) for kind in ("float32", "float16", "int8", "int32"))


def float_lenet(net_builder):
    net = net_builder((28, 28, 1), seed=3)
    x = net.pool(net.conv(0, 6, 5, name="conv1"), name="pool1")
    x = net.pool(net.conv(x, 16, 5, same=False, name="conv2"), name="pool2")
    return net.graph(net.dense(net.dense(net.flatten(x), 32, act=1, name="dense1"), 10))


def many_kinds(net_builder):
    """Branches, padding, a depthwise convolution, arithmetic with constants, a mean."""
    net = net_builder((28, 28, 1), seed=4)
    x = net.conv(net.pad(0, 2), 4, 3, stride=2, name="stem")
    y = net.affine(net.depthwise(x), np.full(4, 0.5), np.full(4, 0.1))
    z = net.concatenate(net.add(x, y), x)
    return net.graph(net.dense(net.mean(z), 10))


def half_weights(graph):
    """Every float weight as float16 behind a DEQUANTIZE, as float16 files hold them."""
    tensors, ops, made = list(graph.tensors), [], {}
    for op in graph.ops:
        for index in op.inputs:
            old = graph.tensors[index]
            if old.data is not None and old.dtype == F32 and index not in made:
                kept = replace(old, name=f"{old.name}/half", dtype=F16, data=old.data.astype(np.float16))
                tensors.append(kept)
                tensors[index] = replace(old, data=None)
                made[index] = True
                options = {"options_type": "DequantizeOptions"}
                ops.append(Op(kind="DEQUANTIZE", inputs=(len(tensors) - 1,), outputs=(index,), **options))
    return replace(graph, tensors=tuple(tensors), ops=(*ops, *graph.ops))


def float_island(models):
    """The int8 classifier with its dense layer in float: DEQUANTIZE, FULLY_CONNECTED, QUANTIZE."""
    graph, plain = models.graph, models.float_graph
    count = len(graph.tensors)
    real = Tensor(name="flat/real", shape=(-1, 676), dtype=F32)
    answer = Tensor(name="logits/real", shape=(-1, 10), dtype=F32)
    dense = replace(graph.ops[3], inputs=(count, 7, 8), outputs=(count + 1,))
    tensors = graph.with_tensors({7: plain.tensors[7], 8: plain.tensors[8]}).tensors
    return Graph(
        tensors=(*tensors, real, answer),
        ops=(
            *graph.ops[:3],
            Op(kind="DEQUANTIZE", inputs=(6,), outputs=(count,), options_type="DequantizeOptions"),
            dense,
            Op(kind="QUANTIZE", inputs=(count + 1,), outputs=(9,), options_type="QuantizeOptions"),
        ),
        inputs=graph.inputs,
        outputs=graph.outputs,
    )


def cut(content, images):
    """Every operator of a file, and the values that the whole file gives."""
    with LiteRtRunner(content, kernels="builtin") as runner:
        native = runner.prepare(images)
        whole = runner.fresh_interpreter(batch=len(images), keep=True)
        whole.set_tensor(whole.get_input_details()[0]["index"], native)
        whole.invoke()
        network = Network.parse(content, "x.tflite")
        indices = [index for operator in network.operators for index in outputs(operator)]
        values = {index: whole.get_tensor(index) for index in indices}
        values[int(whole.get_input_details()[0]["index"])] = native
        return cut_operators(network, values), {
            network.tensors[index].name.decode(): value for index, value in values.items()
        }


def run_alone(part):
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    alone = Interpreter(
        model_content=part.content, experimental_op_resolver_type=getattr(OpResolverType, BUILTIN)
    )
    alone.allocate_tensors()
    for details, value in zip(alone.get_input_details(), part.feeds, strict=True):
        alone.set_tensor(details["index"], value)
    alone.invoke()
    return alone.get_tensor(alone.get_output_details()[0]["index"])


@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("name", ["int8", "float", "many", "half", "island", "exact"])
def test_each_operator_alone_gives_what_it_gives_in_the_file(
    name, batch, models, net_builder, exact_lenet, digits
):
    graph = {
        "int8": lambda: models.graph,
        "float": lambda: float_lenet(net_builder),
        "many": lambda: many_kinds(net_builder),
        "half": lambda: half_weights(float_lenet(net_builder)),
        "island": lambda: float_island(models),
        "exact": lambda: exact_lenet.graph,
    }[name]()
    parts, values = cut(write_tflite(graph), digits.test.images[:batch])
    computed = [op for op in graph.ops if any(graph.tensors[i].data is None for i in op.inputs)]
    assert [part.kind for part in parts] == [op.kind for op in computed]
    for part in parts:
        np.testing.assert_array_equal(run_alone(part), values[part.name], err_msg=part.name)


def test_an_int8_file_is_profiled_operator_by_operator(models, digits):
    with LiteRtRunner(models.files["foreign.tflite"], label="foreign.tflite") as runner:
        found = profile(runner, digits.test.images[:2], effort=EFFORT)
    assert [(n.name, n.kind) for n in found.nodes] == [
        ("conv/Relu", "CONV_2D"),
        ("pool", "MAX_POOL_2D"),
        ("flat", "RESHAPE"),
        ("logits", "FULLY_CONNECTED"),
    ]
    assert all(n.integer and n.kernels == "XNNPACK" and not n.hybrid for n in found.nodes)
    assert [n.channels for n in found.nodes] == [1, 4, 4, 0]
    assert (found.alone, found.runtime, found.kernels, found.batch) == (True, "litert", "XNNPACK", 2)
    assert sum(n.share for n in found.nodes) == pytest.approx(1)
    assert 0 < found.overhead_us < found.whole_us
    assert found.parts_us == pytest.approx(sum(n.microseconds for n in found.nodes) + found.overhead_us)
    # hundreds of multiplications for each value that the pool or the reshape moves
    assert found.slowest(1)[0].kind == "CONV_2D"


def test_the_parts_add_up_to_the_whole(net_builder, digits):
    with LiteRtRunner(write_tflite(float_lenet(net_builder))) as runner:
        found = profile(runner, digits.test.images[:16])
    # measured: within 3 % on a quiet machine; other programs may hit one of them and not the other
    assert 0.5 < found.parts_us / found.whole_us < 2


@pytest.mark.parametrize(("kernels", "name"), [("builtin", "builtin"), ("reference", "reference")])
def test_kernels_are_the_runners_own(kernels, name, models, digits):
    with LiteRtRunner(models.files["int8.tflite"], kernels=kernels) as runner:
        found = profile(runner, digits.test.images[:1], effort=EFFORT)
    assert {n.kernels for n in found.nodes} == {name}
    assert found.kernels == name


def test_operators_on_constants_are_no_part_of_a_run(net_builder, digits):
    graph = half_weights(float_lenet(net_builder))
    with LiteRtRunner(write_tflite(graph)) as runner:
        found = profile(runner, digits.test.images[:1], effort=EFFORT)
    assert "DEQUANTIZE" not in {n.kind for n in found.nodes}
    assert "8 operators on constants" in found.notes[0]
    assert all(n.kernels == "XNNPACK" for n in found.nodes if n.kind == "CONV_2D")


def test_a_float_island_and_its_conversions_are_named(models, digits):
    with LiteRtRunner(write_tflite(float_island(models)), label="island.tflite") as runner:
        found = profile(runner, digits.test.images[:1], effort=EFFORT)
    assert [[n.kind for n in island] for island in found.float_islands] == [["FULLY_CONNECTED"]]
    text = why_slow(found, ratio=1.7, flags=())
    assert text.startswith("island.tflite takes 1.70 times as long as the original.")
    assert "2 QUANTIZE or DEQUANTIZE operators take" in text
    assert "Left in float (1 island): FULLY_CONNECTED." in text


def node(kind, share, **options):
    given = {"integer": True, "channels": 0, "kernels": "XNNPACK"} | options
    return NodeTime(name=f"n/{kind}", kind=kind, microseconds=100 * share, share=share, **given)


def litert(*nodes):
    return Profile(
        label="m.tflite", batch=1, nodes=nodes, runtime="litert", kernels="XNNPACK", alone=True,
        whole_us=1.0, overhead_us=0.1,
    )  # fmt: skip


def test_the_paragraph_tells_what_xnnpack_does_not_take():
    text = why_slow(litert(node("CONV_2D", 0.9, kernels="builtin", channels=1), node("MEAN", 0.1)), flags=())
    assert "XNNPACK does not take 1 operator (CONV_2D), which run in slower kernels: 90%." in text
    assert "one input channel" in text
    assert "The file has no QUANTIZE or DEQUANTIZE." in text
    assert "XNNPACK" not in why_slow(litert(node("CONV_2D", 1.0)), flags=())


def test_the_paragraph_tells_dynamic_files_from_float_ones():
    hybrid = litert(node("FULLY_CONNECTED", 1.0, integer=False, hybrid=True))
    assert "1 operator with 8-bit weights quantize their input anew" in why_slow(hybrid)
    assert "Everything is computed in float." in why_slow(litert(node("CONV_2D", 1.0, integer=False)))


def test_values_of_16_bits_are_told_apart():
    wide = litert(node("CONV_2D", 1.0, kernels="builtin", channels=1, dtype="int16"))
    text = why_slow(wide, flags=("avx512_vnni",))
    assert "XNNPACK does not take 1 operator (CONV_2D)" in text
    assert "Values of 16 bits do not use" in text
    assert "avx512_vnni" not in text
    assert "one input channel" not in text


def test_the_check_stands_where_a_profile_cannot_be_made(models, tmp_path, capsys, monkeypatch):
    def refuse(*_, **__):
        raise InputError("operator 3 does not run alone.")

    monkeypatch.setattr("mnist_export.runtime.timing.profile.profile", refuse)
    plain, int8 = models.write(tmp_path, "float.tflite", "int8.tflite")
    words = ["check", plain, int8, "--data", "digits", "--images", "40", "--trust", "-q", "--json"]
    assert main([*words, "--kernels", "xnnpack,reference"]) == 0
    notes = json.loads(capsys.readouterr().out)["artifacts"][0]["notes"]
    assert "where its time goes cannot be told: operator 3 does not run alone." in notes


def test_the_command_says_that_operators_were_timed_alone(models, tmp_path, capsys):
    int8, plain = models.write(tmp_path, "int8.tflite", "float.tflite")
    words = ["profile", int8, "--against", plain, "--data", "digits", "--trust"]
    assert main(words) == 0
    out = capsys.readouterr().out
    assert "Operators were timed alone" in out
    assert "the whole model takes" in out
    assert "times as long as the original" in out
    assert main([*words, "--json", "--batch", "2", "--kernels", "builtin"]) == 0
    value = json.loads(capsys.readouterr().out)
    assert value["alone"] is True
    assert value["whole_us"] > 0
    assert value["parts_us"] > value["overhead_us"] > 0
    assert value["batch"] == 2


def test_a_damaged_file_ends_in_one_line(models, tmp_path, capsys):
    path = tmp_path / "damaged.tflite"
    content = bytearray(models.files["int8.tflite"])
    for cutoff in (100, len(content) // 2):
        path.write_bytes(content[:cutoff])
        assert main(["profile", str(path), "--data", "digits"]) == 2
        out, err = capsys.readouterr()
        assert out == ""
        assert err.strip().splitlines()[-1].startswith("error: ")
        assert "Traceback" not in err


def test_tables_that_do_not_hold_together_are_refused_by_name(models):
    network = Network.parse(models.files["int8.tflite"], "odd.tflite")
    with pytest.raises(InputError, match=r"odd\.tflite: operator 0 \(CONV_2D\) cannot be cut out"):
        cut_operators(network, {})


def test_a_slow_int8_tflite_is_explained_by_the_check(models, tmp_path, capsys):
    plain, int8 = models.write(tmp_path, "float.tflite", "int8.tflite")
    words = ["check", plain, int8, "--data", "digits", "--images", "40", "--trust", "-q", "--json"]
    # reference kernels are many times slower than XNNPACK's
    assert main([*words, "--kernels", "xnnpack,reference"]) == 0
    notes = json.loads(capsys.readouterr().out)["artifacts"][0]["notes"]
    assert any("times as long as the original. Most of the time goes to CONV_2D" in note for note in notes)
