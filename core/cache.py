"""The folders of the user in which this tool keeps what it made or fetched."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path


def cache_folder() -> Path:
    """This tool's own cache: `MNIST_EXPORT_CACHE`, else ``mnist-export`` in the XDG cache folder."""
    if own := os.environ.get("MNIST_EXPORT_CACHE"):
        return Path(own).expanduser()
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else home_folder() / ".cache") / "mnist-export"


def home_folder() -> Path:
    """The user's home, or the folder for temporary files where the user has none (as in a container)."""
    try:
        return Path.home()
    except RuntimeError:
        return Path(tempfile.gettempdir())
