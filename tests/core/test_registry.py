import pytest

from mnist_export.core.errors import InputError
from mnist_export.core.registry import LazyRegistry

TABLE = LazyRegistry("format", {"tflite": "math:pi", "onnx": "no_such_module:x"})


def test_an_entry_is_imported_only_when_it_is_asked_for():
    assert round(TABLE.get("tflite"), 2) == 3.14
    assert list(TABLE) == ["tflite", "onnx"]
    with pytest.raises(ModuleNotFoundError):
        TABLE.get("onnx")


def test_an_unknown_name_lists_the_known_ones_and_suggests_the_nearest():
    with pytest.raises(
        InputError, match=r"unknown format 'tflit': expected one of onnx, tflite\. Did you mean 'tflite'\?"
    ):
        TABLE.get("tflit")


def test_a_name_that_is_near_to_none_gets_no_suggestion():
    with pytest.raises(InputError) as caught:
        TABLE.get("zzz")
    assert "Did you mean" not in str(caught.value)
