"""Everything that can compute a network's integers: runtimes, their kernels and settings, and plain C."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from mnist_export.core.batches import fitting
from mnist_export.core.errors import MissingExtraError, UnsupportedError
from mnist_export.core.images import Images, batches_of
from mnist_export.runtime.runners.pixel_input import native_input
from mnist_export.runtime.runners.runner import Runner

Files = Mapping[str, bytes]
Run = Callable[[Files, Images], npt.NDArray[Any]]
Layers = Callable[[Files, Images], dict[str, npt.NDArray[np.float32]]]


@dataclass(frozen=True, kw_only=True)
class Implementation:
    """One way to compute a network.

    Attributes:
        name: what results call it.
        needs: extensions of the files that it reads.
        run: files and images to logits as int8 codes, shape (n, classes).
        layers: files and images to real values by layer, where it shows them.
    """

    name: str
    needs: frozenset[str]
    run: Run
    layers: Layers | None = None


def _codes(values: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
    """Codes of any 8-bit type as int8 codes."""
    return values.astype(np.int64) - (128 if values.dtype == np.uint8 else 0)


def _answers(runner: Runner, images: Images, batch: int | None) -> npt.NDArray[np.int64]:
    """Codes of a runner that is fed the pixels themselves, whatever its file says about real units."""
    size = min(batch or runner.preferred_batch, len(images))
    parts = []
    for start in range(0, len(images), size):
        part = images[start : start + size]
        filled = np.concatenate([part, np.repeat(part[:1], size - len(part), axis=0)])
        native = native_input(
            filled, runner.input.shape, runner.input.dtype, runner.input.quant, runner.input_range,
            pixel_rule=True, label=runner.label,
        )  # fmt: skip
        parts.append(runner.invoke(native)[: len(part)])
    return _codes(np.concatenate(parts))


def _litert(kernels: str, *, batch: int | None = None, threads: int = 1) -> Implementation:
    def opened(files: Files) -> Runner:
        from mnist_export.runtime.runners.litert import LiteRtRunner

        return LiteRtRunner(files[".tflite"], kernels=kernels, threads=threads)

    return _runtime(f"litert {kernels}", ".tflite", opened, batch=batch, threads=threads)


def _ort(level: str, *, batch: int | None = None, threads: int = 1) -> Implementation:
    def opened(files: Files) -> Runner:
        from mnist_export.runtime.runners.ort import OnnxRuntimeRunner

        return OnnxRuntimeRunner(files[".onnx"], kernels=level, threads=threads)

    return _runtime(f"onnxruntime {level}", ".onnx", opened, batch=batch, threads=threads)


def _runtime(
    name: str, extension: str, opened: Callable[[Files], Runner], *, batch: int | None, threads: int
) -> Implementation:
    def run(files: Files, images: Images) -> npt.NDArray[Any]:
        with opened(files) as runner:
            return _answers(runner, images, batch)

    def layers(files: Files, images: Images) -> dict[str, npt.NDArray[np.float32]]:
        from mnist_export.parity.layers.activations import activations_of

        with opened(files) as runner:
            return {a.name: a.values for a in activations_of(runner, images)}

    name += " batch 1" if batch == 1 else ""
    name += " 2 threads" if threads == 2 else ""
    return Implementation(name=name, needs=frozenset({extension}), run=run, layers=layers)


def _numpy(files: Files, images: Images) -> npt.NDArray[Any]:
    """Integers in NumPy, from what the .tflite file holds."""
    from mnist_export.core.graph.memory import all_activation_bytes
    from mnist_export.core.graph.tflite_reader import read_tflite
    from mnist_export.quantize.exact.arithmetic import run_graph

    graph = read_tflite(files[".tflite"])
    # every activation is kept, as int64
    step = fitting(all_activation_bytes(graph) * np.dtype(np.int64).itemsize)
    parts = [
        run_graph(graph, images[start : start + step])[graph.outputs[0]]
        for start in range(0, len(images), step)
    ]
    return _codes(np.concatenate(parts))


def _tensorflow(files: Files, images: Images) -> npt.NDArray[Any]:
    """The float32 simulation in TensorFlow, on whatever device it finds."""
    from mnist_export.core.graph.tflite_reader import read_tflite
    from mnist_export.quantize.exact.simulation import simulate

    graph = read_tflite(files[".tflite"])
    return _codes(np.concatenate([simulate(graph, part) for part in batches_of(images)]))


def _tensorflow_tf32(files: Files, images: Images) -> npt.NDArray[Any]:
    """The same with a GPU's TF32 multiplications."""
    import tensorflow as tf

    from mnist_export.core.graph.tflite_reader import read_tflite
    from mnist_export.quantize.exact.simulation import simulate

    if not tf.config.list_physical_devices("GPU"):
        raise UnsupportedError("TF32: expected a GPU that TensorFlow can use, found none.")
    graph = read_tflite(files[".tflite"])
    return _codes(np.concatenate([simulate(graph, part, tf32=True) for part in batches_of(images)]))


