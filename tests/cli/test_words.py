"""Command lines as people write them."""

from __future__ import annotations

import pytest

from mnist_export.cli import bench, export, parity, train


@pytest.mark.parametrize("value", ["-1,1", "-0.5,0.5", "-1,-0.5", "-.5,1", "-123.7,151.1"])
def test_a_range_that_begins_with_a_minus_is_a_value(value):
    assert export.build_parser().parse_args(["--input-range", value]).input_range == value
    check = ["check", "a", "b", "--input-range", value]
    assert parity._parser("check").parse_args(check).input_range == value
    assert bench.build_parser().parse_args(["--input-range", value]).input_range == value


def test_an_option_is_still_an_option():
    parsed = export.build_parser().parse_args(["--input-range", "-1,1", "-q", "-m", "x"])
    assert (parsed.quiet, parsed.model) == (True, "x")


def test_the_model_may_be_the_first_word():
    parsed = export.build_parser().parse_args(["net.keras", "--int8"])
    assert parsed.positional_model == "net.keras"
    assert export._model_of(parsed) == "net.keras"
    assert export._model_of(export.build_parser().parse_args([])) == "lenet5"


def test_two_models_are_refused(capsys):
    assert export.main(["one.keras", "-m", "two.keras"]) == 2
    assert "expected one model" in capsys.readouterr().err


@pytest.mark.parametrize("command", [bench, export, parity, train])
def test_every_command_says_its_version(command, capsys):
    assert command.main(["--version"]) == 0
    from importlib.metadata import version

    assert capsys.readouterr().out.split()[-1] == version("mnist-export")
