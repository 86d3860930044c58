"""What a device is: what it reads, whether it is ready, how it is prepared, how it answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from mnist_export.core.affine import QuantParams


@dataclass(frozen=True, kw_only=True, eq=False)
class Question:
    """A file and what to ask it.

    Attributes:
        label: the file's name for messages.
        content: the file itself.
        format: ``tflite``, ``onnx`` or ``c``.
        header: the ``.h`` file of a ``.c`` file, else empty.
        images: what the batch was made of, uint8, for a device that prepares its own input.
        labels: the images' classes.
        pixels: options of a command that state how pixels become what the model takes; empty for 0..1.
        output_quant: of the output tensor; None for a float output.
        batch: native inputs, shape (n, ...), n > 0, in the dtype of the file's input tensor.
        classes: width of the output.
        output_type: dtype of the file's output tensor.
    """

    label: str
    content: bytes
    format: str
    batch: npt.NDArray[Any]
    classes: int
    output_type: np.dtype[Any]
    header: bytes = b""
    images: npt.NDArray[np.uint8] | None = None
    labels: npt.NDArray[np.int64] | None = None
    pixels: tuple[str, ...] = ()
    output_quant: QuantParams | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class Answer:
    """What a device answered.

    Attributes:
        values: the file's own output values, not dequantized, shape (n, classes); None from a device that
            compiles files without running them.
        arena_bytes: working memory by the device's own report; None where it reports none.
        latency_us: median of one image by the device's own clock; None where that clock means nothing.
        figures: what the device says of the file besides, name to text.
        summary: the same in one sentence.
    """

    values: npt.NDArray[Any] | None
    arena_bytes: int | None = None
    latency_us: float | None = None
    figures: Mapping[str, str] = field(default_factory=dict)
    summary: str = ""


class Device(Protocol):
    """A runtime other than the one that this process runs a file in."""

    @property
    def name(self) -> str:
        """What the command line calls it."""

    @property
    def title(self) -> str:
        """What it is, in a few words."""

    @property
    def needs(self) -> str:
        """What its preparation fetches, in a few words."""

    @property
    def formats(self) -> tuple[str, ...]:
        """What it reads: ``tflite``, ``onnx``, ``c``."""

    def why_not_ready(self) -> str:
        """Say in a few words why it cannot answer now; empty where it can."""

    def prepare(self, notify: Callable[[str], None], *, quiet: bool = False) -> None:
        """Make it ready; nothing is left half-made.

        Args:
            notify: told what is being done.
            quiet: no progress of downloads on stderr.

        Raises:
            MnistExportError: no network, no such version for this machine, no space.
        """

    def answer(self, question: Question) -> Answer:
        """Run the file over the batch.

        Raises:
            MnistExportError: the device cannot load or run the file, crashed, passed a limit, or answered
                with another shape or type than the file's.
        """
