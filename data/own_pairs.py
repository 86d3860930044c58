"""Pairs of image and label that come one by one, or in batches: kept on disk, not in memory."""

from __future__ import annotations

from array import array
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from mnist_export.data.dataset import Split
from mnist_export.data.limits import bad_file
from mnist_export.data.own import image_batch, label_vector, not_black_and_white
from mnist_export.data.request import Notify
from mnist_export.data.row_file import KeptImages, RowFile, room_bytes

MAX_IMAGES = 10_000_000
_INFINITE = -1  # tf.data.INFINITE_CARDINALITY
_CHUNK_BYTES = 4 << 20


@dataclass(frozen=True, kw_only=True)
class Pairs:
    """Where pairs come from.

    Attributes:
        where: for messages.
        source: an iterable of (image, label), single or in batches.
        notify: told what was done to the pixels.
    """

    where: str
    source: Any
    notify: Notify


def split_of_pairs(pairs: Pairs) -> Split:
    """Take all pairs once.

    Images are uint8, or floats 0..255, which are rounded (as those that Keras resized); labels are class
    numbers or one-hot rows.

    Raises:
        InputError: something else than pairs, images of unequal shapes, none, or no end of them.
    """
    cardinality = getattr(pairs.source, "cardinality", None)
    if callable(cardinality) and int(cardinality()) == _INFINITE:
        raise bad_file(pairs.where, "pairs that end", "an infinite data set", "Leave out repeat().")
    keeping = _Keeping(pairs)
    for item in pairs.source:
        if not isinstance(item, tuple | list) or len(item) != 2:
            kind = (
                f"{type(item).__name__} of {len(item)}" if hasattr(item, "__len__") else type(item).__name__
            )
            raise bad_file(pairs.where, "pairs of (image, label)", kind, "Give two values at a time.")
        images, labels = (np.asarray(part) for part in item)
        if images.ndim not in {2, 3, 4}:
            found = f"{images.dtype} of shape {images.shape}"
            raise bad_file(
                pairs.where, "images of 2 or 3 dimensions, or batches of them", found, "Decode them."
            )
        keeping.add(images, labels)
    return keeping.finished()


class _Keeping:
    """Collects rows, writes them out some at a time."""

    def __init__(self, pairs: Pairs) -> None:
        self._pairs, self._where = pairs, pairs.where
        self._shape: tuple[int, ...] | None = None
        self._file: RowFile | None = None
        self._room = room_bytes()
        self._waiting: list[npt.NDArray[np.uint8]] = []
        self._waiting_bytes = self._count = self._brightest = 0
        self._labels = array("q")
        self._rounded = False

    def add(self, images: npt.NDArray[Any], labels: npt.NDArray[Any]) -> None:
        single = images.ndim in {2, 3} and (labels.ndim == 0 or (labels.ndim == 1 and images.ndim == 3))
        if single and labels.ndim == 1 and len(labels) == len(images) > 1:
            single = images.shape[-1] in {1, 3}  # else a batch of grey images without a channel axis
        if single:
            images, labels = images[None], labels[None]
        if labels.ndim == 2 and labels.shape[1] > 1:
            if not np.allclose(labels.sum(axis=1), 1, atol=1e-3):
                raise bad_file(
                    self._where,
                    "one class an image, as a number or a row whose sum is 1",
                    "rows of other sums",
                    "Give numbers and several labels an image as whole arrays: "
                    "(x_train, y_train, x_test, y_test), or an .npz of these.",
                )
            labels = labels.argmax(axis=1)
        if labels.dtype == np.bool_ or (labels.dtype.kind == "f" and (labels == np.rint(labels)).all()):
            labels = labels.astype(np.int64)
        if not len(images) or images.shape[0] != labels.shape[0]:
            found = f"{len(images)} and {labels.size}"
            raise bad_file(self._where, "as many labels as images", found, "Give pairs.")
        pixels = self._pixels(images)
        numbers = label_vector(self._where, labels)
        if self._shape is None:
            self._shape = pixels.shape[1:]
            self._file = RowFile(int(np.prod(self._shape)))
        if pixels.shape[1:] != self._shape:
            expected = f"images of shape {self._shape} as the first"
            raise bad_file(self._where, expected, f"{pixels.shape[1:]}", "Resize them to one shape.")
        self._waiting.append(pixels)
        self._waiting_bytes += pixels.nbytes
        self._labels.extend(numbers.tolist())
        if self._waiting_bytes >= _CHUNK_BYTES:
            self._flush()

    def _pixels(self, images: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
        if images.dtype.kind == "f" and images.size and 1 < images.max() <= 255 and images.min() >= 0:
            self._rounded = self._rounded or bool((images != np.rint(images)).any())
            images = np.rint(images).astype(np.uint8)
        if images.dtype == np.uint8 and images.size:
            self._brightest = max(self._brightest, int(images.max()))
            if images.max() <= 1:  # one dark image is no mistake; all of them are
                images = images if images.ndim == 4 else images[..., None]
                if images.ndim == 4:
                    return np.ascontiguousarray(images)
        return image_batch(self._where, images)

    def _flush(self) -> None:
        if self._file is None or not self._waiting:
            return
        pixels = np.concatenate(self._waiting)
        if self._count + len(pixels) > MAX_IMAGES:
            raise bad_file(self._where, f"at most {MAX_IMAGES:,} images", "more", "Does the generator end?")
        if (self._count + len(pixels)) * pixels[0].nbytes > self._room:
            found = f"more than {self._room:,} bytes of pixels, for which there is room"
            raise bad_file(
                self._where, "pairs that end", found, "Free some space, or set MNIST_EXPORT_CACHE elsewhere."
            )
        self._file.write(self._count, pixels)
        self._count += len(pixels)
        self._waiting, self._waiting_bytes = [], 0

    def finished(self) -> Split:
        self._flush()
        if self._file is None or self._shape is None:
            raise bad_file(self._where, "pairs of (image, label)", "none", "Is the generator used up?")
        not_black_and_white(self._where, self._brightest)
        if self._rounded:
            self._pairs.notify(f"{self._where}: pixels were rounded to whole values 0..255.")
        height, width, channels = self._shape
        return Split(
            images=KeptImages(self._file, (self._count, height, width, channels)),
            labels=np.array(self._labels, np.int64),
        )
