"""Commands that help texts and reports print are parsed by the commands themselves."""

from __future__ import annotations

import importlib
import re
import shlex
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

from mnist_export.cli import parity
from mnist_export.cli.parser import CommandParser
from mnist_export.core.kinds import Verdict
from mnist_export.core.pixels import InputRange
from mnist_export.pipeline.reporting import _next_command
from mnist_export.pipeline.request import job_with

ROOT = Path(__file__).parents[2]
MODULES = {
    f"mnist-{name}": f"mnist_export.cli.{name}" for name in ("export", "parity", "train", "bench", "search")
}
_LINE = re.compile(r"^ *((?:[A-Z_]+=\S+ )*mnist-(?:export|parity|train|bench|search)(?: .*)?)$", re.M)
_ENVIRONMENT = re.compile(r"^([A-Z_]+=\S+ )+")


class Parsed(Exception):  # noqa: N818 - it is no error
    """The words were parsed."""


@pytest.fixture
def parse(monkeypatch):
    """Parse a command line with the command's own parser and do nothing."""
    real = CommandParser.parse_args

    def stopping(self, args=None, namespace=None):
        found = real(self, args, namespace)
        raise Parsed(found)

    monkeypatch.setattr(CommandParser, "parse_args", stopping)

    def run(line):
        words = shlex.split(_ENVIRONMENT.sub("", line), comments=True)
        with pytest.raises(Parsed) as found:
            code = importlib.import_module(MODULES[words[0]]).main(words[1:])
            pytest.fail(f"{line}: exit code {code}")
        return found.value.args[0]

    return run


def examples():
    """Examples of help texts, without their remarks, and fenced commands of the documentation."""
    found = []
    for path in sorted((ROOT / "cli").glob("*.py")):
        texts = re.findall(r'_EXAMPLES = """(.*?)"""', path.read_text(encoding="utf-8"), re.S)
        found += [
            (path.name, re.split(r"   +", line.strip())[0]) for text in texts for line in _LINE.findall(text)
        ]
    for path in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]:
        blocks = re.findall(r"```sh\n(.*?)```", path.read_text(encoding="utf-8"), re.S)
        text = "\n".join(blocks).replace("\\\n", " ")
        found += [(path.name, line) for line in _LINE.findall(text) if "$" not in line]
    return found


def test_there_are_examples():
    assert len(examples()) > 60


@pytest.mark.parametrize(("where", "line"), examples())
def test_every_example_is_parsed(parse, where, line):
    for part in re.split(r" && ", line):
        parse(part)


@pytest.mark.parametrize(
    ("options", "pixels"),
    [
        ({"data": "two words.npz"}, InputRange(lo=0, hi=1)),
        ({"data": "-odd.npz", "trust": True}, InputRange(lo=-1, hi=1)),
        ({"data": "pictures", "resize": "crop"}, InputRange(lo=-1.0000001, hi=0.123456789)),
        ({"data": "auto"}, InputRange(lo=-123.68, hi=151.061)),
    ],
)
def test_the_command_that_a_report_prints_says_what_the_export_was_told(parse, options, pixels):
    job = replace(job_with(**options), input_range=pixels)
    report = SimpleNamespace(
        verdict=Verdict.PASS,
        artifacts=[
            SimpleNamespace(path="out dir/a.tflite", format="tflite"),
            SimpleNamespace(path="b.onnx", format="onnx"),
        ],
    )
    line = _next_command("my net.keras", job, report)
    found = parse(line)
    assert (found.reference, found.candidates) == ("my net.keras", ["out dir/a.tflite", "b.onnx"])
    assert (found.data or "auto") == options["data"]
    assert found.trust == bool(options.get("trust"))
    assert found.resize == options.get("resize", "bilinear")
    stated = InputRange.parse(found.input_range) if found.input_range else InputRange()
    assert (stated.lo, stated.hi) == (pixels.lo, pixels.hi)
    assert parity.SUBCOMMANDS[found.command]
