"""What answers: one interface over Keras, LiteRT, ONNX Runtime and recorded answers.

The public methods check what goes in and comes out; the private ones, written once per runtime, only compute.
"""

from __future__ import annotations

import functools
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from mnist_export.core import batches
from mnist_export.core.affine import QuantParams
from mnist_export.core.errors import InputError
from mnist_export.core.images import Images, StreamedImages
from mnist_export.core.pixel_rules import PixelRule
from mnist_export.core.pixels import InputRange
from mnist_export.runtime.foreign.metadata import Metadata
from mnist_export.runtime.runners.pixel_input import native_input

if TYPE_CHECKING:
    from mnist_export.runtime.runners.model_file import ModelFile


@dataclass(frozen=True, kw_only=True, eq=False)
class TensorInfo:
    """An input or output tensor of a model file.

    Attributes:
        name: as the file names it.
        shape: with the batch first; -1 where any size is taken.
        dtype: numpy element type.
        quant: per-tensor scale and zero point, or None for a float tensor.
    """

    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    quant: QuantParams | None = None


def side_by_side(outputs: Sequence[TensorInfo], label: str) -> TensorInfo:
    """Several outputs as one tensor, their columns beside each other, each with its own scale and zero point.

    Args:
        outputs: of shape (batch, width) each, at least one.
        label: the file's name for the message.

    Raises:
        InputError: they are not of one type.
    """
    if len(outputs) == 1:
        return outputs[0]
    if len({output.dtype for output in outputs}) > 1 or len({output.quant is None for output in outputs}) > 1:
        raise InputError(f"{label}: expected outputs of one type, found several.")
    quant = None
    if outputs[0].quant is not None:
        widths = [output.shape[-1] for output in outputs]
        known = [output.quant for output in outputs if output.quant is not None]
        quant = QuantParams(
            scale=np.repeat(np.concatenate([one.scale[:1] for one in known]), widths),
            zero_point=np.repeat(np.concatenate([one.zero_point[:1] for one in known]), widths),
            quantized_dimension=1,
        )
    return TensorInfo(
        name=",".join(output.name for output in outputs),
        shape=(-1, sum(output.shape[-1] for output in outputs)),
        dtype=outputs[0].dtype,
        quant=quant,
    )


