"""Fixtures of the train room's tests: small data, no training longer than a second or two."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep checkpoints and trained models out of the user's cache."""
    monkeypatch.setenv("MNIST_EXPORT_CACHE", str(tmp_path / "cache"))
