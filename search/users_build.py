"""A user's own ``build(trial)``, which chooses through Optuna's trial and returns a Keras model."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from typing import Any

from mnist_export.core.errors import InputError
from mnist_export.data.limits import shown


def build_of(code: str, name: str) -> Callable[[Any], Any]:
    """Run a file's code and take its function ``build``.

    Args:
        code: the file's source; it runs with this process's rights.
        name: of the file, for messages.

    Returns:
        The function; what it raises is an `InputError` with the file's line.

    Raises:
        InputError: the code does not run, or defines no ``build``.
    """
    namespace: dict[str, Any] = {"__name__": "mnist_export_search_space", "__file__": name}
    _guarded(name, lambda: exec(compile(code, name, "exec"), namespace))  # noqa: S102 - the user asked for it
    build = namespace.get("build")
    if not callable(build):
        raise InputError(f"{shown(name)}: expected a function build(trial), found none. Define it.")

    def guarded(trial: Any) -> Any:
        model = _guarded(name, lambda: build(trial))
        if not hasattr(model, "count_params"):
            raise InputError(
                f"{shown(name)}: expected build(trial) to return a Keras model, found "
                f"{type(model).__name__}. Return the model."
            )
        return model

    return guarded


def _guarded(name: str, call: Callable[[], Any]) -> Any:
    try:
        return call()
    except InputError:
        raise
    except Exception as error:
        lines = [
            frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == name
        ]
        line = lines[-1] if lines else getattr(error, "lineno", "?")
        raise InputError(
            f"{shown(name)}, line {line}: expected build(trial) to run, found {type(error).__name__}: "
            f"{shown(error)}"
        ) from error
