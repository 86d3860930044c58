from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mnist_export.core.errors import InputError
from mnist_export.data.own_images import READER
from mnist_export.data.pictures import read_picture
from mnist_export.data.request import Request

Refused = Callable[..., str]
SIDE = 12


def grey(value: int = 0, *, side: int = SIDE, seed: int = 0) -> Image.Image:
    pixels = np.random.default_rng(seed).integers(0, 200, (side, side), np.uint8)
    pixels[0, 0] = value
    return Image.fromarray(pixels)


def grey_pixels(path: Path) -> np.ndarray:
    return read_picture(path, (SIDE, SIDE)).pixels[..., 0]


@pytest.fixture
def tree(tmp_path: Path) -> Callable[..., Path]:
    def write(root: str = "pets", classes: tuple[str, ...] = ("cat", "dog"), count: int = 10) -> Path:
        for number, name in enumerate(classes):
            (tmp_path / root / name).mkdir(parents=True)
            for i in range(count):
                grey(10 * i + number, seed=100 * number + i).save(tmp_path / root / name / f"{i:02}.png")
        return tmp_path / root

    return write


def test_folders_of_classes_become_a_dataset(tree: Callable[..., Path], request_here: Request) -> None:
    data = READER(tree(), request_here)
    assert data.class_names == ("cat", "dog") and data.image_shape == (SIDE, SIDE, 1)
    assert [len(split) for split in data.parts().values()] == [16, 2, 2]
    values = {
        (int(i[0, 0, 0]) % 10, int(y))
        for s in data.parts().values()
        for i, y in zip(s.images, s.labels, strict=True)
    }
    assert values == {(0, 0), (1, 1)}
    assert "No test part" in data.provenance.notes[0]


def test_train_and_test_folders_are_kept_apart(tree: Callable[..., Path], request_here: Request) -> None:
    tree("set/train", ("9", "10", "1"))
    root = tree("set/test", ("9", "1"), count=4).parent
    data = READER(root, request_here)
    assert data.class_names == ("1", "9", "10")  # by value, not by letters
    assert [len(split) for split in data.parts().values()] == [27, 3, 8]
    assert sorted(set(data.test.labels.tolist())) == [0, 1]


def test_hidden_files_are_left_out_and_others_counted(
    tree: Callable[..., Path], request_here: Request, said: list[str]
) -> None:
    root = tree()
    (root / "cat" / ".DS_Store").write_bytes(b"x")
    (root / "cat" / "notes.txt").write_bytes(b"x")
    data = READER(root, request_here)
    assert any("1 files" in note for note in data.provenance.notes)
    assert any("1 files that are not pictures" in line for line in said)


def test_colour_palette_bilevel_and_opaque_alpha_become_grey(tmp_path: Path) -> None:
    source = grey(77)
    expected = np.asarray(source)
    for mode in ("RGB", "RGBA", "LA", "P", "L"):
        path = tmp_path / f"{mode}.png"
        (source.convert("RGB").quantize(256) if mode == "P" else source.convert(mode)).save(path)
        np.testing.assert_array_equal(grey_pixels(path), expected, err_msg=mode)
    source.convert("1").save(tmp_path / "1.png")
    assert set(np.unique(grey_pixels(tmp_path / "1.png"))) == {0, 255}
    source.save(tmp_path / "grey.jpg", quality=95)
    assert np.abs(grey_pixels(tmp_path / "grey.jpg").astype(int) - expected).max() < 40
    source.save(tmp_path / "really_a_bmp.png", "BMP")
    np.testing.assert_array_equal(grey_pixels(tmp_path / "really_a_bmp.png"), expected)


def png_header(width: int, height: int) -> bytes:
    body = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    chunk = struct.pack(">I", 13) + body + struct.pack(">I", zlib.crc32(body))
    return b"\x89PNG\r\n\x1a\n" + chunk + struct.pack(">I", 10) + b"IDAT" + bytes(14)


