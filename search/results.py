"""What a search leaves for people and programs: search.html, search.json, and one trial's files on demand."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from mnist_export.core.errors import InputError
from mnist_export.core.files import write_atomic
from mnist_export.search.apart import run_apart
from mnist_export.search.engine import trial_folder
from mnist_export.search.figures import Limit
from mnist_export.search.page import render_search
from mnist_export.search.store import Store, Tried
from mnist_export.search.trial import TrialResult, TrialSpec

if TYPE_CHECKING:
    from mnist_export.search.space import Space

SCHEMA_VERSION: Final = 1
_LEAST: Final = 10


def write_results(space: Space, folder: Path, tried: Sequence[Tried]) -> tuple[Path, Path]:
    """Write search.json and search.html.

    Returns:
        The two paths.

    Raises:
        OutputError: the folder cannot be written.
    """
    page = render_search(space, tried, importances(space, folder, tried), folder)
    text = json.dumps(to_json(space, tried), indent=1, allow_nan=False) + "\n"
    paths = folder / "search.json", folder / "search.html"
    write_atomic({paths[0]: text.encode(), paths[1]: page.encode()})
    return paths


def to_json(space: Space, tried: Sequence[Tried]) -> dict[str, Any]:
    """The search as plain data: its objectives, budget, and every finished trial."""
    return {
        "schema_version": SCHEMA_VERSION,
        "name": space.name,
        "data": space.data,
        "seed": space.seed,
        "objectives": [{"figure": f.name, "better": f.better, "unit": f.unit} for f in space.objectives],
        "budget": [str(limit) for limit in space.budget],
        "trials": [asdict(item) for item in tried],
    }


def importances(space: Space, folder: Path, tried: Sequence[Tried]) -> dict[str, float]:
    """How much of the first objective's variance each setting explains, by Optuna's PED-ANOVA.

    Empty for fewer than ten finished trials.
    """
    if sum(item.ended == "done" for item in tried) < _LEAST:
        return {}
    import optuna

    study: Any = Store(folder, space).study
    name = space.objectives[0].name
    try:
        found = optuna.importance.get_param_importances(
            study,
            evaluator=optuna.importance.PedAnovaImportanceEvaluator(),
            target=lambda trial: trial.user_attrs.get("result", {}).get("figures", {}).get(name, 0.0),
        )
    except (ValueError, RuntimeError):  # all values are equal, or the settings differ from trial to trial
        return {}
    return {str(key): float(value) for key, value in found.items()}


def choose(
    space: Space, tried: Sequence[Tried], budget: Sequence[Limit] = (), trial: int | None = None
) -> Tried:
    """The best trial within a budget by the first objective, or the one of a number.

    Raises:
        InputError: there is none; the nearest one is named.
    """
    done = [item for item in tried if item.ended == "done"]
    if trial is not None:
        found = next((item for item in done if item.index == trial), None)
        if found is None:
            raise InputError(
                f"trial {trial}: expected a finished trial of this search, found none of that number."
            )
        return found
    limits = [*space.budget, *budget]
    first = space.objectives[0]
    sign = 1 if first.better == "maximize" else -1
    within = [item for item in done if excess(item, limits) <= 0 and first.name in item.figures]
    if within:
        return max(within, key=lambda item: (sign * item.figures[first.name], -item.index))
    words = ", ".join(map(str, limits)) or "no budget"
    if not done:
        raise InputError(f"budget {words}: expected finished trials, found none. Run the search first.")
    near = min(done, key=lambda item: (excess(item, limits), item.index))
    figures = ", ".join(
        f"{limit.figure.name} {limit.figure.text(near.figures[limit.figure.name])}"
        for limit in limits
        if limit.figure.name in near.figures
    )
    raise InputError(
        f"budget {words}: none of {len(done)} finished trials keeps it. The nearest is trial {near.index} "
        f"with {figures}. Search longer (more trials), widen the space or the budget."
    )


def excess(item: Tried, limits: Sequence[Limit]) -> float:
    """By how much a trial breaks the worst of some limits, relative to it."""
    return max(
        (
            limit.excess(item.figures[limit.figure.name]) if limit.figure.name in item.figures else 1e9
            for limit in limits
        ),
        default=0.0,
    )


def deliver(space: Space, folder: Path, item: Tried, output: Path) -> list[Path]:
    """Write one trial's model, exported files and report to a folder.

    The files of trials on the front are kept; any other trial is done again, from its seed.

    Args:
        space: what was searched.
        folder: of the search.
        item: the trial.
        output: the folder that its files go to.

    Returns:
        What was written.

    Raises:
        InputError: the trial fails when it is done again.
        OutputError: the folder cannot be written.
    """
    kept = trial_folder(folder, item.index)
    if kept.is_dir():
        files = {path.name: path.read_bytes() for path in sorted(kept.iterdir()) if path.is_file()}
    else:
        result = _again(space, item)
        if result.ended != "done":
            raise InputError(f"trial {item.index}: done again, it {result.ended}: {result.why}")
        files = dict(result.files)
    written = {output / name: content for name, content in files.items()}
    write_atomic(written)
    return sorted(written)


def _again(space: Space, item: Tried) -> TrialResult:
    code = "" if space.build is None else space.build.read_text(encoding="utf-8")
    return run_apart(
        TrialSpec(
            index=item.index, values=item.values, data=space.data, seed=space.seed, code=code,
            code_name=str(space.build or ""), choices=item.values,
        )
    )  # fmt: skip
