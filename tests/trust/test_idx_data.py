"""Damaged and hostile IDX files through `mnist-export --data`: nothing is allocated that is not there."""

from __future__ import annotations

import gzip
import struct

import numpy as np
import pytest

NAMES = {
    "x_train": "train-images-idx3-ubyte",
    "y_train": "train-labels-idx1-ubyte",
    "x_test": "t10k-images-idx3-ubyte",
    "y_test": "t10k-labels-idx1-ubyte",
}


def idx(array, magic=None, shape=None):
    shape = array.shape if shape is None else shape
    magic = 0x0800 + len(shape) if magic is None else magic
    return struct.pack(f">I{len(shape)}I", magic, *shape) + np.ascontiguousarray(array, np.uint8).tobytes()


@pytest.fixture()
def good():
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (40, 28, 28)).astype(np.uint8)
    labels = (np.arange(40) % 10).astype(np.uint8)
    return {"x_train": images, "y_train": labels, "x_test": images[:20], "y_test": labels[:20]}


@pytest.fixture()
def refuse_idx(refuses, export_main, tmp_path, out, good):
    def check(says, zipped=False, **changes):
        folder = tmp_path / "data"
        folder.mkdir()
        suffix = ".gz" if zipped else ""
        for key, name in NAMES.items():
            content = changes.get(key, idx(good[key]) if not zipped else gzip.compress(idx(good[key])))
            (folder / f"{name}{suffix}").write_bytes(content)
        return refuses(export_main, "-m", "mlp", "--data", folder, "--int8", "-o", out, says=says)

    return check


@pytest.mark.parametrize("count", [41, 60_000, 0xFFFFFFFF])
def test_more_images_promised_than_there_are(refuse_idx, good, count):
    refuse_idx("bytes of data", x_train=idx(good["x_train"], shape=(count, 28, 28)))


def test_dimensions_whose_product_wraps(refuse_idx, good):
    refuse_idx("bytes of data|pixels", x_train=idx(good["x_train"], shape=(0x80000000, 0x10000, 0x20000)))


def test_fewer_images_promised_than_there_are(refuse_idx, good):
    refuse_idx("bytes of data", x_train=idx(good["x_train"], shape=(39, 28, 28)))


@pytest.mark.parametrize("magic", [0, 0x00000D03, 0x0801, 0x12345678, 0x08030000])
def test_a_wrong_magic_number(refuse_idx, good, magic):
    refuse_idx("magic|IDX", x_train=idx(good["x_train"], magic=magic))


@pytest.mark.parametrize("shape", [(0, 28, 28), (40, 0, 28), (40, 28, 0)])
def test_a_dimension_of_zero(refuse_idx, shape):
    refuse_idx("train-images", x_train=idx(np.zeros(0, np.uint8), shape=shape))


def test_little_endian(refuse_idx, good):
    content = struct.pack("<IIII", 0x0803, 40, 28, 28) + good["x_train"].tobytes()
    refuse_idx("little-endian", x_train=content)


def test_bytes_after_the_end(refuse_idx, good):
    refuse_idx("bytes of data", x_train=idx(good["x_train"]) + b"\0")


@pytest.mark.parametrize("size", [0, 3, 15, 16, 1000])
def test_truncated(refuse_idx, good, size):
    refuse_idx("train-images", x_train=idx(good["x_train"])[:size])


def test_a_gzip_bomb(refuse_idx):
    header = struct.pack(">IIII", 0x0803, 1_300_000, 28, 28)
    content = gzip.compress(header + bytes(220 << 20), 9)
    refuse_idx("compressed byte", zipped=True, x_train=content)


def test_a_gzip_bomb_behind_a_small_promise(refuse_idx, good):
    content = gzip.compress(idx(good["x_train"]) + bytes(220 << 20), 9)
    refuse_idx("bytes of data", zipped=True, x_train=content)


@pytest.mark.parametrize("cut", [0.2, 0.9, 0.999])
def test_a_truncated_gzip_file(refuse_idx, good, cut):
    content = gzip.compress(idx(good["x_train"]))
    refuse_idx("train-images", zipped=True, x_train=content[: int(len(content) * cut)])


def test_a_gzip_file_with_a_bad_sum(refuse_idx, good):
    content = bytearray(gzip.compress(idx(good["x_train"])))
    content[-6] ^= 0xFF
    refuse_idx("gzip|check", zipped=True, x_train=bytes(content))


def test_two_gzip_streams(refuse_idx, good):
    content = gzip.compress(idx(good["x_train"])) + gzip.compress(b"more")
    refuse_idx("stream|bytes", zipped=True, x_train=content)


def test_a_label_of_200(refuse_idx, good):
    labels = good["y_train"].copy()
    labels[7] = 200
    refuse_idx("label|class", y_train=idx(labels))


def test_images_of_56_by_14(refuse_idx, good):
    refuse_idx("56x14|longer", x_train=idx(good["x_train"].reshape(40, 56, 14)))


def test_other_counts_of_images_and_labels(refuse_idx, good):
    refuse_idx("labels", y_train=idx(good["y_train"][:39]))


def test_images_and_labels_swapped(refuse_idx, good):
    refuse_idx("swapped|dimensions", x_train=idx(good["y_train"]), y_train=idx(good["x_train"]))


def test_a_web_page_instead_of_the_file(refuse_idx):
    refuse_idx("train-images", x_train=b"<!DOCTYPE html><html>moved</html>" * 20)


def test_a_file_is_missing(refuses, export_main, tmp_path, out, good):
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / NAMES["x_train"]).write_bytes(idx(good["x_train"]))
    refuses(export_main, "-m", "mlp", "--data", folder, "--int8", "-o", out, says="IDX|folder")
