"""Links of Markdown pages that lead nowhere: to no file, or to no heading of one."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
_CODE = re.compile(r"^```.*?^```|`[^`\n]*`", re.M | re.S)
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#{1,6} (.*)$", re.M)
_ANCHOR = re.compile(r'id="([^"]+)"|\{#([\w-]+)\}')


def slug(heading: str) -> str:
    """A heading's anchor, as repositories' hosts and the site make it."""
    text = re.sub(r"[^\w\s-]", "", heading.replace("`", "")).strip().lower()
    return text.replace(" ", "-")


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, and those that are written out."""
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)
    headings = _HEADING.findall(text)
    own = {one or other for one, other in _ANCHOR.findall(text)}
    return {slug(heading) for heading in headings} | own


def dead_links(page: Path) -> list[str]:
    """The links of a page that lead nowhere; those to other hosts are not asked.

    Args:
        page: a Markdown file.
    """
    found = []
    for link in _LINK.findall(_CODE.sub("", page.read_text(encoding="utf-8"))):
        if re.match(r"[a-z]+:", link):
            continue
        name, _, anchor = link.partition("#")
        target = (page.parent / name) if name else page
        generated = "reference" in target.parts and target.name in {"commands.md", "report.schema.json"}
        if generated:
            continue
        if not target.exists() or (anchor and target.suffix == ".md" and anchor not in anchors(target)):
            found.append(link)
    return found
