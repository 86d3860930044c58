"""The table of devices: a new one is one file and one line here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from mnist_export.core.errors import InputError
from mnist_export.core.registry import LazyRegistry
from mnist_export.runtime.devices.board import PREFIX, board_of
from mnist_export.runtime.devices.device import Device

DEVICES: Final[LazyRegistry[Device]] = LazyRegistry(
    "device",
    {
        "tflm": "mnist_export.runtime.devices.tflm:DEVICE",
        "cortex-a53": "mnist_export.runtime.devices.arm:CORTEX_A53",
        "cortex-a72": "mnist_export.runtime.devices.arm:CORTEX_A72",
        "cortex-a76": "mnist_export.runtime.devices.arm:CORTEX_A76",
        "arm64-max": "mnist_export.runtime.devices.arm:ARM64_MAX",
        "web": "mnist_export.runtime.devices.web:DEVICE",
        "openvino": "mnist_export.runtime.devices.openvino:DEVICE",
        "openvino-f32": "mnist_export.runtime.devices.openvino:FLOAT32",
        "tract": "mnist_export.runtime.devices.tract:DEVICE",
        "cortex-m4": "mnist_export.runtime.devices.cross_c:CORTEX_M4",
        "riscv32": "mnist_export.runtime.devices.cross_c:RISCV32",
        "armhf": "mnist_export.runtime.devices.cross_c:ARMHF",
        "s390x": "mnist_export.runtime.devices.cross_c:S390X",
        "ethos-u55-32": "mnist_export.runtime.devices.ethos_u:U55_32",
        "ethos-u55-64": "mnist_export.runtime.devices.ethos_u:U55_64",
        "ethos-u55-128": "mnist_export.runtime.devices.ethos_u:U55_128",
        "ethos-u55-256": "mnist_export.runtime.devices.ethos_u:U55_256",
        "ethos-u65-256": "mnist_export.runtime.devices.ethos_u:U65_256",
        "ethos-u65-512": "mnist_export.runtime.devices.ethos_u:U65_512",
        "ethos-u85-128": "mnist_export.runtime.devices.ethos_u:U85_128",
        "ethos-u85-256": "mnist_export.runtime.devices.ethos_u:U85_256",
        "ethos-u85-512": "mnist_export.runtime.devices.ethos_u:U85_512",
    },
)


def devices_of(option: str, names: str) -> tuple[Device, ...]:
    """Look up a list of names such as ``tflm,openvino``; each counts once, ssh:HOST is a board.

    Args:
        option: where the list was given, for the message.
        names: separated by commas.

    Raises:
        InputError: no name, or one that no table holds.
    """
    wanted: Sequence[str] = list(dict.fromkeys(name.strip() for name in names.split(",") if name.strip()))
    if not wanted:
        raise InputError(f"{option}: expected names of devices such as {','.join(DEVICES)}, found none.")
    return tuple(board_of(name) if name.startswith(PREFIX) else DEVICES.get(name) for name in wanted)


def require_ready(devices: Sequence[Device]) -> None:
    """Refuse devices that are not ready, in one line that names the command which prepares all of them.

    Raises:
        InputError: one is not ready.
    """
    lacking = [(device.name, why) for device in devices if (why := device.why_not_ready())]
    if lacking:
        reasons = "; ".join(f"{name}: {why}" for name, why in lacking)
        names = ",".join(name for name, _ in lacking)
        raise InputError(f"`on`: not ready ({reasons}). Run: mnist-parity devices --prepare {names}")
