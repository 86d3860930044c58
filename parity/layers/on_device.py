"""Tensors inside of a .tflite on another device, and the first operator that differs there."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, cast, runtime_checkable

import numpy as np

from mnist_export.core.errors import InputError, UnsupportedError
from mnist_export.parity.layers.comparison import LayersResult
from mnist_export.parity.layers.litert import activation, operators
from mnist_export.runtime.devices.device import Question
from mnist_export.runtime.runners.opening import read_model

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from mnist_export.parity.layers.activations import Activation
    from mnist_export.runtime.devices.device import Device
    from mnist_export.runtime.runners.litert import LiteRtRunner
    from mnist_export.runtime.runners.runner import Runner


@runtime_checkable
class ShowsTensors(Protocol):
    """A device that can show what tensors inside of a file hold."""

    def tensors(self, question: Question, indices: Sequence[int]) -> list[npt.NDArray[Any]]:
        """One array of shape (n, ...) for each place in the file."""


def activations_on(device: Device, runner: Runner, images: npt.NDArray[np.uint8]) -> list[Activation]:
    """Run images on a device and keep what every operator of the file gives there, in execution order.

    Args:
        device: one that shows its tensors, ready.
        runner: the .tflite, open in LiteRT.
        images: uint8 (n, H, W, C).

    Raises:
        UnsupportedError: the device does not show tensors, or the file is no .tflite.
        MnistExportError: what the device says of the file.
    """
    source = runner.source
    if not isinstance(device, ShowsTensors):
        raise UnsupportedError(f"{device.name}: does not show the tensors inside of a file.")
    if runner.name != "litert" or source is None or not len(images):
        raise UnsupportedError(f"{runner.label}: only a .tflite can be looked into on {device.name}.")
    litert = cast("LiteRtRunner", runner)
    details = {int(d["index"]): d for d in litert.fresh_interpreter().get_tensor_details()}
    wanted = [(kind, index) for kind, outputs in operators(litert) for index in outputs if index in details]
    question = Question(
        label=runner.label,
        content=read_model(Path(source.path)),
        format="tflite",
        batch=runner.prepare(images),
        classes=runner.num_classes,
        output_type=runner.output.dtype,
    )
    values = device.tensors(question, [index for _, index in wanted])
    found = []
    for (kind, index), given in zip(wanted, values, strict=True):
        expected = (len(images), *(int(n) for n in details[index]["shape"][1:]))
        if given.size != int(np.prod(expected)):
            raise InputError(
                f"{runner.label}: expected {expected} from {device.name} for '{details[index]['name']}', "
                f"found {given.shape}."
            )
        shaped = given.reshape(expected)
        if (item := activation(kind, details[index], shaped)) is not None:
            found.append(item)
    return found


def first_difference(result: LayersResult, device: str) -> str:
    """Say which operator is the first whose values are not the same on a device.

    Args:
        result: the file here, compared with itself there.
        device: its name.
    """
    first = next((layer for layer in result.layers if layer.differing), None)
    if first is None:
        return f"All {len(result.layers)} operators give the same values on {device}."
    by = f"by at most {first.max_steps:.0f} steps" if first.max_steps else f"by {first.max_abs_error:g}"
    return (
        f"The first operator that differs on {device} is '{first.candidate}' ({first.kind or 'operator'}): "
        f"{first.differing:.2%} of its values, {by}."
    )
