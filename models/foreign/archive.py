"""Reads a .keras archive member by member, trusting none of its numbers."""

from __future__ import annotations

import io
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

from mnist_export.data.limits import bad_file as refuse
from mnist_export.models.foreign.limits import (
    MAX_COMPRESSION_RATIO,
    MAX_CONFIG_BYTES,
    MAX_FILE_BYTES,
    MAX_MEMBERS,
    quoted,
)

CONFIG, METADATA, WEIGHTS = "config.json", "metadata.json", "model.weights.h5"
_DAMAGED = "Copy it again from where it came, or save it again with model.save('net.keras')."


@dataclass(frozen=True, kw_only=True)
class KerasArchive:
    """The members that a model is made of.

    Attributes:
        config: JSON text of the configuration.
        metadata: JSON text with the Keras version; empty where there is none.
        weights: the HDF5 file.
    """

    config: bytes
    metadata: bytes
    weights: bytes


def read_archive(content: bytes, where: str | Path) -> KerasArchive:
    """Take an archive apart in memory.

    Args:
        content: the whole file.
        where: its name, for messages.

    Raises:
        InputError: it is no zip archive or damaged; members are missing, twice there, lead out of a
            folder, or unpack to far more than they are.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            members = {member.filename: member for member in _checked(archive, where)}
            return KerasArchive(
                config=_member(archive, members, CONFIG, MAX_CONFIG_BYTES, where),
                metadata=_member(archive, members, METADATA, 1 << 20, where) if METADATA in members else b"",
                weights=_member(archive, members, WEIGHTS, MAX_FILE_BYTES, where),
            )
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, NotImplementedError) as error:
        raise refuse(where, "a .keras archive", f"damage ({quoted(error)})", _DAMAGED) from error
    except RuntimeError as error:  # an encrypted member
        raise refuse(where, "a .keras archive without a password", quoted(error), _DAMAGED) from error


def _checked(archive: zipfile.ZipFile, where: str | Path) -> list[zipfile.ZipInfo]:
    members = archive.infolist()
    if len(members) > MAX_MEMBERS:
        raise refuse(where, f"at most {MAX_MEMBERS} members", f"{len(members):,}", _DAMAGED)
    seen: set[str] = set()
    for member in members:
        name = member.filename
        if name in seen:
            raise refuse(where, "each member once", f"{quoted(name)} twice", _DAMAGED)
        seen.add(name)
        if name.startswith(("/", "\\")) or ".." in name.replace("\\", "/").split("/") or ":" in name:
            raise refuse(where, "members inside of the archive", f"the path {quoted(name)}", _DAMAGED)
        if member.file_size > MAX_COMPRESSION_RATIO * max(1, member.compress_size) + 4096:
            raise refuse(
                where,
                f"members that unpack to at most {MAX_COMPRESSION_RATIO} times their size",
                f"{quoted(name)} of {member.compress_size:,} bytes that claims {member.file_size:,}",
                "It looks like a zip bomb; save the model again.",
            )
    return members


def _member(
    archive: zipfile.ZipFile,
    members: dict[str, zipfile.ZipInfo],
    name: str,
    most: int,
    where: str | Path,
) -> bytes:
    if name not in members:
        found = ", ".join(quoted(member) for member in sorted(members)[:6]) or "nothing"
        advice = (
            "It holds no weights; save the whole model with model.save('net.keras')."
            if name == WEIGHTS
            else "Save the whole model with model.save('net.keras')."
        )
        raise refuse(where, f"the member {name}", found, advice)
    member = members[name]
    if member.file_size > most:
        raise refuse(where, f"{name} of at most {most >> 20} MiB", f"{member.file_size:,} bytes", _DAMAGED)
    with archive.open(member) as stream:
        # One byte more than claimed, at most: the claim itself may lie.
        content = stream.read(member.file_size + 1)
    if len(content) != member.file_size:
        raise refuse(where, f"{member.file_size:,} bytes in {name}", f"{len(content):,}", _DAMAGED)
    return content