def bad_pictures(path: Path) -> dict[str, tuple[bytes, str]]:
    def saved(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
        image.save(path, kind, **options)
        return path.read_bytes()

    sound = saved(grey())
    return {
        "empty": (b"", "empty file"),
        "text": (b"hello", "another kind of file"),
        "html": (b"<!doctype html><html></html>", "another kind"),
        "truncated": (sound[: len(sound) // 2], ""),
        "header_only": (sound[:33], ""),
        "gif": (saved(grey(), "GIF"), "another kind"),
        "tiff": (saved(grey(), "TIFF"), "another kind"),
        "svg": (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "another kind"),
        "postscript": (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 12 12\n", "another kind"),
        "other_size": (saved(grey(side=13)), "13x13"),
        "169_megapixels": (png_header(13_000, 13_000), "13000x13000"),
        "60000x60000": (png_header(60_000, 60_000), "very many pixels"),
        "one_line": (png_header(1024, 4), "4x1024"),
        "16_bit": (saved(Image.fromarray(np.full((SIDE, SIDE), 40_000, np.uint16))), "16 bits"),
        "animated": (saved(grey(), save_all=True, append_images=[grey(9, seed=1)]), "animation"),
        "cmyk": (saved(grey().convert("CMYK"), "JPEG"), "CMYK"),
        "large_file": (sound + bytes(17 << 20), "16,777,216"),
    }


CASES = (
    "empty",
    "text",
    "html",
    "truncated",
    "header_only",
    "gif",
    "tiff",
    "svg",
    "postscript",
    "other_size",
    "169_megapixels",
    "60000x60000",
    "one_line",
    "16_bit",
    "animated",
    "cmyk",
    "large_file",
)


@pytest.mark.parametrize("case", CASES)
def test_a_bad_picture_is_refused_in_one_line(
    case: str, tree: Callable[..., Path], tmp_path: Path, request_here: Request, refused: Refused
) -> None:
    content, fragment = bad_pictures(tmp_path / "scratch")[case]
    root = tree()
    (root / "dog" / "05.png").write_bytes(content)
    line = refused(lambda: READER(root, request_here), fragment)
    assert line.startswith(str(root / "dog" / "05.png"))


def test_a_huge_header_costs_no_memory(
    tmp_path: Path, refused: Refused, peak_bytes: Callable[[], int]
) -> None:
    (tmp_path / "huge.png").write_bytes(png_header(13_000, 13_000))
    refused(lambda: read_picture(tmp_path / "huge.png", (SIDE, SIDE)))
    assert peak_bytes() < 16 << 20


def test_links_that_lead_out_of_the_tree_are_refused_and_inner_ones_followed(
    tree: Callable[..., Path], tmp_path: Path, request_here: Request, refused: Refused
) -> None:
    root = tree()
    (root / "cat" / "inner.png").symlink_to(root / "cat" / "00.png")
    assert sum(map(len, READER(root, request_here).parts().values())) == 21
    outside = tmp_path / "outside.png"
    grey().save(outside)
    for target in (outside, tmp_path / "nowhere.png", root / "cat" / "loop.png"):
        link = root / "cat" / "loop.png"
        link.symlink_to(target)
        refused(lambda: READER(root, request_here), "loop.png", "link")
        link.unlink()
    (root / "zebra").symlink_to(tmp_path)
    refused(lambda: READER(root, request_here), "zebra", "link")
    (root / "zebra").unlink()
    linked = tmp_path / "linked"
    linked.symlink_to(root)
    assert READER(linked, request_here).class_names == ("cat", "dog")


def test_empty_folders_and_stray_ones_are_refused(
    tree: Callable[..., Path], tmp_path: Path, request_here: Request, refused: Refused
) -> None:
    (tmp_path / "empty").mkdir()
    refused(lambda: READER(tmp_path / "empty", request_here), "an empty folder")
    root = tree()
    (root / "empty").mkdir()
    refused(lambda: READER(root, request_here), str(root / "empty"), "an empty folder")
    (root / "empty" / "a.heic").write_bytes(b"x")
    refused(lambda: READER(root, request_here), "only .heic")
    (root / "empty" / "inner").mkdir()
    refused(lambda: READER(root, request_here), "a further folder")


def test_one_class_or_too_few_images_are_refused(
    tree: Callable[..., Path], request_here: Request, refused: Refused
) -> None:
    refused(lambda: READER(tree("one", ("cat",)), request_here), "2 classes or more")
    refused(lambda: READER(tree("few", count=1), request_here), "at least 3 images", "found 2")
    assert [len(split) for split in READER(tree("some", count=2), request_here).parts().values()] == [2, 1, 1]


def test_a_thousand_classes_need_not_have_an_image_in_every_part(
    tmp_path: Path, request_here: Request
) -> None:
    content = tmp_path / "one.png"
    grey().save(content)
    for number in range(1000):
        folder = tmp_path / "many" / f"{number}"
        folder.mkdir(parents=True)
        for copy in range(1 + number % 2):
            (folder / f"{copy}.png").write_bytes(content.read_bytes())
    data = READER(tmp_path / "many", request_here)
    assert data.num_classes == 1000 and data.class_names[999] == "999"
    assert [len(split) for split in data.parts().values()] == [1200, 150, 150]


def test_a_class_may_lack_pictures_in_a_part_and_that_is_said(
    tree: Callable[..., Path], request_here: Request, said: list[str]
) -> None:
    tree("set/train", ("cat", "eel"))
    tree("set/val", ("cat",), count=3)
    root = tree("set/test", ("cat", "dog"), count=2).parent
    data = READER(root, request_here)
    assert data.class_names == ("cat", "dog", "eel")
    assert [split.labels.tolist() for split in (data.validation, data.test)] == [[0] * 3, [0, 0, 1, 1]]
    assert len(data.train) == 20
    assert any("train part has no pictures of dog." in line for line in said)


def test_odd_names_are_read_or_refused_but_never_reach_the_terminal(
    tree: Callable[..., Path], request_here: Request, refused: Refused
) -> None:
    root = tree("pets", ("Katze ✓", "<script>"))
    grey(3, seed=7).save(root / "<script>" / "a\nb\x1b[31m.png")
    assert READER(root, request_here).class_names == ("<script>", "Katze ✓")
    (root / "<script>" / "a\nb\x1b[31m.png").write_bytes(b"")
    refused(lambda: READER(root, request_here), r"a\nb\x1b[31m.png")
    Path(os.fsdecode(os.fsencode(root) + b"/\xff\x1b")).mkdir()
    refused(lambda: READER(root, request_here), "printable class name")


def test_a_pipe_among_the_pictures_does_not_hang(
    tree: Callable[..., Path], request_here: Request, refused: Refused
) -> None:
    root = tree()
    os.mkfifo(root / "cat" / "pipe.png")
    refused(lambda: READER(root, request_here), "regular file")


def test_damaged_pictures_never_crash(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    path = tmp_path / "fuzzed"
    for kind in ("PNG", "JPEG", "BMP", "PPM"):
        grey().save(path, kind)
        sound = path.read_bytes()
        for _ in range(150):
            content = bytearray(sound)
            for _ in range(random.integers(1, 6)):
                content[random.integers(len(content))] = random.integers(256)
            path.write_bytes(content[: random.choice([len(content), random.integers(len(content))])])
            try:
                assert grey_pixels(path).shape == (SIDE, SIDE)
            except InputError as error:
                assert str(error).isprintable()
