"""Memory that is free, and memory that a graph takes."""

from __future__ import annotations

import numpy as np
import pytest

from mnist_export.core.graph import Graph, Op, Tensor
from mnist_export.core.graph.memory import all_activation_bytes, constant_bytes, live_activation_bytes
from mnist_export.core.memory import available_bytes

F32 = np.dtype(np.float32)
MIB = 1 << 20


@pytest.fixture
def machine(tmp_path):
    """A machine with 8 GiB free and no control groups."""
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/meminfo").write_text("MemTotal: 9 kB\nMemAvailable: 8388608 kB\n")
    (tmp_path / "proc/self/cgroup").write_text("0::/a/b\n")
    (tmp_path / "groups/a/b").mkdir(parents=True)
    return tmp_path


def free(machine):
    return available_bytes(machine / "proc", machine / "groups")


def test_a_machine_without_limits_gives_what_it_has(machine):
    (machine / "groups/a/b/memory.max").write_text("max\n")
    (machine / "groups/a/b/memory.current").write_text("1000\n")
    assert free(machine) == 8 << 30


def test_the_tightest_control_group_above_the_process_counts_without_its_cached_files(machine):
    for folder, limit, usage, cached in (("a", 4000, 3500, 100), ("a/b", 6000, 1000, 0)):
        (machine / f"groups/{folder}/memory.max").write_text(f"{limit * MIB}\n")
        (machine / f"groups/{folder}/memory.current").write_text(f"{usage * MIB}\n")
        (machine / f"groups/{folder}/memory.stat").write_text(f"anon 5\ninactive_file {cached * MIB}\n")
    assert free(machine) == 600 * MIB


def test_control_groups_of_version_1_count_too(machine):
    (machine / "proc/self/cgroup").write_text("5:cpu:/x\n4:memory:/c\n")
    folder = machine / "groups/memory/c"
    folder.mkdir(parents=True)
    (folder / "memory.limit_in_bytes").write_text(f"{2 << 30}\n")
    (folder / "memory.usage_in_bytes").write_text(f"{1 << 30}\n")
    assert free(machine) == 1 << 30


def test_a_system_that_says_nothing_gives_none(tmp_path):
    assert available_bytes(tmp_path, tmp_path) is None


def test_a_graphs_activations_are_counted_all_and_at_the_fullest_moment():
    sizes = (100, 300, 50, 10)
    graph = Graph(
        tensors=(
            *(Tensor(name=f"t{i}", shape=(-1, size), dtype=F32) for i, size in enumerate(sizes)),
            Tensor(name="w", shape=(7,), dtype=F32, data=np.zeros(7, np.float32)),
        ),
        ops=tuple(Op(kind="RELU", inputs=(i, 4), outputs=(i + 1,)) for i in range(3)),
        inputs=(0,),
        outputs=(3,),
    )
    assert constant_bytes(graph) == 28
    assert all_activation_bytes(graph) == 4 * 460
    assert live_activation_bytes(graph) == 4 * 400  # t0 and t1


def test_look_ups_by_index_give_what_a_search_gives():
    ops = (
        Op(kind="ADD", inputs=(0, 0), outputs=(1,)),
        Op(kind="ADD", inputs=(1, 0), outputs=(2,)),
        Op(kind="SPLIT", inputs=(-1, 2), outputs=(3, 4)),
    )
    tensors = tuple(Tensor(name=f"t{i}", shape=(-1,), dtype=F32) for i in range(5))
    graph = Graph(tensors=tensors, ops=ops, inputs=(0,), outputs=(3, 4))
    for index in range(5):
        assert graph.producer(index) is next((op for op in ops if index in op.outputs), None)
        assert graph.consumers(index) == tuple(op for op in ops if index in op.inputs)
