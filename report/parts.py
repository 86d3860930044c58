"""The parts of a report that describe one written file: its audit, its compression, tables of counts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from mnist_export.core.errors import InputError
from mnist_export.core.record import Record

Matrix = tuple[tuple[int, ...], ...]


def check_matrix(matrix: Matrix | None, where: str) -> None:
    """Refuse a confusion matrix that is not square or holds negative counts."""
    if matrix is None:
        return
    if any(len(row) != len(matrix) for row in matrix) or any(count < 0 for row in matrix for count in row):
        raise InputError(f"{where}: expected a square table of counts of 0 or more.")


@dataclass(frozen=True, kw_only=True)
class Audit(Record):
    """What the written file holds.

    Attributes:
        operators: operator name to how often it occurs.
        weight_bytes: number type to bytes of constants of that type.
        float_operators: operators that compute in float in a file that should be integer.
        notes: further remarks.
    """

    operators: dict[str, int]
    weight_bytes: dict[str, int]
    float_operators: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Compression(Record):
    """What pruning and clustering left in the file.

    Attributes:
        sparsity: fraction of weights that are zero.
        distinct_weights: layer name to number of distinct weight values.
        size_gzip_bytes: the file's size after gzip.
    """

    FRACTIONS: ClassVar[tuple[str, ...]] = ("sparsity",)
    NOT_NEGATIVE: ClassVar[tuple[str, ...]] = ("size_gzip_bytes",)

    sparsity: float | None = None
    distinct_weights: dict[str, int] | None = None
    size_gzip_bytes: int | None = None
