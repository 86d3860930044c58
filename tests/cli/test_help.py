"""Help by topic, and completion in a real shell."""

from __future__ import annotations

import re
import shutil
import subprocess

import pytest

from mnist_export.cli import bench, export, parity, search, train


def _check():
    """The parser of ``mnist-parity check``."""
    return next(a.choices["check"] for a in parity._parser("check")._actions if a.choices)


def test_the_first_screen_is_short_and_names_the_topics(capsys):
    assert export.main(["--help"]) == 0
    first = capsys.readouterr().out
    assert export.main(["--help-all"]) == 0
    whole = capsys.readouterr().out
    for flag in (
        "--format",
        "--int8",
        "--data",
        "--input-range",
        "--qat",
        "--exact",
        "--target",
        "--json",
        "examples:",
    ):
        assert flag in first
    for flag in ("--adaround", "--clusters", "--junit", "--resize"):
        assert flag not in first
        assert flag in whole
    assert "help TOPIC" in first
    assert len(first.splitlines()) < 70


@pytest.mark.parametrize(
    ("command", "words", "first", "later"),
    [
        (parity, ["check"], ("--data", "--max-drop", "--on", "--json"), ("--isolate", "--junit", "--mean")),
        (bench, [], ("--models", "--quick", "--compare", "--json"), ("--batches", "--pin", "--max-slowdown")),
    ],
)
def test_check_and_bench_have_topics_too(capsys, command, words, first, later):
    assert command.main([*words, "--help"]) == 0
    screen = capsys.readouterr().out
    assert command.main([*words, "--help-all"]) == 0
    whole = capsys.readouterr().out
    assert all(re.search(rf"^  (-\w[^\n]*, )?{flag}\b", screen, re.M) for flag in first)
    assert not any(re.search(rf"^  {flag}\b", screen, re.M) for flag in later)
    assert all(flag in whole for flag in (*first, *later))
    assert len(screen.splitlines()) < 60


def test_a_topic_of_a_subcommand(capsys):
    assert parity.main(["check", "help", "running"]) == 0
    out = capsys.readouterr().out
    assert out.startswith("mnist-parity check, running:")
    assert "--isolate" in out and "--data" not in out
    assert parity.main(["check", "help", "runing"]) == 2
    assert "Did you mean 'running'" in capsys.readouterr().err
    assert parity.main(["record", "help"]) == 2  # a model of that name: no topics here


@pytest.mark.parametrize(
    "parser", [export.build_parser(), bench.build_parser(), _check()], ids=lambda p: p.prog
)
def test_every_option_is_on_the_first_screen_or_in_one_topic(parser):
    texts = [parser.format_help(), *(parser.format_topic(name) for name in parser.topics)]
    flags = {action.option_strings[-1] for action in parser._actions if action.option_strings}
    for flag in flags:
        heading = re.compile(rf"^  (-\w[^\n]*, )?{flag}\b(?!-)", re.M)
        shown = [text for text in texts if heading.search(text)]
        assert len(shown) == 1, flag


def test_a_topic_by_name_and_an_unknown_one(capsys):
    assert export.main(["help", "training"]) == 0
    out = capsys.readouterr().out
    assert "--distill" in out and "--format" not in out
    assert export.main(["help", "trainnig"]) == 2
    assert "Did you mean 'training'" in capsys.readouterr().err
    assert export.main(["help"]) == 0
    assert "examples:" in capsys.readouterr().out


def completions(script, line):
    """What bash offers at the end of a line."""
    words = line.split(" ")
    command = words[0]
    quoted = " ".join(f"'{word}'" for word in words)
    asked = (
        f"{script}\n"
        f"COMP_WORDS=({quoted}); COMP_CWORD={len(words) - 1}; COMPREPLY=()\n"
        f"function=$(complete -p {command} | sed 's/.*-F \\([^ ]*\\) .*/\\1/')\n"
        f"$function {command} '{words[-1]}' '{words[-2] if len(words) > 1 else ''}'\n"
        'printf "%s\\n" "${COMPREPLY[@]}"\n'
    )
    done = subprocess.run(
        ["bash", "--norc", "-c", asked], capture_output=True, text=True, timeout=30, check=False
    )
    return {word.strip() for word in done.stdout.splitlines()}


@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash on this machine")
@pytest.mark.parametrize(
    ("command", "line", "offered"),
    [
        (export, "mnist-export --calib", {"--calibration-samples", "--calibration-method"}),
        (export, "mnist-export --precision in", {"int8", "int16x8"}),
        (export, "mnist-export --format o", {"onnx"}),
        (export, "mnist-export --data fash", {"fashion-mnist"}),
        (export, "mnist-export --calibration-method e", {"entropy"}),
        (parity, "mnist-parity ch", {"check"}),
        (parity, "mnist-parity check --min-a", {"--min-agreement"}),
        (train, "mnist-train --recip", {"--recipe"}),
        (bench, "mnist-bench --qu", {"--quick", "--quiet"}),
        (search, "mnist-search --bud", {"--budget"}),
    ],
)
def test_bash_completes_options_and_values(capsys, command, line, offered):
    assert command.main(["--print-completion", "bash"]) == 0
    script = capsys.readouterr().out
    assert offered <= completions(script, line)


def test_completion_changes_no_parsing_and_refuses_other_shells(capsys):
    assert export.main(["--print-completion", "fish-and-chips"]) == 2
    assert "expected one of bash, zsh, tcsh" in capsys.readouterr().err
    assert export.build_parser().parse_args(["--precision", "anything"]).precision == "anything"


@pytest.mark.parametrize("shell", ["bash", "zsh", "tcsh"])
def test_every_shell_has_a_script(shell, capsys):
    for command in (bench, export, parity, search, train):
        assert command.main(["--print-completion", shell]) == 0
        assert "mnist" in capsys.readouterr().out
