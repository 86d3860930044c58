"""Checks a folder of exports against the manifests and checksum lists in it, byte for byte."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from mnist_export.core.checksums import MAX_BYTES, plain_name, read_checksum_list, unseal
from mnist_export.core.errors import InputError
from mnist_export.core.files import LOCK_NAME, TEMPORARY_PREFIX, sha256_file

if sys.version_info >= (3, 11):
    from enum import StrEnum
else:
    from backports.strenum import StrEnum

MANIFEST_SUFFIX: Final = ".manifest.json"
CHECKSUMS_SUFFIX: Final = ".report.sha256"
_REPORT_SUFFIXES: Final = (".report.json", ".report.html")


class State(StrEnum):
    """What was found about one file."""

    OK = "ok"
    CHANGED = "changed"
    MISSING = "missing"
    EXTRA = "extra"


@dataclass(frozen=True, kw_only=True)
class FileCheck:
    """One file.

    Attributes:
        name: in the folder.
        state: what was found.
        why: in words; empty where it is sound.
    """

    name: str
    state: State
    why: str = ""


@dataclass(frozen=True, kw_only=True)
class Verification:
    """What was found about a folder.

    Attributes:
        folder: which.
        files: every file that is there or should be, by name.
    """

    folder: str
    files: tuple[FileCheck, ...]

    @property
    def sound(self) -> bool:
        """Whether every file is there, unchanged, and listed."""
        return all(file.state is State.OK for file in self.files)

    def to_json(self) -> dict[str, Any]:
        """The JSON form."""
        return {
            "schema_version": 1,
            "folder": self.folder,
            "verdict": "pass" if self.sound else "fail",
            "files": [asdict(file) for file in self.files],
        }


@dataclass(frozen=True, kw_only=True)
class _Expected:
    listed_in: str
    sha256: str
    size_bytes: int | None = None


def verify_folder(folder: Path, *, allow_extra: bool = False) -> Verification:
    """Check every file of a folder.

    Each manifest and each checksum list is sound in itself or not (see `core.checksums`); what they list has
    to be there with its size and hash, what nobody lists must not be there, and a report has to be about the
    files that its manifest lists.

    Args:
        folder: what ``mnist-export -o`` wrote to.
        allow_extra: do not object to files that nothing lists.

    Raises:
        InputError: it is no folder, cannot be read, or holds neither manifest nor checksum list.
    """
    names = _names(folder)
    checks: dict[str, FileCheck] = {}
    expected: dict[str, _Expected] = {}
    manifests = [name for name in names if name.endswith(MANIFEST_SUFFIX)]
    lists = [name for name in names if name.endswith(CHECKSUMS_SUFFIX)]
    if not manifests and not lists:
        raise InputError(
            f"{folder}: expected a folder with a *{MANIFEST_SUFFIX} that mnist-export wrote, found none. "
            "Give the folder that was given with -o."
        )
    outputs: dict[str, dict[str, str]] = {}
    for name in (*manifests, *lists):
        try:
            found = _listed(folder, name)
        except InputError as error:
            checks[name] = FileCheck(name=name, state=State.CHANGED, why=_after(error, name))
            continue
        checks[name] = FileCheck(name=name, state=State.OK)
        outputs[name] = {inner: item.sha256 for inner, item in found.items()}
        expected |= found
    for name in manifests:
        stem = name.removesuffix(MANIFEST_SUFFIX)
        if f"{stem}{CHECKSUMS_SUFFIX}" not in names:
            why = "the run that wrote the manifest did not come to its report, or the file was deleted"
            checks[f"{stem}{CHECKSUMS_SUFFIX}"] = FileCheck(
                name=f"{stem}{CHECKSUMS_SUFFIX}", state=State.MISSING, why=why
            )
    for name in lists:
        stem = name.removesuffix(CHECKSUMS_SUFFIX)
        if f"{stem}{MANIFEST_SUFFIX}" not in names and not allow_extra:
            checks[f"{stem}{MANIFEST_SUFFIX}"] = FileCheck(
                name=f"{stem}{MANIFEST_SUFFIX}", state=State.MISSING, why="there is a report, but no manifest"
            )
    for name, item in expected.items():
        checks[name] = _check_file(folder, name, item)
    for name in manifests:
        _check_report(folder, name, outputs.get(name), checks)
    if not allow_extra:
        for name in names:
            checks.setdefault(name, FileCheck(name=name, state=State.EXTRA, why=_extra(name)))
    return Verification(folder=str(folder), files=tuple(checks[name] for name in sorted(checks)))


def _names(folder: Path) -> list[str]:
    if not folder.is_dir():
        raise InputError(f"{folder}: expected a folder of exports, found no folder. Check the path.")
    try:
        return sorted(path.name for path in folder.iterdir())
    except OSError as error:
        raise InputError(f"{folder}: cannot be read ({error.strerror or error}).") from error


def _after(error: InputError, name: str) -> str:
    return str(error).removeprefix(f"{name}: ")


def _read(folder: Path, name: str) -> bytes:
    path = folder / name
    try:
        if path.is_symlink() or not path.is_file():
            raise InputError(f"{name}: expected a regular file, found a link or a folder.")
        if path.stat().st_size > MAX_BYTES:
            raise InputError(f"{name}: expected at most {MAX_BYTES:,} bytes, found {path.stat().st_size:,}.")
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"{name}: cannot be read ({error.strerror or error}).") from error


def _listed(folder: Path, name: str) -> dict[str, _Expected]:
    """What a manifest or a checksum list says of other files.

    Raises:
        InputError: it was changed.
    """
    text = _read(folder, name)
    if name.endswith(CHECKSUMS_SUFFIX):
        return {
            inner: _Expected(listed_in=name, sha256=digest)
            for inner, digest in read_checksum_list(text, name).items()
        }
    outputs = unseal(text, name).get("outputs")
    if not isinstance(outputs, dict) or not outputs:
        raise InputError(f"{name}: expected a list of outputs, found none.")
    found = {}
    for inner, item in outputs.items():
        if not plain_name(inner) or not isinstance(item, dict):
            raise InputError(f"{name}: expected plain file names, found {inner!a}.")
        found[inner] = _Expected(
            listed_in=name, sha256=str(item.get("sha256")), size_bytes=item.get("size_bytes")
        )
    return found


def _check_file(folder: Path, name: str, item: _Expected) -> FileCheck:
    path = folder / name
    if path.is_symlink():
        return FileCheck(name=name, state=State.CHANGED, why="it is a link, not a file of its own")
    if not path.is_file():
        return FileCheck(name=name, state=State.MISSING, why=f"{item.listed_in} lists it")
    try:
        size, digest = path.stat().st_size, sha256_file(path)
    except OSError as error:
        why = f"it cannot be read ({error.strerror or error})"
        return FileCheck(name=name, state=State.CHANGED, why=why)
    if item.size_bytes is not None and size != item.size_bytes:
        why = f"expected {item.size_bytes:,} bytes as in {item.listed_in}, found {size:,}"
    elif digest != item.sha256:
        why = f"expected sha256 {item.sha256[:12]}... as in {item.listed_in}, found {digest[:12]}..."
    else:
        return FileCheck(name=name, state=State.OK)
    return FileCheck(name=name, state=State.CHANGED, why=why)


def _check_report(
    folder: Path, manifest: str, outputs: dict[str, str] | None, checks: dict[str, FileCheck]
) -> None:
    """See that the report beside a manifest is about the files of that manifest, not of an earlier run."""
    name = f"{manifest.removesuffix(MANIFEST_SUFFIX)}{_REPORT_SUFFIXES[0]}"
    if outputs is None or name not in checks or checks[name].state is not State.OK:
        return
    try:
        artifacts = json.loads(_read(folder, name))["artifacts"]
        reported = {Path(item["path"]).name: item["sha256"] for item in artifacts}
    except (ValueError, KeyError, TypeError, RecursionError, InputError) as error:
        checks[name] = FileCheck(
            name=name, state=State.CHANGED, why=f"its artifacts cannot be read ({error})"
        )
        return
    for inner, digest in reported.items():
        if outputs.get(inner) != digest:
            why = f"it is about another '{inner}' than {manifest}: the two are of different runs"
            checks[name] = FileCheck(name=name, state=State.CHANGED, why=why)


def _extra(name: str) -> str:
    if name == LOCK_NAME:
        return "a run is writing to the folder, or was killed; run mnist-export again"
    if name.startswith(TEMPORARY_PREFIX):
        return "a killed run left it; the next mnist-export with -o deletes it"
    return "no manifest lists it"


def problems(checks: Iterable[FileCheck]) -> list[FileCheck]:
    """Those that are not as they should be."""
    return [check for check in checks if check.state is not State.OK]
