"""Writes the wheel's bill of materials: CycloneDX 1.6 JSON from requirements.lock, the same bytes each time.

    python tools/sbom.py -o dist/mnist-export.cdx.json

Components are what ``pip install mnist-export`` brings (scope required) and what its extra ``convert`` adds
(scope optional), with the versions and hashes of the lock file and with who needs whom. Development tools are
left out. Source: https://cyclonedx.org/docs/1.6/json/.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parents[1]
PROJECT = "mnist-export"
_PIN = re.compile(r"(?P<name>[A-Za-z0-9._-]+)==(?P<version>[^\s;\\]+)")
_HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")
_VIA = re.compile(r"^\s+#\s+(?:via\s+)?(?P<name>[A-Za-z0-9._-]+)")


@dataclass(kw_only=True)
class Locked:
    """One package of the lock file.

    Attributes:
        name: normalized.
        version: exact.
        sha256: of its files.
        via: normalized names of what needs it.
    """

    name: str
    version: str
    sha256: list[str] = field(default_factory=list)
    via: set[str] = field(default_factory=set)

    @property
    def purl(self) -> str:
        """Package URL."""
        return f"pkg:pypi/{self.name}@{self.version}"


def normalized(name: str) -> str:
    """A name as the index compares it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def read_lock(text: str) -> dict[str, Locked]:
    """Packages of a lock file by normalized name."""
    found: dict[str, Locked] = {}
    current: Locked | None = None
    for line in text.splitlines():
        if pin := _PIN.match(line):
            current = Locked(name=normalized(pin["name"]), version=pin["version"])
            found[current.name] = current
        if current is None:
            continue
        current.sha256 += _HASH.findall(line)
        if (via := _VIA.match(line)) and via["name"] != "via":
            current.via.add(normalized(via["name"]))
    return found


def reachable(direct: list[str], lock: dict[str, Locked]) -> set[str]:
    """Everything that some packages need, themselves included."""
    names = {normalized(re.split(r"[\s<>=!~;\[]", text, maxsplit=1)[0]) for text in direct}
    found: set[str] = set()
    pending = [name for name in names if name in lock]
    while pending:
        name = pending.pop()
        if name not in found:
            found.add(name)
            pending += [other.name for other in lock.values() if name in other.via]
    return found


def bill(project: dict[str, Any], lock: dict[str, Locked]) -> dict[str, Any]:
    """Build the document.

    Args:
        project: the table ``[project]`` of pyproject.toml.
        lock: from `read_lock`.
    """
    required = reachable(project["dependencies"], lock)
    optional = reachable(project["optional-dependencies"]["convert"], lock) - required
    chosen = [lock[name] for name in sorted(required | optional)]
    root = f"pkg:pypi/{PROJECT}@{project['version']}"
    needs = {
        package.purl: sorted(other.purl for other in chosen if package.name in other.via)
        for package in chosen
    }
    needs[root] = sorted(package.purl for package in chosen if PROJECT in package.via)
    document = {
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "component": {
                "type": "library",
                "bom-ref": root,
                "name": PROJECT,
                "version": project["version"],
                "purl": root,
                "licenses": [{"license": {"id": project["license"]}}],
            }
        },
        "components": [
            {
                "type": "library",
                "bom-ref": package.purl,
                "name": package.name,
                "version": package.version,
                "purl": package.purl,
                "scope": "required" if package.name in required else "optional",
                "hashes": [{"alg": "SHA-256", "content": digest} for digest in sorted(package.sha256)],
            }
            for package in chosen
        ],
        "dependencies": [{"ref": ref, "dependsOn": needs[ref]} for ref in sorted(needs)],
    }
    content = json.dumps(document, sort_keys=True)
    return {**document, "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, content)}"}


def main() -> int:
    """Write the file; returns 0."""
    parser = argparse.ArgumentParser(description="Write the wheel's bill of materials (CycloneDX JSON).")
    parser.add_argument("-o", "--output", type=Path, default=ROOT / "dist" / f"{PROJECT}.cdx.json")
    arguments = parser.parse_args()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    document = bill(project, read_lock((ROOT / "requirements.lock").read_text()))
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    arguments.output.write_text(json.dumps(document, indent=2) + "\n")
    counts = [component["scope"] for component in document["components"]]
    print(f"{arguments.output}: {counts.count('required')} required, {counts.count('optional')} optional")  # noqa: T201
    return 0


if __name__ == "__main__":
    sys.exit(main())
