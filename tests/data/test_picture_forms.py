"""Pictures as cameras, phones and scrapers leave them: formats, colours, turns, sizes, parts."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mnist_export.data.loading import load_dataset
from mnist_export.data.own_images import READER
from mnist_export.data.picture_options import PictureOptions, Resize, pictures_for
from mnist_export.data.pictures import picture_header, read_picture
from mnist_export.data.request import Request

Refused = Callable[..., str]


def colours(height: int = 20, width: int = 30, seed: int = 0) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8))


@pytest.fixture
def photos(tmp_path: Path) -> Callable[..., Path]:
    """Write colour JPEGs of mixed sizes into ROOT/class/n.jpg."""

    def write(root: str = "photos", classes: tuple[str, ...] = ("cat", "dog"), count: int = 6) -> Path:
        for number, name in enumerate(classes):
            folder = tmp_path / root / name
            folder.mkdir(parents=True, exist_ok=True)
            for i in range(count):
                colours(20 + 7 * i, 31 - i, seed=10 * number + i).save(folder / f"{i}.jpg")
        return tmp_path / root

    return write


@pytest.mark.parametrize("how", list(Resize))
@pytest.mark.parametrize("channels", [1, 3])
def test_a_folder_is_read_in_the_channels_and_at_the_size_asked_for(
    how: Resize, channels: int, photos: Callable[..., Path], request_here: Request, said: list[str]
) -> None:
    options = PictureOptions(channels=channels, size=(24, 16), resize=how)
    data = load_dataset(str(photos()), notify=said.append, pictures=options)
    assert data.image_shape == (24, 16, channels)
    assert sum(map(len, data.parts().values())) == 12
    assert any(f"12 pictures were resized to 24x16 ({how}" in line for line in said)
    assert any("resized" in note for note in data.provenance.notes)


def test_pictures_of_mixed_sizes_need_a_size(
    photos: Callable[..., Path], request_here: Request, refused: Refused
) -> None:
    refused(lambda: READER(photos(), request_here), "20x31", "27x30", "give a model")


def test_without_a_model_colour_stays_colour(tmp_path: Path, request_here: Request) -> None:
    for number, name in enumerate(("a", "b")):
        (tmp_path / "set" / name).mkdir(parents=True)
        for i in range(4):
            colours(seed=4 * number + i).save(tmp_path / "set" / name / f"{i}.bmp")
    assert READER(tmp_path / "set", request_here).image_shape == (20, 30, 3)


@pytest.mark.parametrize(
    ("shape", "channels", "size"),
    [
        ((96, 64, 3), 3, (96, 64)),
        ((28, 28), 1, (28, 28)),
        ((784,), 1, (28, 28)),
        ((3072,), 3, (32, 32)),
        ((3, 32, 48), 3, (32, 48)),
        ((None, None, 3), 3, None),
        ((-1, -1, 1), 1, None),
        ((7, 11, 5), None, None),
        (None, None, None),
    ],
)
def test_a_models_input_says_what_pictures_become(
    shape: tuple[int | None, ...] | None, channels: int | None, size: tuple[int, int] | None
) -> None:
    options = pictures_for(shape, Resize.PAD)
    assert (options.channels, options.size, options.resize) == (channels, size, Resize.PAD)


@pytest.mark.parametrize("suffix", ["png", "bmp", "webp", "ppm"])
def test_formats_without_loss_keep_every_pixel(suffix: str, tmp_path: Path) -> None:
    image = colours()
    path = tmp_path / f"a.{suffix}"
    image.save(path, **({"lossless": True} if suffix == "webp" else {}))
    picture = read_picture(path, (20, 30), channels=3)
    np.testing.assert_array_equal(picture.pixels, np.asarray(image))
    assert picture_header(path).colour and not picture.resized and not picture.transparent


def test_transparency_is_dropped_and_the_colours_below_it_stay(tmp_path: Path) -> None:
    image = colours()
    image.putalpha(Image.fromarray(np.arange(600, dtype=np.uint16).astype(np.uint8).reshape(20, 30)))
    image.save(tmp_path / "a.png")
    picture = read_picture(tmp_path / "a.png", (20, 30), channels=3)
    np.testing.assert_array_equal(picture.pixels, np.asarray(image)[..., :3])
    assert picture.transparent
    palette = colours().quantize(16)
    palette.save(tmp_path / "p.png", transparency=palette.getpixel((0, 0)))
    found = read_picture(tmp_path / "p.png", (20, 30), channels=3)
    np.testing.assert_array_equal(found.pixels, np.asarray(palette.convert("RGB")))
    assert found.transparent


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_pictures_are_turned_upright(suffix: str, orientation: int, tmp_path: Path) -> None:
    image = Image.fromarray(np.kron([[0, 80], [160, 240], [40, 120]], np.ones((16, 16))).astype(np.uint8))
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / f"a.{suffix}"
    image.save(path, exif=exif, **({"lossless": True} if suffix == "webp" else {"quality": 95}))
    turns = {2: np.fliplr, 3: lambda a: a[::-1, ::-1], 4: np.flipud, 5: np.transpose}
    turns |= {6: lambda a: np.rot90(a, 3), 7: lambda a: a[::-1, ::-1].T, 8: np.rot90}
    expected = turns.get(orientation, lambda a: a)(np.asarray(image)).astype(int)
    assert picture_header(path).size == expected.shape
    pixels = read_picture(path, expected.shape).pixels[..., 0].astype(int)
    assert np.abs(pixels - expected)[4::16, 4::16].max() < 8  # JPEG loses a little


def test_a_phones_picture_with_a_preview_behind_it_is_its_first_one(tmp_path: Path) -> None:
    first = colours()
    first.save(tmp_path / "a.jpg", "MPO", save_all=True, append_images=[colours(seed=1)], quality=95)
    first.save(tmp_path / "b.jpg", quality=95)
    both = [read_picture(tmp_path / name, (20, 30), channels=3).pixels for name in ("a.jpg", "b.jpg")]
    np.testing.assert_array_equal(*both)


def test_a_header_of_too_many_pixels_is_refused_before_decoding(
    tmp_path: Path, refused: Refused, peak_bytes: Callable[[], int]
) -> None:
    body = b"IHDR" + struct.pack(">IIBBBBB", 9_000, 8_000, 8, 2, 0, 0, 0)
    start = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + body + struct.pack(">I", zlib.crc32(body))
    (tmp_path / "a.png").write_bytes(start + struct.pack(">I", 10) + b"IDAT" + bytes(14))
    refused(
        lambda: read_picture(tmp_path / "a.png", (96, 96), channels=3, resize=Resize.BILINEAR),
        "67,108,864 pixels",
        "8000x9000",
    )
    assert peak_bytes() < 8 << 20


@pytest.mark.parametrize("kind", ["still", "animated"])
def test_a_bomb_in_webp_is_refused_before_its_canvas_is_allocated(
    kind: str, tmp_path: Path, refused: Refused
) -> None:
    import resource

    path = tmp_path / "a.webp"
    frames = [colours(seed=seed) for seed in range(3)]
    frames[0].save(path, save_all=kind == "animated", append_images=frames[1:], lossless=True)
    content = bytearray(path.read_bytes())
    if kind == "animated":
        assert content[12:16] == b"VP8X"
        content[24:30] = (16_382).to_bytes(3, "little") * 2
    else:
        content[21:25] = (0x2F << 32 | 16_000 << 14 | 16_000).to_bytes(5, "little")[:4]
    path.write_bytes(content)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    refused(lambda: read_picture(path, (96, 96), channels=3, resize=Resize.BILINEAR), "67,108,864 pixels")
    refused(lambda: picture_header(path), "67,108,864 pixels")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 << 10  # KiB; the canvas is 1 GiB


def test_the_sizes_of_sound_webp_files_are_read_as_they_are(tmp_path: Path) -> None:
    from mnist_export.data.pictures import _webp_canvas

    exif = Image.Exif()
    exif[0x0112] = 1
    for name, options in {"a": {"lossless": True}, "b": {"quality": 80}, "c": {"exif": exif}}.items():
        path = tmp_path / f"{name}.webp"
        colours(21, 33).save(path, **options)
        assert _webp_canvas(path) == picture_header(path).size == (21, 33)


@pytest.mark.parametrize("names", [("train", "validation", "test"), ("Training", "val", "testing")])
@pytest.mark.parametrize("wrappers", ["", "download", "download/set-1.0"])
def test_parts_are_found_by_their_usual_names_up_to_two_folders_deeper(
    names: tuple[str, str, str], wrappers: str, photos: Callable[..., Path], tmp_path: Path
) -> None:
    for name, count in zip(names, (5, 2, 3), strict=True):
        photos(f"root/{wrappers}/{name}", count=count)
    said: list[str] = []
    request = Request(pictures=PictureOptions(channels=3, size=(8, 8)), notify=said.append)
    data = READER(tmp_path / "root", request)
    assert {part: len(split) for part, split in data.parts().items()} == {
        "train": 10,
        "validation": 4,
        "test": 6,
    }
    assert set(data.provenance.sha256) == {"train-images", "validation-images", "test-images"}
    assert not any("setting aside" in line for line in said)


def test_train_and_validation_alone_leave_test_to_be_set_aside(
    photos: Callable[..., Path], tmp_path: Path
) -> None:
    photos("root/train", count=10)
    photos("root/valid", count=3)
    said: list[str] = []
    request = Request(pictures=PictureOptions(channels=3, size=(8, 8)), notify=said.append)
    data = READER(tmp_path / "root", request)
    assert [len(split) for split in data.parts().values()] == [18, 6, 2]
    assert any("setting aside 2" in line for line in said)


def test_parts_without_training_or_named_twice_are_refused(
    photos: Callable[..., Path], tmp_path: Path, request_here: Request, refused: Refused
) -> None:
    photos("one/test")
    photos("one/val")
    refused(lambda: READER(tmp_path / "one", request_here), "a folder train or training")
    photos("two/train")
    photos("two/training")
    refused(lambda: READER(tmp_path / "two", request_here), "train and training")
