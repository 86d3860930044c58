"""``mnist-search``: the best networks for a budget of flash, memory, time and accuracy."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mnist_export.cli.common import add_output_options, run_command
from mnist_export.cli.console import EXIT_PASS, EXIT_VERDICT, Console, emit, emit_json
from mnist_export.cli.parser import CommandParser

if TYPE_CHECKING:
    from mnist_export.search.space import Space
    from mnist_export.search.store import Tried

_EXAMPLES = """examples:
  mnist-search --budget "flash<=16kB,ram<=8kB" --maximize accuracy --data digits --trials 40
  mnist-search space.toml --workers 2 -o searches/tiny        the same command goes on where it was stopped
  mnist-search space.toml --scheduler tcp://host:8786         on the workers of a Dask scheduler
  mnist-search best -o searches/tiny --budget "flash<=12kB" --to exports
  mnist-search show -o searches/tiny                          the front so far, and search.html

Accuracy is measured on validation images; test images are never read.
exit codes: 0 the front has a network; 1 no trial keeps the budget; 2 bad usage or input; 130 interrupted
"""
_ACTIONS = ("best", "show")
_TIMES = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400}


def build_parser() -> argparse.ArgumentParser:
    """Describe the command line; imports nothing heavy."""
    parser = CommandParser(
        prog="mnist-search",
        description="Search architecture, training and quantization for the best networks within a budget.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "words", nargs="*", metavar="[best|show] [SPACE.toml]",
        help="a search space (default: small networks of four families in int8); 'best' writes one network's "
        "files, 'show' prints the front",
    )  # fmt: skip
    group = parser.add_argument_group("what is searched")
    group.add_argument("--budget", metavar="LIMITS", help='such as "flash<=16kB,ram<=8kB,latency<=100us"')
    group.add_argument("--maximize", metavar="FIGURES", help="accuracy, float_accuracy, agreement")
    group.add_argument(
        "--minimize", metavar="FIGURES",
        help="flash, weights, ram, macs, parameters, latency, seconds (default: accuracy up, flash down)",
    )  # fmt: skip
    group.add_argument("--data", metavar="D", help="what mnist-export's --data takes (default auto)")
    group.add_argument("--trials", type=int, metavar="N", help="networks to try (default 100)")
    group.add_argument("--timeout", metavar="TIME", help="begin no trial after 90s, 30m or 2h")
    group.add_argument("--seed", type=int, metavar="N", help="of every choice (default 0)")
    group.add_argument("--trust", action="store_true", help="run the space's own Python file (build = ...)")
    group = parser.add_argument_group("where it runs")
    group.add_argument("--workers", type=int, default=1, metavar="N", help="processes here (default 1)")
    group.add_argument("--scheduler", metavar="ADDRESS", help="a Dask scheduler, such as tcp://host:8786")
    group = parser.add_argument_group("results")
    group.add_argument(
        "-o",
        "--output",
        default=Path("search"),
        type=Path,
        metavar="DIR",
        help="folder of the search (search)",
    )
    group.add_argument("--trial", type=int, metavar="N", help="best: this trial instead of the best")
    group.add_argument(
        "--to", type=Path, default=Path("exports"), metavar="DIR", help="best: where files go (exports)"
    )
    add_output_options(parser)
    parser.add_last()
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; see `cli.common.run` for exit codes."""
    words = sys.argv[1:] if argv is None else list(argv)
    return run_command(build_parser(), words, _execute)


def _execute(arguments: argparse.Namespace, console: Console) -> int:
    from mnist_export.core.errors import InputError

    action = arguments.words.pop(0) if arguments.words and arguments.words[0] in _ACTIONS else "search"
    if len(arguments.words) > 1:
        raise InputError(
            f"mnist-search: expected at most one search space, found {', '.join(arguments.words)}."
        )
    if action == "search":
        return _search(arguments, _space(arguments), console)
    if arguments.words:
        raise InputError(
            f"mnist-search {action}: expected the search's folder with -o, found a space as well."
        )
    from mnist_export.search.saved import load_search

    space, tried = load_search(arguments.output)
    if action == "best":
        return _best(arguments, space, tried, console)
    return _show(arguments, space, tried, console)


def _space(arguments: argparse.Namespace) -> Space:
    from mnist_export.core.errors import InputError
    from mnist_export.search.space import default_space, read_space

    space = read_space(Path(arguments.words[0])) if arguments.words else default_space()
    space = space.with_changes(
        data=arguments.data,
        budget=arguments.budget,
        maximize=arguments.maximize,
        minimize=arguments.minimize,
        trials=arguments.trials,
        seed=arguments.seed,
    )
    if space.build is not None and not arguments.trust:
        raise InputError(
            f"build = '{space.build}': expected --trust, since it is code that runs on every worker. Read "
            "it, then add --trust."
        )
    if not 1 <= arguments.workers <= 256:
        raise InputError(f"--workers: expected 1 to 256, found {arguments.workers}.")
    return space


