from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest

from mnist_export.data import Dataset, load_dataset
from mnist_export.data import digits as digits_module
from mnist_export.data.checks import class_counts, image_keys
from mnist_export.data.digits import FILE, _cubic_weights, enlarge


def test_the_parts_are_fixed_stratified_and_apart(digits: Dataset) -> None:
    assert [len(split) for split in digits.parts().values()] == [1197, 200, 400]
    for split in digits.parts().values():
        counts = class_counts(split, 10)
        assert counts.max() - counts.min() <= 0.06 * len(split)
    keys = [key for split in digits.parts().values() for key in image_keys(split.images)]
    assert len(set(keys)) == len(keys) == 1797


def test_the_pixels_are_pinned(digits: Dataset) -> None:
    assert digits.test.images_sha256() == "b24507d439410c9351b10ab961c00f608beed16e7c4cb892d117009c5d7be7e0"
    assert digits.train.images_sha256() == "3fe711340b8b19d14c11177751284901c8bce9543eb859f370854f12be230f56"


def test_the_seed_moves_validation_but_never_test(digits: Dataset) -> None:
    other = load_dataset("digits", seed=1)
    assert other.test.images_sha256() == digits.test.images_sha256()
    assert other.validation.images_sha256() != digits.validation.images_sha256()
    np.testing.assert_array_equal(
        sorted(image_keys(other.train.images) + image_keys(other.validation.images)),
        sorted(image_keys(digits.train.images) + image_keys(digits.validation.images)),
    )


def test_the_images_look_like_mnist(digits: Dataset) -> None:
    images = digits.train.images[..., 0]
    assert images.shape[1:] == (28, 28) and images.dtype == np.uint8
    assert np.all(images.max(axis=(1, 2)) == 255)  # every digit has full ink
    assert 0.12 < images.mean() / 255 < 0.145  # MNIST: 0.13
    assert (images == 0).mean() > 0.7  # black background
    mass = images.sum(axis=(1, 2)).astype(float)
    rows = (images.sum(axis=2) @ np.arange(28)) / mass
    columns = (images.sum(axis=1) @ np.arange(28)) / mass
    assert np.abs(rows - 13.5).max() <= 0.51 and np.abs(columns - 13.5).max() <= 0.51


def test_cubic_weights_keep_a_flat_area_flat_and_match_the_kernel() -> None:
    weights = _cubic_weights()
    inner = weights[(np.arange(20) * 4 - 3 >= 10) & (np.arange(20) * 4 - 3 < 60)]
    assert np.all(inner.sum(axis=1) == 2000)
    d = 0.3  # Keys's kernel, a = -1/2: w(d) = 1.5 d^3 - 2.5 d^2 + 1; pixel 7 lies at 2.5, pixel 2 at 0.5
    assert weights[0, 0] == pytest.approx(2000 * (1.5 * d**3 - 2.5 * d**2 + 1))


def test_blank_and_full_images_do_not_break_the_enlargement() -> None:
    blank, full = enlarge(np.array([np.zeros((8, 8)), np.full((8, 8), 16)], np.uint8))
    assert not blank.any()
    assert np.all(full[5:23, 5:23] == 255) and full.shape == (28, 28, 1)


def test_a_test_like_image_at_the_edge_is_moved_no_further_than_the_margin() -> None:
    corner = np.zeros((1, 8, 8), np.uint8)
    corner[0, 0, 0] = 16
    rows = np.flatnonzero(enlarge(corner)[0].any(axis=(1, 2)))
    assert rows.min() == 8  # from 4 by the margin of 4


def test_the_file_is_what_the_build_makes() -> None:
    pytest.importorskip("sklearn", reason="scikit-learn is in the extra 'convert'")
    import io

    from mnist_export.data.digits_build import digits_npz

    with np.load(io.BytesIO(digits_npz())) as made, np.load(FILE) as kept:
        assert sorted(made.files) == sorted(kept.files)
        for name in made.files:
            np.testing.assert_array_equal(made[name], kept[name])


def test_the_file_is_small_and_lies_beside_the_module() -> None:
    assert FILE.parent == Path(digits_module.__file__).parent
    assert FILE.stat().st_size < 64 << 10
    assert (
        hashlib.sha256(FILE.read_bytes()).hexdigest()
        == "06403ac72978b69e4021833ae29bd33ec86f39095e23d445210917b29cd86d03"
    )
