"""From one quantized network to files: each format is written from the same numbers."""

from __future__ import annotations

from mnist_export.core.registry import LazyRegistry
from mnist_export.export.request import Exporter, ExportRequest, file_stem

__all__ = ["EXPORTERS", "ExportRequest", "Exporter", "file_stem"]

EXPORTERS: LazyRegistry[type[Exporter]] = LazyRegistry(
    "format",
    {
        "tflite": "mnist_export.export.tflite_format:TfliteExporter",
        "onnx": "mnist_export.export.onnx_format:OnnxExporter",
        "c": "mnist_export.export.c_format:CExporter",
    },
)
