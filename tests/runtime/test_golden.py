"""Golden files: what is recorded comes back, other data and damaged files are refused."""

import dataclasses
import io
import json
import zipfile

import numpy as np
import pytest

from mnist_export.core.errors import InputError
from mnist_export.data import Split
from mnist_export.parity.recording import record
from mnist_export.runtime.runners.golden import Golden, GoldenRunner, load_golden
from mnist_export.runtime.runners.litert import LiteRtRunner
from mnist_export.runtime.runners.opening import open_runner
from mnist_export.runtime.timing.latency import Effort

QUICK = Effort(min_time_s=0.01, min_runs=5, min_rounds=2, max_time_s=0.1, max_warmup_s=0.02)


@pytest.fixture(scope="module")
def golden(models, digits):
    with LiteRtRunner(models.files["float.tflite"], label="float.tflite") as runner:
        return record(runner, digits, effort=QUICK)


def test_a_recording_comes_back_whole(golden, tmp_path, digits):
    path = tmp_path / "g.npz"
    golden.save(path)
    found = load_golden(path)
    assert np.array_equal(found.logits, golden.logits)
    assert found.meta == dataclasses.replace(golden.meta)
    assert found.meta.latency_us["p50"] > 0
    assert found.meta.environment["versions"]["numpy"] == np.__version__
    assert found.meta.data == "digits"
    with open_runner(path) as runner:
        assert np.array_equal(runner.run(digits.test.images), golden.logits)


def test_the_same_recording_gives_the_same_bytes(golden, tmp_path):
    golden.save(tmp_path / "a.npz")
    golden.save(tmp_path / "b.npz")
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


def test_a_recording_needs_no_pickle(golden, tmp_path):
    golden.save(tmp_path / "g.npz")
    with np.load(tmp_path / "g.npz", allow_pickle=False) as arrays:
        assert {arrays[name].dtype.kind for name in arrays} <= {"f", "i", "u"}


def test_other_images_or_labels_are_refused(golden, digits):
    test = digits.test
    golden.require(test)
    pixels = test.images.copy()
    pixels[0, 0, 0, 0] ^= 1
    with pytest.raises(InputError, match="other images"):
        golden.require(Split(images=pixels, labels=test.labels))
    with pytest.raises(InputError, match="other labels"):
        golden.require(Split(images=test.images, labels=np.roll(test.labels, 1)))
    with pytest.raises(InputError, match="other number of images"):
        golden.require(Split(images=test.images[:5], labels=test.labels[:5]))


def test_a_replay_refuses_other_images_and_timing(golden, digits, tmp_path):
    golden.save(tmp_path / "g.npz")
    runner = GoldenRunner(tmp_path / "g.npz")
    with pytest.raises(InputError, match="Give the same data"):
        runner.run(digits.test.images[:4])
    with pytest.raises(InputError, match="cannot be timed"):
        runner.invoke(runner.prepare(digits.test.images[:1]))


def test_logits_that_are_not_finite_or_of_another_shape_are_refused(golden):
    bad = golden.logits.copy()
    bad[3, 3] = np.inf
    with pytest.raises(InputError, match="not finite"):
        Golden(meta=golden.meta, logits=bad)
    with pytest.raises(InputError, match="expected float32 logits"):
        Golden(meta=golden.meta, logits=golden.logits[:, :9])
    with pytest.raises(InputError, match="expected float32 logits"):
        Golden(meta=golden.meta, logits=golden.logits.astype(np.float64))


def rewritten(path, **changes):
    with np.load(path) as arrays:
        members = {name: arrays[name] for name in arrays}
    meta = json.loads(members["meta"].tobytes())
    meta.update(changes.pop("meta", {}))
    members["meta"] = np.frombuffer(json.dumps(meta).encode(), np.uint8)
    members.update(changes)
    np.savez(path, **{k: v for k, v in members.items() if v is not None})


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"meta": {"schema_version": 99}}, "schema version 1, found 99"),
        ({"meta": {"kind": "other"}}, "expected a golden file"),
        ({"meta": {"classes": 9}}, "expected float32 logits"),
        ({"meta": {"images": 0}}, "description is damaged"),
        ({"meta": {"input_range": [1, 0]}}, "LO < HI"),
        ({"meta": {"preprocessing": {"scale": [1], "shift": [0], "order": [1]}}}, "description is damaged"),
        ({"meta": {"preprocessing": {"scale": [10**400], "shift": [0], "order": [0]}}}, "is damaged"),
        ({"meta": {"preprocessing": [0, 1]}}, "description is damaged"),
        ({"logits": None}, "expected the array 'logits'"),
        ({"logits": np.zeros((400, 10))}, "expected 'logits' as float32"),
        ({"logits": np.array([{}], object)}, "logits"),
        ({"predictions": np.zeros(400, np.int64)}, "predictions and logits disagree"),
    ],
)
def test_a_changed_recording_is_refused(golden, tmp_path, changes, text):
    path = tmp_path / "g.npz"
    golden.save(path)
    rewritten(path, **changes)
    with pytest.raises(InputError, match=text):
        load_golden(path)


@pytest.mark.parametrize("content", [b"", b"text", b"PK\x03\x04" + b"\x00" * 40])
def test_what_is_no_archive_is_refused(tmp_path, content):
    path = tmp_path / "g.npz"
    path.write_bytes(content)
    with pytest.raises(InputError):
        load_golden(path)


def test_every_truncation_and_flipped_byte_is_refused_or_harmless(golden, tmp_path):
    path = tmp_path / "g.npz"
    golden.save(path)
    whole = path.read_bytes()
    for size in range(0, len(whole), max(1, len(whole) // 25)):
        path.write_bytes(whole[:size])
        with pytest.raises(InputError):
            load_golden(path)
    for place in range(0, len(whole), max(1, len(whole) // 40)):
        damaged = bytearray(whole)
        damaged[place] ^= 0x55
        path.write_bytes(damaged)
        try:
            found = load_golden(path)
        except InputError:
            continue
        assert np.array_equal(found.logits, golden.logits)  # a time or an attribute of the archive


def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path):
    path = tmp_path / "g.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        stream = io.BytesIO()
        np.lib.format.write_array_header_1_0(
            stream, {"descr": "<f4", "fortran_order": False, "shape": (1 << 29, 1)}
        )
        archive.writestr("logits.npy", stream.getvalue())
        for index in range(5000):
            archive.writestr(f"x{index}.npy", b"")
    with pytest.raises(InputError, match="claims 5001 arrays"):
        load_golden(path)
