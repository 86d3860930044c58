"""Runs .onnx files in ONNX Runtime."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from mnist_export.core.affine import QuantParams
from mnist_export.core.errors import InputError
from mnist_export.core.pixel_rules import PixelRule
from mnist_export.core.registry import unknown_name
from mnist_export.models.outputs import MOST
from mnist_export.runtime.foreign.onnx_check import check_onnx
from mnist_export.runtime.runners.onnx_io import io_quantization
from mnist_export.runtime.runners.runner import Runner, TensorInfo, check_classifier, side_by_side

# Names of the optimization levels to members of onnxruntime's GraphOptimizationLevel.
LEVELS: Final = {
    "default": "ORT_ENABLE_ALL",
    "all": "ORT_ENABLE_ALL",
    "extended": "ORT_ENABLE_EXTENDED",
    "basic": "ORT_ENABLE_BASIC",
    "disabled": "ORT_DISABLE_ALL",
}
_DTYPES: Final = {
    "tensor(float)": np.float32,
    "tensor(float16)": np.float16,
    "tensor(double)": np.float64,
    "tensor(uint8)": np.uint8,
    "tensor(int8)": np.int8,
    "tensor(int16)": np.int16,
    "tensor(uint16)": np.uint16,
}
_ERRORS_ONLY: Final = 3


def session_options(*, threads: int = 1, level: str = "default") -> Any:
    """Build onnxruntime's SessionOptions: a fixed number of threads, errors only in the log.

    Args:
        threads: threads of one inference (intra-op); operators run one after another.
        level: a name of `LEVELS`.
    """
    import onnxruntime

    if level not in LEVELS:
        raise unknown_name("ONNX Runtime optimization level", level, LEVELS)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = _ERRORS_ONLY
    options.graph_optimization_level = getattr(onnxruntime.GraphOptimizationLevel, LEVELS[level])
    return options


def open_session(content: bytes, *, label: str, options: Any) -> Any:
    """Open a CPU session from bytes.

    Raises:
        InputError: ONNX Runtime refuses the model.
    """
    import onnxruntime

    try:
        # without the fallback, which prints to stdout and tries the same provider again
        return onnxruntime.InferenceSession(
            content, options, providers=["CPUExecutionProvider"], enable_fallback=0
        )
    except Exception as error:  # onnxruntime's exceptions have no common base but Exception
        reason = " ".join(str(error).split())
        raise InputError(
            f"{label}: ONNX Runtime cannot load it ({reason[:400]}). The file is damaged or needs a newer "
            "onnxruntime."
        ) from error


class OnnxRuntimeRunner(Runner):
    """An .onnx model in one CPU session.

    Attributes:
        content: the file.
        level: the name of the optimization level that was asked for.
    """

    name = "onnxruntime"

    def __init__(
        self,
        content: bytes,
        *,
        label: str = "model.onnx",
        threads: int = 1,
        kernels: str = "default",
        input_range: PixelRule | None = None,
        several: bool = False,
    ) -> None:
        """Load a model from bytes.

        Args:
            content: the .onnx file; weights in other files are refused.
            label: what tables call it.
            threads: threads of one inference, at least 1.
            kernels: graph optimization level: ``default`` (all), ``extended``, ``basic``, ``disabled``.
            input_range: what pixels 0 and 255 become; None takes the file's own.
            several: whether several outputs are taken, side by side.

        Raises:
            InputError: the file is damaged or not a classifier.
            UnsupportedError: operators that are not run here.
        """
        options = session_options(threads=threads, level=kernels)
        self.content = content
        self.level = kernels
        metadata = check_onnx(content, label=label)
        self._session = open_session(content, label=label, options=options)
        try:
            inputs, outputs = self._session.get_inputs(), self._session.get_outputs()
            names = [value.name for value in (*inputs, *outputs) if value.shape is not None]
        except UnicodeDecodeError as error:
            raise InputError(f"{label}: the names of its inputs or outputs are damaged ({error}).") from error
        if (
            len(names) != len(inputs) + len(outputs)
            or len(inputs) != 1
            or not 0 < len(outputs) <= (MOST if several else 1)
        ):
            raise InputError(
                f"{label}: expected one input and one output, found {len(inputs)} and {len(outputs)}."
            )
        quantization = io_quantization(content, label=label)
        entry = _tensor_info(inputs[0], quantization.get(inputs[0].name), label)
        ends = [_tensor_info(value, quantization.get(value.name), label) for value in outputs]
        if any(len(end.shape) != 2 or end.shape[1] < 0 for end in ends):
            shapes = self._measured_shapes(inputs[0], entry)
            ends = [replace(end, shape=shape) for end, shape in zip(ends, shapes, strict=True)]
        for end in ends:
            check_classifier(label, end.shape)
        super().__init__(
            label=label,
            inputs=entry,
            outputs=side_by_side(ends, label),
            threads=threads,
            input_range=input_range,
            metadata=metadata,
        )
        self._feed = str(inputs[0].name)
        self._fetch = [str(output.name) for output in outputs]
        self._run = self._session.run
        batch = inputs[0].shape[0]
        self._fixed_batch = batch if isinstance(batch, int) and batch > 0 else 0
        if self._fixed_batch:
            self.notes.append(f"the batch is fixed at {self._fixed_batch} in the graph")

    def _measured_shapes(self, value: Any, info: TensorInfo) -> list[tuple[int, ...]]:
        """The outputs' shapes where the file does not state them, from one run on zeros."""
        batch = value.shape[0] if value.shape and isinstance(value.shape[0], int) else 1
        zeros = np.zeros((batch, *(max(size, 1) for size in info.shape[1:])), info.dtype)
        try:
            return [(-1, *found.shape[1:]) for found in self._session.run(None, {value.name: zeros})]
        except Exception as error:  # see open_session
            raise _cannot_run(str(value.name), error) from error

    def _invoke(self, batch: npt.NDArray[Any]) -> npt.NDArray[Any]:
        if self._fixed_batch and len(batch) != self._fixed_batch:
            return self._in_fixed_batches(batch)
        try:
            found = self._run(self._fetch, {self._feed: batch})
        except Exception as error:  # see open_session
            raise _cannot_run(self.label, error) from error
        result: npt.NDArray[Any] = found[0] if len(found) == 1 else np.concatenate(found, axis=1)
        return result

    def _in_fixed_batches(self, batch: npt.NDArray[Any]) -> npt.NDArray[Any]:
        step = self._fixed_batch
        parts = []
        for start in range(0, len(batch), step):
            piece = batch[start : start + step]
            filled = np.concatenate([piece, np.repeat(piece[:1], step - len(piece), axis=0)])
            parts.append(self._invoke(filled)[: len(piece)])
        return np.concatenate(parts)

    def _close(self) -> None:
        self._run = None
        self._session = None


def _cannot_run(label: str, error: Exception) -> InputError:
    reason = " ".join(str(error).split())
    return InputError(
        f"{label}: ONNX Runtime cannot run it ({reason[:400]}). The file is damaged; get it again."
    )


def _tensor_info(value: Any, quant: QuantParams | None, label: str) -> TensorInfo:
    if value.type not in _DTYPES:
        raise InputError(f"{label}: '{value.name}' is of type {value.type}, which is not a classifier's.")
    dtype = np.dtype(_DTYPES[value.type])
    sizes = [size if isinstance(size, int) and size > 0 else -1 for size in value.shape]
    return TensorInfo(
        name=str(value.name),
        shape=(-1, *sizes[1:]),
        dtype=dtype,
        quant=quant if dtype.kind in "iu" else None,
    )
