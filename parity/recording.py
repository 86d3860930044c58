"""Records a golden file: runs the original over the test images and notes where and how."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from mnist_export.core.errors import InputError
from mnist_export.core.pixel_rules import ChannelRule
from mnist_export.models.judging import CLASSES
from mnist_export.parity.answers import comparable
from mnist_export.parity.choosing import AUTO, choose_head
from mnist_export.runtime.environment import describe
from mnist_export.runtime.runners.golden import Golden, GoldenMeta, labels_sha256, targets_sha256
from mnist_export.runtime.runners.runner import Runner
from mnist_export.runtime.timing.latency import Effort, measure

if TYPE_CHECKING:
    from mnist_export.data.dataset import Dataset


def record(
    runner: Runner,
    dataset: Dataset,
    *,
    data: str | None = None,
    timed: bool = True,
    effort: Effort | None = None,
    layers: Mapping[str, npt.NDArray[np.float32]] | None = None,
    parameters: int = 0,
    macs: int = 0,
    asked: str = AUTO,
) -> Golden:
    """Run the original over the test images.

    Args:
        runner: the original.
        dataset: its ``test`` part is recorded.
        data: the data set's name as ``--data`` takes it; None takes the data set's own.
        timed: whether to measure latency at batch 1 too.
        effort: how long to measure.
        layers: activations of the first images by layer, from `layers.activations_of`.
        parameters: of the model, 0 where unknown.
        macs: multiply-accumulates of one inference, 0 where unknown.
        asked: what the outputs are said to be, see `models.judging.HEADS`.

    Raises:
        InputError: the model's classes are not the data's, or its answers are not finite.
    """
    if runner.name == "golden":
        raise InputError(f"{runner.label}: is a recording already. Give the model itself.")
    head, dataset = choose_head(runner, (), dataset, asked=asked)
    wide = {1, 2} if dataset.num_classes == 2 else {dataset.num_classes}
    if head.kind == CLASSES and runner.num_classes not in wide:
        raise InputError(
            f"{runner.label}: expected {dataset.num_classes} classes as in '{dataset.name}', found "
            f"{runner.num_classes}. Choose the data that the model was trained on with `data`."
        )
    (logits,) = comparable(head, [runner], [runner.run(dataset.test.images)])
    times = measure(runner, dataset.test.images[:1], effort=effort) if timed else None
    backend = str(getattr(runner, "backend", ""))
    driver, tf32 = accelerator(backend, runner.device)
    meta = GoldenMeta(
        model=runner.label,
        model_sha256=runner.source.sha256 if runner.source else "",
        data=data or dataset.name,
        images=len(dataset.test),
        image_shape=dataset.image_shape,
        images_sha256=dataset.test.images_sha256(),
        labels_sha256=labels_sha256(dataset.test.labels),
        classes=logits.shape[1],
        class_names=dataset.class_names if logits.shape[1] == dataset.num_classes else (),
        input_range=runner.input_range.span,
        preprocessing=runner.pixel_rule.to_json() if isinstance(runner.pixel_rule, ChannelRule) else None,
        runtime=runner.name,
        backend=backend,
        device=runner.device,
        driver=driver,
        tf32=tf32,
        environment=describe(threads=runner.threads).to_json(),
        latency_us={"p50": times.p50, "p90": times.p90, "p99": times.p99} if times else {},
        layers=tuple(layers or ()),
        parameters=parameters,
        macs=macs,
        head=head.kind,
        threshold=tuple(runner.threshold),
        targets_sha256=targets_sha256(dataset.test),
    )
    return Golden(meta=meta, logits=logits, layers=dict(layers or {}))


def accelerator(backend: str, device: str) -> tuple[str, bool | None]:
    """The GPU's driver and whether TF32 is allowed; asks only a backend that is loaded already.

    Args:
        backend: ``tensorflow``, ``jax`` or ``torch``.
        device: what the model ran on.

    Returns:
        The driver (empty without a GPU or where it does not say) and the TF32 setting (None on a CPU).
    """
    if not device.startswith("GPU"):
        return "", None
    tf32: bool | None = None
    module: Any = sys.modules.get(backend)
    if backend == "tensorflow" and module is not None:
        tf32 = bool(module.config.experimental.tensor_float_32_execution_enabled())
    elif backend == "torch" and module is not None:
        tf32 = bool(module.backends.cuda.matmul.allow_tf32)
    elif backend == "jax" and module is not None:
        precision = module.config.jax_default_matmul_precision
        tf32 = precision is None or "tensorfloat32" in str(precision)
    return _driver(), tf32


def _driver() -> str:
    from pathlib import Path

    path = Path("/proc/driver/nvidia/version")
    try:
        return path.read_text(encoding="utf-8", errors="replace").splitlines()[0].strip()
    except (OSError, IndexError):
        return ""
