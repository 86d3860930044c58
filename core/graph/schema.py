"""The TFLite schema's numbers by name, from LiteRT's own generated module.

Reference: tensorflow/lite/schema/schema.fbs, schema version 3.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any

import numpy as np

IDENTIFIER = b"TFL3"
SCHEMA_VERSION = 3
BUFFER_ALIGNMENT = 16  # schema.fbs: Buffer.data has force_align: 16


@functools.cache
def module() -> Any:
    """LiteRT's generated schema module (imported once, on use)."""
    from ai_edge_litert import schema_py_generated

    return schema_py_generated


@functools.cache
def operator_names() -> Mapping[int, str]:
    """Builtin operator code to name."""
    return _names(module().BuiltinOperator)


@functools.cache
def options_names() -> Mapping[int, str]:
    """Number of an options union member to the name of its table."""
    return _names(module().BuiltinOptions)


@functools.cache
def tensor_dtypes() -> Mapping[int, np.dtype[Any]]:
    """TFLite tensor type to NumPy dtype, for the types this project handles."""
    types = module().TensorType
    return {
        getattr(types, name.upper()): np.dtype(name)
        for name in ("float32", "float16", "int8", "uint8", "int16", "int32", "int64", "bool")
    }


def _names(enumeration: Any) -> dict[int, str]:
    return {value: name for name, value in vars(enumeration).items() if isinstance(value, int)}
