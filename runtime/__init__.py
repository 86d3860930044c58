"""Files and images in; answers, parity and latency out. Needs numpy, ai-edge-litert and onnxruntime only."""

from mnist_export.runtime.opening import RUNTIMES, open_runner
from mnist_export.runtime.parity import Flip, Parity, Thresholds, compare
from mnist_export.runtime.runner import Runner, TensorInfo

__all__ = ["RUNTIMES", "Flip", "Parity", "Runner", "TensorInfo", "Thresholds", "compare", "open_runner"]
