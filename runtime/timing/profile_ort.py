"""Where the time of an .onnx goes in ONNX Runtime, by its own profiler."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from mnist_export.runtime.runners.ort import open_session, session_options
from mnist_export.runtime.timing.operator_time import INTEGERS, NodeTime, Profile

if TYPE_CHECKING:
    from mnist_export.runtime.runners.ort import OnnxRuntimeRunner

RUNS: Final = 200


def profile(runner: OnnxRuntimeRunner, images: npt.NDArray[np.uint8], *, runs: int = RUNS) -> Profile:
    """Profile an .onnx model.

    Args:
        runner: the model, as opened; its optimization level is used.
        images: uint8 (batch, H, W, C), what each run gets.
        runs: how often to run; medians are taken.
    """
    native = runner.prepare(images)
    with tempfile.TemporaryDirectory() as folder:
        options = session_options(threads=runner.threads, level=runner.level)
        options.enable_profiling = True
        options.profile_file_prefix = str(Path(folder) / "profile")
        session = open_session(runner.content, label=runner.label, options=options)
        feed = {session.get_inputs()[0].name: native}
        for _ in range(runs):
            session.run(None, feed)
        events: list[dict[str, Any]] = json.loads(Path(session.end_profiling()).read_text("utf-8"))
    return Profile(label=runner.label, batch=len(images), nodes=_nodes(events))


def _nodes(events: Sequence[dict[str, Any]]) -> tuple[NodeTime, ...]:
    times: dict[str, list[int]] = {}
    about: dict[str, dict[str, Any]] = {}
    for event in events:
        name = str(event.get("name", ""))
        if event.get("cat") != "Node" or not name.endswith("_kernel_time"):
            continue
        key = f"{event['args'].get('node_index', '')} {name}"
        times.setdefault(key, []).append(int(event["dur"]))
        about[key] = event
    # the mean of the middle half: a median of whole microseconds would be too coarse
    middle = {key: _middle(values) for key, values in times.items()}
    total = sum(middle.values()) or 1.0
    return tuple(_node(about[key], middle[key], middle[key] / total) for key in times)


def _middle(values: Sequence[int]) -> float:
    ordered = np.sort(np.asarray(values, np.float64))
    quarter = len(ordered) // 4
    return float(ordered[quarter : len(ordered) - quarter].mean())


def _node(event: dict[str, Any], microseconds: float, share: float) -> NodeTime:
    inputs = event["args"].get("input_type_shape") or [{}]
    kind, shape = next(iter(inputs[0].items()), ("", []))
    op = str(event["args"].get("op_name", ""))
    image = len(shape) == 4
    # ONNX Runtime keeps quantized images NHWC and float ones NCHW
    channels = (shape[3] if kind in INTEGERS else shape[1]) if image else 0
    return NodeTime(
        name=str(event["name"]).removesuffix("_kernel_time"),
        kind=op,
        microseconds=microseconds,
        share=share,
        integer=kind in INTEGERS,
        channels=int(channels),
        dtype=kind,
    )
