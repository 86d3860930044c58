"""The reader of ONNX without the onnx package says what the onnx package says."""

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from mnist_export.core.errors import InputError
from mnist_export.parity.certificate.onnx import onnx_layers
from mnist_export.runtime.foreign.onnx_reader import DTYPES, DataType, Tensor, read_model
from mnist_export.runtime.foreign.protobuf import parse


@pytest.mark.parametrize("name", ["int8.onnx", "float.onnx"])
def test_names_give_what_the_onnx_package_gives(models, name):
    content = models.files[name]
    expected, found = onnx.load_from_string(content), read_model(content, label="m")

    assert [(o.domain, o.version) for o in found.opsets] == [
        (o.domain, o.version) for o in expected.opset_import
    ]
    assert [(n.operator, n.domain, n.inputs, n.outputs) for n in found.graph.nodes] == [
        (n.op_type, n.domain, list(n.input), list(n.output)) for n in expected.graph.node
    ]
    for node, other in zip(found.graph.nodes, expected.graph.node, strict=True):
        numbers = {
            a.name: a.f if a.type == onnx.AttributeProto.FLOAT else a.i
            for a in other.attribute
            if a.type in (onnx.AttributeProto.FLOAT, onnx.AttributeProto.INT)
        }
        assert node.numbers() == numbers
    assert [v.name for v in found.graph.inputs] == [v.name for v in expected.graph.input]
    assert [v.name for v in found.graph.outputs] == [v.name for v in expected.graph.output]
    assert [e.key for e in found.metadata] == [e.key for e in expected.metadata_props]
    assert found.graph.node_count == len(expected.graph.node)
    for tensor in expected.graph.initializer:
        np.testing.assert_array_equal(
            found.graph.constants()[tensor.name].array(), numpy_helper.to_array(tensor)
        )


@pytest.mark.parametrize("raw", [True, False])
@pytest.mark.parametrize("kind", sorted(set(DTYPES)))
def test_constants_of_every_type_are_read_or_left_empty(kind, raw):
    values = np.array([[0, 1, 2]], DTYPES[kind])
    content = values.tobytes() if raw else values.ravel().tolist()
    made = helper.make_tensor("c", kind, values.shape, content, raw=raw)
    found = Tensor(parse(made.SerializeToString(), "m")).array()
    if raw or kind in (DataType.FLOAT, DataType.INT64) or (values.dtype.itemsize <= 4 and found.size):
        np.testing.assert_array_equal(found, values)
        assert found.dtype == values.dtype
    else:
        assert kind in (DataType.FLOAT16, DataType.DOUBLE, DataType.UINT32, DataType.UINT64)
        assert not found.size


def test_constants_that_do_not_fill_their_shape_are_refused_by_the_certificate(models):
    model = onnx.load_from_string(models.files["int8.onnx"])
    tensor = next(t for t in model.graph.initializer if t.data_type == TensorProto.FLOAT)
    tensor.ClearField("raw_data")
    tensor.float_data.extend([1.0] * (int(np.prod(tensor.dims)) + 1))
    with pytest.raises(InputError, match="elements"):
        onnx_layers(model.SerializeToString(), label="m")


def test_only_the_reader_knows_the_numbers_of_onnx_fields():
    root = Path(__file__).parents[2]
    users = [
        str(path.relative_to(root))
        for room in ("runtime", "parity", "report", "pipeline", "cli")
        for path in (root / room).rglob("*.py")
        if "foreign.protobuf" in path.read_text(encoding="utf-8")
    ]
    assert users == ["runtime/foreign/onnx_reader.py"]
