from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from mnist_export.data import Dataset
from mnist_export.models.history import History
from mnist_export.models.registry import ARCHITECTURES
from mnist_export.models.structure.layer_table import layer_rows, summary
from mnist_export.train.figures import write_figures
from mnist_export.train.figures.confusion import confusion_matrices, confusion_matrix
from mnist_export.train.figures.curves import history_curves
from mnist_export.train.figures.mistakes import misclassified
from mnist_export.train.tables import models_table
from mnist_export.train.training import train_architecture


def _size(png: bytes) -> tuple[int, int]:
    with Image.open(io.BytesIO(png)) as image:
        pixels = np.asarray(image.convert("L"))
        assert pixels.std() > 1, "an empty picture"
        return image.size


@pytest.fixture(scope="module")
def two(digits: Dataset, tmp_path_factory: pytest.TempPathFactory) -> list[Any]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MNIST_EXPORT_CACHE", str(tmp_path_factory.mktemp("cache")))
        return [
            train_architecture(
                name,
                digits,
                recipe=ARCHITECTURES.get(name).recipe().with_changes(epochs=1),
                notify=lambda _: None,
            )
            for name in ("mlp", "mlp512")
        ]


def test_all_figures_are_written_and_hold_something(two: list[Any], digits: Dataset, tmp_path: Path) -> None:
    files = write_figures(tmp_path / "figures", two, digits)
    assert {path.name for path in files} == {
        "samples.png", "class-distribution.png", "history.png", "confusion.png", "misclassified.png",
        "structure-mlp.png", "structure-mlp512.png", "models.png", "models.txt",
    }  # fmt: skip
    for path in files:
        if path.suffix == ".png":
            assert min(_size(path.read_bytes())) > 60


def test_table_is_sorted_by_test_accuracy(two: list[Any]) -> None:
    cards = sorted((trained.card for trained in two), key=lambda card: card.test.top1)
    lines = models_table(cards).splitlines()
    assert lines[0].split()[:3] == ["model", "test", "top-1"]
    assert lines[2].startswith(cards[1].name) and lines[3].startswith(cards[0].name)


def test_figures_are_the_same_bytes_each_time() -> None:
    history = History(
        loss=(1.0, 0.5), accuracy=(0.5, 0.8), val_loss=(0.9, 0.6), val_accuracy=(0.6, 0.7),
        learning_rate=(0.1, 0.1), seconds=(1.0, 1.0),
    )  # fmt: skip
    assert history_curves({"a": history}) == history_curves({"a": history})
    _size(history_curves({"one $x$ <b>": history, "two": history}))


def test_confusion_counts_what_was_taken_for_what() -> None:
    labels = np.array([0, 0, 1, 2, 2, 2])
    predicted = np.array([0, 1, 1, 2, 0, 2])
    expected = [[1, 1, 0, 0], [0, 1, 0, 0], [1, 0, 2, 0], [0, 0, 0, 0]]
    np.testing.assert_array_equal(confusion_matrix(labels, predicted, 4), expected)
    wide = confusion_matrices(labels, {"a": predicted, "b": labels}, ("p", "q", "r", "s"))
    narrow = confusion_matrices(labels, {"a": predicted}, ("p", "q", "r", "s"))
    assert _size(wide)[0] > 1.8 * _size(narrow)[0]


def test_mistakes_are_the_surest_of_the_first_model_or_none(digits: Dataset) -> None:
    split = digits.test.take(np.arange(20))
    right = np.eye(10)[split.labels]
    assert misclassified(split.images, split.labels, {"a": right}, digits.class_names) is None
    wrong = np.roll(right, 1, axis=1)
    picture = misclassified(split.images, split.labels, {"a": wrong, "b": right}, digits.class_names, count=3)
    assert picture is not None and _size(picture)[1] > 300


def test_summary_lists_the_names_that_until_takes() -> None:
    model = ARCHITECTURES.get("lenet5").build()
    text = summary(model)
    assert [row.name for row in layer_rows(model)][:3] == ["image", "conv1", "pool1"]
    assert "conv2" in text and "10 x 10 x 16" in text
    assert text.splitlines()[-1].split()[-2:] == ["61,706", "416,520"]


def test_the_picture_of_a_deep_network_has_a_bounded_height() -> None:
    import keras

    from mnist_export.train.figures.blocks import LAYERS_DRAWN, structure

    deep = keras.Sequential([keras.layers.Input((4,)), *(keras.layers.Dense(4) for _ in range(200))])
    shallow = keras.Sequential([keras.layers.Input((4,)), *(keras.layers.Dense(4) for _ in range(80))])
    assert LAYERS_DRAWN == 80
    assert _size(structure(deep)) == _size(structure(shallow))
