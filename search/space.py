"""A search space: networks, trainings and quantization schemes to choose from, read from TOML."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Final

from mnist_export.core.errors import InputError
from mnist_export.core.registry import unknown_name
from mnist_export.data.limits import bad_file
from mnist_export.models.augmentation import Augmentation
from mnist_export.models.families import FamilyNetwork
from mnist_export.pipeline.request import DEFAULTS
from mnist_export.search.figures import Figure, Limit, figure_named, parse_budget
from mnist_export.search.values import Suggests, Values

MAX_BYTES: Final = 1 << 20
_AUGMENTATIONS: Final = tuple(field.name for field in fields(Augmentation))
TRAINING: Final = ("epochs", "batch_size", "learning_rate", "label_smoothing", *_AUGMENTATIONS)
"""Settings of a training."""
_NETWORK: Final = ("architecture", *(field.name for field in fields(FamilyNetwork)))
# What an export may be asked for; the search decides the rest: model, data, folder, checks.
SCHEME: Final = tuple(
    name
    for name in DEFAULTS
    if name not in {"model", "data", "output", "until", "trust", "max_drop", "min_agreement", "debug_layers"}
)
"""Settings of a quantization scheme: options of ``mnist-export``."""
_TABLES: Final = {"network": _NETWORK, "training": TRAINING, "scheme": SCHEME}
_TOP: Final = ("name", "data", "maximize", "minimize", "budget", "trials", "seed", "build")


@dataclass(frozen=True, kw_only=True)
class Space:
    """What is searched.

    Attributes:
        name: of the search, for files and pages.
        data: what ``--data`` takes; on other machines it must mean the same.
        settings: everything that can be chosen.
        objectives: the figures to improve, first the most important one.
        budget: limits that a result has to keep.
        trials: how many networks to try.
        seed: of every choice, training and calibration.
        build: a Python file with ``build(trial)``, which makes the network; None for the space's own.
    """

    name: str = "search"
    data: str = "auto"
    settings: tuple[Values, ...]
    objectives: tuple[Figure, ...]
    budget: tuple[Limit, ...] = ()
    trials: int = 100
    seed: int = 0
    build: Path | None = None

    @property
    def directions(self) -> tuple[str, ...]:
        """Optuna's direction of each objective."""
        return tuple(figure.better for figure in self.objectives)

    def suggest(self, trial: Suggests) -> dict[str, Any]:
        """Let an Optuna trial choose every setting: name to value."""
        return {values.name: values.suggest(trial) for values in self.settings}

    def with_changes(
        self,
        *,
        data: str | None = None,
        budget: str | None = None,
        maximize: str | None = None,
        minimize: str | None = None,
        trials: int | None = None,
        seed: int | None = None,
    ) -> Space:
        """A copy with what a command line says.

        Raises:
            InputError: an unknown figure, or numbers out of range.
        """
        changed = {
            "data": data,
            "budget": None if budget is None else parse_budget(budget),
            "objectives": _objectives(maximize or "", minimize or "") if maximize or minimize else None,
            "trials": trials,
            "seed": seed,
        }
        return _checked(replace(self, **{k: v for k, v in changed.items() if v is not None}))  # type: ignore[arg-type]


def default_space() -> Space:
    """The space of a search that names none: small networks of every family in int8, a few epochs each."""
    table: dict[str, Any] = {
        "network": {
            "family": ["plain", "depthwise", "bottleneck", "residual"],
            "width": {"low": 2, "high": 24, "log": True},
            "growth": [1.0, 1.5, 2.0],
            "stages": [1, 2, 3],
            "blocks": [1, 2],
            "kernel": [3, 5],
            "stem_stride": [1, 2],
        },
        "training": {
            "epochs": 10,
            "batch_size": 64,
            "learning_rate": {"low": 1e-3, "high": 1e-2, "log": True},
        },
        "scheme": {"precision": "int8"},
    }
    return space_of(table)


