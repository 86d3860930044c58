import os
from pathlib import Path

import pytest

from mnist_export.core.errors import OutputError
from mnist_export.core.files import TEMPORARY_PREFIX, output_folder, sha256_bytes, sha256_file, write_atomic


def test_files_appear_with_their_content_and_no_temporaries(tmp_path):
    write_atomic({tmp_path / "sub" / "a": b"1", tmp_path / "b": b"2"})
    assert (tmp_path / "sub" / "a").read_bytes() == b"1"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["b", "sub"]


def test_a_write_that_fails_leaves_every_target_as_it_was(tmp_path, monkeypatch):
    (tmp_path / "a").write_bytes(b"old")
    real = os.fsync
    calls = []

    def full(descriptor):
        calls.append(descriptor)
        if len(calls) > 1:
            raise OSError(28, "No space left on device")
        real(descriptor)

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OutputError, match="disk is full"):
        write_atomic({tmp_path / "a": b"new", tmp_path / "b": b"new"})
    assert (tmp_path / "a").read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["a"]


def test_a_folder_in_the_way_is_named(tmp_path):
    (tmp_path / "a").mkdir()
    with pytest.raises(OutputError, match="cannot write"):
        write_atomic({tmp_path / "a": b"x"})


def test_an_output_folder_that_is_a_file_is_refused(tmp_path):
    (tmp_path / "out").write_text("mine")
    with pytest.raises(OutputError, match="-o"), output_folder(tmp_path / "out"):
        pass
    assert (tmp_path / "out").read_text() == "mine"


def test_one_folder_has_one_writer(tmp_path):
    with (
        output_folder(tmp_path / "out"),
        pytest.raises(OutputError, match="another run"),
        output_folder(tmp_path / "out"),
    ):
        pass


def test_a_folder_made_for_a_run_that_failed_is_taken_away_again(tmp_path):
    with pytest.raises(RuntimeError), output_folder(tmp_path / "out"):
        raise RuntimeError
    assert not (tmp_path / "out").exists()


def test_temporaries_of_a_killed_run_are_swept(tmp_path):
    stray = tmp_path / f"{TEMPORARY_PREFIX}abc"
    stray.write_bytes(b"half")
    with output_folder(tmp_path):
        assert not stray.exists()


def test_hashes_of_bytes_and_of_a_file_are_the_same(tmp_path: Path):
    (tmp_path / "x").write_bytes(b"abc" * 1_000_000)
    assert sha256_file(tmp_path / "x") == sha256_bytes(b"abc" * 1_000_000)
