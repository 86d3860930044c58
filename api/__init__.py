"""Takes Keras image classifiers to TFLite, ONNX and C in int8, and checks that they still answer alike.

Example::

    import mnist_export as mx

    result = mx.export("lenet5", formats=("tflite", "onnx"), precision="int8", data="mnist")
    print(result.passed, result.verdict)

Names are loaded when they are first used: importing this package imports neither TensorFlow nor numpy.
"""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mnist_export.calls import check, export, record, train
    from mnist_export.comparing import compare
    from mnist_export.errors import InputError
    from mnist_export.file_calls import certify, profile
    from mnist_export.result import Artifact, Comparison, Result

__all__ = [
    "Artifact",
    "Comparison",
    "InputError",
    "Result",
    "__version__",
    "certify",
    "check",
    "compare",
    "export",
    "profile",
    "record",
    "train",
]

_PLACES = {
    "Artifact": "result",
    "Comparison": "result",
    "InputError": "errors",
    "Result": "result",
    "certify": "file_calls",
    "check": "calls",
    "compare": "comparing",
    "export": "calls",
    "profile": "file_calls",
    "record": "calls",
    "train": "calls",
}

_ROOMS = ("export", "train")  # also subpackages


def __getattr__(name: str) -> Any:
    """Load a public name from the module that holds it."""
    if name == "__version__":
        from importlib.metadata import version

        return version("mnist-export")
    if name not in _PLACES:
        raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
    found = getattr(importlib.import_module(f"{__name__}.{_PLACES[name]}"), name)
    return _Call(found) if name in _ROOMS else found


def __dir__() -> list[str]:
    """The public names."""
    return list(__all__)


class _Call:
    """A call that shares its name with a subpackage: its attributes are the subpackage's."""

    def __init__(self, call: Any) -> None:
        object.__setattr__(self, "__wrapped__", call)
        object.__setattr__(self, "__doc__", call.__doc__)
        object.__setattr__(self, "__name__", call.__name__)

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        return self.__wrapped__(*arguments, **options)

    def __getattr__(self, name: str) -> Any:
        return getattr(importlib.import_module(f"{__name__}.{self.__name__}"), name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(importlib.import_module(f"{__name__}.{self.__name__}"), name, value)

    def __delattr__(self, name: str) -> None:
        delattr(importlib.import_module(f"{__name__}.{self.__name__}"), name)


class _Package(ModuleType):
    """This module's type: ``export`` and ``train`` stay the calls of these names.

    Importing the subpackage ``mnist_export.export`` makes Python set it as an attribute of this module, where
    it would hide the call. ``from mnist_export.export import ...`` works all the same.
    """

    def __setattr__(self, name: str, value: object) -> None:
        """Set an attribute, unless it is a subpackage under a call's name."""
        if not (name in _ROOMS and isinstance(value, ModuleType)):
            super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package
