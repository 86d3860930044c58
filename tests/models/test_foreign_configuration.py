"""The judge of configurations works on plain JSON, so its tests need no Keras; whole files: tests/trust."""

from __future__ import annotations

import copy
import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

from mnist_export.core.errors import InputError
from mnist_export.models.foreign.archive import read_archive
from mnist_export.models.foreign.compiled import compiled_takes_logits
from mnist_export.models.foreign.configuration import check_configuration, parse_configuration
from mnist_export.models.loading import load_model


def _foreign(kind: str, module: str | None = "keras.layers", **config: Any) -> dict[str, Any]:
    return {
        "module": module,
        "class_name": kind,
        "config": {"name": "one", **config},
        "registered_name": None,
    }


def _model(*layers: dict[str, Any]) -> dict[str, Any]:
    return {
        "class_name": "Sequential",
        "module": "keras",
        "config": {"name": "net", "layers": list(layers)},
        "registered_name": "Sequential",
        "compile_config": {"loss": {"class_name": "whatever", "module": "evil"}},
    }


def _judge(*layers: dict[str, Any]) -> frozenset[str]:
    return check_configuration(copy.deepcopy(_model(*layers)), "net.keras")


def test_plain_layers_pass_and_their_kinds_are_given() -> None:
    dense = _foreign(
        "Dense",
        units=8,
        activation="relu",
        kernel_initializer=_foreign("GlorotUniform", "keras.initializers"),
    )
    assert _judge(_foreign("Flatten"), dense) == {"Flatten", "Dense"}
    assert _judge(_foreign("TFOpLambda", None, function="__operators__.add")) == {"TFOpLambda"}


def test_how_it_was_compiled_is_taken_out_before_judging() -> None:
    config = _model(_foreign("Dense", units=8))
    check_configuration(config, "net.keras")
    assert "compile_config" not in config


@pytest.mark.parametrize(
    ("layer", "word"),
    [
        (_foreign("Lambda", function="x"), "Python code would run"),
        (_foreign("TorchModuleWrapper"), "unpickles"),
        (_foreign("Dense", "no_such_module_at_all", units=8), "'no_such_module_at_all'"),
        (_foreign("system", "os"), "'system'"),
        (_foreign("Custom", None), "'Custom'"),
        (_foreign("Custom", None), '`trust=True` and `custom="FILE.py"`'),
        (_foreign("Custom", None), "model.export('FOLDER')"),
        (_foreign("StringLookup"), "a vocabulary from another file"),
        (_foreign("TFOpLambda", None, function="io.write_file"), "'io.write_file'"),
        (_foreign("TFOpLambda", None), "'None'"),
        (_foreign("Activation", activation="os.system"), "'os.system'"),
        (_foreign("Activation", activation={"class_name": "function", "config": "eval"}), "'function'"),
        ({**_foreign("Dense", units=8), "registered_name": "evil>Dense"}, "'evil>Dense'"),
        (_foreign("Dense", units=500_000_000), "units=5e+08"),
        (_foreign("Dense", units=8, dtype="mixed_float16"), "'mixed_float16'"),
        (_foreign("Dense", units=8, note="a\x1b[2Jb"), "\\x1b"),
        ({"class_name": ["Dense"], "config": {}}, "class names"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_is_not_known_is_refused_by_name(layer: dict[str, Any], word: str) -> None:
    with pytest.raises(InputError) as caught:
        _judge(_foreign("Flatten"), layer)
    message = str(caught.value)
    assert message.startswith("net.keras: expected") and message.isprintable()
    assert word in message


def test_a_refusal_inside_of_a_nested_model_is_found() -> None:
    with pytest.raises(InputError, match="Lambda"):
        _judge(_model(_foreign("Flatten"), _model(_foreign("Lambda"))))


def test_a_single_layer_or_no_layer_is_no_model() -> None:
    with pytest.raises(InputError, match="expected a model, found a single 'Dense'"):
        check_configuration(_foreign("Dense", units=8), "net.keras")
    with pytest.raises(InputError, match="a model with layers"):
        check_configuration(_model(), "net.keras")


@pytest.mark.parametrize("text", ["", "not json", "[1]", "{}", "[" * 200_000])
def test_text_that_is_no_configuration(text: str) -> None:
    with pytest.raises(InputError, match=r"net\.keras: expected"):
        parse_configuration(text, "net.keras")


@pytest.mark.parametrize(
    ("compiled", "expected"),
    [
        ({"loss": "sparse_categorical_crossentropy"}, False),
        ({"loss": {"class_name": "X", "config": {"from_logits": True}}}, True),
        ({"loss": {"class_name": "function", "config": "categorical_crossentropy"}}, False),
        ({"loss": "mse"}, None),
        ({"loss": {"a": "mse", "b": "mse"}}, None),
        ({}, None),
    ],
)
def test_loss_is_read_from_how_the_file_was_compiled(compiled: dict[str, Any], expected: bool | None) -> None:
    assert compiled_takes_logits(compiled) is expected


def test_a_member_that_is_longer_than_it_claims_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "net.keras"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("config.json", json.dumps(_model()))
        archive.writestr("model.weights.h5", bytes(range(256)) * 40)
    content = bytearray(path.read_bytes())
    at = content.rindex(b"PK\x01\x02")
    content[at + 24 : at + 28] = (500).to_bytes(4, "little")
    with pytest.raises(InputError, match=r"net\.keras: expected"):
        read_archive(bytes(content), path)


def test_two_layers_that_fit_alone_but_not_together_take_no_memory(keras: Any, tmp_path: Path) -> None:
    """Each width is below the limit for numbers; their product would be a terabyte of weights."""
    layers = keras.layers
    path = tmp_path / "net.keras"
    model = keras.Sequential(
        [layers.Input((4,)), layers.Dense(8, name="a"), layers.Dense(10, name="b")], name="net"
    )
    model.save(path)
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    config = json.loads(members["config.json"])
    for layer in config["config"]["layers"][1:]:
        layer["config"]["units"] = 600_000
        layer.pop("build_config", None)
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in {**members, "config.json": json.dumps(config).encode()}.items():
            archive.writestr(name, content)
    with pytest.raises(InputError, match="at most 250,000,000 parameters, found 360,003,600,000"):
        load_model(str(path), notify=lambda _: None)
