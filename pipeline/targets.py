"""The device that a target's files are checked on: taken where it is ready, else named with its command."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from mnist_export.core.parameters import parameter

if TYPE_CHECKING:
    from mnist_export.pipeline.jobs.job import Job
    from mnist_export.runtime.devices.device import Device

ON_CPU: Final = "operators on the CPU"
"""The figure of a compiler for an NPU that counts what the NPU cannot do."""


def devices_of_target(job: Job) -> tuple[tuple[Device, ...], str]:
    """The devices of a job's target.

    Returns:
        Those that are ready and read one of the formats, and a sentence about those that are not; empty where
        there are none.
    """
    if job.deployment is None or job.until is not None:
        return (), ""
    from mnist_export.runtime.devices.registry import DEVICES

    formats = {str(item) for item in job.formats}
    named = [DEVICES.get(name) for name in job.deployment.devices]
    able = [device for device in named if formats & set(device.formats)]
    lacking = {device.name: why for device in able if (why := device.why_not_ready())}
    ready = tuple(device for device in able if device.name not in lacking)
    if not lacking:
        return ready, ""
    reasons = "; ".join(f"{name}: {why}" for name, why in lacking.items())
    names = ",".join(lacking)
    return ready, (
        f"{parameter('target', job.place)}: not checked on its device ({reasons}). Run: mnist-parity devices "
        f"--prepare {names}"
    )
