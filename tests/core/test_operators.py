"""The table of operators: what it says is so, and nothing else says it again."""

import ast
from pathlib import Path

import pytest

from mnist_export.core.affine import QuantParams
from mnist_export.core.graph import schema
from mnist_export.core.graph.operator import Family, Operator
from mnist_export.core.graph.operators import OPERATORS, added, kinds, operator
from mnist_export.export.c_kernels import KERNELS as C_KERNELS
from mnist_export.export.onnx_ops import EMITTERS, emitter
from mnist_export.quantize.exact.arithmetic import KERNELS as EXACT_KERNELS

ROOT = Path(__file__).parents[2]
# Tables of kernels, and choices of one rewrite or scheme that say nothing of the operators themselves.
KERNEL_TABLES = {
    "export/c_kernels.py",
    "export/onnx_ops.py",
    "models/foreign/tflite_import.py",
    "quantize/exact/arithmetic.py",
    "quantize/exact/between.py",
    "quantize/exact/moves.py",
    "quantize/exact/real_kernels.py",
    "quantize/exact/simulation.py",
}
CHOICES = {
    "export/tflm_arena.py",
    "export/tflm_source.py",
    "quantize/entering.py",
    "parity/certificate/tflite.py",
    "quantize/exact/affine.py",
    "quantize/exact/forms.py",
    "quantize/exact/lookups.py",
    "quantize/exact/prepare.py",
    "quantize/lowering/time_major.py",
    "quantize/network/functions.py",
    "quantize/post_training/integers.py",
    "quantize/rewrites/activations_as_maps.py",
    "parity/layers/litert.py",
    "runtime/timing/operator_time.py",
}


def collections_of_kinds(text):
    """Literal sets, lists, tuples and dictionaries with several operators' names."""
    for node in ast.walk(ast.parse(text)):
        items = (
            node.elts if isinstance(node, ast.Set | ast.List | ast.Tuple)
            else node.keys if isinstance(node, ast.Dict) else []
        )  # fmt: skip
        found = [i.value for i in items if isinstance(i, ast.Constant) and i.value in OPERATORS]
        if len(found) > 1:
            yield found


def test_no_other_module_lists_operators():
    found = {
        str(path.relative_to(ROOT))
        for room in ("core", "data", "models", "train", "quantize", "export", "runtime", "parity", "pipeline")
        for path in (ROOT / room).rglob("*.py")
        if list(collections_of_kinds(path.read_text(encoding="utf-8")))
    }
    assert found <= KERNEL_TABLES | CHOICES


def test_a_planted_list_of_operators_is_found():
    assert list(collections_of_kinds("_POOLS = {'MAX_POOL_2D', 'AVERAGE_POOL_2D'}"))
    assert not list(collections_of_kinds("kind == 'MAX_POOL_2D'"))


def test_every_kernel_has_an_entry():
    assert {*EMITTERS, *C_KERNELS, *EXACT_KERNELS} <= set(OPERATORS)


def test_every_integer_form_can_be_written_in_onnx():
    assert all(emitter(kind) for kind, entry in OPERATORS.items() if entry.integers)


def test_every_kind_is_one_of_tflite():
    assert set(OPERATORS) <= set(schema.operator_names().values())


def test_weights_belong_to_convolutions_and_dense_layers():
    weighted = {kind for kind, entry in OPERATORS.items() if entry.has_weights}
    assert weighted == kinds(Family.CONVOLUTION, Family.DENSE)
    with pytest.raises(ValueError, match="weight axis"):
        Operator(kind="NEW", family=Family.DENSE)


def test_fixed_parameters_and_shared_ones_contradict():
    with pytest.raises(ValueError, match="found both"):
        Operator(kind="NEW", same_scale=True, output=QuantParams.per_tensor(1.0))


def test_an_unknown_operator_has_its_name_alone():
    assert operator("NEW") == Operator(kind="NEW")
    assert not operator("NEW").integers


def test_an_entry_is_there_for_a_while_and_once():
    with added(Operator(kind="NEW", family=Family.FUNCTION, onnx="Asinh")):
        assert operator("NEW").elementwise
        assert emitter("NEW") is not None
        with pytest.raises(ValueError, match="has an entry"), added(Operator(kind="NEW")):
            pass
    assert "NEW" not in OPERATORS
