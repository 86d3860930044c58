"""TensorFlow Lite Micro: the interpreter of microcontrollers, with its reference kernels, as PyPI's wheel."""

from __future__ import annotations

from typing import Any

from mnist_export.runtime.devices.pip_device import PipDevice


def _open(path: str, _sample: Any) -> Any:
    import os
    import re
    import tempfile
    from pathlib import Path

    from tflite_micro import runtime

    content = Path(path).read_bytes()
    # room enough for any file; what is used of it is counted, not its size
    room = max(64 << 20, 10 * len(content))
    interpreter = runtime.Interpreter.from_bytes(content, arena_size=room)
    if interpreter.get_input_details(0)["shape"][0] != 1:
        raise ValueError("TFLM cannot resize the batch of this file, which is not 1")

    def call(piece: Any) -> Any:
        interpreter.set_input(piece, 0)
        interpreter.invoke()
        return interpreter.get_output(0)

    def facts() -> dict[str, int]:
        # print_allocations writes to the process's stderr, past Python
        with tempfile.TemporaryFile() as stream:
            kept = os.dup(2)
            os.dup2(stream.fileno(), 2)
            try:
                interpreter.print_allocations()
            finally:
                os.dup2(kept, 2)
                os.close(kept)
            stream.seek(0)
            found = re.search(rb"Arena allocation total (\d+) bytes", stream.read(1 << 16))
        return {"arena_bytes": int(found[1])} if found else {}

    return call, 1, facts


def _open_tensors(path: str, _sample: Any, tensors: Any) -> Any:
    from pathlib import Path

    from tflite_micro import runtime

    content = Path(path).read_bytes()
    keep = runtime.InterpreterConfig.kPreserveAllTensors
    room = max(64 << 20, 10 * len(content))
    interpreter = runtime.Interpreter.from_bytes(content, arena_size=room, intrepreter_config=keep)

    def call(piece: Any) -> Any:
        interpreter.set_input(piece, 0)
        interpreter.invoke()
        return [interpreter.GetTensor(index, 0)["tensor_data"] for index in tensors]

    return call, 1, dict


DEVICE = PipDevice(
    name="tflm",
    title="TensorFlow Lite Micro on microcontrollers, reference kernels",
    needs="tflite-micro from PyPI (18 MB)",
    formats=("tflite",),
    requirements=(
        "tflite-micro==0.dev20261023182759",
        "flatbuffers==25.12.19",
        "pyyaml==6.0.4",
        "numpy==2.4.6; python_version>='3.11'",
        "numpy==2.2.6; python_version<'3.11'",
    ),
    module="tflite_micro",
    opening=_open,
    opening_tensors=_open_tensors,
)
