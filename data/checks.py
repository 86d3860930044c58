"""Looks at calibration images for what silently spoils a quantization: findings, not exceptions."""

from __future__ import annotations

import hashlib
import sys
from collections import Counter
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from mnist_export.core.errors import InputError
from mnist_export.core.images import Images, batches_of
from mnist_export.data.dataset import Dataset, Labels, Split

if sys.version_info >= (3, 11):
    from enum import StrEnum
else:
    from backports.strenum import StrEnum

RECOMMENDED_IMAGES = 100


class Severity(StrEnum):
    """How bad a finding is: an error makes the result useless, a warning makes it worse."""

    ERROR = "error"
    WARNING = "warning"


class Problem(StrEnum):
    """What can be wrong with calibration images."""

    NO_IMAGES = "no_images"
    OTHER_SHAPE = "other_shape"
    ALL_BLACK = "all_black"
    ALL_CONSTANT = "all_constant"
    SOME_CONSTANT = "some_constant"
    RANGE_0_1 = "range_0_1"
    TOO_FEW = "too_few"
    CLASSES_MISSING = "classes_missing"
    SHARED_WITH_TEST = "shared_with_test"


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One thing that is wrong.

    Attributes:
        problem: which.
        severity: how bad it is.
        message: what was expected, what was found, what to do.
    """

    problem: Problem
    severity: Severity
    message: str


def class_counts(split: Split, num_classes: int) -> npt.NDArray[np.int64]:
    """Count the images of each class: int64 of shape (num_classes,).

    Raises:
        InputError: a label is ``num_classes`` or more.
    """
    counts = np.bincount(split.labels, minlength=num_classes).astype(np.int64)
    if len(counts) > num_classes:
        raise InputError(
            f"class counts: expected labels 0..{num_classes - 1}, found {len(counts) - 1}. Check the labels."
        )
    return counts


def image_keys(images: Images) -> list[bytes]:
    """Return a 16-byte BLAKE2b hash of each image's pixels; equal for equal images of one shape."""
    return [
        hashlib.blake2b(np.ascontiguousarray(image).data, digest_size=16).digest()
        for batch in batches_of(images)
        for image in batch
    ]


def shared_images(first: Images, second: Images) -> int:
    """Count the images of ``first`` that are also in ``second``, pixel for pixel.

    Args:
        first: uint8 of shape (n, height, width, channels).
        second: uint8 of shape (m, height, width, channels).
    """
    if first.shape[1:] != second.shape[1:]:
        return 0
    sought = Counter(image_keys(first))
    found = {key for batch in batches_of(second) for key in image_keys(batch) if key in sought}
    return sum(sought[key] for key in found)


def check_calibration(
    images: Images, labels: Labels | None, dataset: Dataset, *, recommended: int = RECOMMENDED_IMAGES
) -> list[Finding]:
    """Look for what makes calibration ranges meaningless or a parity figure too good.

    Args:
        images: uint8 of shape (n, height, width, channels), what would be calibrated on.
        labels: int64 of shape (n,), their classes; None if unknown (classes are then not checked).
        dataset: what the result will be judged on.
        recommended: fewer images than this are warned about.

    Returns:
        Findings, errors first; empty where nothing is wrong.
    """
    if not len(images):
        return [_error(Problem.NO_IMAGES, "expected calibration images, found 0. Give some.")]
    if images.shape[1:] != dataset.image_shape:
        return [
            _error(
                Problem.OTHER_SHAPE,
                f"expected calibration images of shape {dataset.image_shape} as in '{dataset.name}', found "
                f"{images.shape[1:]}. Use images of the data set.",
            )
        ]
    findings = _pixel_findings(images)
    if len(images) < recommended:
        findings.append(
            _warning(
                Problem.TOO_FEW,
                f"expected {recommended} calibration images or more, found {len(images)}. Ranges from few "
                "images saturate on others: use more.",
            )
        )
    if labels is not None:
        counts = class_counts(Split(images=images, labels=labels), dataset.num_classes)
        if missing := [dataset.class_names[i] for i in np.flatnonzero(counts == 0)]:
            findings.append(
                _warning(
                    Problem.CLASSES_MISSING,
                    f"expected calibration images of all {dataset.num_classes} classes, found none of "
                    f"{', '.join(missing[:10])}. Choose a stratified sample.",
                )
            )
    if shared := shared_images(images, dataset.test.images):
        findings.append(
            _warning(
                Problem.SHARED_WITH_TEST,
                f"expected calibration images apart from the test images, found {shared} that are in both. "
                "Calibrate on training images.",
            )
        )
    return sorted(findings, key=lambda finding: finding.severity is not Severity.ERROR)


def _pixel_findings(images: Images) -> list[Finding]:
    low, high = (
        np.concatenate([look(batch.reshape(len(batch), -1), axis=1) for batch in batches_of(images)])
        for look in (np.min, np.max)
    )
    constant = int(np.count_nonzero(low == high))
    if not high.any():
        return [
            _error(
                Problem.ALL_BLACK,
                "expected images with content, found only black. Use real ones.",
            )
        ]
    if constant == len(images):
        return [
            _error(
                Problem.ALL_CONSTANT,
                "expected images with content, found each of one grey value. Use real ones.",
            )
        ]
    findings = []
    if high.max() <= 1:
        findings.append(
            _error(
                Problem.RANGE_0_1,
                "expected calibration pixels 0..255, found none above 1. Multiply pixels of 0..1 by 255.",
            )
        )
    if constant:
        findings.append(
            _warning(
                Problem.SOME_CONSTANT,
                f"expected calibration images with content, found {constant} of {len(images)} of one grey "
                "value. Check where they are from.",
            )
        )
    return findings


def _error(problem: Problem, message: str) -> Finding:
    return Finding(problem=problem, severity=Severity.ERROR, message=f"calibration: {message}")


def _warning(problem: Problem, message: str) -> Finding:
    return Finding(problem=problem, severity=Severity.WARNING, message=f"calibration: {message}")
