"""Files against a golden of integers, here and on devices: every integer equal, or what is not."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from mnist_export.core.affine import QuantParams
from mnist_export.core.errors import InputError, MnistExportError
from mnist_export.core.kinds import Verdict
from mnist_export.parity.on_devices import answers_of, side_by_side
from mnist_export.parity.verdict import outcome

if TYPE_CHECKING:
    from mnist_export.parity.integer_golden import IntegerGolden
    from mnist_export.runtime.devices.device import Device
    from mnist_export.runtime.runners.runner import Runner


@dataclass(frozen=True, kw_only=True)
class IntegersRow:
    """One file in one place.

    Attributes:
        file: its label.
        place: the runtime here, or a device's name.
        same_file: whether its bytes are the recorded file's.
        images: how many were compared.
        values: output integers compared.
        differing: how many of them are not equal; None where it did not run.
        largest: largest difference, in steps.
        images_differ: images with an integer that is not equal.
        labels_differ: images with another label.
        verdict: pass where all are equal; None where the device does not read or run such files.
        why: one sentence.
    """

    file: str
    place: str
    same_file: bool
    images: int
    values: int
    differing: int | None = None
    largest: int | None = None
    images_differ: int | None = None
    labels_differ: int | None = None
    verdict: Verdict | None = None
    why: str = ""


@dataclass(frozen=True, kw_only=True)
class IntegersResult:
    """All files against a golden of integers.

    Attributes:
        golden: what it says of its recording.
        rows: one for each file and place.
    """

    golden: dict[str, Any]
    rows: tuple[IntegersRow, ...]

    @property
    def passed(self) -> bool:
        """Whether each file gives the recorded integers wherever it was asked."""
        return all(row.verdict is not Verdict.FAIL for row in self.rows)

    @property
    def verdict(self) -> str:
        """The verdict in one sentence."""
        failed = [row for row in self.rows if row.verdict is Verdict.FAIL]
        if failed:
            return f"{failed[0].file} on {failed[0].place}: {failed[0].why}"
        ran = sum(row.verdict is Verdict.PASS for row in self.rows)
        return f"All integers of {self.golden['images']} images are the recorded ones, {ran} times."

    def to_json(self) -> dict[str, Any]:
        """The JSON form."""
        return {
            "schema_version": 1,
            "kind": "integers-check",
            "verdict": "pass" if self.passed else "fail",
            "golden": self.golden,
            "rows": [asdict(row) for row in self.rows],
        }


def check_integers(
    golden: IntegerGolden,
    runners: Sequence[Runner],
    devices: Sequence[Device] = (),
    *,
    notify: Callable[[str], None] = lambda _: None,
) -> IntegersResult:
    """Run files over a golden's images, in their runtimes here and on devices, and compare every integer.

    Args:
        golden: the recording.
        runners: the files, open, at least one.
        devices: ready ones.
        notify: told what is being done.

    Raises:
        InputError: no files, or one that is no version of the recorded network.
    """
    from mnist_export.data.dataset import Split

    if not runners:
        raise InputError("check: expected at least one candidate, found none.")
    for runner in runners:
        _require(golden, runner)
    split = Split(images=golden.images, labels=golden.outputs.argmax(axis=1).astype(np.int64))
    rows: list[IntegersRow] = []
    with side_by_side(devices) as pool:
        for runner in runners:
            notify(f"{runner.label}: {len(split):,} images on {runner.name} ({runner.device})")
            own = runner.run_integers(split.images)
            rows.append(_row(golden, runner, runner.name, own))
            given = answers_of(pool, devices, runner, split, notify)
            for device in devices:
                rows.append(_on_device(golden, runner, device, given.get(device.name)))
    return IntegersResult(golden=golden.meta.to_json(), rows=tuple(rows))


def _require(golden: IntegerGolden, runner: Runner) -> None:
    meta = golden.meta
    if runner.source is None or runner.source.format not in {"tflite", "onnx", "c"}:
        raise InputError(
            f"{runner.label}: expected a .tflite, .onnx or .c file against a golden of integers."
        )
    if runner.num_classes != meta.classes:
        raise InputError(
            f"{runner.label}: expected {meta.classes} outputs as recorded from {meta.model}, found "
            f"{runner.num_classes}. They are not versions of one network."
        )
    if runner.output.quant is None:
        raise InputError(
            f"{runner.label}: expected integer outputs as recorded from {meta.model}, found "
            f"{runner.output.dtype}. Check it against the original's answers (a recording without "
            "`integers`)."
        )


def _row(
    golden: IntegerGolden, runner: Runner, place: str, values: npt.NDArray[Any], *, device: bool = False
) -> IntegersRow:
    """Compare what a file gave with what was recorded, both less their zero points."""
    quant, meta = runner.output.quant, golden.meta
    same = runner.source is not None and runner.source.sha256 == meta.sha256
    zero = int(quant.zero_point[0]) if quant is not None else 0
    found, expected = np.asarray(values, np.int64) - zero, golden.centred()
    away = np.abs(found - expected)
    count = int(np.count_nonzero(away))
    why = _other_scale(quant, meta.scale)
    verdict = outcome(not why and not count)
    if count:
        image, output = (int(i) for i in np.argwhere(away)[0])
        chosen = int(golden.places[image])
        which = f"test image {chosen}" if chosen >= 0 else f"image {image} of the golden"
        why = (
            f"{count:,} of {away.size:,} integers differ, by up to {int(away.max())}; first {which}, output "
            f"{output}: expected {int(expected[image, output]) + zero}, found "
            f"{int(values[image, output])}. {_cause(same, device=device)}"
        )
    return IntegersRow(
        file=runner.label,
        place=place,
        same_file=same,
        images=meta.images,
        values=int(away.size),
        differing=count,
        largest=int(away.max()),
        images_differ=int(np.count_nonzero(away.any(axis=1))),
        labels_differ=int(np.count_nonzero(found.argmax(axis=1) != expected.argmax(axis=1))),
        verdict=verdict,
        why=why or "every integer is the recorded one",
    )


def _other_scale(quant: QuantParams | None, scale: float) -> str:
    found = float(quant.scale[0]) if quant is not None else 0.0
    if np.float32(found) == np.float32(scale):
        return ""
    return f"expected the output's scale {scale:.9g}, found {found:.9g}: the file was changed."


def _cause(same: bool, *, device: bool) -> str:
    if not same:
        return "The file is not the recorded one: it was changed, or exported anew."
    if device:
        return "The file is the recorded one: kernels there round differently (`exact=True` has one answer)."
    return "The file is the recorded one: this machine's kernels compute otherwise."


def _on_device(golden: IntegerGolden, runner: Runner, device: Device, given: Any) -> IntegersRow:
    same = runner.source is not None and runner.source.sha256 == golden.meta.sha256
    row = IntegersRow(
        file=runner.label, place=device.name, same_file=same, images=0, values=0,
        why=f"{device.name} reads {' and '.join(device.formats)}",
    )  # fmt: skip
    if given is None:
        return row
    if isinstance(given, MnistExportError):
        return replace(row, verdict=Verdict.FAIL, why=str(given).removeprefix(f"{runner.label}: "))
    if given[0].values is None:
        return replace(row, why=given[0].summary)
    return _row(golden, runner, device.name, np.concatenate([answer.values for answer in given]), device=True)
