"""The device checks of an export: which devices, on how many images, and the report's rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from mnist_export.core.errors import InputError
from mnist_export.core.parameters import parameter
from mnist_export.parity.on_devices import DeviceVerdict
from mnist_export.parity.verdict import run_verdict
from mnist_export.pipeline.targets import ON_CPU, devices_of_target

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    import numpy.typing as npt

    from mnist_export.data import Dataset
    from mnist_export.parity.heads import Head
    from mnist_export.parity.on_devices import OnDevice
    from mnist_export.pipeline.jobs.job import Job
    from mnist_export.pipeline.jobs.progress import Progress
    from mnist_export.report.schema import Report
    from mnist_export.runtime.devices.device import Device
    from mnist_export.runtime.runners.runner import Runner

MOST_IMAGES: Final = (
    1000  # emulated processors take up to 40 ms an image; `mnist-parity check --on` takes all
)
READY_IMAGES: Final = 64
"""Images of the devices that nobody named: an exact export runs on all that are ready."""
TARGET_IMAGES: Final = 256
"""Images of a target's own device."""
READY: Final = "ready"


def devices_for(job: Job) -> tuple[Device, ...]:
    """The devices that a job's files are checked on.

    Those that it names have to be ready and to read one of its formats; ``ready`` stands for all that are and
    do, and that run files. An exact export that names none takes them too. A target brings its own where it
    is ready and no other was named.

    Raises:
        InputError: an unknown device, one that is not ready, or one that reads none of the formats.
    """
    from mnist_export.runtime.devices.registry import DEVICES, devices_of, require_ready

    formats = {str(item) for item in job.formats}
    if job.until is not None or job.on == "none":
        return ()
    own = devices_of_target(job)[0] if job.on is None else ()
    if job.on == READY or (job.on is None and job.extra.exact):
        known = [DEVICES.get(name) for name in DEVICES]
        able = (d for d in known if formats & set(d.formats) and getattr(d, "runs", True))
        others = (d for d in able if d.name not in {o.name for o in own} and not d.why_not_ready())
        return (*own, *others)
    if job.on is None:
        return own
    devices = devices_of("`on`", job.on)
    require_ready(devices)
    for device in devices:
        if not formats & set(device.formats):
            raise InputError(
                f'`on="{device.name}"`: reads {" and ".join(device.formats)}, found '
                f"{parameter('formats', ','.join(sorted(formats)))}. Add a format that it reads, "
                "or leave the device out."
            )
    return devices


def devices_named(names: str | None, paths: Sequence[Path]) -> tuple[Device, ...]:
    """The devices of ``on``; none where nothing is said.

    Args:
        names: separated by commas.
        paths: the files; each device has to read one of them.

    Raises:
        InputError: an unknown device, one that is not ready, or one that reads none of the files.
    """
    if names is None:
        return ()
    from mnist_export.parity.on_devices import require_readable
    from mnist_export.runtime.devices.registry import devices_of, require_ready

    devices = devices_of("`on`", names)
    require_ready(devices)
    require_readable(devices, paths)
    return devices


def with_named_devices(report: Report, rows: Sequence[OnDevice]) -> Report:
    """Add the rows of devices that the user named to a report; one that fails makes the report fail."""
    if not rows:
        return report
    verdict = run_verdict([report.verdict, *(row.verdict for row in rows)])
    return replace(report, devices=tuple(rows), verdict=verdict)


def run_on_devices(
    job: Job,
    devices: Sequence[Device],
    candidates: Sequence[Runner],
    dataset: Dataset,
    logits: npt.NDArray[np.float32],
    head: Head,
    progress: Progress,
) -> tuple[OnDevice, ...]:
    """Check the files on the devices, on the first images of the test part.

    Args:
        job: what was asked for.
        devices: from `devices_for`.
        candidates: the files, open.
        dataset: its test part is what the original answered.
        logits: the original's answers.
        head: what the outputs are.
        progress: told what is being done.
    """
    if not devices:
        return ()
    import numpy as np

    from mnist_export.parity.on_devices import check_on_devices

    count = min(len(dataset.test), _images(job))
    split = dataset.test if count == len(dataset.test) else dataset.test.take(np.arange(count))
    return check_on_devices(
        devices,
        candidates,
        split,
        logits[:count],
        thresholds=job.thresholds,
        head=head,
        notify=progress.detail,
    )


def _images(job: Job) -> int:
    if job.on:
        return MOST_IMAGES
    return READY_IMAGES if job.extra.exact else TARGET_IMAGES


def with_devices(report: Report, rows: Sequence[OnDevice], job: Job) -> Report:
    """Add the rows to a report; one that fails makes the report fail.

    A device that nobody named and that cannot run a file says why and fails nothing. A target's own device
    that is not ready is a note.
    """
    unready = devices_of_target(job)[1] if job.on is None else ""
    if unready:
        report = replace(report, notes=(*report.notes, unready))
    if not rows:
        return report
    found = []
    for row in rows:
        if state := _verdict(row, job):
            found.append(replace(row, verdict=state))
    verdict = run_verdict([report.verdict, *(row.verdict for row in found)])
    return replace(report, devices=tuple(found), verdict=verdict)


def _verdict(row: OnDevice, job: Job) -> DeviceVerdict | None:
    """What a row comes to; None for one that nobody asked for."""
    place = job.deployment
    own = place is not None and job.on is None and row.device in place.devices
    if row.verdict is DeviceVerdict.NOT_RUN and (own or job.on in {None, READY}):
        return None  # another format is what this device reads
    if own and place is not None and place.whole and row.figures.get(ON_CPU, "0") != "0":
        return DeviceVerdict.FAIL
    if row.differing is None and not row.figures and job.on in {None, READY} and not own:
        return DeviceVerdict.NOT_RUN
    return row.verdict
