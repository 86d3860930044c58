"""Every command that a page or a help text shows is run, in a folder of small files."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from itertools import groupby

import pytest
from printed_commands import ROOT, blocks_of, help_examples, is_ours, pages, unfenced_commands

from mnist_export.runtime.devices.registry import devices_of

# Help texts have no comments: a command's beginning to the words that are added to it here.
ADDED = {
    "mnist-train": "--epochs 1 --no-resume",
    "mnist-search space.toml --workers": "--trials 1",
}
# and those that are not run, with what they would need.
NOT_RUN = {
    "mnist-search --budget": "a minute; docs/search.md has it with fewer trials",
    "KERAS_BACKEND=jax": "the package jax",
    "mnist-bench --quick": "two minutes; tests/cli/test_bench.py measures less",
    "mnist-bench --models": "the same",
    "mnist-search space.toml --scheduler": "a Dask scheduler on another machine; tests/search starts one",
    "mnist-parity page": "onnxruntime-web, once fetched; tests/pipeline/test_drawing_page.py draws on it",
    "mnist-parity devices --prepare": "a network; tests/runtime/devices tries each step",
    "mnist-parity check lenet5.keras int8.tflite int8.onnx --on": "prepared devices",
    "mnist-parity check lenet5.keras lenet5.int8.tflite --on": "prepared devices",
    "mnist-parity layers int8.tflite int8.tflite --on": "prepared devices",
    "mnist-parity check integers.npz int8.tflite int8.onnx --on": "prepared devices",
}
_CI_ITSELF = {"main-job", "tests", "tour", "python"}  # blocks that .ci/run takes from the README


HOW = "Mark what cannot run here: tools/printed_commands.py says how, in pages; for help texts in this file."


def words_for(line, table):
    return next((words for start, words in table.items() if line.startswith(start)), "")


def try_block(block, run_line, folder):
    """Run a block; returns what went wrong, or nothing."""
    where = f"{block.page.name}:{block.line}"
    if block.language == "python":
        command = [sys.executable, "-c", block.text]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        return "" if done.returncode == block.code else f"{where}: {done.stderr[-800:]}"
    for place, line in enumerate(block.commands):
        expected = block.code if place == len(block.commands) - 1 else 0
        given = f"{line} {block.added}".strip() if is_ours(line) else line
        code, output = run_line(given, folder)
        if code != expected:  # what follows would fail for want of it
            return f"{where}: {given}\nexpected code {expected}, found {code}\n{output[-800:]}"
    return ""


def ready(devices):
    return not devices or not any(device.why_not_ready() for device in devices_of("needs", ",".join(devices)))


def tried(page):
    """The blocks of a page that are run here: CI runs its own, and devices have to be prepared."""
    blocks = [block for block in blocks_of(page) if not block.reason and block.ci not in _CI_ITSELF]
    return [block for block in blocks if ready(block.devices)]


@pytest.mark.timeout(900)  # minutes on a machine that is busy with other work
@pytest.mark.parametrize("page", [p for p in pages() if tried(p)], ids=lambda p: str(p.relative_to(ROOT)))
def test_the_commands_of_a_page_work(page, run_line, workshop, monkeypatch):
    wrong = []
    for block in tried(page):
        with monkeypatch.context() as patch:
            if block.devices:
                patch.delenv("MNIST_EXPORT_CACHE")  # they are prepared in the user's own
            wrong += [found for found in [try_block(block, run_line, workshop)] if found]
    assert not wrong, "\n\n".join([*wrong, HOW])


HELP = {
    path.stem: [line for _, line in lines] for path, lines in groupby(help_examples(), lambda one: one[0])
}


ON_PAGES = {line for page in pages() for block in tried(page) for line in block.commands}
"""These are tried there."""


@pytest.mark.timeout(900)
@pytest.mark.parametrize("command", HELP)
def test_the_examples_of_a_help_text_work(command, run_line, workshop):
    wrong = []
    for line in HELP[command]:
        if not words_for(line, NOT_RUN) and line not in ON_PAGES:
            given = f"{line} {words_for(line, ADDED)}".strip()
            code, output = run_line(given, workshop)
            if code:
                wrong.append(f"{given}\nexpected code 0, found {code}\n{output[-800:]}")
    assert not wrong, "\n\n".join([*wrong, HOW])


@pytest.mark.parametrize("page", pages(), ids=lambda p: str(p.relative_to(ROOT)))
def test_no_command_stands_where_nothing_tries_it(page):
    assert unfenced_commands(page) == []


def test_a_reason_is_needed_only_where_the_command_is_there():
    lines = [line for _, line in help_examples()]
    for table in (ADDED, NOT_RUN):
        for start in table:
            assert any(line.startswith(start) for line in lines), start


def planted(folder, text):
    page = folder / "planted.md"
    page.write_text(textwrap.dedent(text), encoding="utf-8")
    return page


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("```sh\nmnist-parity verify nowhere\n```", "mnist-parity verify nowhere"),
        ("```sh\nmnist-export --no-such-option\n```", "expected code 0, found 2"),
        ("```sh\nfalse\n```", "found 1"),
        ("```python\nraise SystemExit(3)\n```", "planted.md:2"),
        ("<!-- exits with: 1 -->\n```sh\nmnist-parity --version\n```", "expected code 1, found 0"),
    ],
)
def test_a_failing_command_is_found(text, told, run_line, tmp_path):
    (block,) = blocks_of(planted(tmp_path, text))
    assert told in try_block(block, run_line, tmp_path)


def test_marks_are_read(tmp_path):
    text = """
        <!-- run with: --epochs 1 -->
        <!-- exits with: 1 -->
        ```sh
        $ mnist-train lenet5 \\
            --seed 3        # a remark
        ```

        <!-- not run: needs a Raspberry Pi -->
        ```sh
        ssh pi true
        ```
        """
    first, second = blocks_of(planted(tmp_path, text))
    assert (first.commands, first.added, first.code) == (["mnist-train lenet5 --seed 3"], "--epochs 1", 1)
    assert second.reason == "needs a Raspberry Pi"


def test_an_indented_command_is_found(tmp_path):
    assert unfenced_commands(planted(tmp_path, "text\n\n    mnist-train lenet5\n")) == ["mnist-train lenet5"]
