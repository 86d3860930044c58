"""Judges an HDF5 file by its structure, following no link and reading no data."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mnist_export.core.errors import MissingExtraError
from mnist_export.data.limits import bad_file as refuse
from mnist_export.models.foreign.limits import (
    MAX_COMPRESSION_RATIO,
    MAX_HDF5_DEPTH,
    MAX_HDF5_OBJECTS,
    MAX_PARAMETERS,
    quoted,
)

MAGIC = b"\x89HDF\r\n\x1a\n"


@dataclass(frozen=True, kw_only=True)
class Hdf5Contents:
    """What a file holds.

    Attributes:
        attributes: of the root, text decoded, others left out.
        groups: names of the root's members.
        elements: numbers in all data sets together.
        datasets: how many data sets.
    """

    attributes: dict[str, str]
    groups: tuple[str, ...]
    elements: int
    datasets: int


def inspect_hdf5(content: bytes, where: str | Path) -> Hdf5Contents:
    """Walk through a file's objects and refuse what can reach outside of it or blow it up.

    Args:
        content: the whole file.
        where: its name, for messages.

    Raises:
        InputError: it is no HDF5 file, damaged, or holds external, soft or looping links, external
            storage, virtual data sets, or data sets far larger than what is stored for them.
        MissingExtraError: h5py is not installed.
    """
    try:
        import h5py
    except ImportError as error:
        raise MissingExtraError("h5py", "convert", "reading an .h5 or .keras model") from error
    if not content.startswith(MAGIC):
        raise refuse(where, "an HDF5 file", "other content", "The file is damaged or has a wrong extension.")
    try:
        with h5py.File(io.BytesIO(content), "r") as file:
            elements, count = 0, 0
            for path, dataset in _datasets(file, where):
                _check_dataset(dataset, path, where)
                elements += int(dataset.size)
                count += 1
                if elements > MAX_PARAMETERS * 4:  # an optimizer's slots count too
                    raise refuse(
                        where,
                        f"at most {MAX_PARAMETERS:,} weights",
                        f"data sets of {elements:,} numbers",
                        "Such a model is far beyond an edge device.",
                    )
            return Hdf5Contents(
                attributes=_texts(file),
                groups=tuple(file.keys()),
                elements=elements,
                datasets=count,
            )
    except (OSError, RuntimeError, KeyError, ValueError, TypeError, AttributeError, OverflowError) as error:
        raise refuse(
            where,
            "a readable HDF5 file",
            f"damage ({quoted(error)})",
            "Copy it again from where it came, or save it again.",
        ) from error


def _texts(file: Any) -> dict[str, str]:
    found = {}
    for name, value in file.attrs.items():
        if isinstance(value, bytes):
            found[name] = value.decode("utf-8", errors="replace")
        elif isinstance(value, str):
            found[name] = value
    return found


def _datasets(file: Any, where: str | Path) -> Iterator[tuple[str, Any]]:
    import h5py

    pending: list[tuple[str, Any]] = [("", file)]
    seen: set[int] = set()
    while pending:
        path, group = pending.pop()
        for name in group:
            inner = f"{path}/{name}"
            link = group.get(name, getlink=True)
            if not isinstance(link, h5py.HardLink):
                kind = "an external link" if isinstance(link, h5py.ExternalLink) else "a soft link"
                raise refuse(
                    where, "weights inside of the file", f"{kind} at {quoted(inner)}", "Save the model again."
                )
            member = group[name]
            address = h5py.h5o.get_info(member.id).addr
            if address in seen:
                raise refuse(
                    where,
                    "a tree of groups",
                    f"a loop or an alias at {quoted(inner)}",
                    "Save the model again.",
                )
            seen.add(address)
            if len(seen) > MAX_HDF5_OBJECTS:
                raise refuse(where, f"at most {MAX_HDF5_OBJECTS:,} objects", "more", "Save the model again.")
            if inner.count("/") > MAX_HDF5_DEPTH:
                raise refuse(
                    where, f"groups at most {MAX_HDF5_DEPTH} deep", "a deeper one", "Save the model again."
                )
            if isinstance(member, h5py.Group):
                pending.append((inner, member))
            elif isinstance(member, h5py.Dataset):
                yield inner, member
            else:
                raise refuse(
                    where, "groups and data sets", f"another object at {quoted(inner)}", "Save again."
                )


def _check_dataset(dataset: Any, path: str, where: str | Path) -> None:
    if dataset.external or dataset.is_virtual:
        kind = "external storage" if dataset.external else "a virtual data set"
        raise refuse(
            where, "weights inside of the file", f"{kind} at {quoted(path)}", "Save the model again."
        )
    if dataset.dtype.kind not in "fiubSO" or (dataset.dtype.kind == "O" and dataset.size > 4096):
        raise refuse(
            where, "numbers", f"data of type {dataset.dtype} at {quoted(path)}", "Save the model again."
        )
    stored = int(dataset.id.get_storage_size())
    if int(dataset.nbytes) > MAX_COMPRESSION_RATIO * stored + 4096:
        raise refuse(
            where,
            "data sets that are stored in full",
            f"one of {int(dataset.nbytes):,} bytes at {quoted(path)} with {stored:,} stored",
            "Save the model again.",
        )
