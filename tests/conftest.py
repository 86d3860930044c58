"""Fixtures that several rooms' tests share."""

from __future__ import annotations

import pytest

from mnist_export.data import Dataset, load_dataset
from mnist_export.data.mnist import load as mnist_loader
from mnist_export.data.request import Request


@pytest.fixture(scope="session")
def digits() -> Dataset:
    """The embedded digits: 1,197 / 200 / 400 images of 28x28."""
    return load_dataset("digits")


@pytest.fixture(scope="session")
def real_mnist() -> Dataset:
    """The published MNIST; the test is skipped only where this machine does not have it."""
    dataset = mnist_loader.local(Request())
    if dataset is None:
        pytest.skip("MNIST is not on this machine: set MNIST_EXPORT_DATA to its folder")
    return dataset
