"""Makes ``digits.npz`` from scikit-learn's copy of the digits.

Run ``python -m mnist_export.data.digits_build OUT``. It needs scikit-learn (the extra ``convert``); the
same input gives the same arrays.
"""

from __future__ import annotations

import io
import sys
from pathlib import Path

import numpy as np

from mnist_export.core.files import write_atomic_one
from mnist_export.data.dataset import Split
from mnist_export.data.digits import TEST_IMAGES
from mnist_export.data.splitting import carve

SPLIT_SEED = 0


def digits_npz() -> bytes:
    """Return the bytes of the file: x_train (1397, 8, 8) and x_test (400, 8, 8) uint8 0..16, y_* uint8."""
    from sklearn.datasets import load_digits

    source = load_digits()
    whole = Split(images=source.images.astype(np.uint8)[..., None], labels=source.target.astype(np.int64))
    train, test = carve(whole, TEST_IMAGES, SPLIT_SEED)
    stream = io.BytesIO()
    np.savez_compressed(
        stream,
        x_train=np.asarray(train.images)[..., 0],
        y_train=train.labels.astype(np.uint8),
        x_test=np.asarray(test.images)[..., 0],
        y_test=test.labels.astype(np.uint8),
    )
    return stream.getvalue()


if __name__ == "__main__":
    write_atomic_one(Path(sys.argv[1]), digits_npz())
