"""Exports a network as C: exact ones as plain C99, others as an array to embed."""

from __future__ import annotations

from typing import ClassVar

from mnist_export.core.errors import UnsupportedError
from mnist_export.core.kinds import Precision
from mnist_export.export.c_embed import embed
from mnist_export.export.c_names import identifier
from mnist_export.export.c_selftest import makefile, selftest
from mnist_export.export.c_source import generate
from mnist_export.export.request import ExportRequest, file_stem
from mnist_export.export.tflite_format import TfliteExporter
from mnist_export.quantize.exact import VARIANT
from mnist_export.quantize.network.scheme import QuantizedModel
from mnist_export.quantize.rewrites.target import Target


def is_exact(model: QuantizedModel) -> bool:
    """Whether a network came from the exact scheme, fine-tuned or not."""
    return model.variant.split("-")[0] == VARIANT


class CExporter:
    """Writes ``.c`` and ``.h``, and for exact networks a self-test and a Makefile for it."""

    own_target: ClassVar[Target] = Target.PORTABLE

    def export(self, model: QuantizedModel, request: ExportRequest) -> dict[str, bytes]:
        """Write a network as C; the same network gives the same bytes.

        Raises:
            UnsupportedError: the precision is not int8, or an exact network has a layer without a C form.
        """
        if model.precision != Precision.INT8:
            raise UnsupportedError(
                f"C export: expected an int8 network, found {model.precision}. Use `exact=True` for plain C, "
                "or `int8=True` for an array to embed."
            )
        name = identifier(request.name)
        stem = request.stem or file_stem(request.name, None, model.precision, model.variant)
        if not is_exact(model):
            content = TfliteExporter().export(model, request)[".tflite"]
            header, source = embed(content, name, f"{stem}.h")
            return {".c": source.encode("ascii"), ".h": header.encode("ascii")}
        written = generate(model.graph, name, f"{stem}.h")
        return {
            ".c": written.source.encode("ascii"),
            ".h": written.header.encode("ascii"),
            ".selftest.c": selftest(model.graph, name, f"{stem}.h").encode("ascii"),
            ".mk": makefile(stem).encode("ascii"),
        }
