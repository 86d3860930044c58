from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mnist_export.core.errors import InputError
from mnist_export.data import Dataset, Split
from mnist_export.models.card import ModelCard, TrainingData, refuse_training_data
from mnist_export.models.loading import load_model
from mnist_export.models.recipe import Recipe
from mnist_export.models.registry import ARCHITECTURES
from mnist_export.models.shipped import SHIPPED, find_shipped, keep_trained, load_weights
from mnist_export.models.weights_file import pack_weights, read_weights, weights_sha256
from mnist_export.train.obtaining import load_or_train
from mnist_export.train.training import train_architecture


@pytest.fixture(scope="session")
def trained(digits: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Any:
    recipe = ARCHITECTURES.get("mlp").recipe().with_changes(epochs=2)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MNIST_EXPORT_CACHE", str(tmp_path_factory.mktemp("cache")))
        return train_architecture("mlp", digits, recipe=recipe, notify=lambda _: None)


def test_card_says_what_the_model_is(trained: Any, digits: Dataset) -> None:
    card = trained.card
    assert (card.name, card.architecture, card.parameters, card.macs) == (
        "mlp-digits", "mlp", 101_770, 101_632,
    )  # fmt: skip
    assert card.data.images_sha256 == digits.train.images_sha256()
    assert (card.data.images, card.test.images) == (len(digits.train), len(digits.test))
    low, high = card.test.top1_interval
    assert 0.8 < low < card.test.top1 < high < 1
    assert card.epochs_run == 2 and card.seconds > 0
    assert Recipe.from_json(card.recipe).epochs == 2
    assert card.weights_sha256 == weights_sha256(trained.model.get_weights())


def test_card_survives_its_file(trained: Any, tmp_path: Path) -> None:
    path = tmp_path / "m.card.json"
    path.write_bytes(trained.card.to_bytes())
    again = ModelCard.load(path)
    assert again.to_bytes() == trained.card.to_bytes()
    assert replace(again, history=trained.card.history).test.images == trained.card.test.images


@pytest.mark.parametrize(
    "content", [b"", b"[1]", b'{"schema_version": 99}', b'{"schema_version": 1}', b"[" * 100_000]
)
def test_damaged_card_is_one_clear_line(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "m.card.json"
    path.write_bytes(content)
    with pytest.raises(InputError, match="model card"):
        ModelCard.load(path)


def test_evaluation_on_training_images_is_refused(trained: Any, digits: Dataset) -> None:
    with pytest.raises(InputError, match=r"100% of them were trained on \(digits"):
        refuse_training_data(trained.card, digits.train)


def test_evaluation_on_shuffled_or_mixed_training_images_is_refused(trained: Any, digits: Dataset) -> None:
    order = np.random.default_rng(0).permutation(len(digits.train))
    with pytest.raises(InputError, match="were trained on"):
        refuse_training_data(trained.card, digits.train.take(order[:400]))
    mixed = Split(
        images=np.concatenate([digits.test.images, digits.train.images[order[:150]]]),
        labels=np.concatenate([digits.test.labels, digits.train.labels[order[:150]]]),
    )
    with pytest.raises(InputError, match="were trained on"):
        refuse_training_data(trained.card, mixed)


def test_evaluation_on_other_images_passes(trained: Any, digits: Dataset) -> None:
    refuse_training_data(trained.card, digits.test)
    refuse_training_data(trained.card, digits.validation)
    refuse_training_data(None, digits.train)


def test_a_model_is_not_loaded_to_be_judged_on_its_training_images(digits: Dataset) -> None:
    """The pitfall of a walk through MNIST that fits on its test images."""
    leaking = replace(digits, test=digits.train)
    with pytest.raises(InputError, match=r"the test part of digits.*were trained on"):
        load_model("lenet5", leaking, notify=lambda _: None)


def test_training_on_the_test_images_is_refused_before_it_starts(digits: Dataset) -> None:
    both = Split(
        images=np.concatenate([digits.train.images, digits.test.images]),
        labels=np.concatenate([digits.train.labels, digits.test.labels]),
    )
    lines: list[str] = []
    with pytest.raises(InputError, match="expected test images that are not trained on"):
        train_architecture("mlp", replace(digits, train=both), notify=lines.append)
    assert not lines


def test_share_seen_is_estimated_within_its_sampling_error(digits: Dataset) -> None:
    data = TrainingData.of(digits)
    half = Split(
        images=np.concatenate([digits.test.images, digits.train.images[: len(digits.test)]]),
        labels=np.concatenate([digits.test.labels, digits.train.labels[: len(digits.test)]]),
    )
    # 256 of 1,197 hashes are kept; 400 seen of 800: hits about 86, standard deviation about 7 (8 %).
    assert data.share_seen(half) == pytest.approx(0.5, abs=0.15)


def test_weights_file_is_the_same_each_time_and_comes_back(trained: Any, tmp_path: Path) -> None:
    weights = trained.model.get_weights()
    content = pack_weights(weights)
    assert content == pack_weights(weights)
    path = tmp_path / "w.npz"
    path.write_bytes(content)
    again = read_weights(path, [value.shape for value in weights])
    assert weights_sha256(again) == weights_sha256(weights)


def test_weights_file_of_other_shapes_nan_or_damage_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "w.npz"
    path.write_bytes(pack_weights([np.zeros((2, 3), np.float32)]))
    with pytest.raises(InputError, match=r"array 0 as float32 \(3, 2\), found float32 \(2, 3\)"):
        read_weights(path, [(3, 2)])
    with pytest.raises(InputError, match="expected 2 weight arrays, found 1"):
        read_weights(path, [(2, 3), (1,)])
    path.write_bytes(pack_weights([np.full((2, 3), np.nan, np.float32)]))
    with pytest.raises(InputError, match="NaN"):
        read_weights(path, [(2, 3)])
    path.write_bytes(pack_weights([np.zeros((2, 3), np.float32)])[:-40])
    with pytest.raises(InputError, match="Train the model again"):
        read_weights(path, [(2, 3)])


def test_an_untrained_pair_is_trained_once_and_then_found(
    digits: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mnist_export.train import training

    calls: list[str] = []
    original = training.train_architecture

    def quick(name: str, dataset: Dataset, **options: Any) -> Any:
        calls.append(name)
        recipe = ARCHITECTURES.get(name).recipe().with_changes(epochs=1)
        return original(name, dataset, **{**options, "recipe": recipe})

    monkeypatch.setattr(training, "train_architecture", quick)
    messages: list[str] = []
    first = load_or_train("mlp", digits, notify=messages.append)
    second = load_or_train("mlp", digits, notify=messages.append)
    assert calls == ["mlp"]
    assert "training it now" in messages[0]
    assert (first.source.kind, second.source.kind) == ("trained", "trained")
    assert first.source.sha256 == second.source.sha256
    other = replace(digits, train=digits.train.take(np.arange(600)))
    load_or_train("mlp", other, notify=messages.append)
    assert calls == ["mlp", "mlp"], "other training images, so other weights"


def test_weights_that_do_not_match_their_card_are_refused(trained: Any, tmp_path: Path) -> None:
    kept = keep_trained(trained, tmp_path)
    changed = [value + 1 for value in trained.model.get_weights()]
    kept.weights.write_bytes(pack_weights(changed))
    with pytest.raises(InputError, match="found others: the file is damaged"):
        load_weights(kept)


def _shipped() -> list[str]:
    return sorted(path.stem for path in SHIPPED.glob("*.npz"))


def test_what_must_be_shipped_is_shipped() -> None:
    assert {"lenet5-mnist", "lenet5-digits", "lenet5-fashion-mnist", "custom2-mnist"} <= set(_shipped())


@pytest.mark.parametrize("stem", _shipped())
def test_shipped_weights_match_their_cards(stem: str) -> None:
    card = json.loads((SHIPPED / f"{stem}.card.json").read_text())
    kept = find_shipped(card["architecture"], card["data"]["name"])
    assert kept is not None and kept.shipped
    loaded = load_weights(kept)
    assert loaded.card.name == stem
    assert all(np.all(np.isfinite(value)) for value in loaded.model.get_weights())


def test_shipped_digits_reach_their_cards_accuracy(digits: Dataset) -> None:
    from mnist_export.core.pixels import InputRange
    from mnist_export.train.evaluation import evaluate

    loaded = load_model("lenet5", digits, notify=lambda _: None)
    assert loaded.source.kind == "shipped" and loaded.card is not None
    found = evaluate(loaded.model, digits.test, InputRange())
    assert found.top1 == pytest.approx(loaded.card.test.top1, abs=1 / len(digits.test))
    assert found.top1 >= 0.97


def test_shipped_lenet5_reaches_99_2_percent_on_mnist(real_mnist: Dataset) -> None:
    from mnist_export.core.pixels import InputRange
    from mnist_export.train.evaluation import evaluate

    loaded = load_model("lenet5", real_mnist, notify=lambda _: None)
    assert loaded.card is not None
    assert loaded.card.data.images_sha256 == real_mnist.train.images_sha256()
    assert evaluate(loaded.model, real_mnist.test, InputRange()).top1 >= 0.992
