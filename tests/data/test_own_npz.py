from __future__ import annotations

import io
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from mnist_export.core.errors import InputError
from mnist_export.data import Dataset, load_dataset
from mnist_export.data.npz import NpzFile
from mnist_export.data.own_npz import READER
from mnist_export.data.request import Request

Refused = Callable[..., str]
Arrays = dict[str, npt.NDArray[Any]]


@pytest.fixture
def arrays(make: Callable[..., tuple[npt.NDArray[Any], npt.NDArray[Any]]]) -> Arrays:
    x_train, y_train = make(200, classes=4, seed=1)
    x_test, y_test = make(40, classes=4, seed=2)
    return {"x_train": x_train, "y_train": y_train, "x_test": x_test, "y_test": y_test}


@pytest.fixture
def load(tmp_path: Path, request_here: Request) -> Callable[..., Dataset]:
    def load_arrays(arrays: Arrays, *, compressed: bool = True) -> Dataset:
        path = tmp_path / "My Data.npz"
        (np.savez_compressed if compressed else np.savez)(path, **arrays)  # type: ignore[arg-type]
        return READER(path, request_here)

    return load_arrays


def npy(header: str, body: bytes = b"", version: bytes = b"\x01\x00") -> bytes:
    text = header.encode("latin1") + b"\n"
    return b"\x93NUMPY" + version + struct.pack("<H", len(text)) + text + body


