"""The store of trials: an Optuna study in one journal file, which other tools of Optuna can open."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from mnist_export.core.errors import InputError, MissingExtraError, OutputError
from mnist_export.data.limits import shown

if TYPE_CHECKING:
    from mnist_export.search.space import Space
    from mnist_export.search.trial import TrialResult

STORE: Final = "search.log"
_MANY: Final = 400
_DIGEST: Final = "space"


@dataclass(frozen=True, kw_only=True)
class Tried:
    """One finished trial.

    Attributes:
        index: its place in the search, from 0.
        number: Optuna's number of it; differs from the index where trials were lost with their worker.
        values: setting to value.
        figures: what was measured.
        curve: validation accuracy of each epoch.
        ended: see `TrialResult.ended`.
        why: in a sentence, where it is not done.
        fits: whether it keeps the budget.
        on_front: whether no other trial that keeps the budget is better in every objective.
    """

    index: int
    number: int
    values: dict[str, Any]
    figures: dict[str, float]
    curve: tuple[float, ...]
    ended: str
    why: str
    fits: bool
    on_front: bool = False


class Store:
    """An Optuna study, by whichever process drives the search.

    Args:
        folder: that holds the journal; None keeps the study in memory.
        space: what is searched.
    """

    def __init__(self, folder: Path | None, space: Space) -> None:
        """Open or begin it.

        Raises:
            MissingExtraError: Optuna is not installed.
            InputError: the folder holds another search.
        """
        try:
            import optuna
        except ImportError as error:
            raise MissingExtraError("optuna", "search", "mnist-search") from error
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._optuna: Any = optuna
        self._known: dict[int, Tried] = {}  # finished trials never change
        self._waiting = self._next = 0
        self._has_population = False
        self.space = space
        self.study: Any = self._open(folder)
        known = self.study.user_attrs.get(_DIGEST)
        if known is None:
            self.study.set_user_attr(_DIGEST, digest_of(space))
            self.study.set_user_attr("objectives", [figure.name for figure in space.objectives])
        elif known != digest_of(space):
            raise InputError(
                f"{shown(folder)}: expected a new folder, or one of the same search, found trials of another "
                "space, other objectives, another budget, data or seed. Choose another folder with -o."
            )

    def _open(self, folder: Path | None) -> Any:
        directions = list(self.space.directions)
        if folder is None:
            return self._optuna.create_study(study_name="search", directions=directions)
        from optuna.storages import journal

        path = str(folder / STORE)
        try:
            backend = journal.JournalFileBackend(path, lock_obj=journal.JournalFileOpenLock(path))
            return self._optuna.create_study(
                storage=self._optuna.storages.JournalStorage(backend),
                study_name="search",
                directions=directions,
                load_if_exists=True,
            )
        except (ValueError, KeyError, TypeError, AttributeError, OSError) as error:
            raise InputError(
                f"{shown(path)}: expected the journal of a search, found {shown(error)}. Move it away or "
                "choose another folder."
            ) from error

    def trials(self) -> list[Any]:
        """Optuna's trials, finished or not."""
        found: list[Any] = self.study.get_trials(deepcopy=False)
        return found

    def begin(self) -> None:
        """Give up trials that a killed driver left running, and put their choices first in the queue."""
        for trial in self.trials():
            if trial.state.name == "RUNNING":
                index = trial.user_attrs.get("index")
                self.study.tell(trial.number, state=self._optuna.trial.TrialState.FAIL)
                if index is not None:
                    self.study.enqueue_trial(trial.params, user_attrs={"index": index})
        trials = self.trials()
        self._waiting = sum(trial.state.name == "WAITING" for trial in trials)
        self._next = max((trial.user_attrs.get("index", -1) for trial in trials), default=-1) + 1

    def is_exhausted(self) -> bool:
        """Whether every trial of the space was begun, and none waits to be done again."""
        return not self._waiting and self._next >= self.space.trials

    def ask(self) -> tuple[Any, int]:
        """The next trial and its index.

        The choices of the first 400 depend on the seed, the index and finished trials only, so that a search
        that was interrupted goes on as if it had not been.
        """
        if self._waiting:
            self._waiting -= 1
            trial = self.study.ask()
            return trial, int(trial.user_attrs["index"])
        index, self._next = self._next, self._next + 1
        # Parzen estimators learn most from few trials; their cost grows with them, a population's does not.
        seed = (self.space.seed * 100_003 + index) % 2**32
        if index < _MANY:
            self.study.sampler = self._optuna.samplers.TPESampler(seed=seed, multivariate=True)
        elif not self._has_population:
            self.study.sampler = self._optuna.samplers.NSGAIISampler(seed=seed)
            self._has_population = True
        trial = self.study.ask()
        trial.set_user_attr("index", index)
        return trial, index

    def tell(self, trial: Any, result: TrialResult) -> None:
        """Record a result."""
        trial.set_user_attr(
            "result",
            {
                "figures": dict(result.figures),
                "curve": list(result.curve),
                "ended": result.ended,
                "why": result.why,
            },
        )
        values = [result.figures.get(figure.name) for figure in self.space.objectives]
        for limit in self.space.budget:
            found = result.figures.get(limit.figure.name)
            trial.set_constraint(str(limit), 1.0 if found is None else max(limit.excess(found), -1e9))
        if result.ended == "over budget":
            # Known before training: its limits steer the choice, its objectives were not measured.
            values = [
                (0.0 if figure.better == "maximize" else 1e18) if value is None else value
                for figure, value in zip(self.space.objectives, values, strict=True)
            ]
        if any(value is None for value in values):
            self.study.tell(trial, state=self._optuna.trial.TrialState.FAIL)
        else:
            self.study.tell(trial, [float(value) for value in values if value is not None])

    def tried(self) -> list[Tried]:
        """Every finished trial, in order of the index, with the front marked."""
        for trial in self.trials():
            if trial.number not in self._known and trial.state.is_finished() and "result" in trial.user_attrs:
                self._known[trial.number] = _tried(trial, self.space)
        items = sorted(self._known.values(), key=lambda item: item.index)
        best = set(front([item for item in items if item.fits], self.space))
        return [replace(item, on_front=True) if item.index in best else item for item in items]


