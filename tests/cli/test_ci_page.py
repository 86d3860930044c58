"""docs/ci.md: its commands are ones that the parsers take, its pytest examples are ones that run."""

import re
import shlex
from pathlib import Path

import pytest

from mnist_export.cli import bench, export, parity

PAGE = (Path(__file__).parents[2] / "docs" / "ci.md").read_text(encoding="utf-8")
PARSERS = {"mnist-export": lambda _: export.build_parser(), "mnist-bench": lambda _: bench.build_parser(),
           "mnist-parity": lambda words: parity._parser(words[0])}  # fmt: skip


def commands():
    """Every command of the page, with YAML's folded lines joined."""
    joined = re.sub(r"\n {10,}(?=--|mnist-)", " ", re.sub(r"\$\{\{.*?\}\}", "expression", PAGE))
    found = re.findall(
        r"(?:^|\s)((?:mnist-export|mnist-parity|mnist-bench) (?!and\b)[^\n`]*?)(?:\s+#[^\n]*)?$", joined, re.M
    )
    return [text for text in found if "[convert]" not in text]


def test_the_page_has_its_commands():
    names = [text.split()[0] for text in commands()]
    assert names.count("mnist-parity") >= 4
    assert {"mnist-export", "mnist-bench"} <= set(names)


@pytest.mark.parametrize("text", commands())
def test_each_command_is_one_that_its_parser_takes(text):
    program, *words = shlex.split(text)
    PARSERS[program](words).parse_args(words)


def test_the_workflow_installs_from_one_place_and_uploads_what_it_writes():
    (workflow,) = re.findall(r"<!-- ci: workflow -->\n```yaml\n(.*?)```", PAGE, re.S)
    assert "\t" not in workflow
    assert len(re.findall(r"--junit junit/", workflow)) == 2
    assert len(re.findall(r"path: \|?\s*(?:exports\s+)?junit", workflow)) == 2
    assert workflow.count("$GITHUB_STEP_SUMMARY") == 2


@pytest.mark.parametrize("code", re.findall(r"```python\n(.*?)```", PAGE, re.S))
def test_each_pytest_example_runs_on_this_projects_interface(code):
    calls = []

    def fake(*files, **options):
        from types import SimpleNamespace as Some

        calls.append((files, options))
        return Some(pairs=[Some(differing=0)])

    scope = {}
    exec(compile(code, "docs/ci.md", "exec"), scope)
    (test,) = [value for name, value in scope.items() if name.startswith("test_")]
    test(fake)
    import inspect

    from mnist_export.parity.pytest_plugin import check_files

    for files, options in calls:
        inspect.signature(check_files).bind(*files, **options)
