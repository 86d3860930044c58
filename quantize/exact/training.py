"""Trains an exact network on, rounding to its own grid in every step.

Weights and biases live between the grid's points; each forward pass rounds them and every activation exactly
as the integers will be, each backward pass takes the rounding for the identity (the straight-through
estimator). Scales stay as they are, so the trained network is exact by construction.

References: Bengio et al., "Estimating or propagating gradients through stochastic neurons", 2013; Jacob et
al., "Quantization and training of neural networks", CVPR 2018.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from mnist_export.core.errors import InputError
from mnist_export.core.graph import Graph, Op, Tensor
from mnist_export.core.graph.operators import operator
from mnist_export.core.images import batches_of
from mnist_export.core.pixels import InputRange
from mnist_export.quantize.exact.advance import run_network
from mnist_export.quantize.exact.arithmetic import exponent, shifts_of, zero_point
from mnist_export.quantize.exact.build import channels_first
from mnist_export.quantize.exact.grid import (
    BIAS_RESIDUE,
    FLOAT32_EVEN_INTEGERS,
    WEIGHT_LIMIT,
    WEIGHT_STEP,
    accumulator_bounds,
    snap_bias,
    snap_weights,
)
from mnist_export.quantize.exact.simulation import float_function
from mnist_export.quantize.network.operators import WEIGHTED
from mnist_export.quantize.network.scheme import QuantizedModel

if TYPE_CHECKING:
    from mnist_export.data.dataset import Dataset
    from mnist_export.models.recipe import Recipe
    from mnist_export.quantize.training.aims import Aim

RATE: Final = 0.02
"""First learning rate, in the grid's own units: fourths of weights, steps of outputs. It falls to 0."""
CODES: Final = InputRange(lo=-128.0, hi=127.0)


@dataclass(frozen=True, kw_only=True, eq=False)
class Latent:
    """What is trained of one layer.

    Attributes:
        weights: variable, weights in units of the grid (4 steps).
        bias: variable, biases in steps of the output.
        steps: output steps a unit of the accumulator, ``2**-s`` by channel.
    """

    weights: Any
    bias: Any
    steps: Any


def fine_tune_exact(
    network: QuantizedModel,
    dataset: Dataset,
    *,
    epochs: int,
    recipe: Recipe | None = None,
    seed: int = 0,
    notify: Callable[[str], None] | None = None,
    aim: Aim | None = None,
) -> QuantizedModel:
    """Train an exact network on and keep the epoch with the best validation accuracy.

    Args:
        network: from `quantize_exact`.
        dataset: its train part teaches, its validation part chooses the epoch.
        epochs: how many, at least 1.
        recipe: the model's own; its batch size and augmentation are taken.
        seed: of the order of images.
        notify: told each epoch's accuracy.
        aim: where outputs are no classes; the data then has targets.

    Returns:
        An exact network, variant ``exact-qat``; the one given, where no epoch beat it.

    Raises:
        InputError: no training or validation images, or the loss is not finite.
    """
    for part, split in (("training", dataset.train), ("validation", dataset.validation)):
        if not len(split):
            raise InputError(f"`exact` with `qat`: expected {part} images in '{dataset.name}', found none.")
    if not 1 <= epochs <= 1000:
        raise InputError(f"`exact` with `qat`: expected 1 to 1000 epochs, found {epochs}.")
    layers = _latents(network.graph)
    say = notify or (lambda text: None)
    best, most = network.graph, _accuracy(network.graph, dataset, aim)
    figure = "of validation images right" if aim is None else f"{aim.figure} on validation images"
    say(f"exact int8: {most:.2%} {figure} before training")
    for epoch in _epochs(network.graph, layers, dataset, epochs=epochs, recipe=recipe, seed=seed, aim=aim):
        graph = _rounded(network.graph, layers)
        found = _accuracy(graph, dataset, aim)
        say(f"exact int8: {found:.2%} after epoch {epoch + 1} of {epochs}")
        if found > most:
            best, most = graph, found
    note = f"trained on for {epochs} epochs with straight-through rounding; the best epoch was kept"
    return replace(
        network,
        graph=best,
        variant=f"{network.variant}-qat",
        notes=(*network.notes, note),
        options={**network.options, "qat_epochs": str(epochs)},
    )


def _accuracy(graph: Graph, dataset: Dataset, aim: Aim | None = None) -> float:
    images = dataset.validation.images
    parts = [images] if isinstance(images, np.ndarray) else batches_of(images)
    codes = np.concatenate([run_network(graph, part) for part in parts])
    targets, quant = dataset.validation.targets, graph.tensors[graph.outputs[0]].quant
    if aim is not None and targets is not None and quant is not None:
        return aim.mean_score(targets, quant.dequantize(codes).reshape(targets.shape))
    return float((codes.argmax(axis=1) == dataset.validation.labels).mean())


