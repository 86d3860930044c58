"""The notebooks under examples/ run from their first cell to their last."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted(
    path
    for path in (ROOT / "examples").glob("*.py")
    if "format_name: percent" in path.read_text(encoding="utf-8")
)


def _run():
    spec = importlib.util.spec_from_file_location("run_notebook", ROOT / "tools" / "run_notebook.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.run


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs(path):
    assert _run()(path) >= 5


def test_there_are_notebooks():
    assert [path.stem for path in NOTEBOOKS] == ["accuracy_drop", "first_export"]


def test_a_failing_cell_fails(tmp_path):
    import nbclient

    bad = tmp_path / "bad.py"
    bad.write_text("# %%\nx = 1\n\n# %%\nassert x == 2\n")
    with pytest.raises(nbclient.exceptions.CellExecutionError):
        _run()(bad)
