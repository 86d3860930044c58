from __future__ import annotations

from collections.abc import Callable

import numpy as np

from mnist_export.data import Dataset, Split, calibration_images, stratified_sample
from mnist_export.data.checks import (
    Finding,
    Problem,
    Severity,
    check_calibration,
    class_counts,
    image_keys,
    shared_images,
)

Refused = Callable[..., str]


def problems(findings: list[Finding]) -> list[Problem]:
    for finding in findings:
        assert finding.message.startswith("calibration: expected ") and "found" in finding.message
        assert finding.message.isprintable()
    return [finding.problem for finding in findings]


def test_a_stratified_training_sample_has_no_findings(digits: Dataset) -> None:
    chosen = stratified_sample(digits.train, 300, 0)
    images, labels = digits.train.images[chosen], digits.train.labels[chosen]
    assert check_calibration(images, labels, digits) == []
    assert check_calibration(calibration_images(digits), None, digits) == []


def test_missing_classes_are_named(digits: Dataset) -> None:
    keep = digits.train.labels < 7
    findings = check_calibration(digits.train.images[keep], digits.train.labels[keep], digits)
    assert problems(findings) == [Problem.CLASSES_MISSING] and "7, 8, 9" in findings[0].message


def test_few_images_are_warned_about(digits: Dataset) -> None:
    findings = check_calibration(digits.train.images[:99], None, digits)
    assert problems(findings) == [Problem.TOO_FEW] and findings[0].severity is Severity.WARNING
    assert check_calibration(digits.train.images[:99], None, digits, recommended=99) == []


def test_black_constant_and_0_1_images_are_errors(digits: Dataset) -> None:
    images = digits.train.images[:200]
    for changed, problem in (
        (images * 0, Problem.ALL_BLACK),
        (images * 0 + 255, Problem.ALL_CONSTANT),
        ((images > 127).astype(np.uint8), Problem.RANGE_0_1),
    ):
        findings = check_calibration(changed, None, digits)
        assert problems(findings) == [problem] and findings[0].severity is Severity.ERROR


def test_a_few_constant_images_are_counted(digits: Dataset) -> None:
    images = digits.train.images[:200].copy()
    images[:3] = 0
    findings = check_calibration(images, None, digits)
    assert problems(findings) == [Problem.SOME_CONSTANT] and "3 of 200" in findings[0].message


def test_test_images_among_them_are_counted(digits: Dataset) -> None:
    images = np.concatenate([digits.train.images[:200], digits.test.images[:5]])
    findings = check_calibration(images, None, digits)
    assert problems(findings) == [Problem.SHARED_WITH_TEST] and "found 5" in findings[0].message


def test_no_images_or_another_shape_are_errors(digits: Dataset) -> None:
    assert problems(check_calibration(digits.train.images[:0], None, digits)) == [Problem.NO_IMAGES]
    findings = check_calibration(digits.train.images[:, :20], None, digits)
    assert problems(findings) == [Problem.OTHER_SHAPE] and "(20, 28, 1)" in findings[0].message


def test_errors_come_before_warnings(digits: Dataset) -> None:
    images = (digits.test.images[:5] > 127).astype(np.uint8)
    severities = [finding.severity for finding in check_calibration(images, None, digits)]
    assert severities == [Severity.ERROR, Severity.WARNING]


def test_class_counts_and_labels_out_of_range(digits: Dataset, refused: Refused) -> None:
    assert class_counts(digits.test, 10).sum() == 400
    assert class_counts(digits.test, 12)[10:].tolist() == [0, 0]
    refused(lambda: class_counts(digits.test, 9), "0..8", "found 9")


def test_image_hashes_tell_single_pixels(digits: Dataset) -> None:
    images = digits.test.images[:2].copy()
    images[1] = images[0]
    images[1, 0, 0, 0] ^= 1
    assert len(set(image_keys(images))) == 2
    assert shared_images(images, images[:1]) == 1
    assert shared_images(images, images[:, :27]) == 0
    empty = Split(images=images[:0], labels=np.zeros(0, np.int64))
    assert image_keys(empty.images) == []
