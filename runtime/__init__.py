"""Files and images in; answers, parity and latency out. Needs numpy, ai-edge-litert and onnxruntime only.

Names are loaded when they are first used, so that importing a part of this room does not load the rest.
"""

from __future__ import annotations

import importlib
import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mnist_export.runtime.parity.comparison import Flip, Parity, Thresholds, compare
    from mnist_export.runtime.runners.opening import RUNTIMES, open_runner
    from mnist_export.runtime.runners.runner import Runner, TensorInfo

# Wheels of ONNX Runtime 1.31 report their use: a number for the machine in the home folder, uploads to a
# collector. A tool that opens other people's models in CI reports to nobody unless it is told to.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

__all__ = ["RUNTIMES", "Flip", "Parity", "Runner", "TensorInfo", "Thresholds", "compare", "open_runner"]

_PLACES = {
    "RUNTIMES": "runners.opening",
    "open_runner": "runners.opening",
    "Flip": "parity.comparison",
    "Parity": "parity.comparison",
    "Thresholds": "parity.comparison",
    "compare": "parity.comparison",
    "Runner": "runners.runner",
    "TensorInfo": "runners.runner",
}


def __getattr__(name: str) -> Any:
    """Load a public name from the module that holds it."""
    if name not in _PLACES:
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    return getattr(importlib.import_module(f"{__name__}.{_PLACES[name]}"), name)
