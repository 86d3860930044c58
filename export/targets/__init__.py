"""Places that files go to: a literal table. A new one is one module and one line here.

Each chooses formats, the form of the graph, types, batch, allowed operators and the device that files are
checked on. Forms alone (``litert``, ``portable``, ...) stand in `quantize.rewrites.TARGETS`;
``--target`` takes both.
"""

from __future__ import annotations

from mnist_export.core.registry import LazyRegistry
from mnist_export.export.targets.deployment import Deployment

__all__ = ["DEPLOYMENTS", "Deployment"]

_HERE = "mnist_export.export.targets"

DEPLOYMENTS: LazyRegistry[Deployment] = LazyRegistry(
    "target",
    {
        "raspberry-pi": f"{_HERE}.raspberry_pi:DEPLOYMENT",
        "android": f"{_HERE}.android:DEPLOYMENT",
        "web": f"{_HERE}.web:DEPLOYMENT",
        "openvino": f"{_HERE}.openvino:DEPLOYMENT",
        "tract": f"{_HERE}.tract:DEPLOYMENT",
        "tflm": f"{_HERE}.tflm:DEPLOYMENT",
        "arduino": f"{_HERE}.tflm:ARDUINO",
        "esp32": f"{_HERE}.tflm:ESP32",
        "pico": f"{_HERE}.tflm:PICO",
        "ethos-u": f"{_HERE}.ethos_u:DEPLOYMENT",
    },
)
