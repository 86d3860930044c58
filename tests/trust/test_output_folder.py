"""What can be wrong with where files go; afterwards every file there is whole, and old or new."""

from __future__ import annotations

import fcntl
import os
import resource
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from mnist_export.core.errors import OutputError
from mnist_export.core.files import LOCK_NAME, TEMPORARY_PREFIX, output_folder, sweep, write_atomic

pytestmark = pytest.mark.usefixtures("brief")


@pytest.fixture()
def model(net_files, tmp_path):
    path = tmp_path / "net.keras"
    path.write_bytes(net_files["net.keras"])
    return path


@pytest.fixture()
def export(export_main, model):
    """The words of an export into a folder."""

    def words(folder, *more):
        return (export_main, "-m", model, "--data", "digits", "--int8", "-q", "-o", folder, *more)

    return words


@pytest.fixture()
def mounted(tmp_path):
    """A small file system of its own, where this user may mount one; else None."""
    folder = tmp_path / "mounted"
    folder.mkdir()
    options = "size=64k,mode=777"
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", options, "none", folder], capture_output=True, check=False
    )
    if done.returncode:
        yield None
        return
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


class SmallFiles:
    """A limit on the size of files, as `ulimit -f` sets it; it needs no privileges.

    It holds for this whole process, pytest's own report included: it must end with the command's run.
    """

    def __init__(self):
        self._soft, self._hard = resource.getrlimit(resource.RLIMIT_FSIZE)

    def __call__(self, size):
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, self._hard))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        resource.setrlimit(resource.RLIMIT_FSIZE, (self._soft, self._hard))


@pytest.fixture()
def small_files():
    with SmallFiles() as limit:
        yield limit


def test_a_full_disk(run, export, mounted, small_files, tmp_path):
    """Where no file system can be mounted, the limit on a file's size stands in for it."""
    limited = mounted is None
    mounted = mounted or tmp_path / "mounted"
    (mounted / "net.int8.tflite").write_bytes(b"old" * 1000)
    with small_files:
        if limited:
            small_files(5_000)
        done = run(*export(mounted, "--format", "tflite,onnx"))
    assert done.code == 2
    assert done.err.count("\n") == 1
    assert "disk is full" in done.err or "ulimit -f" in done.err
    assert (mounted / "net.int8.tflite").read_bytes() in (b"old" * 1000, _whole(mounted, "net.int8.tflite"))
    assert not list(mounted.glob(f"{TEMPORARY_PREFIX}*"))


def _whole(folder: Path, name: str) -> bytes:
    """A file's content if its manifest vouches for it; else something that nothing equals."""
    from mnist_export.core.files import sha256_file

    path = folder / name
    manifest = folder / "net.int8.manifest.json"
    if manifest.exists() and sha256_file(path) in manifest.read_text():
        return path.read_bytes()
    return b"\0damaged"


def test_a_limit_on_file_sizes_that_not_even_temporaries_pass(refuses, export, out, small_files):
    with small_files:
        small_files(3_000)
        refuses(*export(out), says="TMPDIR")


def test_a_limit_on_file_sizes_that_the_page_does_not_pass(run, export, out, small_files, monkeypatch):
    from mnist_export.export import artifacts

    real = artifacts.write_artifacts

    def limiting(*arguments, **options):
        written = real(*arguments, **options)
        small_files(20_000)
        return written

    (out / "net.int8.report.html").write_text("old")
    monkeypatch.setattr(artifacts, "write_artifacts", limiting)
    with small_files:
        done = run(*export(out))
    assert done.code == 2
    assert done.err.count("\n") == 1
    assert "ulimit -f" in done.err
    assert (out / "net.int8.report.html").read_text() == "old"
    assert (out / "net.int8.tflite").read_bytes() == _whole(out, "net.int8.tflite")
    assert not list(out.glob(f"{TEMPORARY_PREFIX}*"))


