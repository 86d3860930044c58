"""What an exporter is asked for, and what it gives."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Protocol

from mnist_export.core.errors import InputError
from mnist_export.core.kinds import IoType, Precision
from mnist_export.models.outputs import ModelOutput
from mnist_export.quantize.network.scheme import QuantizedModel
from mnist_export.quantize.rewrites.target import Target

_INTEGER_IO = {
    Precision.INT8: {IoType.INT8, IoType.UINT8, IoType.FLOAT32},
    Precision.INT16X8: {IoType.INT16, IoType.FLOAT32},
}


@dataclass(frozen=True, kw_only=True)
class ExportRequest:
    """What goes into one artifact beside the network itself.

    Attributes:
        name: the model's name.
        class_names: one name a class, in output order.
        source_sha256: hex SHA-256 of the model file that was converted, or of its weights.
        io: type of the file's input and output; None takes what the format's kernels are fastest with.
        tool_version: this project's version.
        opset: ONNX's version of operators; None takes the writer's own.
        target: the runtime that the network's form was chosen for.
        batch: of a .tflite's input and output; None leaves it free.
        head: what the outputs are, see `models.loaded.LoadedModel`.
        threshold: of sigmoids, see `models.loaded.LoadedModel`.
        outputs: each of several, in the files' order; empty for one.
    """

    name: str
    class_names: tuple[str, ...]
    source_sha256: str
    io: IoType | None = None
    tool_version: str = ""
    stem: str = ""
    opset: int | None = None
    target: Target = Target.PORTABLE
    batch: int | None = None
    head: str = "classes"
    threshold: tuple[float, ...] = ()
    outputs: tuple[ModelOutput, ...] = ()


class Exporter(Protocol):
    """Writes one format.

    Attributes:
        own_target: the runtime that the files are for where nobody says; ``PORTABLE`` for formats whose
            files have no form of a runtime.
    """

    own_target: ClassVar[Target]

    def export(self, model: QuantizedModel, request: ExportRequest) -> dict[str, bytes]:
        """Write a network.

        Returns:
            File name extension (with the dot) to content; the first is the artifact itself.
        """


def io_for(model: QuantizedModel, request: ExportRequest, fastest: IoType) -> IoType:
    """The file's input and output type: the one asked for, or the default of format and precision.

    Raises:
        InputError: the precision has no such input; the message lists those it has.
    """
    allowed = _INTEGER_IO.get(model.precision, {IoType.FLOAT32})
    if request.io is None:
        if fastest in allowed:
            return fastest
        return IoType.FLOAT32
    if request.io not in allowed:
        raise InputError(
            f'`io="{request.io}"`: expected one of {", ".join(sorted(allowed))} for precision '
            f"{model.precision}, found {request.io}."
        )
    return request.io


def file_stem(name: str, data: str | None, precision: Precision, variant: str = "") -> str:
    """``<model>[-<data>].<precision>[-<variant>]``, safe as a file name.

    Args:
        name: the model's name; characters outside letters, digits, ``_``, ``-`` become ``_``.
        data: the data set's name where the weights belong to it, else None.
        precision: the number format.
        variant: such as ``"qat"``, or ``""``.
    """

    def safe(text: str) -> str:
        return "".join(c if c.isascii() and (c.isalnum() or c in "_-") else "_" for c in text)[:80] or "model"

    first = safe(name) + (f"-{safe(data)}" if data else "")
    return f"{first}.{precision}" + (f"-{safe(variant)}" if variant else "")
