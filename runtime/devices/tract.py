"""tract: a runtime in Rust for embedded Linux."""

from __future__ import annotations

from typing import Any

from mnist_export.runtime.devices.pip_device import PipDevice


def _open(path: str, sample: Any) -> Any:
    import tract

    model = tract.onnx().load(path)
    kind = {"uint8": "u8", "int8": "i8", "int16": "i16", "uint16": "u16", "float32": "f32", "float16": "f16"}
    model.set_input_fact(0, ",".join(map(str, (1, *sample.shape[1:], kind[str(sample.dtype)]))))
    runnable = model.into_model().into_runnable()
    return lambda piece: runnable.run([piece])[0].to_numpy(), 1, dict


DEVICE = PipDevice(
    name="tract",
    title="tract (Rust) on embedded Linux",
    needs="tract from PyPI (28 MB)",
    formats=("onnx",),
    requirements=(
        "tract==0.23.9",
        "numpy==2.4.6; python_version>='3.11'",
        "numpy==2.2.6; python_version<'3.11'",
    ),
    module="tract",
    opening=_open,
)