def test_a_read_only_mount(run, export, mounted, tmp_path):
    if mounted is None:
        folder = Path("/proc/mnist-export")
    else:
        folder = mounted
        (mounted / "net.int8.tflite").write_bytes(b"old")
        subprocess.run(["mount", "-o", "remount,ro", mounted], check=True)
    done = run(*export(folder))
    assert done.code == 2
    assert done.err.count("\n") == 1
    assert done.err.startswith(f"error: cannot write {folder}")
    assert mounted is None or (mounted / "net.int8.tflite").read_bytes() == b"old"


@pytest.mark.parametrize("folder", ["/proc/mnist-export", "/proc/self/fd/nowhere/x"])
def test_a_place_where_nobody_can_write(refuses, export, folder):
    refuses(*export(folder), says="cannot write /proc")


def test_a_file_in_the_folders_place(refuses, export, tmp_path):
    (tmp_path / "taken").write_text("mine")
    refuses(*export(tmp_path / "taken"), says="-o")


def test_a_file_in_the_place_of_a_folder_above(refuses, export, tmp_path):
    (tmp_path / "taken").write_text("mine")
    refuses(*export(tmp_path / "taken" / "below"), says="-o")


def test_a_folder_in_the_place_of_a_file(refuses, export, out):
    (out / "net.int8.manifest.json").mkdir()
    refuses(*export(out), says=r"net\.int8\.manifest\.json")


