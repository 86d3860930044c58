"""Folders of images from anywhere, through `mnist-export --data`: sizes are judged before pixels are."""

from __future__ import annotations

import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from mnist_export.data import load_dataset


@pytest.fixture()
def folder(tmp_path):
    """Two classes of twelve small pictures."""
    rng = np.random.default_rng(0)
    root = tmp_path / "pictures"
    for name in ("cat", "dog"):
        (root / name).mkdir(parents=True)
        for number in range(12):
            Image.fromarray(rng.integers(0, 256, (28, 28), np.uint8)).save(root / name / f"{number:02d}.png")
    return root


@pytest.fixture()
def refuse_folder(refuses, export_main, out):
    def check(folder, says, **options):
        return refuses(export_main, "-m", "mlp", "--data", folder, "--int8", "-o", out, says=says, **options)

    return check


def png(width, height, bits=8, color=0):
    """A PNG file whose header says what it likes, with almost no data."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, bits, color, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", header)
        + chunk(b"IDAT", zlib.compress(bytes(2000)))
        + chunk(b"IEND", b"")
    )


def test_an_empty_folder(refuse_folder, tmp_path):
    (tmp_path / "pictures").mkdir()
    refuse_folder(tmp_path / "pictures", "empty folder")


def test_an_empty_class(refuse_folder, folder):
    (folder / "eel").mkdir()
    refuse_folder(folder, "empty folder")


def test_one_class_only(refuse_folder, folder):
    for path in (folder / "dog").iterdir():
        path.unlink()
    (folder / "dog").rmdir()
    refuse_folder(folder, "2 classes")


@pytest.mark.parametrize("size", [0, 10, 60])
def test_a_truncated_picture(refuse_folder, folder, size):
    path = folder / "cat" / "05.png"
    path.write_bytes(path.read_bytes()[:size])
    refuse_folder(folder, "05.png")


@pytest.mark.parametrize("side", [13_000, 60_000, 0x7FFFFFFF])
@pytest.mark.parametrize("name", ["00.png", "05.png"])
def test_a_header_of_very_many_pixels(refuse_folder, folder, side, name):
    (folder / "cat" / name).write_bytes(png(side, side))
    refuse_folder(folder, name)


def test_a_real_picture_of_169_megapixels(refuse_folder, folder):
    Image.new("L", (13_000, 13_000)).save(folder / "cat" / "05.png", compress_level=1)
    refuse_folder(folder, "05.png")


def test_sixteen_bits_a_pixel(refuse_folder, folder):
    Image.fromarray(np.full((28, 28), 40_000, np.uint16)).save(folder / "cat" / "05.png")
    refuse_folder(folder, "16")


def _said_of(folder):
    said = []
    load_dataset(str(folder), notify=said.append)
    return " ".join(said)


def test_transparent_pixels_are_said(folder):
    Image.new("RGBA", (28, 28), (1, 2, 3, 100)).save(folder / "cat" / "05.png")
    assert "1 pictures have transparent pixels" in _said_of(folder)


def test_a_palette_with_a_transparent_colour_is_said(folder):
    picture = Image.new("P", (28, 28), 0)
    picture.putpalette([0, 0, 0, 255, 255, 255])
    picture.save(folder / "cat" / "05.png", transparency=0)
    assert "1 pictures have transparent pixels" in _said_of(folder)


def test_another_format_behind_the_extension(refuse_folder, folder):
    Image.new("L", (28, 28)).save(folder / "cat" / "05.png", format="GIF")
    refuse_folder(folder, "05.png")


def test_postscript_is_not_given_to_another_program(refuse_folder, folder, marker):
    text = f"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 28 28\n({marker}) (w) file closefile\nshowpage\n"
    (folder / "cat" / "05.png").write_text(text)
    refuse_folder(folder, "05.png")


def test_an_animation(refuse_folder, folder):
    frames = [Image.new("L", (28, 28), value) for value in (0, 100, 200)]
    frames[0].save(folder / "cat" / "05.png", save_all=True, append_images=frames[1:])
    refuse_folder(folder, "animation")


def test_a_link_out_of_the_folder(refuse_folder, folder, tmp_path):
    secret = tmp_path / "secret.png"
    Image.new("L", (28, 28)).save(secret)
    (folder / "cat" / "99.png").symlink_to(secret)
    refuse_folder(folder, "leads out")


def test_a_class_that_is_a_link_out_of_the_folder(refuse_folder, folder, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    (folder / "eel").symlink_to(tmp_path / "elsewhere")
    refuse_folder(folder, "leads out")


def test_a_loop_of_links(refuse_folder, folder):
    (folder / "cat" / "a.png").symlink_to(folder / "cat" / "b.png")
    (folder / "cat" / "b.png").symlink_to(folder / "cat" / "a.png")
    refuse_folder(folder, "link")


def test_a_link_to_an_endless_device(refuse_folder, folder):
    (folder / "cat" / "99.png").symlink_to("/dev/zero")
    refuse_folder(folder, "leads out")


def test_a_pipe_is_not_waited_for(refuse_folder, folder):
    import os

    os.mkfifo(folder / "cat" / "99.png")
    refuse_folder(folder, "regular file")


def test_other_sizes(refuse_folder, folder):
    Image.new("L", (32, 32)).save(folder / "cat" / "05.png")
    refuse_folder(folder, "28x28")


def test_a_class_name_that_steers_the_terminal(refuse_folder, folder):
    (folder / "cat").rename(folder / "\x1b[2Jcat")
    refuse_folder(folder, "printable")


def test_one_colour_everywhere(refuse_folder, folder):
    for path in folder.glob("*/*.png"):
        Image.new("L", (28, 28), 0).save(path)
    refuse_folder(folder, "none above 0")
