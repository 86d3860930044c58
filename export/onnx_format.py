"""Exports a network as .onnx."""

from __future__ import annotations

from typing import ClassVar

from mnist_export.core.errors import UnsupportedError
from mnist_export.core.kinds import IoType, Precision
from mnist_export.export.metadata import METADATA_KEY, metadata_text
from mnist_export.export.onnx_constants import inline_stored_constants
from mnist_export.export.onnx_writer import OPSET, write_onnx
from mnist_export.export.request import ExportRequest, io_for
from mnist_export.quantize.network.scheme import QuantizedModel
from mnist_export.quantize.rewrites.target import Target


class OnnxExporter:
    """Writes a QDQ graph of the network's integers (or its float form), batch free."""

    own_target: ClassVar[Target] = Target.ONNXRUNTIME

    def export(self, model: QuantizedModel, request: ExportRequest) -> dict[str, bytes]:
        """Write a network as .onnx; uint8 input and output by default, float32 for float precisions.

        Raises:
            InputError: an input type that the precision does not have.
            UnsupportedError: a layer without an ONNX form, by name, or int16x8.
        """
        if model.precision == Precision.INT16X8:
            raise UnsupportedError(
                "ONNX export: int16x8 has no kernels in ONNX Runtime's CPU provider (16-bit QDQ runs as "
                'float32 with conversions). Use `formats="tflite"` for int16x8, or `int8=True` for ONNX.'
            )
        io = io_for(model, request, IoType.UINT8)
        metadata = {METADATA_KEY: metadata_text(model, request, io)}
        try:
            content = write_onnx(
                inline_stored_constants(model.graph),
                io=io,
                metadata=metadata,
                name=request.name,
                version=request.tool_version,
                opset=request.opset or OPSET,
                channels_last=request.target == Target.ONNXRUNTIME and model.precision == Precision.INT8,
            )
        except UnsupportedError:
            if model.precision != Precision.FLOAT32:
                raise
            from mnist_export.export.onnx_fallback import convert_float

            content = convert_float(
                model.graph, metadata=metadata, name=request.name, opset=request.opset or OPSET
            )
        return {".onnx": content}