def _onnx_reference(files: Files, images: Images) -> npt.NDArray[Any]:
    """ONNX's own reference evaluator, on the same graph at opset 21."""
    try:
        import onnx
        from onnx.reference import ReferenceEvaluator
    except ImportError as error:
        raise MissingExtraError("onnx", "convert", "the ONNX reference evaluator") from error
    from mnist_export.runtime.runners.ort import OnnxRuntimeRunner

    model = onnx.load_from_string(files[".onnx"])
    # The evaluator's QuantizeLinear of opset 17 differs; 21 changed the types it takes, not its meaning.
    model.opset_import[0].version = 21
    model.ir_version = 10
    session: Any = ReferenceEvaluator(model)
    with OnnxRuntimeRunner(files[".onnx"]) as runner:
        batch = native_input(
            np.asarray(images),
            runner.input.shape, runner.input.dtype, runner.input.quant, runner.input_range,
            pixel_rule=True,
        )  # fmt: skip
    name = model.graph.input[0].name
    parts = [session.run(None, {name: batch[i : i + 50]})[0] for i in range(0, len(batch), 50)]
    return _codes(np.concatenate(parts))


def _c(files: Files, images: Images) -> npt.NDArray[Any]:
    from mnist_export.runtime.runners.compiled import run_compiled

    return run_compiled(files[".c"], files[".h"], np.asarray(images))


def _web(files: Files, images: Images) -> npt.NDArray[Any]:
    from mnist_export.runtime.runners.web import run_web

    return _codes(run_web(files[".onnx"], np.asarray(images)))


_TFLITE, _ONNX = frozenset({".tflite"}), frozenset({".onnx"})
_LEVELS: Final = ("all", "extended", "basic", "disabled")

IMPLEMENTATIONS: Mapping[str, Implementation] = MappingProxyType(
    {
        one.name: one
        for one in (
            _litert("xnnpack"),
            _litert("xnnpack", batch=1),
            _litert("xnnpack", threads=2),
            _litert("builtin"),
            _litert("builtin", batch=1),
            _litert("reference"),
            *(_ort(level) for level in _LEVELS),
            *(_ort(level, threads=2) for level in _LEVELS),
            _ort("all", batch=1),
            _ort("disabled", batch=1),
            Implementation(name="numpy integers", needs=_TFLITE, run=_numpy),
            Implementation(name="tensorflow float32", needs=_TFLITE, run=_tensorflow),
            Implementation(name="tensorflow tf32", needs=_TFLITE, run=_tensorflow_tf32),
            Implementation(name="onnx reference", needs=_ONNX, run=_onnx_reference),
            Implementation(name="onnxruntime-web", needs=_ONNX, run=_web),
            Implementation(name="c99", needs=frozenset({".c", ".h"}), run=_c),
        )
    }
)
"""Name to implementation; the first is what the others are compared with by default."""
