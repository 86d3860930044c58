"""The commands that a person can read: fenced blocks of Markdown pages and examples of help texts.

A comment before a block says how it is tried:

- ``<!-- run with: --epochs 1 -->``: these words are added to each command, to keep the trial short;
- ``<!-- exits with: 1 -->``: that is the code of the block's last command;
- ``<!-- needs: tflm, web -->``: it is run where these devices are prepared;
- ``<!-- file: train.py -->``: a Python block is that file, and run;
- ``<!-- not run: REASON -->``: what it would need; its commands are parsed all the same.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from pathlib import Path

ROOT = Path(__file__).parents[1]
PROGRAMS = ("mnist-export", "mnist-parity", "mnist-train", "mnist-bench", "mnist-search")
_FENCE = re.compile(r"^```(\w*)[^\n]*\n(.*?)^```", re.M | re.S)
_COMMENT = re.compile(r"<!-- (ci|run with|not run|exits with|needs|file): (.*?) -->\s*\Z")
_REMARK = re.compile(r"\s{2,}#.*$|^#.*$")
_PROGRAM = re.compile(rf"^(?:[A-Z_]+=\S+ )*({'|'.join(PROGRAMS)})\b")


@dataclass(frozen=True, kw_only=True)
class Block:
    """One block of commands, or of Python.

    Attributes:
        page: where it stands.
        line: of its first command.
        language: ``sh`` or ``python``.
        text: without the fence.
        added: words that are added to the product's commands.
        code: that the last command exits with.
        ci: the name by which ``.ci/run`` runs it; empty where it does not.
        devices: that have to be prepared for it.
        reason: why it is not run; empty where it is.
    """

    page: Path
    line: int
    language: str
    text: str
    added: str = ""
    code: int = 0
    ci: str = ""
    devices: tuple[str, ...] = ()
    reason: str = ""

    @property
    def commands(self) -> list[str]:
        """The command lines, without prompts and remarks; continued lines are joined."""
        joined = self.text.replace("\\\n", " ")
        lines = [_REMARK.sub("", line).strip().removeprefix("$ ") for line in joined.splitlines()]
        return [re.sub(r"\s+", " ", line) for line in lines if line]


def is_ours(command: str) -> bool:
    """Whether a command line is one of the product's."""
    return bool(_PROGRAM.match(command))


def blocks_of(page: Path) -> list[Block]:
    """The shell and Python blocks of a Markdown page, in order."""
    text = page.read_text(encoding="utf-8")
    found = []
    for fence in _FENCE.finditer(text):
        if fence[1] not in {"sh", "python"}:
            continue
        block = Block(
            page=page, line=text.count("\n", 0, fence.start(2)) + 1, language=fence[1], text=fence[2]
        )
        before = text[: fence.start()]
        while mark := _COMMENT.search(before):
            before = before[: mark.start()]
            if mark[1] == "run with":
                block = replace(block, added=mark[2])
            elif mark[1] == "exits with":
                block = replace(block, code=int(mark[2]))
            elif mark[1] == "ci":
                block = replace(block, ci=mark[2])
            elif mark[1] == "needs":
                block = replace(block, devices=tuple(re.split(r",\s*", mark[2])))
            elif mark[1] == "not run":
                block = replace(block, reason=mark[2])
        found.append(block)
    return found


def unfenced_commands(page: Path) -> list[str]:
    """Commands that stand in an indented block, where nothing would try them."""
    text = _FENCE.sub("", page.read_text(encoding="utf-8"))
    return [
        line.strip()
        for line in re.findall(r"^ {4,}(\S.*)$", text, re.M)
        if is_ours(line.strip().removeprefix("$ ")) or line.strip().startswith(("python ", "pip ", "make "))
    ]


def help_examples() -> list[tuple[Path, str]]:
    """The examples of every command's help, without their remarks."""
    found = []
    for path in sorted((ROOT / "cli").glob("*.py")):
        for text in re.findall(r'_EXAMPLES = """(.*?)"""', path.read_text(encoding="utf-8"), re.S):
            lines = [re.split(r"   +", line.strip())[0] for line in text.splitlines()]
            found += [(path, line) for line in lines if is_ours(line)]
    return found


def pages() -> list[Path]:
    """Every page for people, but decisions, which hold what was true then."""
    inner = [path for path in sorted((ROOT / "docs").rglob("*.md")) if "adr" not in path.parts]
    top = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "SECURITY.md"]
    return [path for path in [*top, *inner] if path.exists()]
