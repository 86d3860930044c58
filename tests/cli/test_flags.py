"""Messages of the library name parameters as Python writes them; commands show them as flags."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from mnist_export.cli import export, parity
from mnist_export.cli.console import Console
from mnist_export.cli.flags import as_flags, keywords_of, wording
from mnist_export.core.parameters import parameter

ROOT = Path(__file__).parents[2]
ROOMS = [
    "api",
    "core",
    "data",
    "models",
    "train",
    "quantize",
    "export",
    "runtime",
    "parity",
    "report",
    "pipeline",
    "search",
]
KNOWN = {"max_drop", "keep_float", "data", "trust", "formats", "input_range", "no_latency", "qat"}
_FLAG = re.compile(r"(?<![\w-])--[a-z]")
# Text that is a command line, or part of one: of this project where a report prints it, of other programs
# where a device is prepared or started.
COMMANDS = {
    "core/parameters.py": "words of a command from parameters",
    "export/targets/operators.py": "vela, whose report it is",
    "models/foreign/beside.py": "words of the command that a report tells people to run",
    "models/loading.py": "mnist-train, which trains the model that is missing",
    "parity/layers/activations.py": "mnist-parity record, which records what is missing",
    "pipeline/reporting.py": "the report's next command",
    "search/page.py": "the page's next command; names of CSS variables",
    "pipeline/drawing_page.py": "mnist-parity devices, which prepares a device",
    "pipeline/usage.py": "vela",
    "report/sections.py": "reads the report's next command",
    "parity/integer_golden.py": "mnist-parity record, which records what is missing",
    "pipeline/targets.py": "mnist-parity devices, which prepares a device",
    "runtime/devices/registry.py": "mnist-parity devices, which prepares a device",
    "runtime/devices/board.py": "mnist-parity on the board, over ssh",
    "runtime/devices/arm.py": "pip",
    "runtime/devices/browser.py": "the browser",
    "runtime/devices/debian.py": "apt-get and dpkg",
    "runtime/devices/emulator.py": "qemu",
    "runtime/devices/environment.py": "pip",
    "runtime/devices/ethos_u.py": "vela",
    "runtime/devices/npm.py": "npm",
}


def literals_with_flags(path):
    """Lines of a file's string literals, docstrings apart, in which a flag stands or begins."""
    nodes = list(ast.walk(ast.parse(path.read_text(encoding="utf-8"))))
    said = {id(n.value) for n in nodes if isinstance(n, ast.Expr)}
    parts = [part for n in nodes if isinstance(n, ast.JoinedStr) for part in n.values]
    parts += [part for n in nodes if isinstance(n, ast.BinOp) for part in (n.left, n.right)]
    begins = {id(part) for part in parts if isinstance(part, ast.Constant)}
    return sorted(
        {
            node.lineno
            for node in nodes
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in said
            if _FLAG.search(node.value) or (id(node) in begins and re.search(r"(^| )--$", node.value))
        }
    )


def test_no_text_of_the_library_holds_a_flag():
    found = {
        str(path.relative_to(ROOT)): lines
        for room in ROOMS
        for path in sorted((ROOT / room).rglob("*.py"))
        if (lines := literals_with_flags(path))
    }
    assert {name: lines for name, lines in found.items() if name not in COMMANDS} == {}
    assert set(COMMANDS) == set(found), "an exception that is none any more"


def test_a_planted_flag_is_found(tmp_path):
    path = tmp_path / "planted.py"
    path.write_text('"""Says --int8."""\nX = f"{1}: use --int8."\nY = f"--{X}: no"\nZ = "--"\nY = "--" + X\n')
    assert literals_with_flags(path) == [2, 3, 5]


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("`max_drop`: no. Example: `max_drop=0.50`", "--max-drop: no. Example: --max-drop 0.50"),
        ('`data="digits"`, `trust=True`', "--data digits, --trust"),
        ('`input_range="-1,1"`', "--input-range -1,1"),
        ('`data="-x"`', "--data=-x"),
        ("`data='my data/x.npz'`", "--data 'my data/x.npz'"),
        ('`keep_float=["conv[12]", "dense"]`', "--keep-float 'conv[12]' dense"),
        ('`formats="onnx"`', "--format onnx"),
        ("`latency=False`", "--no-latency"),
        ("`qat=N`", "--qat N"),
        ("`unheard_of=2` and `rm -rf`", "`unheard_of=2` and `rm -rf`"),
        ('`data="a"b"`', "--data 'a\"b'"),
    ],
)
def test_parameters_become_flags(text, shown):
    assert as_flags(text, KNOWN) == shown


@pytest.mark.parametrize(
    "name", ["plain", "with 'quotes'", 'with "quotes"', "back`tick", "back\\slash", "$(x)"]
)
def test_any_value_survives_both_ways(name):
    import shlex

    text = parameter("keep-float", [name, "b"])
    assert ast.literal_eval(text.strip("`").partition("=")[2]) == [name, "b"]
    assert shlex.split(as_flags(text, KNOWN)) == ["--keep-float", name, "b"]


def test_a_command_knows_its_own_options_and_those_of_export():
    assert "isolate" in keywords_of(parity._parser("check"))
    shown = wording(parity._parser("check"))
    assert shown("`isolate=True`, `full_integer=True`") == "--isolate, --full-integer"
    assert wording(export.build_parser())("`isolate=True`") == "`isolate=True`"


def test_notes_warnings_and_errors_pass_there(capsys):
    console = Console(verbose=True, wording=wording(export.build_parser()))
    console.note("`int8=True`")
    console.detail("`int8`")
    console.warn("`qat=3`")
    console.error("`no_rewrites`: no")
    assert capsys.readouterr().err == "--int8\n--int8\nwarning: --qat 3\nerror: --no-rewrites: no\n"
