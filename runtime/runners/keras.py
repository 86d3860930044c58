"""Runs Keras models, Keras 3 on any backend or tf_keras, on the GPU where there is one."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from mnist_export.core.errors import MissingExtraError
from mnist_export.core.pixel_rules import PixelRule
from mnist_export.runtime.runners.model_file import ModelFile
from mnist_export.runtime.runners.runner import Runner, TensorInfo

if TYPE_CHECKING:
    from mnist_export.data.dataset import Dataset
    from mnist_export.models.foreign.beside import Beside
    from mnist_export.models.loading import LoadedModel


class KerasRunner(Runner):
    """A Keras model compiled by its backend (``tf.function``, ``jax.jit``, or torch without gradients)."""

    name = "keras"
    preferred_batch = 256
    parameters = 0
    macs = 0

    def __init__(
        self,
        model: Any,
        *,
        label: str = "keras model",
        input_shape: tuple[int, ...] | None = None,
        num_classes: int | None = None,
        framework: str = "keras",
        threads: int = 1,
        input_range: PixelRule | None = None,
    ) -> None:
        """Wrap a model object.

        Args:
            model: called on float32 (n, *input_shape), gives (n, num_classes).
            label: what tables call it.
            input_shape: without the batch; None asks the model.
            num_classes: width of the output; None asks the model.
            framework: ``keras`` (Keras 3) or ``tf_keras``.
            threads: noted only; backends fix their pools when they start.
            input_range: what pixels 0 and 255 become.
        """
        tail = tuple(input_shape or model.input_shape[1:])
        classes = int(num_classes or model.output_shape[-1])
        self.model = model
        self.framework = framework
        self.backend = _backend(framework)
        self._call, device = _COMPILE[self.backend](model, tail)
        float32 = np.dtype(np.float32)
        super().__init__(
            label=label,
            inputs=TensorInfo(name="images", shape=(-1, *tail), dtype=float32),
            outputs=TensorInfo(name="logits", shape=(-1, classes), dtype=float32),
            device=device,
            threads=threads,
            input_range=input_range,
        )

    @classmethod
    def of(
        cls, loaded: LoadedModel, *, threads: int = 1, input_range: PixelRule | None = None
    ) -> KerasRunner:
        """Wrap what `mnist_export.models.loading` gives."""
        from mnist_export.core.pixels import InputRange

        if input_range is None and loaded.takes_raw_pixels:
            input_range = InputRange(lo=0.0, hi=255.0)
        runner = cls(
            loaded.model,
            label=loaded.name,
            input_shape=tuple(loaded.input_shape),
            num_classes=loaded.num_classes,
            framework=loaded.framework,
            threads=threads,
            input_range=input_range,
        )
        runner.notes.extend(loaded.notes)
        runner.parameters, runner.macs = loaded.parameters, loaded.macs
        runner.origin = loaded.source.kind
        runner.head, runner.threshold = loaded.head, loaded.threshold
        path = Path(loaded.source.path)
        runner.source = ModelFile(
            path=str(path),
            format="keras",
            sha256=loaded.source.sha256,
            size_bytes=path.stat().st_size if path.is_file() else 0,
        )
        return runner

    def _invoke(self, batch: npt.NDArray[Any]) -> npt.NDArray[Any]:
        return self._call(batch)

    def _close(self) -> None:
        del self._call


def open_keras(
    path: str | Path,
    *,
    dataset: Dataset | None = None,
    notify: Callable[[str], None] | None = None,
    threads: int = 1,
    input_range: PixelRule | None = None,
    trust: bool = False,
    beside: Beside | None = None,
    head: str = "classes",
    threshold: tuple[float, ...] | None = None,
) -> KerasRunner:
    """Load a .keras, .h5, SavedModel or a named architecture with its weights, and wrap it.

    Args:
        path: a path, or a name of the train room's registry.
        dataset: what the model is for.
        notify: told what is loaded.
        threads: noted in results.
        input_range: what pixels 0 and 255 become.
        trust: allow formats that can run code on loading (SavedModel).
        beside: the code of a model's own layers, or the architecture of a file of weights.
        head: what the outputs are, see `models.judging.HEADS`; ``auto`` tells it by model and data.
        threshold: of a model's sigmoids; None is 0.5.

    Raises:
        MissingExtraError: no Keras on this machine.
        InputError: the file is damaged, or a SavedModel without ``trust``.
    """
    try:
        from mnist_export.train.obtaining import load_or_train

        started = time.perf_counter()
        loaded = load_or_train(
            str(path),
            dataset,
            trust=trust,
            notify=notify or _silent,
            beside=beside,
            head=head,
            threshold=threshold,
        )
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] == "mnist_export":
            raise
        raise MissingExtraError(
            error.name or "keras", "convert", f"Loading the Keras model {path}"
        ) from error
    runner = KerasRunner.of(loaded, threads=threads, input_range=input_range)
    if runner.source is not None:
        runner.source = replace(runner.source, load_ms=(time.perf_counter() - started) * 1e3)
    return runner


def _silent(_: str) -> None:
    """Say nothing."""


def _backend(framework: str) -> str:
    if framework == "tf_keras":
        return "tensorflow"
    import keras

    return str(keras.backend.backend())


def _joined(found: Any) -> Any:
    """Several outputs beside each other."""
    if not isinstance(found, list | tuple):
        return found
    if hasattr(found[0], "numpy") or type(found[0]).__module__.startswith("tensorflow"):
        import tensorflow as tf

        return tf.concat(found, axis=1)
    import keras

    return keras.ops.concatenate(found, axis=1)


Compiled = tuple[Callable[[npt.NDArray[Any]], npt.NDArray[Any]], str]


def _compile_tensorflow(model: Any, tail: tuple[int, ...]) -> Compiled:
    import tensorflow as tf

    gpus = tf.config.list_physical_devices("GPU")
    device = "CPU"
    if gpus:
        details = tf.config.experimental.get_device_details(gpus[0])
        device = f"GPU ({details.get('device_name', 'unnamed')})"
    signature = [tf.TensorSpec((None, *tail), tf.float32)]
    compiled = tf.function(lambda images: _joined(model(images, training=False)), input_signature=signature)

    def call(batch: npt.NDArray[Any]) -> npt.NDArray[Any]:
        return np.asarray(compiled(tf.constant(batch)).numpy(), np.float32)

    return call, device


def _compile_jax(model: Any, _tail: tuple[int, ...]) -> Compiled:
    import jax

    device = jax.devices()[0]
    trainable = [variable.value for variable in model.trainable_variables]
    fixed = [variable.value for variable in model.non_trainable_variables]
    compiled = jax.jit(
        lambda images: _joined(model.stateless_call(trainable, fixed, images, training=False)[0])
    )

    def call(batch: npt.NDArray[Any]) -> npt.NDArray[Any]:
        return np.asarray(compiled(batch), np.float32)

    kind = "CPU" if device.platform == "cpu" else f"{device.platform.upper()} ({device.device_kind})"
    return call, kind


def _compile_torch(model: Any, _tail: tuple[int, ...]) -> Compiled:
    import torch

    cuda = torch.cuda.is_available()

    def call(batch: npt.NDArray[Any]) -> npt.NDArray[Any]:
        with torch.no_grad():
            return np.asarray(_joined(model(batch, training=False)).detach().cpu().numpy(), np.float32)

    return call, f"GPU ({torch.cuda.get_device_name(0)})" if cuda else "CPU"


_COMPILE: dict[str, Callable[[Any, tuple[int, ...]], Compiled]] = {
    "tensorflow": _compile_tensorflow,
    "jax": _compile_jax,
    "torch": _compile_torch,
}