def _latents(graph: Graph) -> dict[int, Latent]:
    """Variables for every weighted layer, by its output."""
    import tensorflow as tf

    found = {}
    for op in graph.ops:
        if op.kind not in WEIGHTED:
            continue
        weights, bias = (graph.tensors[i].data for i in op.inputs[1:3])
        if weights is None or bias is None:
            raise InputError(
                "`exact` with `qat`: expected constant weights, found a layer that computes them."
            )
        steps = np.ldexp(1.0, -shifts_of(graph, op)).astype(np.float32)
        found[op.outputs[0]] = Latent(
            weights=tf.Variable(weights.astype(np.float32) / WEIGHT_STEP),
            bias=tf.Variable(bias.astype(np.float32) * steps),
            steps=steps,
        )
    return found


def _through(value: Any, rounded: Any) -> Any:
    """The rounded value forwards, the identity backwards."""
    import tensorflow as tf

    return value + tf.stop_gradient(rounded - value)


def _integers(latent: Latent) -> tuple[Any, Any]:
    """A layer's weights and bias on the grid, differentiable."""
    import tensorflow as tf

    limit = WEIGHT_LIMIT / WEIGHT_STEP
    clipped = tf.clip_by_value(latent.weights, -limit, limit)
    weights = _through(clipped, tf.round(clipped)) * WEIGHT_STEP
    sums = latent.bias / latent.steps
    bias = _through(sums, tf.round((sums - BIAS_RESIDUE) / WEIGHT_STEP) * WEIGHT_STEP + BIAS_RESIDUE)
    return weights, bias


def _epochs(
    graph: Graph,
    layers: Mapping[int, Latent],
    dataset: Dataset,
    *,
    epochs: int,
    recipe: Recipe | None,
    seed: int,
    aim: Aim | None,
) -> Any:
    """Train, yielding after each epoch."""
    import keras
    import tensorflow as tf

    from mnist_export.models.recipe import Schedule
    from mnist_export.quantize.training.finetune import default_recipe
    from mnist_export.train.devices import seed_everything
    from mnist_export.train.pipeline import steps_per_epoch, training_batches

    seed_everything(seed)
    recipe = replace(
        recipe or default_recipe(dataset.image_shape),
        epochs=epochs,
        schedule=Schedule.CONSTANT,
        stop_patience=0,
    )
    classes = dataset.num_classes if aim is None else aim.outputs
    batches = training_batches(
        dataset.train, recipe, num_classes=classes, seed=seed, first_epoch=0, pixels=CODES
    )
    each = steps_per_epoch(len(dataset.train), recipe.batch_size)
    variables = [v for latent in layers.values() for v in (latent.weights, latent.bias)]
    optimizer = keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(RATE, each * epochs))
    optimizer.build(variables)
    output = graph.tensors[graph.outputs[0]]
    unit, zero = 2.0 ** exponent(output), zero_point(output)
    forward = float_function(
        graph, weights=lambda op: _integers(layers[op.outputs[0]]), straight_through=True
    )

    @tf.function  # type: ignore[untyped-decorator]
    def step(codes: Any, labels: Any) -> Any:
        with tf.GradientTape() as tape:
            tape.watch(variables)
            logits = (tf.reshape(forward(tf.round(codes)), (-1, classes)) - zero) * unit
            loss = tf.reduce_mean(_losses(labels, logits, classes, aim))
        optimizer.apply_gradients(zip(tape.gradient(loss, variables), variables, strict=True))
        return loss

    for number, (images, labels) in enumerate(batches):
        loss = step(images, labels)
        if (number + 1) % each == 0:
            if not np.isfinite(float(loss)):
                raise InputError(f"`exact` with `qat`: expected a finite loss, found {float(loss)}.")
            yield (number + 1) // each - 1


def _losses(labels: Any, logits: Any, classes: int, aim: Aim | None) -> Any:
    import tensorflow as tf

    if aim is not None:
        return aim.loss(labels, logits)
    labels = labels if labels.shape.rank == 2 else tf.one_hot(labels, classes)
    return tf.nn.softmax_cross_entropy_with_logits(labels, logits)


def _rounded(graph: Graph, layers: Mapping[int, Latent]) -> Graph:
    """The graph with trained integers; a channel whose sums grew too large keeps what it had."""
    changes: dict[int, Tensor] = {}
    for op in graph.ops:
        if op.outputs[0] in layers:
            changes |= _channels(graph, op, layers[op.outputs[0]])
    return graph.with_tensors(changes)


def _channels(graph: Graph, op: Op, latent: Latent) -> dict[int, Tensor]:
    source, kernel, bias = (graph.tensors[i] for i in op.inputs[:3])
    if kernel.data is None or bias.data is None:
        raise InputError("`exact` with `qat`: expected constant weights, found a layer that computes them.")
    weights = snap_weights(latent.weights.numpy() * WEIGHT_STEP)
    shifts = snap_bias(latent.bias.numpy().astype(np.float64) / latent.steps)
    point = zero_point(source)
    lo, hi = accumulator_bounds(channels_first(op, weights), shifts, -128 - point, 127 - point)
    kept = np.maximum(np.abs(lo), np.abs(hi)) <= FLOAT32_EVEN_INTEGERS
    axis = operator(op.kind).weight_axis or 0
    shape = [1] * weights.ndim
    shape[axis] = -1
    return {
        op.inputs[1]: replace(kernel, data=np.where(kept.reshape(shape), weights, kernel.data)),
        op.inputs[2]: replace(bias, data=np.where(kept, shifts, bias.data)),
    }
