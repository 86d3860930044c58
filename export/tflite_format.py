"""Exports a network as .tflite."""

from __future__ import annotations

from typing import ClassVar

from mnist_export.core.graph.tflite_writer import write_tflite
from mnist_export.core.kinds import IoType
from mnist_export.export.metadata import METADATA_KEY, metadata_text
from mnist_export.export.request import ExportRequest, io_for
from mnist_export.export.tflite_io import with_batch, with_io
from mnist_export.quantize.network.scheme import QuantizedModel
from mnist_export.quantize.rewrites.target import Target


class TfliteExporter:
    """Writes a flatbuffer, signature ``image`` to ``logits``, batch 1 and resizable unless it is fixed."""

    own_target: ClassVar[Target] = Target.LITERT

    def export(self, model: QuantizedModel, request: ExportRequest) -> dict[str, bytes]:
        """Write a network as .tflite; int8 input and output by default, float32 for float precisions.

        Raises:
            InputError: an input type that the precision does not have.
        """
        io = io_for(model, request, IoType.INT8)
        graph = with_io(model.graph, io)
        content = write_tflite(
            graph if request.batch is None else with_batch(graph, request.batch),
            metadata={METADATA_KEY: metadata_text(model, request, io).encode()},
            description=f"{request.name}, {model.precision}, written by mnist-export {request.tool_version}",
        )
        return {".tflite": content}
