"""The search itself: asks for networks, places them on workers, records what came of them."""

from __future__ import annotations

import contextlib
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from mnist_export.core.errors import InputError, MissingExtraError
from mnist_export.core.files import write_atomic
from mnist_export.search.apart import run_apart
from mnist_export.search.saved import save_space
from mnist_export.search.store import Store, Tried, locked
from mnist_export.search.trial import BEFORE_TRAINING, TrialResult, TrialSpec

if TYPE_CHECKING:
    from mnist_export.search.space import Space

_LEAST_CURVES: Final = 8
_ALL_FAIL: Final = 5
_POLL_S: Final = 1.0


@dataclass(frozen=True, kw_only=True)
class Workers:
    """Where trials run.

    Attributes:
        count: processes on this machine, where there is no scheduler.
        scheduler: address of a Dask scheduler, such as ``"tcp://host:8786"``; None for this machine.
    """

    count: int = 1
    scheduler: str | None = None


def search(
    space: Space,
    folder: Path,
    *,
    workers: Workers | None = None,
    timeout_s: float | None = None,
    told: Callable[[Tried, list[Tried]], None] = lambda _item, _all: None,
) -> list[Tried]:
    """Run the trials of a space that its folder does not hold yet.

    Args:
        space: what to search.
        folder: of the search: its store, and the files of the trials on the front.
        workers: where trials run; None is one process here.
        timeout_s: no trial is begun after this many seconds.
        told: receives each trial as it ends, and all so far.

    Returns:
        Every finished trial.

    Raises:
        InputError: the folder holds another search, the scheduler cannot be reached, or every trial fails.
        OutputError: another process drives a search there.
    """
    where = workers or Workers()
    code = "" if space.build is None else _code_of(space.build)
    with locked(folder):
        store = Store(folder, space)
        save_space(space, folder)
        store.begin()
        if not store.is_exhausted():
            with _client(where) as client:
                _drive(
                    _Run(space=space, store=store, folder=folder, code=code, told=told),
                    client,
                    where,
                    timeout_s,
                )
        return store.tried()


@dataclass(frozen=True, kw_only=True)
class _Run:
    space: Space
    store: Store
    folder: Path
    code: str
    told: Callable[[Tried, list[Tried]], None]


def _drive(run: _Run, client: Any, where: Workers, timeout_s: float | None) -> None:
    import distributed

    wait: Any = distributed.wait

    end = None if timeout_s is None else time.monotonic() + timeout_s
    running: dict[Any, tuple[Any, int]] = {}
    failures: list[str] = []
    try:
        while True:
            slots = where.count if where.scheduler is None else sum(client.nthreads().values())
            late = end is not None and time.monotonic() > end
            while not late and len(running) < slots and not run.store.is_exhausted():
                trial, spec = _next(run)
                # Dask runs a task again where its worker died; after three deaths the task is to blame.
                running[client.submit(run_apart, spec, pure=False)] = (trial, spec.index)
            if not running:
                if late or run.store.is_exhausted():
                    return
                time.sleep(_POLL_S)  # a scheduler whose workers are still to come
                continue
            with contextlib.suppress(TimeoutError):
                wait(list(running), timeout=_POLL_S, return_when="FIRST_COMPLETED")
            for future in [future for future in running if future.done()]:
                trial, index = running.pop(future)
                result = _result_of(future)
                _record(run, trial, index, result)
                failures = [*failures, result.why] if result.ended == "failed" else []
                if len(failures) >= _ALL_FAIL and not any(t.ended == "done" for t in run.store.tried()):
                    raise InputError(
                        f"search: the first {len(failures)} trials all failed. The last: {failures[-1]}"
                    )
    finally:
        client.cancel(list(running))


