"""The parts of a model's configuration, which is nested to any depth."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any


def parts_of(config: Any) -> Iterator[dict[str, Any]]:
    """Every mapping of a configuration; one may be changed when it is given.

    Args:
        config: a model's, as plain JSON, not judged yet.
    """
    pending = [config]
    while pending:
        part = pending.pop()
        if isinstance(part, list):
            pending.extend(part)
        elif isinstance(part, dict):
            yield part
            pending.extend(part.values())
