"""Hostile and damaged .onnx files through `mnist-parity check`: one line, no crash of this process."""

from __future__ import annotations

import itertools
import os

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper


def classifier(batch="batch", extra=(), functions=()):
    """28x28 pixels, uint8 to float, one dense layer."""
    weights = np.random.default_rng(0).normal(0, 0.1, (784, 10)).astype(np.float32)
    nodes = [
        helper.make_node("Cast", ["images"], ["real"], to=TensorProto.FLOAT),
        helper.make_node("Flatten", ["real"], ["flat"]),
        *extra,
        helper.make_node("MatMul", ["flat", "weights"], ["logits"]),
    ]
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("images", TensorProto.UINT8, [batch, 1, 28, 28])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, [batch, 10])],
        [numpy_helper.from_array(weights, "weights")],
    )
    opsets = [helper.make_opsetid("", 17)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=9, functions=list(functions))


@pytest.fixture()
def refuse_onnx(refuses, parity_main, golden, tmp_path, out):
    def check(model, says, **options):
        path = tmp_path / "net.onnx"
        path.write_bytes(model if isinstance(model, bytes) else model.SerializeToString())
        words = ("check", golden, path, "--data", "digits", "--no-latency", "-q", "-o", out)
        return refuses(parity_main, *words, says=says, **options)

    return check


def test_the_classifier_itself_runs_so_that_refusals_mean_something(run, parity_main, golden, tmp_path):
    path = tmp_path / "net.onnx"
    path.write_bytes(classifier().SerializeToString())
    done = run(parity_main, "check", golden, path, "--data", "digits", "--no-latency", "-q")
    assert done.code == 1, done.err  # it runs, and it is another model


@pytest.mark.parametrize("content", [b"", b"just some text in a file\n" * 9, b"\x08" * 500, bytes(64)])
def test_what_is_no_onnx(refuse_onnx, content):
    refuse_onnx(content, "net.onnx")


@pytest.mark.parametrize("share", [0.01, 0.5, 0.99])
def test_truncated(refuse_onnx, share):
    content = classifier().SerializeToString()
    refuse_onnx(content[: int(len(content) * share)], "damaged|expected")


@pytest.fixture()
def secret(tmp_path):
    path = tmp_path / "secret.bin"
    path.write_bytes(np.zeros((784, 10), np.float32).tobytes())
    return path


@pytest.mark.parametrize("kind", ["parent", "absolute", "symlink", "hardlink", "short", "unknown key"])
def test_external_data_is_not_read(refuse_onnx, secret, tmp_path, kind):
    (tmp_path / "sub").mkdir()
    location = {"parent": "../secret.bin", "absolute": str(secret)}.get(kind, "beside.bin")
    beside = tmp_path / "beside.bin"
    if kind == "symlink":
        beside.symlink_to(secret)
    elif kind == "hardlink":
        os.link(secret, beside)
    elif kind == "short":
        beside.write_bytes(b"abc")
    model = classifier()
    tensor = model.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in (("location", location), ("offset", "0"), ("length", "31360")):
        tensor.external_data.add(key=key, value=value)
    if kind == "unknown key":
        tensor.external_data.add(key="__class__", value="evil")
    refuse_onnx(model, "external data")


def test_external_data_without_its_flag(refuse_onnx):
    model = classifier()
    model.graph.initializer[0].external_data.add(key="location", value="/etc/passwd")
    refuse_onnx(model, "external data")


def _constant_node_with_external_data():
    tensor = TensorProto(name="c", data_type=1, dims=[4], data_location=1)
    tensor.external_data.add(key="location", value="/etc/passwd")
    node = helper.make_node("Constant", [], ["c"])
    node.attribute.add(name="value", type=4).t.CopyFrom(tensor)
    return node


def _loop(name, outputs):
    body = helper.make_graph(
        [helper.make_node("Identity", ["go"], ["again"])],
        "body",
        [
            helper.make_tensor_value_info("i", TensorProto.INT64, []),
            helper.make_tensor_value_info("go", TensorProto.BOOL, []),
        ],
        [helper.make_tensor_value_info("again", TensorProto.BOOL, [])],
    )
    return helper.make_node(name, ["", ""], outputs, body=body)


