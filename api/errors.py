"""The one error of the Python interface, and what a call leaves as it found it."""

from __future__ import annotations

import contextlib
import os
import random
from collections.abc import Iterator

_NATIVE_LOGS = ("TF_CPP_MIN_LOG_LEVEL", "GLOG_minloglevel", "ABSL_MIN_LOG_LEVEL", "GRPC_VERBOSITY")


class InputError(ValueError):
    """An argument, a model or data is not what it has to be; the message says so in one line."""


@contextlib.contextmanager
def one_call(*, quiet: bool = True) -> Iterator[None]:
    """Run a call: errors become `InputError`, nothing is printed, no global state stays changed.

    Kept are the environment (TensorFlow and Keras set variables when they are imported) and the states of the
    random generators of Python and numpy.

    Args:
        quiet: keep what native libraries write off stderr as well.

    Raises:
        InputError: for each error that a command would end with exit code 2.
    """
    import numpy as np

    from mnist_export.core.errors import MnistExportError
    from mnist_export.core.native_log import quiet_stderr

    environment = dict(os.environ)
    # numpy's legacy generator is the one that other people's code shares
    states = random.getstate(), np.random.get_state()
    for name in _NATIVE_LOGS:
        os.environ.setdefault(name, "ERROR" if name == "GRPC_VERBOSITY" else "3")
    try:
        with quiet_stderr() if quiet else contextlib.nullcontext():
            yield
    except MnistExportError as error:
        raise InputError(str(error)) from error
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])
        os.environ.clear()
        os.environ.update(environment)
