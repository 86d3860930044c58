"""Lists of pictures: CSV and JSON lines, by the names of their columns, inside their own folder."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mnist_export.data.loading import load_dataset
from mnist_export.data.picture_options import PictureOptions

Refused = Callable[..., str]
OPTIONS = PictureOptions(channels=3, size=(16, 16))


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """A folder with thirty pictures, img/00.png to img/29.png."""
    random = np.random.default_rng(0)
    (tmp_path / "set" / "img").mkdir(parents=True)
    for i in range(30):
        pixels = random.integers(0, 256, (16, 16, 3), np.uint8)
        pixels[0, 0, 0] = i
        Image.fromarray(pixels).save(tmp_path / "set" / "img" / f"{i:02}.png")
    return tmp_path / "set"


def load(path: Path, **options: object):
    return load_dataset(str(path), notify=lambda _: None, pictures=OPTIONS, **options)


def written(folder: Path, text: str, name: str = "labels.csv") -> Path:
    (folder / name).write_text(text, encoding="utf-8")
    return folder / name


def first_pixels(split) -> list[int]:
    return [int(image[0, 0, 0]) for image in split.images]


@pytest.mark.parametrize(
    ("header", "delimiter"), [("path,label", ","), ("Filename;Class", ";"), (" image_path\tTARGET", "\t")]
)
def test_columns_are_found_by_name_whatever_parts_them(header: str, delimiter: str, pictures: Path) -> None:
    rows = [f"img/{i:02}.png{delimiter}{('dog', 'cat')[i % 2]}" for i in range(30)]
    data = load(written(pictures, "\ufeff" + "\r\n".join([header, *rows, ""])))
    assert data.class_names == ("cat", "dog")
    assert [len(split) for split in data.parts().values()] == [24, 3, 3]
    for split in data.parts().values():
        assert [1 - value % 2 for value in first_pixels(split)] == split.labels.tolist()


def test_json_lines_with_parts_are_kept_apart(pictures: Path) -> None:
    parts = ["train"] * 20 + ["dev"] * 4 + ["Test"] * 6
    lines = [
        json.dumps({"file_name": f"img/{i:02}.png", "label": i % 3, "split": parts[i], "other": None})
        for i in range(30)
    ]
    data = load(written(pictures, "\n\n".join(lines), "labels.jsonl"))
    assert data.class_names == ("0", "1", "2")
    assert [first_pixels(split) for split in data.parts().values()] == [
        list(range(20)), list(range(20, 24)), list(range(24, 30)),
    ]  # fmt: skip
    assert data.test.labels.tolist() == [i % 3 for i in range(24, 30)]


def test_whole_numbers_are_class_numbers_or_classes_in_their_order(pictures: Path) -> None:
    rows = "\n".join(f"img/{i:02}.png,{10 - i % 10}" for i in range(30))
    data = load(written(pictures, f"path,label\n{rows}"))
    assert data.class_names == tuple(map(str, range(1, 11)))


def test_nothing_leads_out_of_the_folder_without_trust(
    pictures: Path, tmp_path: Path, refused: Refused
) -> None:
    outside = tmp_path / "outside.png"
    Image.fromarray(np.zeros((16, 16, 3), np.uint8)).save(outside)
    (pictures / "link.png").symlink_to(outside)
    (pictures / "folder").symlink_to(tmp_path)
    (pictures / "inner.png").symlink_to(pictures / "img" / "00.png")
    rows = "\n".join(f"img/{i:02}.png,{i % 2}" for i in range(30))
    for place in ("../outside.png", str(outside), "link.png", "folder/outside.png", "img/../../outside.png"):
        path = written(pictures, f"path,label\n{rows}\n{place},1\n")
        line = refused(lambda path=path: load(path), "labels.csv line 32", "leads out", "trust=True")
        assert place in line
        assert sum(map(len, load(path, trust=True).parts().values())) == 31
    for place in (
        "inner.png",
        "img/../img/01.png",
        str(pictures / "img" / "02.png"),
        "folder/set/img/03.png",
    ):
        path = written(pictures, f"path,label\n{rows}\n{place},1\n")
        assert sum(map(len, load(path).parts().values())) == 31


BAD = {
    "missing": ("path,label\nimg/00.png,a\nimg/99.png,b\n", "line 3", "no such file"),
    "folder": ("path,label\nimg/00.png,a\nimg,b\n", "line 3", "a folder, device or pipe"),
    "null": ("path,label\nimg/0\0.png,a\n", "line 2"),
    "no_label": ("path,label\nimg/00.png,a\nimg/01.png,\n", "line 3", "a class"),
    "no_path": ("path,label\n,a\n", "line 2", "a picture's path"),
    "short": ("path,x,label\nimg/00.png,a\n", "line 2", "3 fields", "found 2"),
    "columns": ("name,kind\nimg/00.png,a\n", "a column for the path", "columns name, kind"),
    "no_header": ("img/00.png,a\nimg/01.png,b\n", "a column for the path", "path,label,split"),
    "two_labels": ("path,label,class\nimg/00.png,a,b\n", "one column for the label", "label and class"),
    "part": ("path,label,split\nimg/00.png,a,holdout\n", "line 2", "'holdout'"),
    "no_train": ("path,label,split\nimg/00.png,a,test\n", "pictures for train", "found test"),
    "one_class": ("path,label\nimg/00.png,a\nimg/01.png,a\n", "2 classes or more"),
    "gap": ("path,label\nimg/00.png,0\nimg/01.png,2\n", "every class 0..2", "none of class 1"),
    "empty": ("", "a column for the path", "columns none"),
    "only_header": ("path,label\n", "pictures for train", "none"),
    "no_picture": ("path,label\nlabels.csv,a\nimg/01.png,b\nimg/02.png,b\n", "a PNG, JPEG"),
    "long_line": ("path,label\n" + "x" * 2_000_000, "1,048,576"),
    "long_field": ("path,label\n" + "x" * 200_000 + ",a\n", "field larger"),
}


@pytest.mark.parametrize("case", BAD)
def test_a_bad_list_is_one_line(case: str, pictures: Path, refused: Refused) -> None:
    text, *fragments = BAD[case]
    path = written(pictures, text)
    assert str(path) in refused(lambda: load(path), *fragments)


@pytest.mark.parametrize(
    ("text", "fragment"),
    [
        ("{", "JSON in line 1"),
        ("[1, 2]", "a JSON object in line 1"),
        ('{"path": "img/00.png", "label": 1.5}', "a class in line 1"),
        ('{"path": 3, "label": 1}', "a picture's path in line 1"),
        ('{"path": "img/00.png", "label": 1}\n{"label": 1}', "a picture's path in line 2"),
        ("[" * 100_000, "line 1"),
        ('{"path": "img/00.png", "label": 1}\n{"path": "img/01.png", "label": "1"}', "labels of one kind"),
    ],
)
def test_bad_json_lines_are_one_line(text: str, fragment: str, pictures: Path, refused: Refused) -> None:
    path = written(pictures, text, "labels.jsonl")
    assert str(path) in refused(lambda: load(path), fragment)


def test_other_bytes_than_utf8_are_refused(pictures: Path, refused: Refused) -> None:
    (pictures / "labels.csv").write_bytes(b"path,label\nimg/00.png,caf\xe9\n")
    refused(lambda: load(pictures / "labels.csv"), "UTF-8")
