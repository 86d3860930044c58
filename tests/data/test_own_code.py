"""Data from a user's own function: run with trust alone, in every form, its errors in one line."""

from __future__ import annotations

import textwrap
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from mnist_export.core.images import StreamedImages
from mnist_export.data.loading import load_dataset

Refused = Callable[..., str]
ARRAYS = """
import numpy as np
random = np.random.default_rng(0)
x = random.integers(0, 256, (40, 8, 8, 3)).astype("uint8")
y = np.arange(40) % 4
"""
FORMS = {
    "arrays": "return x, y, x[:8], y[:8]",
    "without_test": "return x, y",
    "dict_of_arrays": "return {'x_train': x, 'y_train': y}",
    "generator": "yield from zip(x, y)",
    "list": "return [(image, label) for image, label in zip(x, y)]",
    "one_hot": "return ((image, np.eye(4)[label]) for image, label in zip(x, y))",
    "batches": "return ((x[i:i + 7], y[i:i + 7]) for i in range(0, 40, 7))",
    "floats": "return ((x[i].astype('float32'), float(y[i])) for i in range(40))",
    "two_generators": "return zip(x, y), zip(x[:8], y[:8])",
    "three_generators": "return zip(x, y), zip(x[:4], y[:4]), zip(x[:8], y[:8])",
    "dict_of_parts": "return {'train': (x, y), 'val': zip(x[:4], y[:4]), 'test': (x[:8], y[:8])}",
}


def written(tmp_path: Path, body: str, head: str = ARRAYS) -> str:
    path = tmp_path / "own.py"
    path.write_text(f"{head}\ndef load():\n{textwrap.indent(body, '    ')}\n")
    return f"{path}:load"


def load(spec: str, *, trust: bool = True):
    return load_dataset(spec, notify=lambda _: None, trust=trust)


@pytest.mark.parametrize("form", FORMS)
def test_a_function_gives_data_in_every_form(form: str, tmp_path: Path) -> None:
    data = load(written(tmp_path, FORMS[form]))
    values: dict[str, object] = {}
    exec(ARRAYS, values)
    images = np.concatenate([np.asarray(split.images) for split in data.parts().values()])
    assert data.image_shape == (8, 8, 3) and data.num_classes == 4 and data.name == "own-load"
    assert {image.tobytes() for image in images} == {image.tobytes() for image in values["x"]}
    for split in data.parts().values():
        known = {image.tobytes(): label for image, label in zip(values["x"], values["y"], strict=True)}
        assert [known[image.tobytes()] for image in split.images] == split.labels.tolist()


def test_a_tensorflow_dataset_of_any_kind_is_streamed(tmp_path: Path) -> None:
    tf = pytest.importorskip("tensorflow")
    assert tf is not None
    body = """
    import tensorflow as tf
    data = tf.data.Dataset.from_tensor_slices((x.astype("float32") / 1, y)).batch(16).prefetch(2)
    data.class_names = ["a", "b", "c", "d"]
    return data
    """
    data = load(written(tmp_path, textwrap.dedent(body)))
    assert isinstance(data.train.images, StreamedImages) and data.class_names == ("a", "b", "c", "d")
    assert sum(map(len, data.parts().values())) == 40


def test_nothing_runs_without_trust(tmp_path: Path, refused: Refused) -> None:
    marker = tmp_path / "ran"
    spec = written(tmp_path, "return x, y", f"{ARRAYS}\nopen({str(marker)!r}, 'w')")
    refused(lambda: load(spec, trust=False), "own.py:load", "trust=True")
    assert not marker.exists()
    load(spec)
    assert marker.exists()


BAD = {
    "raises": ("raise KeyError('no such\\nfolder')", "own.py line 8", "KeyError", "load()"),
    "exits": ("raise SystemExit(3)", "own.py line 8", "SystemExit"),
    "while_giving": ("yield x[0], y[0]\nyield 1 / 0", "own.py line 9", "ZeroDivisionError"),
    "nothing": ("return None", "own.py line 7", "NoneType"),
    "number": ("return 3", "own.py line 7", "int"),
    "three_arrays": ("return x, y, x", "own.py line 7", "tuple of ndarray"),
    "other_keys": ("return {'a': x}", "own.py line 7", "dict of 'a'"),
    "single_values": ("return iter(x)", "own.py line 7", "pairs of (image, label)"),
    "empty": ("return iter(())", "own.py line 7", "used up"),
    "other_shapes": ("yield x[0], y[0]\nyield x[1][:4], y[1]", "own.py line 7", "as the first"),
    "texts": ("yield 'a.png', 'cat'", "own.py line 7"),
    "unit_floats": ("return ((image / 255, label) for image, label in zip(x, y))", "multiply by 255"),
    "negative": ("return ((image, -1) for image in x)", "labels 0 to 9999"),
    "several_labels": ("return ((image, np.ones(4)) for image in x)", "rows of other sums", "whole arrays"),
    "too_few_labels": ("return x, y[:3]", "40 images and 3 labels"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_goes_wrong_in_it_is_one_line(case: str, tmp_path: Path, refused: Refused) -> None:
    body, *fragments = BAD[case]
    spec = written(tmp_path, body)
    refused(lambda: load(spec), *fragments)


def test_broken_files_and_wrong_names_are_one_line(tmp_path: Path, refused: Refused) -> None:
    spec = written(tmp_path, "return x, y", "import numpy as np\nraise RuntimeError('no disk')")
    refused(lambda: load(spec), "own.py line 2", "import", "no disk")
    (tmp_path / "own.py").write_text("def load(:\n")
    refused(lambda: load(spec), "own.py line 1", "SyntaxError")
    refused(lambda: load(f"{tmp_path}/none.py:load"), "a Python file")
    refused(
        lambda: load(written(tmp_path, "return x, y").replace(":load", ":save")), "a function of that name"
    )


def test_a_generator_without_end_is_stopped(
    tmp_path: Path, refused: Refused, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mnist_export.data.own_pairs.room_bytes", lambda: 100_000)
    monkeypatch.setattr("mnist_export.data.own_pairs._CHUNK_BYTES", 10_000)
    spec = written(tmp_path, "while True:\n    yield x[0], y[0]")
    refused(lambda: load(spec), "pairs that end", "100,000 bytes")


def test_what_it_prints_stays_off_stdout(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    load(written(tmp_path, "print('reading')\nreturn x, y"))
    out, err = capsys.readouterr()
    assert out == "" and "reading" in err
