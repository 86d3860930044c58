"""Data from a user's own function: ``--data FILE.py:function``, with ``--trust``."""

from __future__ import annotations

import contextlib
import inspect
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mnist_export.core.errors import InputError
from mnist_export.core.user_code import load_user_file, running
from mnist_export.data.dataset import Dataset, Split
from mnist_export.data.limits import shown
from mnist_export.data.own import own_dataset, own_split
from mnist_export.data.own_pairs import Pairs, split_of_pairs
from mnist_export.data.picture_tree import PARTS
from mnist_export.data.request import Request

_SPEC = re.compile(r"(?P<file>.+\.py):(?P<function>[A-Za-z_]\w*)")
_FORMS = (
    "(x_train, y_train, x_test, y_test), (x_train, y_train), pairs of (image, label) (a generator, a list, a "
    "tf.data.Dataset), (train, test) or {'train': ..., 'validation': ..., 'test': ...} of those, or a Dataset"
)


@dataclass(frozen=True, kw_only=True)
class UserFunction:
    """A function in a file.

    Attributes:
        file: the Python file.
        name: the function's.
    """

    file: Path
    name: str

    def __str__(self) -> str:
        """As the user writes it."""
        return f"{shown(self.file)}:{self.name}"


def code_of(spec: str) -> UserFunction | None:
    """Read ``FILE.py:function``; None for everything else."""
    found = _SPEC.fullmatch(spec)
    if found is None:
        return None
    return UserFunction(file=Path(found["file"]).expanduser(), name=found["function"])


def dataset_of_code(code: UserFunction, request: Request) -> Dataset:
    """Call a user's function and make a data set of what it gives.

    Pairs are taken one at a time and kept on disk, so they may be more than memory holds.

    Raises:
        InputError: no trust, no such file or function, it raises, or it gives something else.
    """
    if not code.file.is_file():
        raise InputError(f"data '{code}': expected a Python file, found none at that path. Check the path.")
    if not request.trust:
        raise InputError(
            f"data '{code}': expected `trust=True`, because it runs the code in that file; found "
            "none. Read the file, then add it."
        )
    function = getattr(load_user_file(code.file), code.name, None)
    if not callable(function):
        raise InputError(f"data '{code}': expected a function of that name, found none. Check the name.")
    with running(code.file, f"{code.name}()"):
        given = function()
    if isinstance(given, Dataset):
        return given
    with running(code.file, f"what {code.name}() gives"):
        parts, names = _parts(code, given, function, request)
    return own_dataset(
        path=Path(f"{code.file.stem}-{code.name}"),
        source="code",
        train=parts["train"],
        validation=parts.get("validation"),
        test=parts.get("test"),
        request=request,
        class_names=names,
        sha256={f"{part}-images": split.images_sha256() for part, split in parts.items()},
        notes=[f"Made by {code.name}() of {shown(code.file.name)}."],
        every_class=False,
    )


def _parts(
    code: UserFunction, given: Any, function: Any, request: Request
) -> tuple[dict[str, Split], tuple[str, ...] | None]:
    """Part to its split, and the classes' names where something says them."""
    named: dict[str, Any] = {}
    if isinstance(given, Mapping):
        named = _named(code, given, function)
    elif isinstance(given, tuple) and len(given) in {2, 4} and all(map(_is_array, given)):
        named = {"train": given[:2], **({"test": given[2:]} if len(given) == 4 else {})}
    elif isinstance(given, tuple) and len(given) in {2, 3} and all(map(_is_iterable, given)):
        order = ("train", "test") if len(given) == 2 else ("train", "validation", "test")
        named = dict(zip(order, given, strict=True))
    elif _is_iterable(given) and not isinstance(given, tuple):
        named = {"train": given}
    else:
        raise _nonsense(code, given, function)
    names = next((found for value in named.values() if (found := _class_names(value))), None)
    splits = {}
    for part, value in named.items():
        where = f"{_place(code, function)}, {part} of {code.name}()"
        if isinstance(value, tuple) and len(value) == 2 and all(map(_is_array, value)):
            splits[part] = own_split(where, np.asarray(value[0]), np.asarray(value[1]), head=request.head)
        elif _is_iterable(value):
            splits[part] = split_of_pairs(Pairs(where=where, source=value, notify=request.notify))
        else:
            raise _nonsense(code, value, function)
    return splits, names


def _named(code: UserFunction, given: Mapping[Any, Any], function: Any) -> dict[str, Any]:
    arrays = {"x_train", "y_train"}
    if arrays <= set(given):
        named = {"train": (given["x_train"], given["y_train"])}
        if {"x_test", "y_test"} <= set(given):
            named["test"] = (given["x_test"], given["y_test"])
        return named
    parts = {name: part for part, names in PARTS.items() for name in names}
    if "train" not in {parts.get(str(key)) for key in given} or not all(str(key) in parts for key in given):
        raise _nonsense(code, given, function)
    found = {parts[str(key)]: value for key, value in given.items()}
    return {part: found[part] for part in PARTS if part in found}


def _is_iterable(value: Any) -> bool:
    return hasattr(value, "__iter__") and not isinstance(value, str | bytes | np.ndarray)


def _is_array(value: Any) -> bool:
    return hasattr(value, "dtype") and hasattr(value, "shape")


def _class_names(value: Any) -> tuple[str, ...] | None:
    """Names that Keras's ``image_dataset_from_directory`` leaves on its result."""
    names = getattr(value, "class_names", None)
    if isinstance(names, list | tuple) and len(names) > 1 and all(isinstance(n, str) for n in names):
        return tuple(names)
    return None


def _nonsense(code: UserFunction, given: Any, function: Any) -> InputError:
    found = type(given).__name__
    if isinstance(given, tuple | list):
        found += f" of {', '.join(type(item).__name__ for item in given[:6])}"
    elif isinstance(given, Mapping):
        found += f" of {', '.join(map(repr, list(given)[:6]))}"
    return InputError(
        f"{_place(code, function)}: expected {code.name}() to give {_FORMS}, found {shown(found)}. Correct "
        "it."
    )


def _place(code: UserFunction, function: Any) -> str:
    """The file and the line on which the function begins."""
    with contextlib.suppress(OSError, TypeError):  # built at run time: it has no source
        return f"{shown(code.file)} line {inspect.getsourcelines(function)[1]}"
    return shown(code.file)
