"""Files and images in; answers and latency out. Needs numpy, ai-edge-litert and onnxruntime only."""

from __future__ import annotations

import os

# Wheels of ONNX Runtime 1.31 report their use: a number for the machine in the home folder, uploads to a
# collector. A tool that opens other people's models in CI reports to nobody unless it is told to.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
