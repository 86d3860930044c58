"""What training runs on: seeds, memory of GPUs, strategies over several devices."""

from __future__ import annotations

import contextlib
import os
from typing import Any

from mnist_export.core.errors import InputError
from mnist_export.core.kinds import StrEnum
from mnist_export.models.structure.engine import tensorflow


class Strategy(StrEnum):
    """How training is spread over devices; all of them are ``tf.distribute``'s."""

    NONE = "none"
    MIRRORED = "mirrored"
    MULTIWORKER = "multiworker"


def seed_everything(seed: int) -> None:
    """Seed Python, numpy, TensorFlow and Keras, and ask for deterministic operators.

    Args:
        seed: 0 to 2**32 - 1.

    Raises:
        InputError: it is outside of that range.
    """
    if not 0 <= seed < 2**32:
        raise InputError(f"`seed`: expected 0 to {2**32 - 1}, found {seed}. Try `seed=0`.")
    tf = tensorflow()
    import keras

    keras.utils.set_random_seed(seed)
    tf.config.experimental.enable_op_determinism()


def limit_gpu_memory(mebibytes: int) -> int:
    """Cap what each GPU may hold; returns how many GPUs there are (the cap changes nothing on a CPU).

    Args:
        mebibytes: MiB a GPU.

    Raises:
        InputError: not positive, or TensorFlow has already taken the devices.
    """
    if mebibytes < 1:
        raise InputError(f"`gpu_memory`: expected MiB above 0, found {mebibytes}. Try `gpu_memory=2048`.")
    tf = tensorflow()
    gpus = tf.config.list_physical_devices("GPU")
    for gpu in gpus:
        try:
            tf.config.set_logical_device_configuration(
                gpu, [tf.config.LogicalDeviceConfiguration(memory_limit=mebibytes)]
            )
        except (RuntimeError, ValueError) as error:
            raise InputError(f"`gpu_memory`: expected to set it before the GPU is used: {error}.") from error
    return len(gpus)


def open_strategy(strategy: Strategy) -> Any:
    """Make the ``tf.distribute`` strategy that runs the training.

    ``mirrored`` copies the model to every GPU of this machine (to the logical CPUs where there is no
    GPU); ``multiworker`` finds its peers in the environment variable TF_CONFIG.

    Raises:
        InputError: TF_CONFIG is missing or wrong.
    """
    tf = tensorflow()
    if strategy is Strategy.MIRRORED:
        devices = tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("CPU")
        return tf.distribute.MirroredStrategy(
            [device.name for device in devices],
            cross_device_ops=None
            if devices[0].device_type == "GPU"
            else tf.distribute.ReductionToOneDevice(),
        )
    if strategy is Strategy.MULTIWORKER:
        if "TF_CONFIG" not in os.environ:
            raise InputError(
                '`strategy="multiworker"`: expected the environment variable TF_CONFIG with the workers\' '
                'addresses, found none. Set it on each worker, or use `strategy="mirrored"`.'
            )
        try:
            return tf.distribute.MultiWorkerMirroredStrategy()
        except (ValueError, RuntimeError, tf.errors.OpError) as error:
            raise InputError(f'`strategy="multiworker"`: TF_CONFIG does not work: {error}.') from error
    return tf.distribute.get_strategy()


def device_name() -> str:
    """Where training runs, in words: the GPU's name, else the CPU's."""
    tf = tensorflow()
    gpus = tf.config.list_physical_devices("GPU")
    if gpus:
        details = tf.config.experimental.get_device_details(gpus[0])
        name = details.get("device_name", "GPU")
        return f"{len(gpus)} x {name}" if len(gpus) > 1 else str(name)
    return f"{cpu_name()}, {os.cpu_count()} cores"


def cpu_name() -> str:
    """The CPU's model as the system names it."""
    import platform
    from pathlib import Path

    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
