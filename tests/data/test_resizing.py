"""The ways to resize against TensorFlow's and Keras's own."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mnist_export.data.picture_options import Resize
from mnist_export.data.pictures import read_picture
from mnist_export.data.resizing import resized, to_uint8

SIZES = ((90, 300), (131, 97), (40, 41), (96, 96), (1000, 333), (7, 5))
WANTED = ((96, 96), (32, 48), (28, 28), (224, 160))


def picture(size: tuple[int, int], channels: int = 3) -> np.ndarray:
    return np.random.default_rng(sum(size)).integers(0, 256, (*size, channels), np.uint8)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("how", list(Resize))
def test_each_way_is_that_of_tensorflow(how: Resize, channels: int) -> None:
    """Equal to the last bit but for area, whose sums TensorFlow rounds to float32 at each addition.

    Up to 1000 * 333 / 28**2 = 425 pixels of 255 are summed there: 425 * 2**-24 * 255 < 0.01.
    """
    tf = pytest.importorskip("tensorflow")
    keras = pytest.importorskip("keras")
    ways = {
        Resize.CROP: keras.preprocessing.image.smart_resize,
        Resize.PAD: lambda image, size: tf.image.resize_with_pad(image, *size, method="bilinear"),
    }
    for found in SIZES:
        image = picture(found, channels)
        for size in WANTED:
            way = ways.get(how, lambda image, size: tf.image.resize(image, size, method=str(how)))
            theirs = np.asarray(way(tf.constant(image), size), np.float32)
            ours = resized(image, size, how)
            assert ours.dtype == np.float32 and ours.shape == theirs.shape
            np.testing.assert_allclose(ours, theirs, rtol=0, atol=0.01 if how is Resize.AREA else 0)


@pytest.mark.parametrize("how", [Resize.BILINEAR, Resize.CROP, Resize.PAD])
@pytest.mark.parametrize("suffix", ["png", "jpg", "bmp"])
def test_a_file_becomes_what_keras_makes_of_it(how: Resize, suffix: str, tmp_path: Path) -> None:
    """PNG and BMP to the last bit, rounded; decoders of JPEG part by a few levels."""
    keras = pytest.importorskip("keras")
    for name, sizes in (("a", SIZES[:2]), ("b", SIZES[2:4])):
        (tmp_path / name).mkdir()
        for number, size in enumerate(sizes):
            Image.fromarray(picture(size)).save(tmp_path / name / f"{number}.{suffix}")
    theirs = keras.utils.image_dataset_from_directory(
        tmp_path,
        image_size=(48, 32),
        shuffle=False,
        batch_size=None,
        verbose=False,
        crop_to_aspect_ratio=how is Resize.CROP,
        pad_to_aspect_ratio=how is Resize.PAD,
    )
    files = sorted(tmp_path.glob("*/*"))
    assert len(files) == 4
    for file, (expected, _) in zip(files, theirs, strict=True):
        ours = read_picture(file, (48, 32), channels=3, resize=how).pixels
        apart = np.abs(ours.astype(int) - to_uint8(expected.numpy()).astype(int))
        assert apart.max() <= (8 if suffix == "jpg" else 0), str(file)
        assert apart.mean() <= 2


def test_rounding_is_to_the_even_number() -> None:
    values = np.array([0.5, 1.5, 2.5, 254.5, 254.51, -0.2], np.float32)
    assert to_uint8(values).tolist() == [0, 2, 2, 254, 255, 0]
