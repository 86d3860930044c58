"""The graph editor: copying operator by operator, and changing in place."""

import numpy as np

from mnist_export.core.graph import Graph, Op, Tensor
from mnist_export.core.graph.editing import GraphEditor

FLOAT = np.dtype(np.float32)


def chain(*kinds):
    tensors = tuple(Tensor(name=f"t{i}", shape=(-1, 4), dtype=FLOAT) for i in range(len(kinds) + 1))
    ops = tuple(Op(kind=kind, inputs=(i,), outputs=(i + 1,)) for i, kind in enumerate(kinds))
    return Graph(tensors=tensors, ops=ops, inputs=(0,), outputs=(len(kinds),))


def test_a_copy_starts_empty_and_in_place_starts_whole():
    graph = chain("RELU", "TANH")
    assert GraphEditor(graph).ops == []
    assert GraphEditor.in_place(graph).snapshot().ops == graph.ops


def test_bypass_leads_readers_past_an_operator():
    graph = chain("RELU", "TANH")
    editor = GraphEditor.in_place(graph)
    editor.bypass(graph.ops[0])
    (left,) = editor.finish().ops
    assert left.kind == "TANH"
    assert left.inputs == editor.finish().inputs


def test_redirect_leaves_other_kinds_alone():
    tensors = tuple(Tensor(name=f"t{i}", shape=(-1, 4), dtype=FLOAT) for i in range(3))
    ops = tuple(Op(kind=kind, inputs=(0,), outputs=(i,)) for i, kind in ((1, "RELU"), (2, "TANH")))
    editor = GraphEditor.in_place(Graph(tensors=tensors, ops=ops, inputs=(0,), outputs=(1, 2)))
    new = editor.activation_like(0, "other", (-1, 4))
    editor.redirect(0, new, kinds={"TANH"})
    assert [op.inputs for op in editor.ops] == [(0,), (new,)]


def test_names_of_new_tensors_are_unique():
    editor = GraphEditor.in_place(chain("RELU"))
    first, second = (editor.constant("t0", np.zeros(2, np.float32)) for _ in range(2))
    assert [editor.tensor(i).name for i in (first, second)] == ["t0_2", "t0_3"]


def test_the_original_stays_as_it_is():
    graph = chain("RELU", "TANH")
    editor = GraphEditor.in_place(graph)
    editor.set_result(graph.ops[0], outputs=(1,), activation=1)
    editor.exchange(graph.ops[1])
    assert [op.kind for op in graph.ops] == ["RELU", "TANH"]
    assert not graph.ops[0].options
    assert editor.consumers(1) == []
    assert editor.producer(1).options == {"fusedActivationFunction": 1}
