"""Hostile and damaged .npz data through `mnist-export --data`: read as arrays, never as Python objects."""

from __future__ import annotations

import io
import zipfile

import numpy as np
import pytest


@pytest.fixture()
def good():
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (40, 28, 28), np.uint8)
    labels = np.arange(40) % 10
    return {"x_train": images, "y_train": labels, "x_test": images[:20].copy(), "y_test": labels[:20]}


@pytest.fixture()
def refuse_npz(refuses, export_main, tmp_path, out):
    def check(content, says, **options):
        path = tmp_path / "data.npz"
        if isinstance(content, dict):
            np.savez(path, **content)
        else:
            path.write_bytes(content)
        return refuses(export_main, "-m", "mlp", "--data", path, "--int8", "-o", out, says=says, **options)

    return check


def with_member(good, name, content, *, drop=True):
    """The good archive with one member's raw bytes replaced."""
    stream = io.BytesIO()
    np.savez(stream, **{k: v for k, v in good.items() if not drop or f"{k}.npy" != name})
    with zipfile.ZipFile(stream, "a", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, content)
    return stream.getvalue()


def npy(header, body=b""):
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(stream, header)
    return stream.getvalue() + body


@pytest.mark.parametrize("content", [b"", b"text, not arrays\n" * 99, b"PK\x03\x04" + bytes(99)])
def test_what_is_no_archive(refuse_npz, content):
    refuse_npz(content, "data.npz")


@pytest.mark.parametrize("share", [0.1, 0.5, 0.99])
def test_truncated(refuse_npz, good, share):
    stream = io.BytesIO()
    np.savez(stream, **good)
    content = stream.getvalue()
    refuse_npz(content[: int(len(content) * share)], "data.npz")


def test_pickled_objects_are_not_opened(refuse_npz, good, marker):
    class Evil:
        def __reduce__(self):
            return open, (str(marker), "w")

    refuse_npz({**good, "y_train": np.array([Evil()] * 40, dtype=object)}, "pickled")


def test_a_pickle_with_an_array_header_of_a_plain_type(refuse_npz, good, marker):
    import pickle

    class Evil:
        def __reduce__(self):
            return open, (str(marker), "w")

    body = pickle.dumps(Evil())
    refuse_npz(with_member(good, "y_train.npy", body), "npy")


def test_a_header_that_is_python_code(refuse_npz, good, marker):
    text = f"{{'descr': open({str(marker)!r}, 'w'), 'fortran_order': False, 'shape': (40,)}}".encode()
    text += b" " * (118 - len(text) % 64) + b"\n"
    content = b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text
    refuse_npz(with_member(good, "y_train.npy", content), "header")


def test_a_bomb(refuse_npz, good):
    member = npy({"descr": "|u1", "fortran_order": False, "shape": (300_000, 28, 28)}, bytes(300_000 * 784))
    content = with_member(good, "x_train.npy", member)
    del member
    assert len(content) < 1 << 20
    refuse_npz(content, "compressed byte")


@pytest.mark.parametrize("shape", [(1 << 40,), (1 << 31, 28, 28), (10**17, 10**17)])
def test_a_header_that_promises_a_tebibyte(refuse_npz, good, shape):
    member = npy({"descr": "|u1", "fortran_order": False, "shape": shape}, bytes(100))
    refuse_npz(with_member(good, "x_train.npy", member), "x_train")


@pytest.mark.parametrize("shape", [(-1, 28, 28), (40, -28, -28)])
def test_negative_sizes(refuse_npz, good, shape):
    member = npy({"descr": "|u1", "fortran_order": False, "shape": shape}, bytes(40 * 784))
    refuse_npz(with_member(good, "x_train.npy", member), "sizes|shape|header")


def test_a_deep_header(refuse_npz, good):
    text = b"(" * 4000
    content = b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text
    refuse_npz(with_member(good, "x_train.npy", content), "header")


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_an_array_twice(refuse_npz, good):
    member = npy({"descr": "|u1", "fortran_order": False, "shape": (1,)}, b"x")
    refuse_npz(with_member(good, "x_train.npy", member, drop=False), "twice")


def test_pixels_that_are_not_finite(refuse_npz, good):
    images = good["x_train"].astype(np.float32)
    images[3, 4, 5] = np.nan
    refuse_npz({**good, "x_train": images}, "finite|NaN|uint8")


def test_pixels_of_0_to_1_that_are_between_two(refuse_npz, good):
    refuse_npz({**good, "x_train": good["x_train"] / np.float32(256)}, "255|uint8")


def test_pixels_of_0_to_1_given_as_uint8(refuse_npz, good):
    refuse_npz({k: (v > 127).astype(np.uint8) if k[0] == "x" else v for k, v in good.items()}, "255|above 1")


def test_more_images_than_labels(refuse_npz, good):
    refuse_npz({**good, "y_train": good["y_train"][:-1]}, "labels")


def test_no_images(refuse_npz, good):
    refuse_npz({**good, "x_train": good["x_train"][:0], "y_train": good["y_train"][:0]}, "image")


@pytest.mark.parametrize("key", ["x_train", "y_train", "y_test"])
def test_a_key_is_missing(refuse_npz, good, key):
    refuse_npz({k: v for k, v in good.items() if k != key}, key)


@pytest.mark.parametrize("dtype", ["f8", "i4", "c8", "U3", "M8[s]", "?"])
def test_images_of_another_type(refuse_npz, good, dtype):
    images = np.zeros((40, 28, 28), dtype)
    refuse_npz({**good, "x_train": images}, "x_train")


@pytest.mark.parametrize(
    "labels", [np.arange(40) - 5, np.arange(40) * 1.5, np.full(40, 10**12), np.zeros(40)]
)
def test_labels_that_are_none(refuse_npz, good, labels):
    refuse_npz({**good, "y_train": labels}, "label|class")


def test_class_names_that_steer_the_terminal(refuse_npz, good):
    names = np.array([f"{i}\x1b[2J" for i in range(10)])
    refuse_npz({**good, "class_names": names}, "printable")


def test_very_many_members(refuse_npz, good):
    refuse_npz({**good, **{f"a{i}": np.zeros(1) for i in range(400)}}, "arrays")
