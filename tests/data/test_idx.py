from __future__ import annotations

import gzip
import hashlib
import struct
from collections.abc import Callable
from pathlib import Path

import hypothesis.extra.numpy as hnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mnist_export.core.errors import InputError
from mnist_export.data.idx import encode_idx, idx_header, idx_sha256, read_idx, read_idx_images

Refused = Callable[..., str]


@settings(max_examples=40, deadline=None)
@given(
    array=hnp.arrays(np.uint8, hnp.array_shapes(min_dims=3, max_dims=3, min_side=1, max_side=9)),
    gz=st.booleans(),
)
def test_what_is_encoded_is_read_back(
    tmp_path_factory: pytest.TempPathFactory, array: np.ndarray, gz: bool
) -> None:
    path = tmp_path_factory.mktemp("idx") / "file"
    content = encode_idx(array)
    path.write_bytes(gzip.compress(content, mtime=0) if gz else content)
    np.testing.assert_array_equal(read_idx(path, 3), array)
    assert idx_sha256(array) == hashlib.sha256(content).hexdigest()


def test_compression_is_told_by_content_and_not_by_name(tmp_path: Path) -> None:
    array = np.arange(2 * 28 * 28, dtype=np.int64).astype(np.uint8).reshape(2, 28, 28)
    (tmp_path / "raw.gz").write_bytes(encode_idx(array))
    (tmp_path / "packed").write_bytes(gzip.compress(encode_idx(array)))
    np.testing.assert_array_equal(read_idx_images(tmp_path / "raw.gz"), array)
    np.testing.assert_array_equal(read_idx_images(tmp_path / "packed"), array)


SOUND = encode_idx(np.full((3, 28, 28), 7, np.uint8))
LABELS = encode_idx(np.zeros(3, np.uint8))
CASES = {
    "empty": (b"", "0 bytes"),
    "text": (b"these are not images", "magic number"),
    "wrong_magic": (b"\x12" + SOUND[1:], "magic number 0x12000803"),
    "labels": (LABELS, "swapped"),
    "float32": (b"\0\0\x0d\x03" + SOUND[4:], "float32"),
    "little_endian": (struct.pack("<4I", 0x803, 3, 28, 28) + SOUND[16:], "little-endian"),
    "little_endian_sizes": (b"\0\0\x08\x03" + struct.pack("<3I", 3, 28, 28) + SOUND[16:], "little-endian"),
    "header_cut": (SOUND[:9], "9 bytes"),
    "zero_images": (idx_header((0, 28, 28)), "shape (0, 28, 28)"),
    "zero_columns": (idx_header((3, 28, 0)), "shape (3, 28, 0)"),
    "claims_more": (idx_header((4, 28, 28)) + SOUND[16:], "3,136 bytes"),
    "claims_fewer": (idx_header((2, 28, 28)) + SOUND[16:], "1,568 bytes"),
    "trailing_byte": (SOUND + b"\0", "2,352 bytes"),
    "cut": (SOUND[:-1], "found 2,351"),
    "one_tebibyte": (idx_header((1 << 20, 1 << 10, 1 << 10)) + SOUND[16:], "1,099,511,627,776"),
    "largest_header": (idx_header((0xFFFFFFFF,) * 3), "bytes"),
    "56x14": (idx_header((3, 56, 14)) + SOUND[16:], "56x14"),
}


@pytest.mark.parametrize("gz", [False, True], ids=["raw", "gz"])
@pytest.mark.parametrize("case", CASES)
def test_a_bad_file_is_refused_in_one_line(
    case: str, gz: bool, tmp_path: Path, refused: Refused, peak_bytes: Callable[[], int]
) -> None:
    content, fragment = CASES[case]
    path = tmp_path / "bad\n\x1b[31m-idx3-ubyte"  # a name that must not reach the terminal as it is
    path.write_bytes(gzip.compress(content) if gz else content)
    gz_cannot_know = gz and case in ("little_endian_sizes", "cut", "claims_fewer", "trailing_byte")
    line = refused(lambda: read_idx_images(path), *(() if gz_cannot_know else (fragment,)))
    assert line.startswith(str(tmp_path))
    assert peak_bytes() < 8 << 20


