"""The diffs of CONTRIBUTING.md fit the code, and are what the tests of the registries run."""

from __future__ import annotations

import importlib.util
import re

import architecture
import pytest

ROOT = architecture.ROOT
DIFFS = re.findall(r"```diff\n(.*?)```", (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8"), re.S)


def registries():
    path = ROOT / "tests" / "pipeline" / "test_registries.py"
    spec = importlib.util.spec_from_file_location("registries_of_a_test", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def parts(diff):
    """(file, its lines with their first character) of each file of a diff."""
    found = []
    for part in re.split(r"^--- \S+\n\+\+\+ b/", diff, flags=re.M)[1:]:
        name, _, body = part.partition("\n")
        found.append((name, [line for line in body.splitlines() if not line.startswith("@@")]))
    return found


@pytest.mark.parametrize("diff", DIFFS, ids=lambda diff: parts(diff)[0][0])
def test_a_new_file_is_one_that_the_registries_tests_run(diff):
    (name, lines), _ = parts(diff)
    assert not (ROOT / name).exists()
    text = "\n".join(line[1:] for line in lines)
    assert text.strip() in [file.strip() for file in registries().FILES.values()]


@pytest.mark.parametrize("diff", DIFFS, ids=lambda diff: parts(diff)[0][0])
def test_the_line_goes_into_the_table_that_is_there(diff):
    (new, _), (table, lines) = parts(diff)
    before = "\n".join(line[1:] for line in lines if line[0] == " ")
    (added,) = [line for line in lines if line[0] == "+"]
    assert before in (ROOT / table).read_text(encoding="utf-8")
    assert new.removesuffix(".py").rpartition("/")[2] in added
    assert re.search(r':[A-Z]\w+",$', added)


def test_each_kind_has_its_diff():
    assert len(DIFFS) == 4


def test_the_picture_shows_the_imports_that_are_there():
    shown = re.findall(
        r"<title>(\w+) imports (\w+)</title>", architecture.PICTURE.read_text(encoding="utf-8")
    )
    found = architecture.imports()
    # the site draws it anew; the copy for repositories' hosts may be a few arcs behind
    assert len(set(shown) ^ set(found)) <= 4, "draw it again: python tools/architecture.py"
    assert architecture.arrows_back(found) == []
