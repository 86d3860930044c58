"""`mnist-parity verify`: every flipped byte in every file of a folder of exports is found."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys

import numpy as np
import pytest

from mnist_export.core.checksums import SEAL, checksum_list, read_checksum_list, seal, unseal
from mnist_export.core.errors import InputError
from mnist_export.parity.certificate.verification import State, verify_folder


@pytest.fixture()
def folder(exported, tmp_path):
    return shutil.copytree(exported, tmp_path / "exported")


def wrong(folder, **options):
    return {
        file.name: file.state for file in verify_folder(folder, **options).files if file.state != State.OK
    }


def test_a_folder_as_it_was_written_passes(run, parity_main, folder):
    done = run(parity_main, "verify", folder)
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith("PASS")


def test_it_runs_without_tensorflow_and_onnx(folder):
    code = (
        "import sys\n"
        "for name in ('tensorflow', 'keras', 'onnx', 'tf2onnx', 'h5py', 'onnxruntime', 'ai_edge_litert'):\n"
        "    sys.modules[name] = None\n"
        "from mnist_export.cli.parity import main\n"
        "sys.exit(main(sys.argv[1:]))\n"
    )
    done = subprocess.run([sys.executable, "-c", code, "verify", folder], capture_output=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    "suffix", [".manifest.json", ".report.sha256", ".report.json", ".report.html", ".tflite", ".onnx"]
)
def test_every_flipped_byte_is_found(folder, suffix):
    """All bytes of the small files, a few hundred spread over the large ones, by every bit in turn."""
    (path,) = (path for path in folder.iterdir() if path.name.endswith(suffix))
    content = path.read_bytes()
    small = suffix in (".manifest.json", ".report.sha256")
    places = range(len(content)) if small else np.linspace(0, len(content) - 1, 250).astype(int)
    for turn, place in enumerate(places):
        changed = bytearray(content)
        changed[place] ^= 1 << (turn % 8)
        path.write_bytes(changed)
        found = wrong(folder)
        # another digit in the list of digests is another file's mismatch
        assert found if suffix == ".report.sha256" else path.name in found, f"byte {place}"
    path.write_bytes(content)
    assert not wrong(folder)


@pytest.mark.parametrize("change", ["empty", "truncated", "longer", "case", "spaces"])
@pytest.mark.parametrize("suffix", [".manifest.json", ".report.sha256", ".report.json"])
def test_other_changes_are_found(folder, suffix, change):
    (path,) = (path for path in folder.iterdir() if path.name.endswith(suffix))
    content = path.read_bytes()
    changes = {
        "empty": b"",
        "truncated": content[:-1],
        "longer": content + b"\n",
        "case": content.swapcase(),
        "spaces": content.replace(b" ", b"\t"),
    }
    path.write_bytes(changes[change])
    assert path.name in wrong(folder)


def test_a_missing_file_is_found(folder):
    for path in sorted(folder.iterdir()):
        content = path.read_bytes()
        path.unlink()
        assert wrong(folder), path.name
        path.write_bytes(content)


def test_an_extra_file_is_found_and_can_be_allowed(folder):
    (folder / "other.tflite").write_bytes(b"not ours")
    assert wrong(folder) == {"other.tflite": State.EXTRA}
    assert not wrong(folder, allow_extra=True)


def test_a_link_in_a_files_place_is_found_though_its_content_is_right(folder, tmp_path):
    shutil.move(folder / "net.int8.tflite", tmp_path / "elsewhere")
    (folder / "net.int8.tflite").symlink_to(tmp_path / "elsewhere")
    assert wrong(folder) == {"net.int8.tflite": State.CHANGED}


def test_files_of_two_runs_that_were_mixed_are_found(folder):
    """The artifacts of one run, sealed again, beside the report of another."""
    path = folder / "net.int8.tflite"
    content = bytearray(path.read_bytes())
    content[-100] ^= 1
    path.write_bytes(content)
    manifest = folder / "net.int8.manifest.json"
    fields = json.loads(manifest.read_text())
    del fields[SEAL]
    from mnist_export.core.files import sha256_file

    fields["outputs"][path.name]["sha256"] = sha256_file(path)
    manifest.write_text(seal(fields))
    assert wrong(folder) == {"net.int8.report.json": State.CHANGED}


@pytest.mark.parametrize("name", ["../secret", "/etc/passwd", "a/b", "..", "", "a\nb", "\x1b[2J"])
def test_a_manifest_cannot_name_files_elsewhere(folder, tmp_path, name):
    (tmp_path / "secret").write_text("x")
    manifest = folder / "net.int8.manifest.json"
    fields = json.loads(manifest.read_text())
    del fields[SEAL]
    fields["outputs"][name] = {"sha256": "0" * 64, "size_bytes": 1}
    manifest.write_text(seal(fields))
    found = verify_folder(folder)
    assert not found.sound
    assert all(file.name.isprintable() and "/" not in file.name for file in found.files)
    with pytest.raises(InputError):
        checksum_list({name: b""})


def test_names_from_the_folder_do_not_steer_the_terminal(run, parity_main, folder):
    (folder / "\x1b[2Jx").write_text("")
    done = run(parity_main, "verify", folder)
    assert done.code == 1
    assert "\x1b" not in done.out


def test_json_says_the_same(run, parity_main, folder):
    (folder / "other").write_text("")
    done = run(parity_main, "verify", folder, "--json")
    found = json.loads(done.out)
    assert (done.code, found["verdict"]) == (1, "fail")
    assert {file["name"] for file in found["files"] if file["state"] == "extra"} == {"other"}


def test_deep_and_huge_manifests_are_refused_without_harm(folder):
    manifest = folder / "net.int8.manifest.json"
    for text in ("[" * 100_000, '{"a":' * 50_000, "9" * 20_000, '{"sha256_of_the_rest": []}'):
        manifest.write_text(text)
        assert wrong(folder)[manifest.name] == State.CHANGED


def test_a_seal_holds_for_one_spelling_only():
    text = seal({"b": [1, 2.5, None], "a": {"x": "ä"}}).encode()
    assert unseal(text, "m") == {"a": {"x": "ä"}, "b": [1, 2.5, None]}
    for other in (text.replace(b"\n", b""), text + b" ", text.replace(b"2.5", b"2.50"), text[:-1]):
        with pytest.raises(InputError, match="changed"):
            unseal(other, "m")


def test_a_checksum_list_is_what_sha256sum_reads(tmp_path):
    (tmp_path / "a.json").write_bytes(b"1")
    (tmp_path / "b.html").write_bytes(b"2")
    text = checksum_list({"b.html": b"2", "a.json": b"1"})
    assert list(read_checksum_list(text.encode(), "l")) == ["a.json", "b.html"]
    (tmp_path / "l.sha256").write_text(text)
    done = subprocess.run(
        ["sha256sum", "--check", "l.sha256"], cwd=tmp_path, capture_output=True, check=False
    )
    assert done.returncode == 0


def test_an_interrupted_run_is_not_called_sound(folder):
    """Artifacts and manifest are there, the report is not: the run did not come to its end."""
    for path in folder.glob("*.report.*"):
        path.unlink()
    assert wrong(folder) == {"net.int8.report.sha256": State.MISSING}