def write_zip(path: Path, members: list[tuple[str, bytes]]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return path


@pytest.mark.parametrize("compressed", [True, False])
def test_own_arrays_become_a_dataset_with_its_own_test_part(
    arrays: Arrays, load: Callable[..., Dataset], compressed: bool
) -> None:
    data = load(arrays, compressed=compressed)
    assert data.name == "my-data" and data.class_names == ("0", "1", "2", "3")
    assert [len(split) for split in data.parts().values()] == [180, 20, 40]
    np.testing.assert_array_equal(data.test.images[..., 0], arrays["x_test"])
    np.testing.assert_array_equal(data.test.labels, arrays["y_test"])
    assert data.provenance.source == "npz" and data.provenance.notes == ()


def test_without_a_test_part_a_tenth_is_set_aside_and_said(
    arrays: Arrays, load: Callable[..., Dataset], said: list[str]
) -> None:
    data = load({key: arrays[key] for key in ("x_train", "y_train")})
    assert [len(split) for split in data.parts().values()] == [160, 20, 20]
    assert np.bincount(data.test.labels).tolist() == [5, 5, 5, 5]
    assert "set aside for test" in data.provenance.notes[0] and "no test part" in said[0]


def test_colour_fortran_order_big_endian_labels_and_class_names_are_read(
    arrays: Arrays, load: Callable[..., Dataset]
) -> None:
    colour = np.random.default_rng(0).integers(0, 256, (200, 12, 10, 3), np.uint8)
    names = np.array(["cat", "dog", "<b>", "d"])
    data = load(
        {
            "x_train": np.asfortranarray(colour),
            "y_train": arrays["y_train"].astype(">i4")[:, None],
            "x_test": colour[:8],
            "y_test": arrays["y_test"][:8].astype(np.uint64),
            "class_names": names,
            "something_else": np.zeros(3),
        }
    )
    assert data.image_shape == (12, 10, 3) and data.class_names == ("cat", "dog", "<b>", "d")
    np.testing.assert_array_equal(data.test.images, colour[:8])
    whole = {image.tobytes() for split in (data.train, data.validation) for image in split.images}
    assert whole == {image.tobytes() for image in colour}


@pytest.mark.parametrize(
    ("changes", "fragments"),
    [
        ({"x_train": lambda x: (x / 256).astype(np.float32)}, ("float32 in 0..", "k/255", "store as uint8")),
        ({"x_train": lambda x: x / 127.5 - 1}, ("float64 in -1..", "Map -1..1", "`input_range`")),
        ({"x_train": lambda x: x + 0.3}, ("float64 in 0.3..", "between two pixels")),
        ({"x_train": lambda x: np.where(x > 250, np.nan, x)}, ("NaN",)),
        ({"x_train": lambda x: np.where(x > 250, np.inf, x)}, ("infinite",)),
        ({"x_train": lambda x: x.astype(np.int64)}, ("int64", "uint8")),
        ({"x_train": lambda x: x > 128}, ("bool",)),
        ({"x_train": lambda x: x // 255}, ("none above 1", "by 255")),
        ({"x_train": lambda x: x * 0}, ("none above 0",)),
        ({"x_train": lambda x: x.reshape(200, 784)}, ("(200, 784)", "reshape")),
        ({"x_train": lambda x: x.reshape(200, 56, 14)}, ("(56, 14, 1), as in train", "(28, 28, 1)")),
        ({"x_train": lambda x: x[:, :2, :2]}, ("2x2",)),
        ({"x_train": lambda x: x[:0]}, ("(0, 28, 28, 1)",)),
        ({"x_train": lambda x: np.stack([x] * 5, -1)}, ("1 to 4 channels",)),
        ({"x_train": lambda x: x[:150]}, ("150 images and 200 labels",)),
        ({"x_train": lambda x: x.astype("U3")}, ("U3",)),
        ({"x_test": lambda x: x[:, :20, :20]}, ("(20, 20, 1)", "Resize")),
        ({"y_train": lambda y: np.eye(4, dtype=np.uint8)[y]}, ("(200, 4)", "argmax")),
        ({"y_train": lambda y: y.astype(np.float32)}, ("float32",)),
        ({"y_train": lambda y: y.astype(np.int8) - 1}, ("-1..2",)),
        ({"y_train": lambda y: y.astype(np.int64) + 1}, ("class '0'", "labels used are 1..4")),
        ({"y_train": lambda y: np.where(np.arange(200) == 9, 200, y)}, ("0 of class '4'",)),
        ({"y_train": lambda y: np.full(200, 2**63, np.uint64)}, ("labels 0 to 9999",)),
        ({"y_test": lambda y: y + 1}, ("test labels 0..3", "found 4")),
        ({"y_train": lambda y: y * 0, "y_test": lambda y: y * 0}, ("2 classes",)),
    ],
)
def test_wrong_pixels_and_labels_are_refused_with_what_to_do(
    changes: dict[str, Callable[[Any], Any]],
    fragments: tuple[str, ...],
    arrays: Arrays,
    load: Callable[..., Dataset],
    refused: Refused,
) -> None:
    changed = {key: changes[key](value) if key in changes else value for key, value in arrays.items()}
    refused(lambda: load(changed), *fragments)


def test_missing_keys_are_listed_beside_those_found(
    arrays: Arrays, load: Callable[..., Dataset], refused: Refused
) -> None:
    del arrays["y_test"]
    refused(lambda: load(arrays), "no y_test", "x_train, y_train, x_test (")
    refused(lambda: load({"images": arrays["x_train"]}), "found images (no x_train, y_train)")


@pytest.mark.parametrize(
    "names", [["a", "a", "b", "c"], [b"a", b"b", b"c", b"d"], ["a", "", "b", "\x1b[31m"]]
)
def test_unusable_class_names_are_refused(
    names: list[Any], arrays: Arrays, load: Callable[..., Dataset], refused: Refused
) -> None:
    refused(lambda: load(arrays | {"class_names": np.array(names)}), "class_names")


class Marker:
    """Pickled into a member: making it again would create the file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (self.path,))


def test_a_pickled_member_is_never_opened(
    arrays: Arrays, load: Callable[..., Dataset], tmp_path: Path, refused: Refused
) -> None:
    objects = np.array([Marker(tmp_path / "executed")] * 200, object)
    refused(lambda: load(arrays | {"x_train": objects}), "pickled Python objects")
    refused(lambda: load(arrays | {"y_train": objects}), "pickled Python objects")
    assert not (tmp_path / "executed").exists()


HEADERS = {
    "one_tebibyte": (
        "{'descr': '|u1', 'fortran_order': False, 'shape': (1099511627776,), }",
        "1,099,511,627,776",
    ),
    "negative": ("{'descr': '|u1', 'fortran_order': False, 'shape': (-1, 28, 28), }", "(-1, 28, 28)"),
    "both_negative": ("{'descr': '|u1', 'fortran_order': False, 'shape': (-2, -392), }", "(-2, -392)"),
    "not_whole": ("{'descr': '|u1', 'fortran_order': False, 'shape': (1.5,), }", ""),
    "true": ("{'descr': '|u1', 'fortran_order': False, 'shape': (True, 784), }", "(True, 784)"),
    "more_than_held": ("{'descr': '|u1', 'fortran_order': False, 'shape': (2, 28, 28), }", "1,568 bytes"),
    "fewer_than_held": ("{'descr': '|u1', 'fortran_order': False, 'shape': (1, 28, 27), }", "756 bytes"),
    "code": ("__import__('os').system('touch executed')", ""),
    "endless": ("(" * 5000, ""),
    "no_keys": ("{}", ""),
    "many_sizes": ("{'descr': '|u1', 'fortran_order': False, 'shape': (" + "1, " * 999 + "), }", ""),
    "huge_type": ("{'descr': '<U999999999', 'fortran_order': False, 'shape': (9,), }", ""),
    "object": ("{'descr': '|O', 'fortran_order': False, 'shape': (98,), }", "pickled"),
    "void": ("{'descr': '|V0', 'fortran_order': False, 'shape': (5,), }", ""),
    "bad_dtype": ("{'descr': 'nonsense', 'fortran_order': False, 'shape': (5,), }", ""),
}


@pytest.mark.parametrize("case", HEADERS)
def test_headers_that_lie_are_refused_before_allocation(
    case: str, tmp_path: Path, request_here: Request, refused: Refused, peak_bytes: Callable[[], int]
) -> None:
    header, fragment = HEADERS[case]
    members = [("x_train.npy", npy(header, bytes(784))), ("y_train.npy", npy(header, bytes(784)))]
    path = write_zip(tmp_path / "bad.npz", members)
    refused(lambda: READER(path, request_here), str(path), fragment)
    assert peak_bytes() < 8 << 20
    assert not Path("executed").exists()


def test_a_bomb_is_refused_before_it_is_unpacked(
    tmp_path: Path, request_here: Request, refused: Refused, peak_bytes: Callable[[], int]
) -> None:
    path = tmp_path / "bomb.npz"
    shape = (100_000, 28, 28)
    with (
        zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive,
        archive.open("x_train.npy", "w") as stream,
    ):
        stream.write(npy(f"{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}, }}"))
        for _ in range(100):
            stream.write(bytes(784_000))
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("y_train.npy", npy("{'descr': '|u1', 'fortran_order': False, 'shape': (0,), }"))
    before = peak_bytes()
    refused(lambda: READER(path, request_here), "78,400,000", "200 bytes of data from one")
    assert peak_bytes() - before < 4 << 20


@pytest.mark.parametrize(
    ("members", "fragment"),
    [
        ([("x_train.npy", b""), ("y_train.npy", b"")], ""),
        ([("x_train.npy", b"text"), ("y_train.npy", b"text")], ""),
        ([("x_train.npy", npy("{}", version=b"\x09\x00"))] * 1 + [("y_train.npy", b"")], "version"),
        ([("x_train", b""), ("x_train.npy", b""), ("y_train.npy", b"")], "twice"),
        ([(f"a{i}.npy", b"") for i in range(300)], "at most 256"),
        ([], "none"),
    ],
)
def test_archives_of_something_else_are_refused(
    members: list[tuple[str, bytes]], fragment: str, tmp_path: Path, request_here: Request, refused: Refused
) -> None:
    path = write_zip(tmp_path / "bad.npz", members)
    refused(lambda: READER(path, request_here), str(path), fragment)


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_member_that_is_there_twice_is_refused(
    tmp_path: Path, request_here: Request, refused: Refused
) -> None:
    path = write_zip(tmp_path / "bad.npz", [("x_train.npy", b"a"), ("x_train.npy", b"b")])
    refused(lambda: READER(path, request_here), "'x_train' twice")


def test_text_in_place_of_an_archive_is_refused(
    tmp_path: Path, request_here: Request, refused: Refused
) -> None:
    path = tmp_path / "bad.npz"
    for content in (b"", b"not a zip", b"PK\x03\x04" + bytes(100)):
        path.write_bytes(content)
        refused(lambda: READER(path, request_here), "an .npz file")


def test_other_compressions_are_refused(tmp_path: Path, request_here: Request, refused: Refused) -> None:
    path = tmp_path / "bad.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("x_train.npy", b"a")
        archive.writestr("y_train.npy", b"a")
    refused(lambda: READER(path, request_here), "compression 14")


def test_flipped_bits_and_cuts_are_found(arrays: Arrays, tmp_path: Path, request_here: Request) -> None:
    stream = io.BytesIO()
    np.savez_compressed(stream, **arrays)  # type: ignore[arg-type]
    sound = stream.getvalue()
    random = np.random.default_rng(0)
    path = tmp_path / "fuzzed.npz"
    for _ in range(200):
        content = bytearray(sound)
        for _ in range(random.integers(1, 4)):
            content[random.integers(len(content))] ^= 1 << random.integers(8)
        path.write_bytes(content[: random.choice([len(content), random.integers(len(content))])])
        try:
            data = READER(path, request_here)
        except InputError as error:
            assert str(error).isprintable()
            continue
        for name in ("x_test", "y_test"):  # what was accepted is what was written
            kept = data.test.images[..., 0] if name == "x_test" else data.test.labels
            np.testing.assert_array_equal(kept, arrays[name])


def test_only_the_asked_for_items_are_read(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", values=np.arange(1000))
    with NpzFile(tmp_path / "a.npz") as npz:
        assert npz.read("values", at_most_items=3).tolist() == [0, 1, 2]
        assert npz.header("values").shape == (1000,)


def test_images_may_have_any_aspect(tmp_path):
    x, y = np.random.default_rng(0).integers(0, 256, (60, 49, 10, 1)).astype(np.uint8), np.arange(60) % 4
    np.savez(tmp_path / "spectrograms.npz", x_train=x[:40], y_train=y[:40], x_test=x[40:], y_test=y[40:])
    assert load_dataset(str(tmp_path / "spectrograms.npz"), notify=lambda _: None).image_shape == (49, 10, 1)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("white", [1, 255])
def test_floats_that_are_pixels_are_read_as_them(tmp_path, dtype, white):
    images = np.random.default_rng(0).integers(0, 256, (40, 1, 40), dtype=np.uint8)
    labels = np.arange(40) % 2
    floats = (images / (255 / white)).astype(dtype)
    np.savez(tmp_path / "floats.npz", x_train=floats, y_train=labels, x_test=floats[:6], y_test=labels[:6])
    said = []
    data = load_dataset(str(tmp_path / "floats.npz"), notify=said.append)
    np.testing.assert_array_equal(data.test.images[..., 0], images[:6])
    assert data.image_shape == (1, 40, 1)
    assert [note for note in said if dtype in note] == list(data.provenance.notes)
    assert len(data.provenance.notes) == 1
