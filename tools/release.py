"""Builds what a release is made of and checks it: wheel, sdist, bill of materials.

``python tools/release.py`` (``make release``) writes them to ``dist/``. It fails where the wheel lacks a
file, where the changelog begins with another version, or where ``mnist-export --version`` does not run from
the wheel alone. It publishes nothing: what is left to do is printed.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
import venv
import zipfile
from pathlib import Path

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parents[1]
_DATA = {".npz", ".json", ".keras", ".html", ".css", ".js", ".typed"}


def packages() -> dict[str, Path]:
    """Package to its folder, as pyproject.toml has them."""
    setup = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]
    return {name: ROOT / setup["package-dir"][name] for name in setup["packages"]}


def expected_files() -> set[str]:
    """Every file that the wheel has to hold, by its name there."""
    found = set()
    for name, folder in packages().items():
        inside = name.replace(".", "/")
        found |= {f"{inside}/{path.name}" for path in folder.glob("*.py")}
        found |= {f"{inside}/{path.name}" for path in folder.iterdir() if path.suffix in _DATA}
        found |= {f"{inside}/py.typed"}
    return found


def folders_without_a_package() -> list[str]:
    """Folders of rooms that hold code and are named by no package: they would be missing."""
    known = set(packages().values())
    rooms = {folder for folder in known if folder.parent == ROOT}
    return sorted(
        str(folder.relative_to(ROOT))
        for room in rooms
        for folder in [room, *room.rglob("*")]
        if folder.is_dir() and folder not in known and any(folder.glob("*.py"))
    )


def missing_from(wheel: Path) -> list[str]:
    """What the wheel lacks."""
    with zipfile.ZipFile(wheel) as archive:
        return sorted(expected_files() - set(archive.namelist()))


def changelog_problem(version: str) -> str:
    """Say what is wrong with the changelog's first heading; empty where it is this version."""
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    heading = next(iter(re.findall(r"^## (.+)$", text, re.M)), "none")
    return "" if heading.startswith(version) else f"CHANGELOG.md begins with '{heading}', not with {version}"


def version() -> str:
    """The version of pyproject.toml."""
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    return str(tomllib.loads(text)["project"]["version"])


def works_alone(wheel: Path) -> str:
    """Run the wheel's own command where nothing else was installed before; gives what it printed."""
    with tempfile.TemporaryDirectory(prefix="mnist-export-release-") as folder:
        venv.create(folder, with_pip=True)
        python = Path(folder, "bin", "python")
        _run([str(python), "-m", "pip", "install", "-q", str(wheel)])
        return _run([str(Path(folder, "bin", "mnist-export")), "--version"]).strip()


def _run(command: list[str]) -> str:
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, check=False)
    if done.returncode:
        sys.exit(f"{' '.join(command)}: {(done.stderr or done.stdout).strip()[-800:]}")
    return done.stdout


def main() -> int:
    """Build, check, and say what is left."""
    dist, now = ROOT / "dist", version()
    for old in dist.glob("mnist*"):
        old.unlink()
    problems = [f"{folder} is in no package of pyproject.toml" for folder in folders_without_a_package()]
    _run([sys.executable, "-m", "build", "--outdir", str(dist), str(ROOT)])
    (wheel,), (sdist,) = list(dist.glob("*.whl")), list(dist.glob("*.tar.gz"))
    problems += [f"{wheel.name} lacks {name}" for name in missing_from(wheel)]
    bill = dist / "mnist-export.cdx.json"
    _run([sys.executable, str(ROOT / "tools" / "sbom.py"), "-o", str(bill)])
    printed = works_alone(wheel)
    if printed != f"mnist-export {now}":
        problems.append(f"the wheel's command says '{printed}', expected 'mnist-export {now}'")
    if told := changelog_problem(now):
        problems.append(told)
    for path in (wheel, sdist, bill):
        sys.stdout.write(f"{path.relative_to(ROOT)}  {path.stat().st_size:,} bytes\n")
    for problem in problems:
        sys.stdout.write(f"not ready: {problem}\n")
    if not problems:
        sys.stdout.write(f"ready. Left to do: git tag v{now}; upload the two files and the bill.\n")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
