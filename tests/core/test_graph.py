import flatbuffers
import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter

from mnist_export.core.affine import QuantParams
from mnist_export.core.errors import InputError
from mnist_export.core.graph import Graph, Op, Padding, Tensor
from mnist_export.core.graph.tflite_reader import metadata_of, parse_model, read_tflite
from mnist_export.core.graph.tflite_writer import write_tflite

F32 = np.dtype(np.float32)


@pytest.fixture
def conv_graph() -> Graph:
    rng = np.random.default_rng(0)
    weights = rng.normal(size=(3, 3, 3, 2)).astype(np.float32)
    bias = np.array([0.5, -1.0, 2.0], np.float32)
    return Graph(
        tensors=(
            Tensor(name="image", shape=(-1, 6, 6, 2), dtype=F32),
            Tensor(name="c/kernel", shape=(3, 3, 3, 2), dtype=F32, data=weights),
            Tensor(name="c/bias", shape=(3,), dtype=F32, data=bias),
            Tensor(name="c", shape=(-1, 6, 6, 3), dtype=F32),
            Tensor(name="unused", shape=(-1, 6, 6, 3), dtype=F32),
        ),
        ops=(
            Op(
                kind="CONV_2D",
                inputs=(0, 1, 2),
                outputs=(3,),
                options_type="Conv2DOptions",
                options={
                    "padding": int(Padding.SAME),
                    "strideW": 1,
                    "strideH": 1,
                    "fusedActivationFunction": 1,
                },
            ),
            Op(kind="RELU", inputs=(3,), outputs=(4,)),
        ),
        inputs=(0,),
        outputs=(3,),
    )


def run(content: bytes, values: np.ndarray) -> np.ndarray:
    interpreter = Interpreter(model_content=content)
    (entry,) = interpreter.get_input_details()
    interpreter.resize_tensor_input(entry["index"], values.shape)
    interpreter.allocate_tensors()
    interpreter.set_tensor(entry["index"], values)
    interpreter.invoke()
    return interpreter.get_tensor(interpreter.get_output_details()[0]["index"])


def test_a_written_graph_computes_what_numpy_computes(conv_graph):
    values = np.random.default_rng(1).normal(size=(2, 6, 6, 2)).astype(np.float32)
    padded = np.pad(values, ((0, 0), (1, 1), (1, 1), (0, 0)))
    weights, bias = conv_graph.tensors[1].data, conv_graph.tensors[2].data
    expected = np.zeros((2, 6, 6, 3), np.float64)
    for y in range(6):
        for x in range(6):
            expected[:, y, x] = np.einsum("nhwc,ohwc->no", padded[:, y : y + 3, x : x + 3], weights) + bias
    found = run(write_tflite(conv_graph.pruned()), values)
    # float32 sums of 18 products of size about 1
    assert np.abs(found - np.maximum(expected, 0)).max() < 1e-5


def test_reading_what_was_written_gives_the_same_graph(conv_graph):
    graph = conv_graph.pruned()
    again = read_tflite(write_tflite(graph))
    assert [t.name for t in again.tensors] == [t.name for t in graph.tensors]
    assert [t.shape for t in again.tensors] == [t.shape for t in graph.tensors]
    assert [(o.kind, o.inputs, o.outputs) for o in again.ops] == [
        (o.kind, o.inputs, o.outputs) for o in graph.ops
    ]
    assert write_tflite(again) == write_tflite(graph)


def test_pruning_takes_away_what_no_output_needs(conv_graph):
    pruned = conv_graph.pruned()
    assert [op.kind for op in pruned.ops] == ["CONV_2D"]
    assert "unused" not in [t.name for t in pruned.tensors]


def test_constants_lie_at_multiples_of_16_bytes(conv_graph):
    content = write_tflite(conv_graph.pruned(), metadata={"note": b"abc"})
    for tensor in conv_graph.pruned().tensors:
        if tensor.data is not None:
            assert content.index(tensor.data.tobytes()) % 16 == 0


def test_metadata_is_read_back(conv_graph):
    content = write_tflite(conv_graph, metadata={"one": b"1", "two": b"22"})
    assert metadata_of(parse_model(content, "x")) == {"one": b"1", "two": b"22"}


def test_quantization_parameters_survive(conv_graph):
    quant = QuantParams.per_channel([0.5, 0.25, 0.125], 0)
    weights = conv_graph.tensors[1]
    stored = Tensor(
        name=weights.name,
        shape=weights.shape,
        dtype=np.dtype(np.int8),
        data=np.ones(weights.shape, np.int8),
        quant=quant,
    )
    found = read_tflite(write_tflite(conv_graph.with_tensors({1: stored}))).tensors[1]
    assert found.quant.scale.tolist() == [0.5, 0.25, 0.125]
    assert found.quant.quantized_dimension == 0
    assert found.real().max() == 0.5


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda b: b"", "an empty file"),
        (lambda b: b[:4] + b"NOPE" + b[8:], "identifier TFL3"),
        (lambda b: b"\xff\xff\xff\x7f" + b[4:], "root offset"),
        (lambda b: b"hello world, this is text", "identifier"),
    ],
)
def test_a_damaged_file_is_one_clear_error(conv_graph, damage, words):
    with pytest.raises(InputError, match=words):
        read_tflite(damage(write_tflite(conv_graph)), where="net.tflite")


def test_no_truncation_gives_anything_but_a_clear_error_or_a_graph(conv_graph):
    content = write_tflite(conv_graph)
    refused = 0
    for length in range(0, len(content), 7):
        try:
            read_tflite(content[:length])
        except InputError:
            refused += 1
    assert refused > 50


def test_an_input_that_is_a_constant_is_refused(conv_graph):
    wrong = Graph(tensors=conv_graph.tensors, ops=conv_graph.ops, inputs=(1,), outputs=(3,))
    with pytest.raises(InputError, match="constant"):
        read_tflite(write_tflite(wrong))


def test_an_index_out_of_bounds_is_refused(conv_graph):
    model = parse_model(write_tflite(conv_graph.pruned()), "x")
    model.subgraphs[0].operators[0].inputs = [99, 1, 2]
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
    with pytest.raises(InputError, match="tensor numbers below"):
        read_tflite(bytes(builder.Output()))
