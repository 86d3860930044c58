"""Searches that really train and export, on the embedded digits."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace

import pytest

from mnist_export.cli.search import main
from mnist_export.core.errors import InputError, OutputError
from mnist_export.search.engine import _target_of, floor_of
from mnist_export.search.saved import load_search
from mnist_export.search.space import space_of
from mnist_export.search.store import STORE, Store, Tried, locked
from mnist_export.search.trial import TrialResult, TrialSpec, run_trial

pytest.importorskip("optuna", reason="the extra 'search' is not installed")

SPACE = """
data = "digits"
trials = 3
[network]
family = ["plain", "depthwise"]
width = {low = 2, high = 6}
stages = 1
stem_stride = 2
[training]
epochs = 1
batch_size = 32
[scheme]
precision = "int8"
"""
MEASURED = {"accuracy", "float_accuracy", "agreement", "flash", "weights", "ram", "macs", "parameters"}


@pytest.fixture
def space_file(tmp_path):
    path = tmp_path / "space.toml"
    path.write_text(SPACE)
    return path


def repeatable(folder):
    _, tried = load_search(folder)
    return [
        (t.index, t.ended, t.values, {k: v for k, v in t.figures.items() if k in MEASURED}, t.curve)
        for t in tried
    ]


@pytest.mark.slow
def test_a_search_is_resumed_after_kill_9_and_repeats_exactly(tmp_path, space_file, capsys):
    words = [str(space_file), "-q", "-o"]
    whole, killed, wide = tmp_path / "whole", tmp_path / "killed", tmp_path / "wide"
    assert main([*words, str(whole)]) == 0
    expected = repeatable(whole)
    assert [entry[0] for entry in expected] == [0, 1, 2]
    assert all(set(entry[3]) == MEASURED for entry in expected if entry[1] == "done")

    command = [sys.executable, "-c", "from mnist_export.cli.search import main; main()", *words, str(killed)]
    process = subprocess.Popen(command, start_new_session=True)
    until = time.monotonic() + 120
    while time.monotonic() < until:
        time.sleep(0.2)
        if (killed / STORE).is_file() and '"result"' in (killed / STORE).read_text(errors="replace"):
            break
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert 1 <= len(repeatable(killed)) < 3, "it was killed before a trial ended, or after the last"
    assert main([*words, str(killed)]) == 0
    assert repeatable(killed) == expected

    assert main([*words, str(wide), "--workers", "2"]) == 0
    assert [entry[0] for entry in repeatable(wide)] == [0, 1, 2]

    capsys.readouterr()
    assert main(["best", "-q", "-o", str(whole), "--to", str(tmp_path / "best"), "--json"]) == 0
    chosen = json.loads(capsys.readouterr().out)
    assert (tmp_path / "best" / "model.int8.tflite").stat().st_size == chosen["trial"]["figures"]["flash"]
    page = (whole / "search.html").read_text()
    assert "accuracy" in page and "<script" not in page
    # a trial that is not on the front is done again, to the byte
    other = next(t for t in load_search(whole)[1] if t.ended == "done" and not t.on_front)
    assert (
        main(["best", "-q", "-o", str(whole), "--trial", str(other.index), "--to", str(tmp_path / "o")]) == 0
    )
    assert (tmp_path / "o" / "model.int8.tflite").stat().st_size == other.figures["flash"]


def test_a_network_over_budget_is_not_trained_and_one_that_fails_is_a_result():
    values = {
        "network.family": "plain",
        "network.width": 16,
        "training.epochs": 1,
        "scheme.precision": "int8",
    }
    spec = TrialSpec(index=0, values=values, data="digits", seed=0, ceilings={"flash": 1000.0})
    found = run_trial(spec)
    assert (found.ended, found.curve) == ("over budget", ())
    assert found.figures["flash"] > 1000
    wrong = TrialSpec(index=0, values={**values, "network.stages": 5}, data="digits", seed=0)
    found = run_trial(wrong)
    assert found.ended == "failed"
    assert "at least 32x32" in found.why


def test_a_budget_of_memory_is_the_arena_of_a_microcontroller_in_the_plain_form():
    values = {"network.family": "plain", "network.width": 4, "scheme.precision": "int8"}
    spec = TrialSpec(index=0, values=values, data="digits", seed=0, ceilings={"ram": 1000.0})
    native = run_trial(spec).figures
    plain = run_trial(replace(spec, target="portable")).figures
    assert plain["ram"] == plain["arena"] > plain["values"] > 1000
    assert plain["arena"] < native["arena"]
    of_c = {**values, "scheme.exact": True, "scheme.format": "tflite,c"}
    found = run_trial(replace(spec, values=of_c, target="portable")).figures
    assert found["ram"] < 0.8 * found["arena"]


def test_files_get_the_plain_form_where_memory_is_judged():
    assert _target_of(space_of({"minimize": "arena"})) == "portable"
    assert _target_of(space_of({"budget": "ram<=8kB"})) == "portable"
    assert _target_of(space_of({"budget": "flash<=8kB"})) is None


def test_a_process_that_dies_is_a_failed_trial_and_the_next_one_goes_on():
    from mnist_export.search import apart

    values = {"network.family": "plain", "network.stages": 5, "scheme.precision": "int8"}
    spec = TrialSpec(index=0, values=values, data="digits", seed=0)
    assert "at least 32x32" in apart.run_apart(spec).why
    child = apart._child
    deadly = TrialSpec(
        index=1, values={}, data="digits", seed=0, code_name="x.py",
        code="import os\n\ndef build(trial):\n    os.abort()\n",
    )  # fmt: skip
    found = apart.run_apart(deadly)
    assert (found.ended, found.why) == ("failed", "its process died (SIGABRT)")
    assert "at least 32x32" in apart.run_apart(spec).why
    assert apart._child is not child


def done(index, accuracy, flash, curve=()):
    return TrialResult(figures={"accuracy": accuracy, "flash": flash}, curve=curve)


def filled(folder, space, results):
    store = Store(folder, space)
    store.begin()
    for index, result in enumerate(results):
        trial, given = store.ask()
        assert given == index
        space.suggest(trial)
        store.tell(trial, result)
    return store


def test_best_takes_the_budget_and_names_the_nearest(tmp_path, capsys):
    from mnist_export.search.saved import save_space

    space = space_of({"network": {"width": {"low": 2, "high": 6}}, "data": "digits"})
    filled(tmp_path, space, [done(0, 0.9, 9000), done(1, 0.8, 5000), done(2, 0.7, 7000)])
    save_space(space, tmp_path)
    assert main(["show", "-q", "-o", str(tmp_path)]) == 0
    shown = capsys.readouterr().out
    assert "90.00%" in shown and "80.00%" in shown and "70.00%" not in shown
    assert main(["best", "-q", "-o", str(tmp_path), "--budget", "flash<=4kB"]) == 2
    assert "nearest is trial 1 with flash 5.00 kB" in capsys.readouterr().err
    assert main(["best", "-q", "-o", str(tmp_path / "none")]) == 2
    assert main(["-q", "-o", str(tmp_path), "--data", "mnist"]) == 2
    assert "found trials of another" in capsys.readouterr().err


def test_lost_trials_come_back_with_their_choices(tmp_path):
    space = space_of({"network": {"width": {"low": 2, "high": 60}}, "data": "digits"})
    store = filled(tmp_path, space, [done(0, 0.5, 100)])
    trial, index = store.ask()
    chosen = space.suggest(trial)
    again = Store(tmp_path, space)
    again.begin()
    trial, number = again.ask()
    assert (number, space.suggest(trial)) == (index, chosen)
    trial, number = again.ask()
    assert number == index + 1


def test_two_drivers_and_a_damaged_store_are_refused(tmp_path):
    with locked(tmp_path), pytest.raises(OutputError, match="another mnist-search"), locked(tmp_path):
        pass
    (tmp_path / STORE).write_text("no journal\n")
    with pytest.raises(InputError, match="expected the journal of a search"):
        Store(tmp_path, space_of({}))


def test_the_floor_is_what_three_quarters_reached():
    items = [
        Tried(
            index=i, number=i, values={}, figures={}, ended="done", why="", fits=True,
            curve=(0.1, 0.5 + i / 100, 0.9),
        )
        for i in range(8)
    ]  # fmt: skip
    assert floor_of(items) == (0.0, 0.52, 0.9)
    assert floor_of(items[:7]) == ()


def test_a_users_build_needs_trust_and_its_errors_are_one_line(tmp_path, capsys):
    (tmp_path / "mine.py").write_text(
        "def build(trial):\n    width = trial.suggest_int('width', 2, 4)\n    return 1 / 0\n"
    )
    (tmp_path / "space.toml").write_text('data = "digits"\nbuild = "mine.py"\ntrials = 1\n')
    words = [str(tmp_path / "space.toml"), "-q", "-o", str(tmp_path / "out")]
    assert main(words) == 2
    assert "expected --trust" in capsys.readouterr().err
    assert main([*words, "--trust"]) == 2
    error = capsys.readouterr().err
    assert "mine.py, line 3" in error and "ZeroDivisionError" in error


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--workers", "0"], "--workers: expected 1 to 256"),
        (["--timeout", "soon"], "--timeout soon: expected seconds"),
        (["a.toml", "b.toml"], "at most one search space"),
        (["none.toml"], "no such file"),
        (["best", "space.toml"], "expected the search's folder"),
        (["--budget", "accuracy"], "expected a figure"),
    ],
)
def test_wrong_words_are_one_line(tmp_path, capsys, words, message):
    assert main([*words, "-o", str(tmp_path / "out")]) == 2
    assert message in capsys.readouterr().err
