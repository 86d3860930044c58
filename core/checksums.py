"""Files that show by themselves that not one byte of them was changed.

Two forms. A *sealed* document is JSON that carries the SHA-256 of the rest of itself, in one spelling only,
so that every changed byte, white space too, is found. A *checksum list* is what ``sha256sum`` writes and
``sha256sum --check`` reads, again in one spelling only.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from mnist_export.core.errors import InputError
from mnist_export.core.files import sha256_bytes

SEAL = "sha256_of_the_rest"
MAX_BYTES = 16 << 20
_LINE = re.compile(r"(?P<digest>[0-9a-f]{64})  (?P<name>[^\n]+)\n")


def plain_name(name: object) -> bool:
    """Whether a string from a file is the name of a file in the same folder, and not a path out of it."""
    if not isinstance(name, str):
        return False
    return name.isprintable() and name not in ("", ".", "..") and not set(name) & {"/", "\\", "\0"}


def seal(fields: Mapping[str, Any]) -> str:
    """Write JSON with sorted keys and the digest of its other fields; the same fields, the same text.

    Args:
        fields: values that JSON can hold; the key of the seal must not be among them.
    """
    digest = sha256_bytes(_canonical(fields).encode())
    return _canonical({**fields, SEAL: digest})


def unseal(text: bytes, where: str) -> dict[str, Any]:
    """Read a sealed document and check its seal; returns its fields without the seal.

    Raises:
        InputError: it is no such document, or any byte of it was changed.
    """
    advice = "It was changed after it was written: export again, or get the folder from its source."
    if len(text) > MAX_BYTES:
        raise InputError(f"{where}: expected at most {MAX_BYTES:,} bytes, found {len(text):,}. {advice}")
    try:
        fields = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"{where}: expected JSON, found damage. {advice}") from error
    if not isinstance(fields, dict) or SEAL not in fields:
        raise InputError(f"{where}: expected a document with '{SEAL}', found none. {advice}")
    found = fields.pop(SEAL)
    if found != sha256_bytes(_canonical(fields).encode()):
        raise InputError(f"{where}: its digest of itself does not match its content. {advice}")
    if seal(fields).encode() != text:
        raise InputError(f"{where}: its white space or spelling was changed. {advice}")
    return fields


def _canonical(fields: Mapping[str, Any]) -> str:
    return json.dumps(fields, indent=2, sort_keys=True) + "\n"


def checksum_list(files: Mapping[str, bytes]) -> str:
    """One line a file, sorted by name: digest, two spaces, name.

    Args:
        files: plain name to content.

    Raises:
        InputError: a name that is a path or unprintable.
    """
    for name in files:
        if not plain_name(name):
            raise InputError(f"checksum list: expected plain file names, found {name!a}.")
    return "".join(f"{sha256_bytes(content)}  {name}\n" for name, content in sorted(files.items()))


def read_checksum_list(text: bytes, where: str) -> dict[str, str]:
    """Read a checksum list: plain name to hex SHA-256.

    Raises:
        InputError: any other spelling, a name twice, a path instead of a name.
    """
    found: dict[str, str] = {}
    lines = text[:MAX_BYTES].decode("utf-8", "replace").splitlines(keepends=True)
    for number, line in enumerate(lines, start=1):
        fields = _LINE.fullmatch(line)
        if fields is None or not plain_name(fields["name"]) or fields["name"] in found:
            raise InputError(
                f"{where}: line {number} is not a digest, two spaces and a file name. It was changed."
            )
        found[fields["name"]] = fields["digest"]
    if not found or len(text) > MAX_BYTES:
        raise InputError(
            f"{where}: expected digests of files, found none. It was changed after it was written."
        )
    return found
