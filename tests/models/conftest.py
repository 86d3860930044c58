"""Fixtures of the models room's tests."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep checkpoints and trained models out of the user's cache."""
    monkeypatch.setenv("MNIST_EXPORT_CACHE", str(tmp_path / "cache"))


@pytest.fixture(scope="session")
def pictures() -> np.ndarray:
    """float32 (8, 28, 28, 1) in 0..1."""
    return np.random.default_rng(9).random((8, 28, 28, 1), np.float32)