@pytest.mark.parametrize(
    ("nodes", "says"),
    [
        ([helper.make_node("DepthToSpace", ["images"], ["y"], blocksize=0)], "block size"),
        ([helper.make_node("DepthToSpace", ["images"], ["y"], blocksize=1 << 31)], "block size"),
        ([_loop("Loop", [])], "Loop"),
        ([_loop("If", [])], "If"),
        ([_loop("Scan", ["y"])], "Scan"),
        ([helper.make_node("ConstantOfShape", ["weights"], ["y"])], "ConstantOfShape"),
        ([helper.make_node("Range", ["weights"] * 3, ["y"])], "Range"),
        ([helper.make_node("Tile", ["real", "weights"], ["y"])], "Tile"),
        ([helper.make_node("Expand", ["real", "weights"], ["y"])], "Expand"),
        ([helper.make_node("Conv", ["real"], ["y"], domain="evil.example")], "evil.example"),
        ([helper.make_node("PyOp", ["real"], ["y"], domain="ai.onnx.contrib")], "PyOp"),
        ([helper.make_node("NoSuchOperator", ["real"], ["y"])], "NoSuchOperator"),
        ([helper.make_node("\x1b[2J", ["real"], ["y"])], "operator"),
        ([_constant_node_with_external_data()], "external data"),
        ([helper.make_node("Relu", ["y2"], ["y"]), helper.make_node("Relu", ["y"], ["y2"])], "net.onnx"),
        ([helper.make_node("Relu", ["nowhere"], ["y"])], "net.onnx"),
        ([helper.make_node("Relu", ["flat"], ["flat"])], "net.onnx"),
    ],
    ids=lambda value: value[0].op_type if isinstance(value, list) else None,
)
def test_operators_that_crash_hang_or_fill_the_memory(refuse_onnx, nodes, says):
    refuse_onnx(classifier(extra=nodes), says)


def test_functions_nested_three_thousand_deep(refuse_onnx):
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("f", 1)]
    functions = [
        helper.make_function(
            "f", f"f{i}", ["x"], ["y"], [helper.make_node(f"f{i + 1}", ["x"], ["y"], domain="f")], opsets
        )
        for i in range(3000)
    ]
    refuse_onnx(classifier(functions=functions), "functions")


def test_a_function_that_calls_itself(refuse_onnx):
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("f", 1)]
    call = helper.make_node("f", ["x"], ["y"], domain="f")
    refuse_onnx(
        classifier(functions=[helper.make_function("f", "f", ["x"], ["y"], [call], opsets)]), "functions"
    )


def test_attributes_with_graphs_nested_deep(refuse_onnx):
    inner = helper.make_graph([], "end", [], [])
    for _ in range(30):
        inner = helper.make_graph([helper.make_node("Relu", [], [], body=inner)], "g", [], [])
    refuse_onnx(classifier(extra=[helper.make_node("Relu", ["flat"], ["y"], body=inner)]), "holds a graph")


@pytest.mark.parametrize(("version", "says"), [(9999, "9999"), (0, "opset"), (-1, "opset")])
def test_an_opset_that_is_not_known(refuse_onnx, version, says):
    model = classifier()
    model.opset_import[0].version = version
    refuse_onnx(model, says)


@pytest.mark.parametrize("dims", [[784, 1000], [-784, 10], [1 << 62, 4], [0, 10], [784, 10, 1, 1, 2]])
def test_dimensions_that_lie(refuse_onnx, dims):
    model = classifier()
    model.graph.initializer[0].dims[:] = dims
    refuse_onnx(model, "shape|weights|expected")


@pytest.mark.parametrize("where", ["raw", "list", "float16"])
def test_weights_that_are_not_finite(refuse_onnx, where):
    model = classifier()
    tensor = model.graph.initializer[0]
    values = numpy_helper.to_array(tensor).copy()
    values[3, 4] = np.nan
    if where == "raw":
        tensor.CopyFrom(numpy_helper.from_array(values, "weights"))
    elif where == "list":
        tensor.ClearField("raw_data")
        tensor.float_data.extend(values.ravel().tolist())
    else:
        model.graph.initializer.append(numpy_helper.from_array(values.astype(np.float16), "half"))
    refuse_onnx(model, "finite")


def test_doubling_that_fits_at_one_image_and_not_at_a_batch(refuse_onnx):
    names = ["flat", *(f"d{i}" for i in range(13))]
    doubling = [helper.make_node("Concat", [a, a], [b], axis=1) for a, b in itertools.pairwise(names)]
    tail = helper.make_node("ReduceSum", [names[-1]], ["sum"], keepdims=1)
    # 784 floats doubled 13 times: 25 MB an image, 3 GB a batch
    refuse_onnx(
        classifier(extra=[*doubling, tail]), "memory|allocate|bad_alloc|could not run", memory_mib=400
    )


def test_sparse_weights(refuse_onnx):
    model = classifier()
    sparse = model.graph.sparse_initializer.add()
    sparse.dims.extend([1 << 40])
    refuse_onnx(model, "sparse")


def test_ten_thousand_nodes_and_one(refuse_onnx):
    names = [f"r{i}" for i in range(10_002)]
    chain = [helper.make_node("Relu", [a], [b]) for a, b in zip(["flat", *names], names, strict=False)]
    refuse_onnx(classifier(extra=chain), "nodes")


def test_no_graph(refuse_onnx):
    refuse_onnx(onnx.ModelProto(ir_version=9), "graph|expected")
