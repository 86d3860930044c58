"""What measurements become in the report."""

from __future__ import annotations

import numpy as np

from mnist_export.report.measured import MATRIX_CLASSES, matrix_of


def test_a_matrix_of_more_classes_than_anybody_reads_is_left_out():
    assert matrix_of(np.eye(2, dtype=np.int64)) == ((1, 0), (0, 1))
    assert matrix_of(np.eye(MATRIX_CLASSES, dtype=np.int64)) is not None
    assert matrix_of(np.eye(MATRIX_CLASSES + 1, dtype=np.int64)) is None