def _next(run: _Run) -> tuple[Any, TrialSpec]:
    trial, index = run.store.ask()
    values = run.space.suggest(trial)
    choices: dict[str, Any] = {}
    if run.code:
        from mnist_export.search.users_build import build_of

        build_of(run.code, str(run.space.build))(trial)
        choices = dict(trial.params)
    trial.set_user_attr("values", values | choices)
    return trial, TrialSpec(
        index=index,
        values=values,
        data=run.space.data,
        seed=run.space.seed,
        code=run.code,
        code_name=str(run.space.build or ""),
        choices=choices,
        floor=floor_of(run.store.tried()),
        ceilings={
            limit.figure.name: limit.value
            for limit in run.space.budget
            if not limit.at_least and limit.figure.name in BEFORE_TRAINING
        },
        target=_target_of(run.space),
    )


def _target_of(space: Space) -> str | None:
    """The plain form where a microcontroller's memory is judged: blocks for LiteRT's kernels cost arena."""
    judged = {*(figure.name for figure in space.objectives), *(limit.figure.name for limit in space.budget)}
    return "portable" if judged & {"ram", "arena"} else None


def floor_of(tried: list[Tried]) -> tuple[float, ...]:
    """For each epoch, the validation accuracy that three quarters of the trials so far had reached.

    The first epoch says little and has no floor; nor has an epoch that fewer than eight trials came to.
    """
    curves = [item.curve for item in tried if item.curve]
    floor = [0.0]
    for epoch in range(1, max((len(curve) for curve in curves), default=0)):
        reached = sorted(curve[epoch] for curve in curves if len(curve) > epoch)
        if len(reached) < _LEAST_CURVES:
            break
        floor.append(reached[len(reached) // 4])
    return tuple(floor) if len(floor) > 1 else ()


def _result_of(future: Any) -> TrialResult:
    try:
        result: TrialResult = future.result()
    except Exception as error:  # noqa: BLE001 - a worker that died: the search goes on without this network
        return TrialResult(ended="failed", why=f"its worker was lost: {type(error).__name__}: {error}"[:2000])
    return result


def _record(run: _Run, trial: Any, index: int, result: TrialResult) -> None:
    run.store.tell(trial, result)
    tried = run.store.tried()
    item = next(item for item in tried if item.index == index)
    if item.on_front and result.files:
        write_atomic(
            {trial_folder(run.folder, index) / name: content for name, content in result.files.items()}
        )
    kept = {trial_folder(run.folder, t.index).name for t in tried if t.on_front}
    for old in trial_folder(run.folder, index).parent.glob("[0-9]*"):
        if old.name not in kept:
            shutil.rmtree(old, ignore_errors=True)
    run.told(item, tried)


def trial_folder(folder: Path, index: int) -> Path:
    """Where the files of a trial on the front are."""
    return folder / "front" / f"{index:05d}"


def _code_of(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"build = '{path}': expected a Python file, found {error}. Check the path."
        ) from error


@contextlib.contextmanager
def _client(where: Workers) -> Iterator[Any]:
    try:
        import dask
        import distributed
    except ImportError as error:
        raise MissingExtraError("distributed", "search", "mnist-search") from error
    client_of: Any = distributed.Client
    cluster_of: Any = distributed.LocalCluster
    quiet = {"distributed.worker.daemon": True, "distributed.logging.distributed": "error"}
    with dask.config.set(quiet):
        if where.scheduler is not None:
            try:
                client = client_of(where.scheduler, timeout="10s", name="mnist-search")
            except (OSError, TimeoutError, ValueError) as error:
                raise InputError(
                    f"scheduler {where.scheduler}: expected a Dask scheduler's address, found {error}. Start "
                    "one with `dask scheduler`, and `dask worker ADDRESS` on each machine."
                ) from error
            with client:
                yield client
            return
        with (
            cluster_of(
                n_workers=where.count,
                threads_per_worker=1,
                processes=True,
                dashboard_address=None,
                silence_logs=50,
            ) as cluster,
            client_of(cluster) as client,
        ):
            yield client
