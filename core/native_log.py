"""Keeps native libraries' start-up lines off stderr."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator


@contextlib.contextmanager
def quiet_stderr() -> Iterator[None]:
    """Send what native code writes to file descriptor 2 to nowhere; Python's own messages are flushed first.

    LiteRT writes ``INFO: Created TensorFlow Lite XNNPACK delegate`` once a process, and TensorFlow its
    start-up lines before its log is set up: past every Python stream and with no setting to stop it.
    """
    with contextlib.suppress(OSError, ValueError, AttributeError):
        sys.stderr.flush()
    try:
        kept = os.dup(2)
    except OSError:  # no stderr at all
        yield
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)
