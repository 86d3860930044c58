"""Runs .tflite files in LiteRT."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from mnist_export.core.affine import QuantParams
from mnist_export.core.errors import InputError
from mnist_export.core.native_log import quiet_stderr
from mnist_export.core.pixel_rules import PixelRule
from mnist_export.core.registry import unknown_name
from mnist_export.runtime.foreign.tflite_check import check_tflite
from mnist_export.runtime.runners.runner import Runner, TensorInfo, check_classifier, side_by_side

# Names of the kernels to members of LiteRT's OpResolverType.
KERNELS: Final = {
    "default": "AUTO",
    "xnnpack": "AUTO",
    "builtin": "BUILTIN_WITHOUT_DEFAULT_DELEGATES",
    "reference": "BUILTIN_REF",
}
_KEPT_INTERPRETERS: Final = 4
_NATIVE_ERRORS: Final = (RuntimeError, ValueError, TypeError)


class LiteRtRunner(Runner):
    """A .tflite model: one interpreter for batch 1, and one for each batch size in use.

    An interpreter that is resized after its first allocation would lose the XNNPACK delegate's plan, so each
    batch size gets an interpreter of its own, resized before it allocates.

    Attributes:
        content: the file.
        resolver: the member of LiteRT's OpResolverType that was asked for.
    """

    name = "litert"

    def __init__(
        self,
        content: bytes,
        *,
        label: str = "model.tflite",
        threads: int = 1,
        kernels: str = "default",
        input_range: PixelRule | None = None,
        several: bool = False,
    ) -> None:
        """Load a model from bytes.

        Args:
            content: the .tflite file (bytes: native code that maps a path crashes on truncated files).
            label: what tables call it.
            threads: threads of one inference, at least 1.
            kernels: ``default`` (XNNPACK), ``xnnpack``, ``builtin`` or ``reference``.
            input_range: what pixels 0 and 255 become; None takes the file's own.
            several: whether several outputs are taken, side by side.

        Raises:
            InputError: the file is damaged or not a classifier.
            UnsupportedError: it needs operators that LiteRT lacks.
        """
        if kernels not in KERNELS:
            raise unknown_name("LiteRT kernels", kernels, KERNELS)
        metadata = check_tflite(content, label=label, several=several)
        self.content = content
        self.resolver = KERNELS[kernels]
        self._interpreters: OrderedDict[int, Any] = OrderedDict()
        self._batchable = True
        first = self._load(label, threads, None)
        inputs, outputs = first.get_input_details()[0], first.get_output_details()
        for output in outputs:
            check_classifier(label, tuple(output["shape"]))
        self._input_index = int(inputs["index"])
        self._output_indices = [int(output["index"]) for output in outputs]
        self._output_index = self._output_indices[0]
        super().__init__(
            label=label,
            inputs=_tensor_info(inputs),
            outputs=side_by_side([_tensor_info(output) for output in outputs], label),
            threads=threads,
            input_range=input_range,
            metadata=metadata,
        )
        self._fixed_batch = int(inputs["shape"][0])
        self._interpreters[self._fixed_batch] = first
        self._last = self._calls(self._fixed_batch, first)

    def fresh_interpreter(
        self, *, batch: int | None = None, resolver: str | None = None, keep: bool = False
    ) -> Any:
        """Load the file once more, for what the runner's own interpreters are not for.

        Args:
            batch: resized to before it allocates; None takes the file's own.
            resolver: member of LiteRT's OpResolverType; None takes the runner's.
            keep: tensors inside of the graph keep their values after a run.

        Returns:
            An ``ai_edge_litert.interpreter.Interpreter`` with its tensors allocated.

        Raises:
            InputError: LiteRT cannot load it that way.
        """
        wanted = None if batch == self._fixed_batch else batch
        return self._load(self.label, self.threads, wanted, resolver=resolver, keep=keep)

    def _load(
        self, label: str, threads: int, batch: int | None, *, resolver: str | None = None, keep: bool = False
    ) -> Any:
        from ai_edge_litert.interpreter import Interpreter, OpResolverType

        try:
            interpreter = Interpreter(
                model_content=self.content,
                num_threads=threads,
                experimental_op_resolver_type=getattr(OpResolverType, resolver or self.resolver),
                experimental_preserve_all_tensors=keep,
            )
            if batch is not None:
                index = interpreter.get_input_details()[0]["index"]
                interpreter.resize_tensor_input(index, [batch, *self._tail])
            with quiet_stderr():
                interpreter.allocate_tensors()
        except _NATIVE_ERRORS as error:
            reason = " ".join(str(error).split())
            raise InputError(
                f"{label}: LiteRT cannot load it ({reason}). The file is damaged or needs a newer LiteRT."
            ) from error
        return interpreter

    def _interpreter(self, batch: int) -> Any | None:
        """The interpreter for a batch size, or None where the model cannot be resized."""
        found = self._interpreters.get(batch)
        if found is None and self._batchable:
            try:
                found = self._load(self.label, self.threads, batch)
                size = self._output_batch(found, batch)
            except InputError as error:
                size = -1
                self.notes.append(f"the batch cannot be resized, images run one by one ({error})")
            if size != batch:
                if size >= 0:
                    self.notes.append("the batch is fixed in the graph, images run one by one")
                self._batchable = False
                return None
            self._interpreters[batch] = found
            while len(self._interpreters) > _KEPT_INTERPRETERS:
                oldest = next(key for key in self._interpreters if key != self._fixed_batch)
                del self._interpreters[oldest]
        return found

    def _output_batch(self, interpreter: Any, batch: int) -> int:
        """The output's batch; where the graph computes a shape at run time it is known after one run only."""
        size = int(interpreter.get_output_details()[0]["shape"][0])
        if size == batch:
            return size
        try:
            with quiet_stderr():
                interpreter.invoke()
        except _NATIVE_ERRORS:
            return size
        return int(interpreter.get_output_details()[0]["shape"][0])

    def _invoke(self, batch: npt.NDArray[Any]) -> npt.NDArray[Any]:
        size = len(batch)
        kept, set_tensor, invoke, get_tensor = self._last
        if kept != size:
            interpreter = self._interpreter(size)
            if interpreter is None:
                return self._one_by_one(batch)
            self._last = self._calls(size, interpreter)
            _, set_tensor, invoke, get_tensor = self._last
        set_tensor(self._input_index, batch)
        try:
            invoke()
        except _NATIVE_ERRORS as error:
            reason = " ".join(str(error).split())
            raise InputError(
                f"{self.label}: LiteRT cannot run it ({reason[:400]}). The file is damaged; get it again."
            ) from error
        if len(self._output_indices) > 1:
            return np.concatenate([get_tensor(index) for index in self._output_indices], axis=1)
        result: npt.NDArray[Any] = get_tensor(self._output_index)
        return result

    def timed_calls(self, batch: npt.NDArray[Any]) -> Callable[[int], npt.NDArray[np.int64]]:
        """Time LiteRT's three calls in a loop of their own: one call more would be 2 % of the fastest."""
        self._check_batch(batch)
        interpreter = self._interpreter(len(batch))
        if interpreter is None:
            return super().timed_calls(batch)
        _, set_tensor, invoke, get_tensor = self._calls(len(batch), interpreter)
        source, target, clock = self._input_index, self._output_index, time.perf_counter_ns

        def take(count: int) -> npt.NDArray[np.int64]:
            stamps = [0] * (count + 1)
            stamps[0] = clock()
            for index in range(1, count + 1):
                set_tensor(source, batch)
                invoke()
                get_tensor(target)
                stamps[index] = clock()
            ends = np.array(stamps, np.int64)
            return ends[1:] - ends[:-1]

        return take

    @staticmethod
    def _calls(size: int, interpreter: Any) -> tuple[int, Any, Any, Any]:
        """A batch size and its interpreter's methods, looked up once: an inference may take only 4 us."""
        return size, interpreter.set_tensor, interpreter.invoke, interpreter.get_tensor

    def _one_by_one(self, batch: npt.NDArray[Any]) -> npt.NDArray[Any]:
        step = self._fixed_batch
        parts = []
        for start in range(0, len(batch), step):
            piece = batch[start : start + step]
            filled = np.concatenate([piece, np.repeat(piece[:1], step - len(piece), axis=0)])
            parts.append(self._invoke(filled)[: len(piece)])
        return np.concatenate(parts)

    def _close(self) -> None:
        self._last = (0, None, None, None)
        self._interpreters.clear()


def _tensor_info(details: dict[str, Any]) -> TensorInfo:
    scales = np.asarray(details["quantization_parameters"]["scales"], np.float32)
    points = np.asarray(details["quantization_parameters"]["zero_points"], np.int64)
    quant = QuantParams(scale=scales, zero_point=points) if scales.size else None
    shape = tuple(int(size) for size in details["shape"])
    return TensorInfo(
        name=str(details["name"]), shape=(-1, *shape[1:]), dtype=np.dtype(details["dtype"]), quant=quant
    )
