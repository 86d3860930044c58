"""Quantization-aware training through tfmot, and the integers that it ends in.

Reference: Jacob et al., "Quantization and Training of Neural Networks for Efficient
Integer-Arithmetic-Only Inference", CVPR 2018; tfmot's default 8-bit scheme. Batch normalization is folded
as tfmot does; the integers are those of TensorFlow's converter, read back, so that every format is
written from them.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from mnist_export.core.batches import BUDGET_BYTES, batch_size
from mnist_export.core.errors import ConversionError, MissingExtraError, UnsupportedError
from mnist_export.core.graph import Graph
from mnist_export.core.images import Images
from mnist_export.core.kinds import Precision
from mnist_export.core.pixels import InputRange
from mnist_export.models.structure.scopes import own_names
from mnist_export.quantize.lowering import lower_integers
from mnist_export.quantize.network.scheme import QuantizedModel
from mnist_export.quantize.training.finetune import FineTuning, Tuned, fine_tune

VARIANT = "qat"
PREFIX = "quant_"


@dataclass(frozen=True, kw_only=True, eq=False)
class QatResult:
    """A model trained with simulated quantization, and its integers.

    Attributes:
        model: the integers.
        fake_quant: the tf_keras model that simulates them in float; float32 pixels in the model's real
            units to float32 logits.
        tuned: how training went.
    """

    model: QuantizedModel
    fake_quant: Any
    tuned: Tuned


def toolkit() -> Any:
    """Import tfmot.

    Raises:
        MissingExtraError: it is not installed.
    """
    from mnist_export.models.structure.engine import tf_keras

    tf_keras()
    before = os.environ.get("TF_USE_LEGACY_KERAS")
    try:
        import tensorflow_model_optimization as tfmot
    except ImportError as error:
        raise MissingExtraError(
            "tensorflow-model-optimization", "convert", "quantization-aware training"
        ) from error
    finally:
        # tfmot sets it for the whole process, where it would turn Keras 3 into Keras 2 for everybody else.
        if before is None:
            os.environ.pop("TF_USE_LEGACY_KERAS", None)
    return tfmot


def train_quantized(
    rebuilt: Any,
    how: FineTuning,
    calibration: npt.NDArray[np.uint8],
    *,
    scheme: Any = None,
    variant: str = VARIANT,
) -> QatResult:
    """Simulate int8 in a model, fine-tune it so, and convert it.

    Args:
        rebuilt: a functional tf_keras model, as `quantize.training.rebuild` gives it; it is left as it was.
        how: data, epochs, recipe.
        calibration: uint8 of shape (n, H, W, C): where activation ranges start, before training moves them.
        scheme: a tfmot quantization scheme, such as one that preserves sparsity; None takes the default.
        variant: what files are called.

    Returns:
        The integers, the simulation and the training's figures.

    Raises:
        UnsupportedError: tfmot has no quantization for a layer; the message names it.
        ConversionError: the converter refused the result.
    """
    pixels = how.pixels
    if not isinstance(pixels, InputRange):
        raise UnsupportedError(
            f"quantization-aware training: expected pixels in one range, found {pixels.parameters()}. "
            "Put the rule into the model, as its first layer."
        )
    model = simulate(rebuilt, pixels, scheme)
    start_ranges(model, rebuilt, calibration, pixels)
    tuned = fine_tune(model, how, name=f"{own_names(rebuilt.name)} {variant}")
    graph = convert(model, pixels)
    quantized = QuantizedModel(
        graph=graph,
        precision=Precision.INT8,
        variant=variant,
        input_range=pixels,
        calibration_images=len(calibration),
        notes=(
            f"{variant}: epoch {tuned.best_epoch} of {len(tuned.val_accuracy)} was kept "
            f"(validation {max(tuned.val_accuracy):.4f})",
        ),
        options={"qat_epochs": str(len(tuned.val_accuracy)), "seed": str(how.seed)},
    )
    return QatResult(model=quantized, fake_quant=model, tuned=tuned)


def simulate(rebuilt: Any, pixels: InputRange, scheme: Any = None) -> Any:
    """Put tfmot's fake quantization into a model; the input's range is the pixel rule's, and stays.

    Raises:
        UnsupportedError: tfmot has no quantization for a layer.
    """
    tfmot = toolkit()
    keras = tfmot.quantization.keras
    try:
        with _quiet():
            annotated = keras.quantize_annotate_model(rebuilt)
            made = keras.quantize_apply(annotated, scheme) if scheme else keras.quantize_apply(annotated)
    except (RuntimeError, ValueError) as error:
        reason = own_names(" ".join(str(error).split()))[:300]
        raise UnsupportedError(
            f"quantization-aware training of '{own_names(rebuilt.name)}': tfmot says: {reason} Replace "
            "that layer, or quantize without training (`int8=True` alone)."
        ) from error
    for layer in made.layers:
        if type(layer).__name__ == "QuantizeLayer":
            _fix_input(layer, pixels)
    return made


def _fix_input(layer: Any, pixels: InputRange) -> None:
    from tensorflow_model_optimization.python.core.quantization.keras import quantizers

    class PixelQuantizer(quantizers.MovingAverageQuantizer):  # type: ignore[misc]
        """Quantizes with the range that it was given, in training too."""

        def __call__(self, inputs: Any, training: Any, weights: Any, **kwargs: Any) -> Any:
            return super().__call__(inputs, False, weights, **kwargs)

    layer.quantizer = PixelQuantizer(num_bits=8, per_axis=False, symmetric=False, narrow_range=False)
    # A range must hold 0, as it does wherever 0 is between black and white or is one of them.
    layer.quantizer_vars["min_var"].assign(min(pixels.lo, 0.0))
    layer.quantizer_vars["max_var"].assign(max(pixels.hi, 0.0))


def start_ranges(model: Any, rebuilt: Any, images: npt.NDArray[np.uint8], pixels: InputRange) -> None:
    """Set each activation's range to what the float model shows, instead of tfmot's -6..6.

    The moving average that training uses forgets its start in thousands of steps only.

    Args:
        model: with fake quantization.
        rebuilt: the float model that it was made from.
        images: uint8 of shape (n, H, W, C), n >= 1.
        pixels: what pixel values 0 and 255 become.
    """
    import tf_keras

    outputs = {layer.name: layer.output for layer in rebuilt.layers if layer.name != rebuilt.layers[0].name}
    probe = tf_keras.Model(rebuilt.input, outputs)
    shape = tuple(rebuilt.input_shape[1:])
    found: dict[str, tuple[float, float]] = {}
    for start in range(0, len(images), 64):
        part = images[start : start + 64]
        values = probe(pixels.to_real(part).reshape(len(part), *shape), training=False)
        for name, value in values.items():
            lo, hi = found.get(name, (0.0, 0.0))
            found[name] = min(lo, float(np.min(value))), max(hi, float(np.max(value)))
    for layer in model.layers:
        known = found.get(layer.name.removeprefix(PREFIX))
        if known is None or known[0] == known[1]:
            continue
        for variable in layer.weights:
            short = variable.name.split(":")[0].rsplit("/", 1)[-1]
            if short in {"post_activation_min", "output_min"}:
                variable.assign(known[0])
            elif short in {"post_activation_max", "output_max"}:
                variable.assign(known[1])


def convert(model: Any, pixels: InputRange) -> Graph:
    """Turn a trained simulation into integers through TensorFlow's converter.

    Args:
        model: what `simulate` made, after training.
        pixels: what pixel values 0 and 255 become; the input's scale and zero point are theirs.

    Raises:
        ConversionError: the converter refused it, or its input is not the pixel rule's.
    """
    shape = tuple(model.input_shape[1:])
    graph = lower_integers(model, shape, prefix=PREFIX)
    entry = graph.tensors[graph.inputs[0]]
    wanted = pixels.params_int8()
    if (
        entry.quant is None
        or entry.dtype != np.int8
        or not np.isclose(entry.quant.scale[0], wanted.scale[0], rtol=1e-6)
        or entry.quant.zero_point[0] != wanted.zero_point[0]
    ):
        found = (
            "float32"
            if entry.quant is None
            else f"scale {entry.quant.scale[0]}, zero point {entry.quant.zero_point[0]}"
        )
        raise ConversionError(
            f"quantization-aware training: expected the input's scale {wanted.scale[0]} and zero point "
            f"{wanted.zero_point[0]}, found {found}. Use `int8=True` alone for this `input_range`."
        )
    return graph


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def logits_of(model: Any, images: Images, pixels: InputRange, *, batch: int = 256) -> Any:
    """A tf_keras model's float32 logits of raw images, shape (n, classes).

    Args:
        model: such as `QatResult.fake_quant`.
        images: uint8 of shape (n, H, W, C), n >= 1.
        pixels: what pixel values 0 and 255 become.
        batch: the most images a step.
    """
    shape = tuple(model.input_shape[1:])
    parts = []
    # called eagerly, it keeps every layer's output until the last
    batch = batch_size(images[0].size, budget_bytes=BUDGET_BYTES // 4, largest=batch)
    for start in range(0, len(images), batch):
        part = images[start : start + batch]
        parts.append(np.asarray(model(pixels.to_real(part).reshape(len(part), *shape), training=False)))
    return np.concatenate(parts).astype(np.float32)