PACKED = gzip.compress(SOUND, mtime=0)
DAMAGED = {
    "cut": (PACKED[:-9], "its end missing"),
    "trailer_cut": (PACKED[:-3], "its end missing"),
    "bad_crc": (PACKED[:-8] + bytes([PACKED[-8] ^ 1]) + PACKED[-7:], "incorrect data check"),
    "bad_length": (PACKED[:-1] + bytes([PACKED[-1] ^ 1]), "incorrect length check"),
    "second_stream": (PACKED + gzip.compress(b"more"), "further bytes"),
    "padding": (PACKED + b"\0" * 512, "further bytes"),
    "only_magic": (b"\x1f\x8b", "its end missing"),
}


@pytest.mark.parametrize("case", DAMAGED)
def test_a_damaged_gzip_file_is_refused(case: str, tmp_path: Path, refused: Refused) -> None:
    content, fragment = DAMAGED[case]
    path = tmp_path / "images.gz"
    path.write_bytes(content)
    refused(lambda: read_idx_images(path), str(path), fragment)


def test_a_bomb_is_unpacked_no_further_than_its_header_promises(
    tmp_path: Path, refused: Refused, peak_bytes: Callable[[], int]
) -> None:
    path = tmp_path / "bomb.gz"
    with gzip.open(path, "wb", compresslevel=1) as stream:
        stream.write(idx_header((10, 28, 28)))
        for _ in range(64):
            stream.write(bytes(1 << 20))
    assert path.stat().st_size < 1 << 19
    before = peak_bytes()
    refused(lambda: read_idx_images(path), "7,840 bytes", "more")
    assert peak_bytes() - before < 2 << 20


@pytest.mark.parametrize("images", [2_000_000, 800_000], ids=["above_the_cap", "above_the_ratio"])
def test_a_bomb_that_promises_much_is_refused_before_allocation(
    images: int, tmp_path: Path, refused: Refused, peak_bytes: Callable[[], int]
) -> None:
    path = tmp_path / "bomb.gz"
    path.write_bytes(gzip.compress(idx_header((images, 28, 28)) + bytes(1 << 20)))
    refused(lambda: read_idx_images(path), f"{images * 784:,}")
    assert peak_bytes() < 8 << 20


def test_folders_pipes_and_missing_files_are_refused_at_once(tmp_path: Path, refused: Refused) -> None:
    import os

    os.mkfifo(tmp_path / "pipe")
    refused(lambda: read_idx(tmp_path / "pipe", 3), "regular file")
    refused(lambda: read_idx(tmp_path, 3), "regular file")
    refused(lambda: read_idx(tmp_path / "missing", 3), "No such file")


def test_flipped_bits_and_cuts_are_found_or_read_but_never_crash(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    path = tmp_path / "images.gz"
    undetected = 0
    for source in (SOUND, PACKED):
        for _ in range(300):
            content = bytearray(source[: random.integers(1, len(source) + 1)])
            content[random.integers(len(content))] ^= 1 << random.integers(8)
            path.write_bytes(content)
            try:
                assert read_idx_images(path).dtype == np.uint8
                undetected += 1
            except InputError as error:
                assert str(error).isprintable()
    assert undetected < 10  # only an uncompressed whole file can hide a flipped pixel


def test_real_mnist_has_the_published_shape(real_mnist: object) -> None:
    from mnist_export.data import Dataset

    assert isinstance(real_mnist, Dataset)
    assert [len(split) for split in real_mnist.parts().values()] == [55_000, 5_000, 10_000]
    assert real_mnist.image_shape == (28, 28, 1)
