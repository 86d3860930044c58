"""What a benchmark's parent and its child processes say to each other: one JSON object a line.

A child holds one model. Orders arrive on stdin, answers leave on the descriptor that was stdout; whatever a
native library prints goes to stderr. A child ends when its stdin does. Any program that follows this can be
measured in turns with the project's own runtimes, such as a runtime that lives in another environment:

    {"do": "open", ...}                                 -> {"runtime", "device", "load_ms", ...}
    {"do": "answer", "images": npy, "logits": npy}      -> {"seconds"}
    {"do": "batch", "images": npy, "limit_s": 1.0}      -> {"runs", "stable", "single_ns"}
    {"do": "turn", "count": 100}                        -> {"ns": [...], "cpu_ns": total}

The answer to "open" may hold ``arena_bytes`` and ``live_tensor_peak_bytes`` of one image. ``cpu_ns`` is the
processor time of the whole process over the turn. An answer {"error": text, "kind": name} is a refusal.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Mapping
from typing import Any

from mnist_export.core.errors import MnistExportError

Handler = Callable[[Mapping[str, Any]], Mapping[str, Any]]


def serve(handlers: Mapping[str, Handler]) -> int:
    """Answer orders until stdin ends.

    Args:
        handlers: by the order's name.

    Returns:
        0, for ``sys.exit``.
    """
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    with answers:
        for line in sys.stdin:
            order = json.loads(line)
            try:
                answer = handlers[order["do"]](order)
            except MnistExportError as error:
                answer = {"error": str(error), "kind": type(error).__name__}
            except Exception as error:  # noqa: BLE001 - whatever goes wrong in a child is its parent's to tell
                answer = {"error": f"{type(error).__name__}: {error}", "kind": "InputError"}
            answers.write(json.dumps(answer) + "\n")
            answers.flush()
    return 0
