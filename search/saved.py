"""A search's space beside its store, so that its folder alone says what was searched."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, Final

from mnist_export.core.errors import InputError
from mnist_export.core.files import write_atomic_one
from mnist_export.data.limits import bad_file, shown
from mnist_export.search.figures import Limit, figure_named
from mnist_export.search.space import MAX_BYTES, Space
from mnist_export.search.store import STORE, Store, Tried
from mnist_export.search.values import Values

SPACE: Final = "space.json"
CODE: Final = "build.py"


def save_space(space: Space, folder: Path) -> None:
    """Write what is searched into the search's folder, a user's code with it.

    Raises:
        OutputError: the folder cannot be written.
    """
    described = {
        "name": space.name,
        "data": space.data,
        "settings": [asdict(values) for values in space.settings],
        "objectives": [figure.name for figure in space.objectives],
        "budget": [[limit.figure.name, limit.at_least, limit.value] for limit in space.budget],
        "trials": space.trials,
        "seed": space.seed,
        "has_code": space.build is not None,
    }
    if space.build is not None and space.build != folder / CODE:
        write_atomic_one(folder / CODE, space.build.read_bytes())
    write_atomic_one(folder / SPACE, (json.dumps(described, indent=1) + "\n").encode())


def load_search(folder: Path) -> tuple[Space, list[Tried]]:
    """A search by its folder: what was searched, and every finished trial.

    Raises:
        InputError: the folder holds no search, or a damaged one.
    """
    path = folder / SPACE
    if not path.is_file() or not (folder / STORE).is_file():
        raise InputError(f"{shown(folder)}: expected the folder of a search, found none. Name it with -o.")
    try:
        if path.stat().st_size > MAX_BYTES:
            raise bad_file(path, "at most 1 MiB", "a larger file", "Run the search again.")
        space = _space_of(json.loads(path.read_text(encoding="utf-8")), folder)
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        if isinstance(error, InputError):
            raise
        raise bad_file(
            path, "a search's space", f"{type(error).__name__}: {error}", "Run it again."
        ) from error
    return space, Store(folder, space).tried()


def _space_of(table: dict[str, Any], folder: Path) -> Space:
    settings = [Values(**{**entry, "choices": tuple(entry["choices"])}) for entry in table["settings"]]
    space = Space(
        name=str(table["name"]),
        data=str(table["data"]),
        settings=tuple(settings),
        objectives=tuple(figure_named(name) for name in table["objectives"]),
        budget=tuple(
            Limit(figure=figure_named(name), at_least=bool(floor), value=float(value))
            for name, floor, value in table["budget"]
        ),
        trials=int(table["trials"]),
        seed=int(table["seed"]),
    )
    return replace(space, build=folder / CODE) if table["has_code"] else space
