"""What every other room receives: images, labels, class names and where they came from."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from mnist_export.core.errors import InputError
from mnist_export.core.images import Images, batches_of, first_images, picked

Labels = npt.NDArray[np.int64]


@dataclass(frozen=True, kw_only=True, eq=False)
class Split:
    """One part of a data set.

    Attributes:
        images: uint8 of shape (n, height, width, channels), raw pixels 0..255: an array, or what is read
            when it is indexed (`StreamedImages`).
        labels: int64 of shape (n,), class numbers from 0; all 0 where there are `targets`.
        targets: float64 of shape (n, values), of images that have numbers or several labels, not a class.
    """

    images: Images
    labels: Labels
    targets: npt.NDArray[np.float64] | None = None

    def __post_init__(self) -> None:
        """Check types, shapes and lengths."""
        if self.images.dtype != np.uint8 or self.images.ndim != 4 or 0 in self.images.shape[1:]:
            raise InputError(
                "split: expected uint8 images of shape (n, height, width, channels), found "
                f"{self.images.dtype} of shape {self.images.shape}. Pass raw pixels 0..255."
            )
        if self.labels.dtype != np.int64 or self.labels.ndim != 1:
            raise InputError(
                f"split: expected int64 labels of shape (n,), found {self.labels.dtype} of shape "
                f"{self.labels.shape}. Pass class numbers from 0."
            )
        if len(self.images) != len(self.labels):
            raise InputError(
                f"split: expected one label an image, found {len(self.images)} images and "
                f"{len(self.labels)} labels. Pass arrays of one length."
            )

        targets = self.targets
        if targets is not None and (targets.ndim != 2 or len(targets) != len(self.labels)):
            raise InputError(
                f"split: expected targets of shape ({len(self.labels)}, values), found {targets.shape}. "
                "Pass arrays of one length."
            )

    def __len__(self) -> int:
        """Count the images."""
        return len(self.labels)

    def take(self, indices: npt.NDArray[np.int64]) -> Split:
        """Choose the images and labels at ``indices`` (int64 of shape (k,)), in that order."""
        targets = None if self.targets is None else self.targets[indices]
        return Split(images=picked(self.images, indices), labels=self.labels[indices], targets=targets)

    def first(self, count: int) -> Split:
        """Choose the first ``count`` images, or all where there are fewer."""
        targets = None if self.targets is None else self.targets[:count]
        return Split(images=first_images(self.images, count), labels=self.labels[:count], targets=targets)

    @property
    def array(self) -> npt.NDArray[np.uint8]:
        """All images in memory: what is streamed is read; for parts that are known to be small."""
        return np.asarray(self.images)

    def in_memory(self) -> Split:
        """Read what is streamed; for parts that are known to be small."""
        return Split(images=self.array, labels=self.labels, targets=self.targets)

    def images_sha256(self) -> str:
        """Hex SHA-256 of the images' shape (as ASCII ``"n,h,w,c:"``) followed by their raw bytes.

        Two splits share it only when they hold the same pixels in the same order, so a model card
        that records it lets a later run notice that it would judge a model on its training data.
        """
        digest = hashlib.sha256((",".join(map(str, self.images.shape)) + ":").encode("ascii"))
        for batch in batches_of(self.images):
            digest.update(np.ascontiguousarray(batch).data)
        return digest.hexdigest()


@dataclass(frozen=True, kw_only=True)
class Provenance:
    """Where a data set came from.

    Attributes:
        source: how it was found, such as ``"MNIST_EXPORT_DATA"``, ``"download"`` or ``"embedded"``.
        path: the file or folder it was read from.
        sha256: name of a part, such as ``"train-images"``, to the hex SHA-256 of its content.
        notes: sentences a reader of a report should know, such as a split made by this tool.
    """

    source: str
    path: str
    sha256: dict[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True, eq=False)
class Dataset:
    """A data set in its three parts; no image of one part is in another by construction.

    Attributes:
        name: short name, fit for a file name.
        train: what models and calibration learn from.
        validation: what choices are made on.
        test: what is reported; the data set's own test part where it has one.
        class_names: one name a class, in the order of the class numbers.
        provenance: where it came from.
    """

    name: str
    train: Split
    validation: Split
    test: Split
    class_names: tuple[str, ...]
    provenance: Provenance

    def __post_init__(self) -> None:
        """Check that the parts agree, labels are in range and there is something to test on."""
        if len(self.class_names) < 2 and self.test.targets is None:
            raise InputError(
                f"data set '{self.name}': expected at least 2 classes, found {len(self.class_names)}. "
                "Use data with more classes."
            )
        if not len(self.test):
            raise InputError(
                f"data set '{self.name}': expected a test part with images, found 0. Add test images."
            )
        for part, split in self.parts().items():
            if split.images.shape[1:] != self.image_shape:
                raise InputError(
                    f"data set '{self.name}': expected {part} images of shape {self.image_shape} as in "
                    f"test, found {split.images.shape[1:]}. Resize them to one shape."
                )
            if len(split) and not 0 <= split.labels.min() <= split.labels.max() < self.num_classes:
                raise InputError(
                    f"data set '{self.name}': expected {part} labels 0..{self.num_classes - 1}, found "
                    f"{split.labels.min()}..{split.labels.max()}. Number the classes from 0."
                )

    def parts(self) -> dict[str, Split]:
        """Name the three parts, in the order train, validation, test."""
        return {"train": self.train, "validation": self.validation, "test": self.test}

    @property
    def num_classes(self) -> int:
        """Number of classes."""
        return len(self.class_names)

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(height, width, channels) of every image."""
        height, width, channels = self.test.images.shape[1:]
        return height, width, channels
