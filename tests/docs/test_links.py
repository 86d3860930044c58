"""Links of pages lead to files and headings that are there."""

from __future__ import annotations

import pytest
from links import ROOT, dead_links, slug
from printed_commands import pages

ALL = [*pages(), ROOT / "CHANGELOG.md", *sorted((ROOT / "docs" / "adr").glob("*.md"))]


@pytest.mark.parametrize("page", ALL, ids=lambda p: str(p.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    assert dead_links(page) == []


@pytest.mark.parametrize(
    ("link", "dead"),
    [
        ("[a](other.md)", []),
        ("[a](other.md#what-is-here)", []),
        ("[a](#own-heading)", []),
        ("`[a](code.md)`", []),
        ("[a](https://example.org/x)", []),
        ("[a](none.md)", ["none.md"]),
        ("![a](none.png)", ["none.png"]),
        ("[a](other.md#elsewhere)", ["other.md#elsewhere"]),
        ("[a](#elsewhere)", ["#elsewhere"]),
    ],
)
def test_a_dead_link_is_found(link, dead, tmp_path):
    (tmp_path / "other.md").write_text("# Other\n\n## What is `here`?\n")
    page = tmp_path / "page.md"
    page.write_text(f"# Page\n\n## Own heading\n\n{link}\n")
    assert dead_links(page) == dead


def test_headings_become_anchors_as_on_the_pages():
    assert slug("Outputs: `--head H`") == "outputs---head-h"
    assert slug("What's new, 2nd?") == "whats-new-2nd"