def test_a_link_that_leads_nowhere(refuses, export, tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    refuses(*export(tmp_path / "link"), says="-o")


def test_a_link_to_a_folder_is_followed(run, export, tmp_path, out):
    (tmp_path / "link").symlink_to(out)
    assert run(*export(tmp_path / "link")).code == 0
    assert (out / "net.int8.manifest.json").is_file()


def test_a_link_in_a_files_place_is_replaced_not_written_through(run, export, tmp_path, out):
    precious = tmp_path / "precious"
    precious.write_text("mine")
    (out / "net.int8.tflite").unlink()
    (out / "net.int8.tflite").symlink_to(precious)
    assert run(*export(out)).code == 0
    assert precious.read_text() == "mine"
    assert not (out / "net.int8.tflite").is_symlink()


def test_a_link_in_the_locks_place_is_not_written_through(refuses, export, tmp_path, out):
    (out / LOCK_NAME).symlink_to(tmp_path / "elsewhere")
    refuses(*export(out), says="link")


def test_two_exports_at_once(refuses, export, out):
    with output_folder(out):
        refuses(*export(out), says="another run")


def test_two_real_exports_at_once_end_with_one_whole_folder(run, parity_main, model, tmp_path):
    """Two processes start together; each succeeds or says that the other is there."""
    out = tmp_path / "both"
    code = "import sys; from mnist_export.cli.export import main; sys.exit(main(sys.argv[1:]))"
    words = [sys.executable, "-c", code, "-m", model, "--data", "digits", "--int8", "-q", "-o", out]
    pair = [subprocess.Popen(words, stderr=subprocess.PIPE, text=True) for _ in range(2)]
    ended = [(process.communicate()[1], process.returncode) for process in pair]
    assert {code for _, code in ended} <= {0, 2}
    assert any(code == 0 for _, code in ended)
    for err, code in ended:
        assert code == 0 or ("another run" in err and err.count("\n") == 1), err
    assert run(parity_main, "verify", out).code == 0


@pytest.mark.parametrize("stage", ["train.obtaining.load_or_train", "quantize.lowering.lower"])
def test_the_folder_is_removed_during_the_run(run, parity_main, export, out, monkeypatch, stage):
    import importlib

    name, _, function = f"mnist_export.{stage}".rpartition(".")
    module = importlib.import_module(name)
    real = getattr(module, function)

    def removing(*arguments, **options):
        shutil.rmtree(out)
        return real(*arguments, **options)

    monkeypatch.setattr(module, function, removing)
    done = run(*export(out))
    assert done.code == 0, done.err
    assert run(parity_main, "verify", out).code == 0


def test_the_folder_is_removed_between_its_files_and_their_check(run, export, out, monkeypatch):
    from mnist_export.export import artifacts

    real = artifacts.write_artifacts

    def removing(*arguments, **options):
        written = real(*arguments, **options)
        shutil.rmtree(out, ignore_errors=True)  # float files are written after the others
        return written

    monkeypatch.setattr(artifacts, "write_artifacts", removing)
    done = run(*export(out))
    assert done.code == 2
    assert done.err.count("\n") == 1
    assert "no such file" in done.err


def test_temporaries_of_a_killed_run_are_swept_by_the_next(run, parity_main, export, out):
    (out / "notes.txt").unlink()
    for number in range(5):
        (out / f"{TEMPORARY_PREFIX}stray{number}").write_bytes(b"half a model")
    (out / LOCK_NAME).touch()
    assert run(*export(out)).code == 0
    assert not list(out.glob(f"{TEMPORARY_PREFIX}*"))
    assert run(parity_main, "verify", out).code == 0


def test_a_temporary_whose_writer_lives_is_not_swept(tmp_path):
    path = tmp_path / f"{TEMPORARY_PREFIX}alive"
    with path.open("wb") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        assert sweep(tmp_path) == 0
        assert path.exists()
    assert sweep(tmp_path) == 1


def test_links_and_folders_are_not_swept(tmp_path):
    (tmp_path / f"{TEMPORARY_PREFIX}folder").mkdir()
    (tmp_path / f"{TEMPORARY_PREFIX}link").symlink_to("/etc/hostname")
    assert sweep(tmp_path) == 0


def test_a_lock_on_a_file_without_a_name_excludes_nobody(tmp_path):
    """The former owner unlinks the lock between our opening and our locking it: open it again."""
    from mnist_export.core import files

    real, opened = os.open, []

    def racing(path, flags, mode=0o777, **options):
        descriptor = real(path, flags, mode, **options)
        if str(path).endswith(LOCK_NAME) and not opened:
            opened.append(path)
            Path(path).unlink()
        return descriptor

    files.os.open = racing
    try:
        with output_folder(tmp_path):
            files.os.open = real
            assert (tmp_path / LOCK_NAME).exists()
            with pytest.raises(OutputError, match="another run"), output_folder(tmp_path):
                pass
    finally:
        files.os.open = real
    assert opened
    assert list(tmp_path.iterdir()) == []


def test_many_writers_never_hold_the_folder_together(tmp_path):
    code = textwrap.dedent("""
        import os, sys, time
        from pathlib import Path
        from mnist_export.core.errors import OutputError
        from mnist_export.core.files import output_folder
        folder, taken = Path(sys.argv[1]), 0
        end = time.monotonic() + 1.5
        while time.monotonic() < end:
            try:
                with output_folder(folder):
                    os.mkdir(folder / "inside")  # fails where another is inside
                    taken += 1
                    os.rmdir(folder / "inside")
            except OutputError:
                pass
        print(taken)
    """)
    (tmp_path / "keep").touch()
    command = [sys.executable, "-c", code, tmp_path]
    several = [
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in range(3)
    ]
    for process in several:
        text, err = process.communicate()
        assert process.returncode == 0, err
        assert int(text) > 0


def test_folders_made_for_a_run_that_failed_are_all_taken_away(tmp_path):
    with pytest.raises(RuntimeError), output_folder(tmp_path / "a" / "b" / "c"):
        raise RuntimeError
    assert list(tmp_path.iterdir()) == []


def test_a_signal_waits_until_all_files_of_a_run_are_renamed(tmp_path, monkeypatch):
    import signal

    real = Path.replace
    targets = {tmp_path / f"f{i}": b"new" for i in range(4)}

    def interrupted(self, target):
        os.kill(os.getpid(), signal.SIGINT)
        return real(self, target)

    monkeypatch.setattr(Path, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_atomic(targets)
    assert sorted(tmp_path.iterdir()) == sorted(targets)
