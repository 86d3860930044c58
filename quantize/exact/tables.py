"""A table of 256 codes and the check behind it.

Four more codes that no code leads to hold the table's CRC-32, by which a certificate tells a changed entry.
"""

from __future__ import annotations

import zlib
from typing import Any, Final

import numpy as np
import numpy.typing as npt

CODES: Final = 256


def with_check(table: npt.NDArray[np.int8]) -> npt.NDArray[np.int8]:
    """A table with its CRC-32 behind it, the low byte first.

    Args:
        table: int8 of shape (256,).
    """
    check = np.frombuffer(zlib.crc32(table.tobytes()).to_bytes(4, "little"), np.int8)
    return np.concatenate([table, check])


def is_whole(table: npt.NDArray[Any]) -> bool:
    """Whether a table's CRC-32, where it has one, is that of its codes."""
    return table.size == CODES or (
        table.size == CODES + 4 and np.array_equal(with_check(table.ravel()[:CODES]), table.ravel())
    )
