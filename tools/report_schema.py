"""The JSON schema of report.json, from the types that write it and their docstrings."""

from __future__ import annotations

import dataclasses
import inspect
import json
import re
import sys
import types
import typing
from enum import Enum
from typing import Any

_SCALARS: dict[type, str] = {str: "string", bool: "boolean", int: "integer", float: "number"}
_ATTRIBUTES = re.compile(r"^\s*Attributes:\n(.*?)(?=^\S|\Z)", re.M | re.S)


def report_schema() -> dict[str, Any]:
    """The schema (draft 2020-12) of what `Report.to_json` writes."""
    from mnist_export.report.schema import SCHEMA_VERSION, Report

    definitions: dict[str, Any] = {}
    root = _reference(Report, definitions)
    whole = definitions.pop(root["$ref"].rpartition("/")[2])
    whole["properties"] |= {"schema_version": {"const": SCHEMA_VERSION}}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "report.json of mnist-export",
        **whole,
        "$defs": dict(sorted(definitions.items())),
    }


def _reference(kind: type, definitions: dict[str, Any]) -> dict[str, str]:
    name = kind.__name__
    if name not in definitions:
        definitions[name] = {}  # a type may hold itself
        definitions[name] = _record(kind, definitions)
    return {"$ref": f"#/$defs/{name}"}


def _record(kind: Any, definitions: dict[str, Any]) -> dict[str, Any]:
    hints = typing.get_type_hints(kind)
    told = _told(kind)
    properties: dict[str, Any] = {}
    required = []
    for field in (field for field in dataclasses.fields(kind) if field.repr):
        found = _schema(hints[field.name], definitions)
        if field.name in getattr(kind, "FRACTIONS", ()):
            found |= {"minimum": 0, "maximum": 1}
        elif field.name in getattr(kind, "NOT_NEGATIVE", ()):
            found |= {"minimum": 0}
        if field.name in told:
            found = {"description": told[field.name], **found}
        properties[field.name] = found
        if field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            required.append(field.name)
    first = (inspect.getdoc(kind) or "").split("\n\n")[0].replace("\n", " ")
    return {"description": first, "type": "object", "properties": properties, "required": required}


def _told(kind: Any) -> dict[str, str]:
    """Field to its description, of the docstring's Attributes."""
    match = _ATTRIBUTES.search(inspect.getdoc(kind) or "")
    if match is None:
        return {}
    found: dict[str, str] = {}
    name = ""
    for line in match[1].splitlines():
        start = re.match(r"^    (\w+): (.*)$", line)
        if start:
            name = start[1]
            found[name] = start[2]
        elif name and line.strip():
            found[name] += f" {line.strip()}"
    return found


def _schema(hint: Any, definitions: dict[str, Any]) -> dict[str, Any]:  # noqa: PLR0911 - one for each kind
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        inner = [_schema(one, definitions) for one in arguments if one is not type(None)]
        if len(inner) < len(arguments):
            inner.append({"type": "null"})
        return _nullable(inner)
    if origin is tuple and len(arguments) == 2 and arguments[1] is Ellipsis:
        return {"type": "array", "items": _schema(arguments[0], definitions)}
    if origin is tuple:
        items = [_schema(one, definitions) for one in arguments]
        return {"type": "array", "prefixItems": items, "minItems": len(items), "maxItems": len(items)}
    if origin is dict:
        return {"type": "object", "additionalProperties": _schema(arguments[1], definitions)}
    if dataclasses.is_dataclass(hint):
        return dict(_reference(typing.cast(type, hint), definitions))
    if isinstance(hint, type) and issubclass(hint, Enum):
        return {"enum": [member.value for member in hint]}
    return {"type": _SCALARS[hint]}


def _nullable(choices: list[dict[str, Any]]) -> dict[str, Any]:
    if len(choices) == 1:
        return choices[0]
    if len(choices) == 2 and choices[1] == {"type": "null"} and set(choices[0]) == {"type"}:
        return {"type": [choices[0]["type"], "null"]}
    return {"anyOf": choices}


if __name__ == "__main__":
    sys.stdout.write(json.dumps(report_schema(), indent=2) + "\n")