class Runner(ABC):
    """Runs one model; a context manager that frees the native objects when left.

    Attributes:
        name: the runtime: ``keras``, ``litert``, ``onnxruntime`` or ``golden``.
        label: what tables call this model, usually the file's name.
        device: what it runs on, such as ``CPU``.
        threads: threads that one inference may use.
        notes: fallbacks that were taken, one sentence each.
        source: the file that it was opened from; None for a model in memory.
        origin: ``file``, ``golden``, or for Keras ``shipped`` or ``trained``.
        metadata: what our own files say about themselves; None for foreign files.
        input_range: how pixels become what the input tensor takes.
        is_rule_stated: whether the caller or the file stated it.
        head: what the outputs are: ``classes``, ``labels`` or ``values``; empty where nothing says.
        threshold: of sigmoids, see `models.loaded.LoadedModel`; empty where nothing says.
        preferred_batch: images of a native call: what is fastest for the runtime, and fewer where an image is
            so large that memory would not hold as many.
    """

    name = "runner"
    preferred_batch = 128

    def __init__(
        self,
        *,
        label: str,
        inputs: TensorInfo,
        outputs: TensorInfo,
        device: str = "CPU",
        threads: int = 1,
        input_range: PixelRule | None = None,
        metadata: Metadata | None = None,
    ) -> None:
        """Keep the description of a loaded model.

        Args:
            label: what tables call this model.
            inputs: the one input tensor.
            outputs: the one output tensor, of shape (batch, classes).
            device: what it runs on.
            threads: threads that one inference may use.
            input_range: what pixels become; None takes the file's metadata, else 0,1. A file that computes
                its network's pixel rule itself keeps its own.
            metadata: what the file says about itself.
        """
        self.label = label
        self.device = device
        self.threads = threads
        self.metadata = metadata
        self.head = metadata.head if metadata else ""
        self.threshold = metadata.threshold if metadata else ()
        self.notes: list[str] = []
        self.source: ModelFile | None = None
        self.origin = "file"
        self._input = inputs
        self._output = outputs
        own = metadata.input_range if metadata else None
        computes = metadata is not None and metadata.preprocessing is not None
        self.is_rule_stated = input_range is not None or own is not None
        self.input_range: PixelRule = (own if computes else input_range) or own or InputRange()
        self._closed = False
        self._tail = inputs.shape[1:]
        self._seen: tuple[int, ...] = ()
        self._dtype = inputs.dtype
        pixels = math.prod(abs(size) for size in inputs.shape[1:])
        self.preferred_batch = batches.batch_size(pixels, largest=type(self).preferred_batch)

    @property
    def pixel_rule(self) -> PixelRule:
        """How pixels become what the network itself takes, in this runner or inside of its file."""
        inside = self.metadata.preprocessing if self.metadata is not None else None
        return inside or self.input_range

    @property
    def image_tail(self) -> tuple[int, ...]:
        """Shape of one input, without the batch."""
        return tuple(self._tail)

    @property
    def input(self) -> TensorInfo:
        """The input tensor."""
        return self._input

    @property
    def output(self) -> TensorInfo:
        """The output tensor."""
        return self._output

    @property
    def num_classes(self) -> int:
        """Width of the output."""
        return self._output.shape[-1]

    @property
    def output_step(self) -> float | None:
        """Real units per step of a quantized output; None for a float output, and for several outputs."""
        quant = self._output.quant
        return float(quant.scale[0]) if quant is not None and len(quant.scale) == 1 else None

    def __enter__(self) -> Runner:
        """Return the runner itself; the model is loaded already."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Free the native objects."""
        self.close()

    def close(self) -> None:
        """Free the native objects; the runner cannot be used afterwards. Safe to call twice."""
        if not self._closed:
            self._closed = True
            self._close()

    def run(self, images: Images, *, batch_size: int | None = None) -> npt.NDArray[np.float32]:
        """Answer images with logits in real units.

        Args:
            images: uint8 pixels of shape (n, H, W, C), n > 0.
            batch_size: images per native call; None takes what is fastest for the runtime.

        Returns:
            float32 of shape (n, classes); integer outputs are dequantized.

        Raises:
            InputError: wrong dtype or shape, no images, or the model gave a value that is not finite.
        """
        native = self.run_integers(images, batch_size=batch_size)
        quant = self._output.quant
        logits = quant.dequantize(native) if quant is not None else native.astype(np.float32)
        if not np.all(np.isfinite(logits)):
            bad = int(np.flatnonzero(~np.isfinite(logits).all(axis=1))[0])
            raise InputError(
                f"{self.label}: the output for image {bad} is not finite. The weights are damaged or the "
                "model divides by zero; export it again."
            )
        return logits

    def run_integers(self, images: Images, *, batch_size: int | None = None) -> npt.NDArray[Any]:
        """Answer images with the model's own output values, not dequantized.

        Args:
            images: uint8 pixels of shape (n, H, W, C), n > 0.
            batch_size: images per native call.

        Returns:
            Array of shape (n, classes) in the output tensor's dtype.
        """
        self._check_images(images)
        if batch_size is not None and batch_size < 1:
            raise InputError(f"batch size: expected at least 1, found {batch_size}.")
        native = self._compute(images, min(batch_size or self.preferred_batch, len(images)))
        expected = (len(images), self.num_classes)
        if native.shape != expected:
            raise InputError(f"{self.label}: expected an output of shape {expected}, found {native.shape}.")
        return native

    def prepare(self, images: npt.NDArray[np.uint8]) -> npt.NDArray[Any]:
        """Turn pixels into what `invoke` takes: the input tensor's dtype, layout and quantization.

        Args:
            images: uint8 pixels of shape (n, H, W, C).
        """
        self._check_images(images)
        return native_input(
            images,
            self._input.shape,
            self._input.dtype,
            self._input.quant,
            self.input_range,
            pixel_rule=self.metadata is not None,
            label=self.label,
        )

    def invoke(self, batch: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Run one native batch from `prepare`; this is what latency is measured on.

        Args:
            batch: of the input tensor's dtype and shape, with any batch size.

        Returns:
            The native output, shape (len(batch), classes).
        """
        # two comparisons a call: a whole inference may take only 4 us
        if batch.shape != self._seen or batch.dtype is not self._dtype:
            self._check_batch(batch)
        return self._invoke(batch)

    def prepared_call(self, batch: npt.NDArray[Any]) -> Callable[[npt.NDArray[Any]], npt.NDArray[Any]]:
        """Check a native batch once, and give what computes it: for a harness that calls it many times.

        Args:
            batch: from `prepare`.
        """
        self._check_batch(batch)
        return self._invoke

    def timed_calls(self, batch: npt.NDArray[Any]) -> Callable[[int], npt.NDArray[np.int64]]:
        """Check a native batch once, and give what times that many calls of it, as `latency.time_block` does.

        Args:
            batch: from `prepare`.
        """
        from mnist_export.runtime.runners.clock import time_block

        return functools.partial(time_block, self.prepared_call(batch), batch)

    def _check_batch(self, batch: npt.NDArray[Any]) -> None:
        if not isinstance(batch, np.ndarray) or batch.dtype != self._dtype or batch.shape[1:] != self._tail:
            raise InputError(
                f"{self.label}: expected a batch of shape (n, {', '.join(map(str, self._tail))}) and dtype "
                f"{self._dtype}, found {batch.shape} and {batch.dtype}. Use prepare()."
            )
        self._seen = batch.shape

    @abstractmethod
    def _invoke(self, batch: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """Run one native batch of any size."""

    def _close(self) -> None:  # noqa: B027 - most runners hold nothing but memory
        """Free native objects; nothing to do by default."""

    def _compute(self, images: Images, batch_size: int) -> npt.NDArray[Any]:
        """Run all images in batches of one size; the last batch is filled up with its first image."""
        parts: list[npt.NDArray[Any]] = []
        for start in range(0, len(images), batch_size):
            batch = self.prepare(images[start : start + batch_size])
            missing = batch_size - len(batch)
            if missing:
                batch = np.concatenate([batch, np.repeat(batch[:1], missing, axis=0)])
            parts.append(self._invoke(batch)[: batch_size - missing])
        return np.concatenate(parts)

    def _check_images(self, images: Images) -> None:
        if self._closed:
            raise InputError(f"{self.label}: the runner is closed. Open it again.")
        known = isinstance(images, np.ndarray | StreamedImages)
        if not known or images.dtype != np.uint8 or images.ndim != 4:
            found = f"{images.dtype} {images.shape}" if known else type(images).__name__
            raise InputError(f"{self.label}: expected uint8 images of shape (n, H, W, C), found {found}.")
        if not len(images):
            raise InputError(f"{self.label}: expected at least one image, found none.")


def check_classifier(label: str, shape: Sequence[int]) -> None:
    """Refuse an output that is not (batch, classes); a single number may be two classes, or a value.

    Args:
        label: the file's name for the message.
        shape: the output tensor's shape.
    """
    if len(shape) != 2 or shape[1] < 1:
        raise InputError(
            f"{label}: expected one output of shape (batch, classes), found {tuple(shape)}. "
            "Only image classifiers can be compared."
        )
