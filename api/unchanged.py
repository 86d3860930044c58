"""What a call leaves as it found it: environment, seeds, logging, warnings, settings of Keras."""

from __future__ import annotations

import contextlib
import logging
import os
import random
import sys
import warnings
from collections.abc import Callable, Iterator
from typing import Any

_NATIVE_LOGS = ("TF_CPP_MIN_LOG_LEVEL", "GLOG_minloglevel", "ABSL_MIN_LOG_LEVEL", "GRPC_VERBOSITY")
_LOGGERS = ("tensorflow", "absl")
_KERAS_STATE = "keras.src.backend.common.global_state"
_KERAS_SEEDS = ("global_random_seed", "global_seed_generator")


@contextlib.contextmanager
def unchanged() -> Iterator[None]:
    """Run a block quietly, and put the process's global state back afterwards.

    Kept are the environment, the states of the random generators of Python, numpy, TensorFlow and Keras,
    TensorFlow's determinism, Keras's global settings and counters of names, the root logger's handlers, the
    levels of TensorFlow's loggers, and the filters of warnings.
    """
    with contextlib.ExitStack() as stack:
        for restore in (_environment(), _generators(), _logging(), _determinism(), _keras()):
            stack.callback(restore)
        stack.enter_context(warnings.catch_warnings())
        if "tensorflow" in sys.modules:
            from mnist_export.models.structure.engine import hush

            hush()
        for name in _NATIVE_LOGS:
            os.environ.setdefault(name, "ERROR" if name == "GRPC_VERBOSITY" else "3")
        yield


def _environment() -> Callable[[], None]:
    before = dict(os.environ)

    def restore() -> None:
        os.environ.clear()
        os.environ.update(before)

    return restore


def _generators() -> Callable[[], None]:
    import numpy as np

    own = random.getstate()
    shared = np.random.get_state()  # the legacy generator is the one that other people's code shares
    context = _eager_context()
    seed = getattr(context, "_seed", None)
    draws = getattr(context, "_rng", None)  # there is none before a first seed
    state = draws.getstate() if draws is not None else None

    def restore() -> None:
        random.setstate(own)
        np.random.set_state(shared)
        now = _eager_context()
        if now is None or (seed is None and getattr(now, "_seed", None) is None):
            return
        now._set_global_seed(seed)
        if state is not None:
            now._rng.setstate(state)

    return restore


def _eager_context() -> Any:
    """TensorFlow's state in this process; None before it is imported."""
    module = sys.modules.get("tensorflow.python.eager.context")
    return None if module is None else module.context()


def _logging() -> Callable[[], None]:
    handlers, level = list(logging.root.handlers), logging.root.level
    levels = {name: logging.getLogger(name).level if _exists(name) else logging.NOTSET for name in _LOGGERS}

    def restore() -> None:
        for handler in [one for one in logging.root.handlers if one not in handlers]:
            logging.root.removeHandler(handler)
        logging.root.setLevel(level)
        for name, before in levels.items():
            if _exists(name):
                logging.getLogger(name).setLevel(before)

    return restore


def _exists(name: str) -> bool:
    return isinstance(logging.root.manager.loggerDict.get(name), logging.Logger)


def _determinism() -> Callable[[], None]:
    def enabled() -> bool:
        module = sys.modules.get("tensorflow.python.framework.config")
        return module is not None and bool(module.is_op_determinism_enabled())

    before = enabled()

    def restore() -> None:
        if enabled() and not before:
            sys.modules["tensorflow.python.framework.config"].disable_op_determinism()

    return restore


def _keras() -> Callable[[], None]:
    """Keras 3 keeps its policies, seeds and counters in two objects, which `clear_session` replaces."""
    module = sys.modules.get(_KERAS_STATE)
    if module is None:
        return _forget_seeds
    kept = []
    for name in ("GLOBAL_STATE_TRACKER", "GLOBAL_SETTINGS_TRACKER"):
        tracker = getattr(module, name, None)
        if tracker is not None:
            values = {key: _copied(value) for key, value in vars(tracker).items()}
            kept.append((name, tracker, values))

    def restore() -> None:
        for name, tracker, values in kept:
            vars(tracker).clear()
            vars(tracker).update(values)
            setattr(module, name, tracker)

    return restore


def _copied(value: Any) -> Any:
    return value.copy() if isinstance(value, dict) else value


def _forget_seeds() -> None:
    tracker = getattr(sys.modules.get(_KERAS_STATE), "GLOBAL_STATE_TRACKER", None)
    for name in _KERAS_SEEDS:
        if hasattr(tracker, name):
            delattr(tracker, name)
