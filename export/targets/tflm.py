"""Microcontrollers with TensorFlow Lite Micro: the plain form, which takes the least arena, and int8.

Hybrid kernels (dynamic) and float16 constants are not there: "Hybrid models are not supported on TFLite
Micro" (kernels/conv_common.cc).
"""

from __future__ import annotations

from dataclasses import replace

from mnist_export.export.targets.deployment import Deployment

DEPLOYMENT = Deployment(
    title="microcontrollers, TensorFlow Lite Micro",
    formats=("tflite",),
    reads=("tflite", "c"),
    form="portable",
    precision="int8",
    precisions=("float32", "int8", "int16x8"),
    batch=1,
    operators="tflm",
    devices=("tflm",),
    usage="tflm",
)
ARDUINO = replace(DEPLOYMENT, title="Arduino boards, TensorFlow Lite Micro", usage="arduino")
ESP32 = replace(DEPLOYMENT, title="ESP32, esp-tflite-micro", usage="esp32")
PICO = replace(DEPLOYMENT, title="Raspberry Pi Pico, TensorFlow Lite Micro", usage="pico")
