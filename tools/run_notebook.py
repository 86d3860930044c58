"""Runs notebooks kept as Python files (jupytext's percent format), and fails where a cell does."""

from __future__ import annotations

import sys
from pathlib import Path

import jupytext
import nbclient


def run(path: Path) -> int:
    """Execute a notebook in a kernel of its own; returns how many cells of code it has.

    Raises:
        nbclient.exceptions.CellExecutionError: a cell raised.
    """
    notebook = jupytext.read(path)
    nbclient.NotebookClient(notebook, timeout=300, kernel_name="python3").execute(cwd=str(path.parent))
    return sum(cell.cell_type == "code" for cell in notebook.cells)


if __name__ == "__main__":
    for name in sys.argv[1:]:
        sys.stdout.write(f"{name}: {run(Path(name))} cells ran\n")