def read_space(path: Path) -> Space:
    """Read a space's TOML file.

    Raises:
        InputError: it cannot be read, is no TOML, or holds something unknown.
    """
    try:
        if not path.is_file():
            raise bad_file(path, "a search space as a TOML file", "no such file", "Check the path.")
        content = path.read_bytes()
    except OSError as error:
        raise bad_file(path, "a search space that can be read", error.strerror or "an error", "") from error
    if len(content) > MAX_BYTES:
        raise bad_file(path, "a search space of at most 1 MiB", f"{len(content)} bytes", "Make it smaller.")
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    try:
        table = tomllib.loads(content.decode("utf-8"))
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as error:
        raise bad_file(path, "TOML", str(error), "See docs/search.md for an example.") from error
    space = space_of(table, folder=path.parent)
    return space if "name" in table else replace(space, name=path.stem)


def space_of(table: Mapping[str, Any], *, folder: Path = Path()) -> Space:
    """A space from the content of its TOML file.

    Args:
        table: the content.
        folder: that a ``build`` is relative to.

    Raises:
        InputError: an unknown table or setting, or a value that is none.
    """
    for key in table:
        if key not in _TABLES and key not in _TOP:
            raise unknown_name("entry of a search space", key, [*_TABLES, *_TOP])
    settings = []
    for group, known in _TABLES.items():
        entries = table.get(group, {})
        if not isinstance(entries, Mapping):
            raise InputError(f"search space, {group}: expected a table, found {entries!r:.40}.")
        for key, value in entries.items():
            if key not in known:
                raise unknown_name(f"setting of [{group}]", key, known)
            settings.append(Values.parse(f"{group}.{key}", value))
    build = table.get("build")
    space = Space(
        name=_text(table, "name", "search"),
        data=_text(table, "data", "auto"),
        settings=tuple(settings),
        objectives=_objectives(_words(table, "maximize"), _words(table, "minimize")),
        budget=parse_budget(_words(table, "budget")),
        trials=_whole(table, "trials", 100),
        seed=_whole(table, "seed", 0),
        build=None if build is None else folder / _text(table, "build", ""),
    )
    return _checked(space)


def _checked(space: Space) -> Space:
    if not 1 <= space.trials <= 100_000:
        raise InputError(f"trials: expected 1 to 100000, found {space.trials}.")
    if not 0 <= space.seed < 2**31:
        raise InputError(f"seed: expected 0 to {2**31 - 1}, found {space.seed}.")
    return space


def _text(table: Mapping[str, Any], key: str, default: str) -> str:
    value = table.get(key, default)
    if not isinstance(value, str):
        raise InputError(f"search space, {key}: expected a text, found {value!r:.40}.")
    return value


def _whole(table: Mapping[str, Any], key: str, default: int) -> int:
    value = table.get(key, default)
    if not isinstance(value, int) or isinstance(value, bool):
        raise InputError(f"search space, {key}: expected a whole number, found {value!r:.40}.")
    return value


def _words(table: Mapping[str, Any], key: str) -> str:
    value = table.get(key, "")
    if isinstance(value, list) and all(isinstance(word, str) for word in value):
        value = ",".join(value)
    return _text({key: value}, key, "")


def _objectives(maximize: str, minimize: str) -> tuple[Figure, ...]:
    wanted = [("maximize", word) for word in maximize.split(",")]
    wanted += [("minimize", word) for word in minimize.split(",")]
    chosen: list[Figure] = []
    for direction, word in wanted:
        if word.strip():
            figure = figure_named(word.strip())
            if figure.better != direction:
                raise InputError(
                    f"objective {figure.name}: expected to {figure.better} it, found {direction}. Write "
                    f"{figure.better} = '{figure.name}'."
                )
            chosen.append(figure)
    if len({figure.name for figure in chosen}) != len(chosen) or len(chosen) > 4:
        raise InputError(f"objectives: expected up to four different figures, found {len(chosen)}.")
    return tuple(chosen) or (figure_named("accuracy"), figure_named("flash"))
