"""A run that would not fit is refused before it starts, with the figures."""

from __future__ import annotations

import pytest

from mnist_export.core.errors import InputError
from mnist_export.pipeline import memory
from mnist_export.pipeline.memory import Needed, before_loading, require_memory
from mnist_export.pipeline.request import job_with

GIB = 1 << 30


@pytest.fixture(autouse=True)
def half_a_gib_taken(monkeypatch):
    monkeypatch.setattr(memory, "resident_bytes", lambda: GIB // 2)


def test_what_fits_goes_on_and_a_silent_system_is_believed():
    needed = Needed(weights=2 * GIB)
    require_memory(job_with(), needed, "exporting it", available=lambda: 3 * GIB)
    require_memory(job_with(), needed, "exporting it", available=lambda: None)


def test_what_does_not_fit_is_refused_with_both_figures_and_the_way_out():
    needed = Needed(weights=2 * GIB, activations=GIB)
    with pytest.raises(InputError, match=r"about 3\.5 GiB .*3\.0 are there.*`max_memory=3\.6`"):
        require_memory(job_with(), needed, "exporting it", available=lambda: 5 * GIB // 2)


def test_a_stated_limit_is_believed_against_the_system():
    needed = Needed(weights=3 * GIB)
    require_memory(job_with(max_memory=3.6), needed, "exporting it", available=lambda: GIB)
    with pytest.raises(InputError, match="`max_memory` allows"):
        require_memory(job_with(max_memory=2), needed, "exporting it", available=lambda: 9 * GIB)


def test_a_models_file_is_counted_before_it_is_read(tmp_path):
    assert before_loading("lenet5").total == 0
    path = tmp_path / "net.keras"
    with path.open("wb") as file:
        file.truncate(6 * GIB)  # a hole: it takes no disk
    assert before_loading(str(path)).total > 6 * GIB


@pytest.mark.parametrize("value", [0, -1, float("nan"), float("inf")])
def test_a_limit_that_is_none_is_refused(value):
    with pytest.raises(InputError, match="`max_memory"):
        job_with(max_memory=value)
