"""Graphs are built and changed by one editor."""

from __future__ import annotations

import ast
from pathlib import Path

import numpy as np

from mnist_export.core.graph import Graph, Tensor
from mnist_export.core.graph.editing import GraphEditor

ROOT = Path(__file__).parents[2]
# the graph's own methods and the readers of files, which have no graph to start from
BUILD = {"core/graph/ir.py", "core/graph/editing.py", "core/graph/tflite_reader.py"}


def test_no_other_module_builds_a_graph_from_lists():
    found = set()
    for room in ("core", "models", "train", "quantize", "export", "pipeline"):
        for path in sorted((ROOT / room).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                name = getattr(node.func, "id", "") if isinstance(node, ast.Call) else ""
                growing = any(
                    isinstance(word.value, ast.Call) and getattr(word.value.func, "id", "") == "tuple"
                    for word in getattr(node, "keywords", [])
                )
                if name == "Graph" and growing:
                    found.add(str(path.relative_to(ROOT)))
    assert found <= BUILD


def test_inputs_and_outputs_may_be_exchanged():
    def tensor(name):
        return Tensor(name=name, shape=(-1, 2), dtype=np.dtype(np.float32))

    editor = GraphEditor(Graph(tensors=(tensor("a"), tensor("b")), ops=(), inputs=(0,), outputs=(1,)))
    outer = editor.add_successor(tensor("a"))
    editor.set_tensor(0, tensor("a/inner"))
    editor.inputs = (outer,)
    editor.add("QUANTIZE", (outer,), (0,))
    editor.add("RELU", (0,), (1,))
    graph = editor.snapshot()
    assert [t.name for t in editor.tensors] == ["a/inner", "b", "a"]
    assert graph.tensors[graph.inputs[0]].name == "a"
    assert [op.kind for op in graph.ops] == ["QUANTIZE", "RELU"]
