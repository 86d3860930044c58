"""What MkDocs asks while it builds the site: pages that are made, and links to files outside of ``docs``."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
_TOP = ("CONTRIBUTING.md", "CHANGELOG.md", "SECURITY.md")
_OUTSIDE = re.compile(r"\]\((?:\.\./)+((?:benchmarks/results|examples)/[^)#]+|[A-Z]+\.md)(#[^)]*)?\)")
_INSIDE = re.compile(r"\]\(docs/([^)]+)\)")


def on_files(files: Any, config: Any) -> Any:
    """Add the reference that is made from the code, and what pages link to outside of ``docs``."""
    # MkDocs puts this folder on the path only while it loads the hook
    sys.path.insert(0, str(Path(__file__).parent))
    import architecture
    from command_reference import commands_page
    from mkdocs.structure.files import File
    from report_schema import report_schema

    made = {
        "reference/commands.md": commands_page(),
        "reference/report.schema.json": json.dumps(report_schema(), indent=2) + "\n",
        "adr/index.md": decisions(),
        "images/architecture.svg": architecture.drawing(architecture.imports()),
    }
    files.remove(files.get_file_from_path("images/architecture.svg"))
    for name, text in made.items():
        files.append(File.generated(config, name, content=text))
    linked = set(_TOP)
    for page in sorted((ROOT / "docs").rglob("*.md")):
        linked |= {match[1] for match in _OUTSIDE.finditer(page.read_text(encoding="utf-8"))}
    for name in sorted(linked - {"README.md"}):
        path = ROOT / name
        content: Any = path.read_bytes() if path.suffix == ".png" else path.read_text(encoding="utf-8")
        files.append(File.generated(config, f"project/{name}", content=content))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Lead links to files outside of ``docs`` to their copies on the site."""
    source = page.file.src_uri
    if source.startswith("project/"):
        depth = "../" * source.count("/")
        markdown = _INSIDE.sub(
            lambda m: f"]({depth}{'adr/index.md' if m[1].rstrip('/') == 'adr' else m[1]})", markdown
        )
        return re.sub(r"\]\(README\.md[^)]*\)", f"]({depth}index.md)", markdown)
    depth = "../" * source.count("/")

    def local(match: re.Match[str]) -> str:
        name = match[1]
        return f"]({depth}{'index.md' if name == 'README.md' else f'project/{name}'}{match[2] or ''})"

    return _OUTSIDE.sub(local, markdown)


def decisions() -> str:
    """A page with a link to each decision."""
    rows = []
    for path in sorted((ROOT / "docs" / "adr").glob("0*.md")):
        title = path.read_text(encoding="utf-8").splitlines()[0].removeprefix("# ")
        rows.append(f"- [{title}]({path.name})")
    return "# Decisions\n\nWhat cuts across the project, and why it is so.\n\n" + "\n".join(rows) + "\n"
