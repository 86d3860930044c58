"""How much a foreign model may ask for, and how it is said that it is refused."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from mnist_export.data.limits import bad_file, shown

MAX_FILE_BYTES = 1 << 30
MAX_CONFIG_BYTES = 16 << 20
MAX_CONFIG_DEPTH = 100
MAX_LAYERS = 2_000
MAX_NAME_CHARACTERS = 256
MAX_NUMBER = 1_000_000
MAX_CONSTANTS = 1 << 18
MAX_PARAMETERS = 250_000_000
MAX_ACTIVATION_ELEMENTS = 64_000_000
MAX_MEMBERS = 64
MAX_COMPRESSION_RATIO = 200
MAX_HDF5_OBJECTS = 50_000
MAX_HDF5_DEPTH = 100


WRONG_SHAPES = (ValueError, TypeError, KeyError, IndexError, AttributeError, ArithmeticError, AssertionError)
"""What numpy and TensorFlow raise for operators whose inputs do not fit."""


def check_elements(where: object, kind: str, results: Iterable[Any]) -> None:
    """Refuse an operator whose result has too many values for one image.

    Args:
        where: the file, for the message.
        kind: the operator.
        results: tensors or arrays, batch first.

    Raises:
        InputError: see `MAX_ACTIVATION_ELEMENTS`.
    """
    for result in results:
        elements = math.prod(int(size or 1) for size in tuple(result.shape))
        if elements > MAX_ACTIVATION_ELEMENTS:
            raise bad_file(
                where,
                f"operators of at most {MAX_ACTIVATION_ELEMENTS:,} outputs",
                f"{elements:,} at {kind}",
                "Such a model is far beyond an edge device.",
            )


def quoted(text: object) -> str:
    """Put a string of a foreign file in quotes, escaped and cut to a length that a line can bear."""
    value = shown(str(text))
    return f"'{value[:80]}...'" if len(value) > 80 else f"'{value}'"