def front(items: list[Tried], space: Space) -> Iterator[int]:
    """Indices of those that no other one beats: at least as good in every objective, better in one."""
    signs = [1.0 if figure.better == "minimize" else -1.0 for figure in space.objectives]
    points = sorted(
        (
            tuple(sign * item.figures[f.name] for sign, f in zip(signs, space.objectives, strict=True)),
            item.index,
        )
        for item in items
    )
    kept: list[tuple[float, ...]] = []
    for point, index in points:
        if not any(all(a <= b for a, b in zip(other, point, strict=True)) for other in kept):
            kept.append(point)
            yield index


def _tried(trial: Any, space: Space) -> Tried:
    attrs = trial.user_attrs
    result = attrs["result"]
    figures = {str(name): float(value) for name, value in result["figures"].items()}
    done = result["ended"] == "done" and all(figure.name in figures for figure in space.objectives)
    held = all(
        limit.figure.name in figures and limit.excess(figures[limit.figure.name]) <= 0
        for limit in space.budget
    )
    return Tried(
        index=int(attrs["index"]),
        number=int(trial.number),
        values=dict(attrs.get("values", trial.params)),
        figures=figures,
        curve=tuple(float(value) for value in result["curve"]),
        ended=str(result["ended"]),
        why=str(result["why"]),
        fits=done and held,
    )


def digest_of(space: Space) -> str:
    """A hash of everything that decides which trials there are; the number of trials does not."""
    described = {
        "data": space.data,
        "settings": [repr(values) for values in space.settings],
        "objectives": [figure.name for figure in space.objectives],
        "budget": [str(limit) for limit in space.budget],
        "seed": space.seed,
        "build": "" if space.build is None else space.build.read_text(encoding="utf-8"),
    }
    return hashlib.sha256(json.dumps(described, sort_keys=True).encode()).hexdigest()


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold a search's folder against a second driver.

    Raises:
        OutputError: another process drives a search there.
    """
    import fcntl

    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".driver.lock").open("a") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise OutputError(
                f"{shown(folder)}: another mnist-search runs there. Wait for it, or choose another "
                "folder with -o."
            ) from error
        yield