def _seconds(text: str | None) -> float | None:
    from mnist_export.core.errors import InputError

    if text is None:
        return None
    found = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)([smhd]?)", text.strip())
    if found is None:
        raise InputError(f"--timeout {text}: expected seconds, or a number with s, m, h or d, such as 30m.")
    return float(found[1]) * _TIMES[found[2]]


def _search(arguments: argparse.Namespace, space: Space, console: Console) -> int:
    from mnist_export.search.engine import Workers, search
    from mnist_export.search.results import to_json, write_results

    where = Workers(count=arguments.workers, scheduler=arguments.scheduler)
    with console.bar(space.trials) as bar:

        def told(item: Tried, tried: list[Tried]) -> None:
            console.note(_line(space, item))
            bar.describe(_best_so_far(space, tried))
            bar.advance()

        try:
            tried = search(
                space, arguments.output, workers=where, timeout_s=_seconds(arguments.timeout), told=told
            )
        except KeyboardInterrupt:
            console.note("finished trials are kept: the same command goes on from here")
            raise
    paths = write_results(space, arguments.output, tried)
    best = [item for item in tried if item.on_front]
    if arguments.json:
        emit_json(to_json(space, tried))
    else:
        emit(_table(space, best))
    console.note(f"wrote {paths[0]} and {paths[1]}")
    if not best:
        console.warn(
            f"none of {len(tried)} trials keeps the budget: search longer, or widen the space or the budget"
        )
    return EXIT_PASS if best else EXIT_VERDICT


def _best(arguments: argparse.Namespace, space: Space, tried: list[Tried], console: Console) -> int:
    from dataclasses import asdict

    from mnist_export.search.figures import parse_budget
    from mnist_export.search.results import choose, deliver

    chosen = choose(space, tried, parse_budget(arguments.budget or ""), arguments.trial)
    paths = deliver(space, arguments.output, chosen, arguments.to)
    if arguments.json:
        emit_json({"trial": asdict(chosen), "files": [str(path) for path in paths]})
    else:
        emit(_table(space, [chosen]))
    console.note("wrote " + ", ".join(str(path) for path in paths))
    return EXIT_PASS


def _show(arguments: argparse.Namespace, space: Space, tried: list[Tried], console: Console) -> int:
    from mnist_export.search.results import to_json, write_results

    best = [item for item in tried if item.on_front]
    if arguments.json:
        emit_json(to_json(space, tried))
    else:
        emit(_table(space, best))
    console.note("wrote " + ", ".join(str(path) for path in write_results(space, arguments.output, tried)))
    return EXIT_PASS if best else EXIT_VERDICT


def _line(space: Space, item: Tried) -> str:
    figures = [f"{f.name} {f.text(item.figures[f.name])}" for f in _columns(space) if f.name in item.figures]
    mark = (
        "front"
        if item.on_front
        else item.ended
        if item.ended != "done"
        else ""
        if item.fits
        else "over budget"
    )
    why = f" ({item.why[:120]})" if item.why and item.ended != "done" else ""
    return f"trial {item.index}: {'  '.join(figures)}{'  ' + mark if mark else ''}{why}"


def _best_so_far(space: Space, tried: list[Tried]) -> str:
    first = space.objectives[0]
    front = [item.figures[first.name] for item in tried if item.on_front]
    if not front:
        return "nothing within the budget yet"
    best = max(front) if first.better == "maximize" else min(front)
    return f"{len(front)} on the front, best {first.name} {first.text(best)}"


def _columns(space: Space) -> list[Any]:
    from mnist_export.search.figures import FIGURES

    names = [f.name for f in space.objectives] + [limit.figure.name for limit in space.budget]
    return [FIGURES[name] for name in dict.fromkeys([*names, "flash", "ram", "parameters"])]


def _table(space: Space, items: list[Tried]) -> str:
    from mnist_export.core.tables import align

    columns = _columns(space)
    free = [values.name for values in space.settings if not values.is_fixed]
    rows = [
        [
            str(item.index),
            *(f.text(item.figures[f.name]) if f.name in item.figures else "-" for f in columns),
            " ".join(
                f"{name.partition('.')[2]}={_short(item.values[name])}"
                for name in free
                if name in item.values
            ),
        ]
        for item in sorted(items, key=lambda item: -item.figures.get(space.objectives[0].name, 0.0))
    ]
    return align(["trial", *(f.name for f in columns), "settings"], rows)


def _short(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
