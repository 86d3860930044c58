"""A user's own layers and functions: the file that defines them is run, and its classes are collected."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from mnist_export.core.errors import InputError
from mnist_export.core.user_code import blamed, load_user_file
from mnist_export.models.foreign.beside import Beside

WAYS_OUT: Final = (
    'Give the code of its layers with `trust=True` and `custom="FILE.py"`, or save it with '
    "model.export('FOLDER') and open that SavedModel with `trust=True`."
)
"""What a refusal of a custom or subclassed layer advises."""


@dataclass(frozen=True, kw_only=True)
class CustomCode:
    """A user's classes and functions, by the names that a configuration may call them.

    Attributes:
        file: where they are defined; None where nothing was given.
        objects: name to class or function.
        trust: whether code in the model file itself may run, as a Lambda's.
    """

    file: Path | None = None
    objects: Mapping[str, Any] = field(default_factory=dict)
    trust: bool = False

    def knows(self, kind: str, registered: Any) -> bool:
        """Whether a configuration's class is one of these."""
        return kind in self.objects or (isinstance(registered, str) and registered in self.objects)

    def blame(self, error: BaseException) -> InputError | None:
        """The error of a user's layer in one line; None where no line of the file had a part in it."""
        return blamed(self.file, error, "its layers") if self.file is not None else None


NO_CODE: Final = CustomCode()


def custom_code(beside: Beside) -> CustomCode:
    """Run the file of custom layers and collect what it defines and registers.

    Raises:
        InputError: it is missing, raises, or defines nothing that a model could be made of.
    """
    if beside.custom is None:
        return CustomCode(trust=beside.trust)
    from mnist_export.models.structure.engine import keras, tf_keras

    packages = (keras(), tf_keras())
    before = [set(_registered(package)) for package in packages]
    module = load_user_file(beside.custom)
    objects = _defined(module)
    for package, known in zip(packages, before, strict=True):
        objects |= {name: value for name, value in _registered(package).items() if name not in known}
    # a file that is read a second time registers nothing new
    own = {id(value) for value in objects.values()}
    objects |= {
        name: value
        for package in packages
        for name, value in _registered(package).items()
        if id(value) in own
    }
    if not objects:
        raise InputError(
            f'`custom="{beside.custom}"`: expected classes of layers or functions, found none. Define them '
            "there, or import them."
        )
    return CustomCode(file=beside.custom, objects=objects, trust=beside.trust)


def _registered(package: Any) -> Mapping[str, Any]:
    saving = package.saving if hasattr(package.saving, "get_custom_objects") else package.utils
    return dict(saving.get_custom_objects())


def _defined(module: ModuleType) -> dict[str, Any]:
    """Classes of layers, models and the like, and functions, that a module holds and Keras does not."""
    found = {}
    for name, value in vars(module).items():
        origin = (getattr(value, "__module__", None) or "").partition(".")[0]
        if name.startswith("_") or origin in {
            "keras",
            "tf_keras",
            "tensorflow",
            "numpy",
            "builtins",
            "typing",
        }:
            continue
        if (inspect.isclass(value) and _of_keras(value)) or inspect.isfunction(value):
            found[name] = value
    return found


def _of_keras(kind: type) -> bool:
    return any(base.__module__.partition(".")[0] in {"keras", "tf_keras"} for base in kind.__mro__)
