"""What a place that files go to asks of them, as data: formats, form, types, batch, operators, a device."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Deployment:
    """A place that files go to.

    Attributes:
        title: what it is, in a few words.
        formats: what is written where no format is named.
        reads: the formats that can be used there.
        form: the form of int8 graphs, a name in `quantize.rewrites.TARGETS`.
        precision: where none is asked for; None is the precision of every export.
        precisions: what runs there.
        io: type of integer files' inputs and outputs where none is asked for; None takes the format's own.
        ios: types that the runtime takes.
        batch: of a .tflite's input and output; None leaves it free.
        operators: the table of operators that may be used, a name in `operators.TABLES`; empty for all.
        devices: which devices files are checked on, names in `runtime.devices.registry`.
        whole: nothing may fall back to another processor on them.
        usage: what code is shown for the files, a name in `pipeline.usage`.
    """

    title: str
    formats: tuple[str, ...]
    reads: tuple[str, ...]
    form: str = "native"
    precision: str | None = None
    precisions: tuple[str, ...] = ("float32", "float16", "dynamic", "int8", "int16x8")
    io: str | None = None
    ios: tuple[str, ...] = ("int8", "uint8", "int16", "float32")
    batch: int | None = None
    operators: str = ""
    devices: tuple[str, ...] = ()
    whole: bool = False
    usage: str = "python"
