"""A schema from the documents of a service, as a first draft for a person to narrow."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from sealpipe.editing.adding import DIALECT
from sealpipe.editing.given import infer_schema
from sealpipe.errors import TrustError
from sealpipe.tokens import looks_sealed, parse_token

_SEALED = {
    "str": {"type": "string"},
    "int": {"type": "integer"},
    "float": {"type": "number"},
    "bool": {"type": "boolean"},
    "object": {"type": "object"},
    "array": {"type": "array"},
    "bytes": {"type": "string", "contentEncoding": "base64"},
}


def inferred(documents: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """The narrowest plain schema that all of these fit; what each of them has is required.

    A sealed value becomes a secret of its type. Says nothing of ranges, patterns or formats.
    """
    found: dict[str, Any] | None = None
    for document in documents:
        made = _required(_inferred(document))
        found = made if found is None else _both(found, made)
    return {"$schema": DIALECT, **(found or {"type": "object", "properties": {}})}


def _inferred(value: Any) -> dict[str, Any]:
    if isinstance(value, str) and looks_sealed(value):
        try:
            kind = parse_token(value).type
        except TrustError:
            kind = "str"
        return {**_SEALED[kind], "writeOnly": True}
    if isinstance(value, Mapping):
        inner = {key: _inferred(part) for key, part in value.items() if part is not None}
        return {"type": "object", "additionalProperties": False, "properties": inner}
    if isinstance(value, list):
        items = [_inferred(part) for part in value]
        merged = items[0] if items else None
        for item in items[1:]:
            merged = _both(merged, item) if merged is not None else item
        return {"type": "array", **({"items": merged} if merged is not None else {})}
    return infer_schema(value)


def _required(node: dict[str, Any]) -> dict[str, Any]:
    if node.get("type") == "object" and "properties" in node:
        inner = {key: _required(part) for key, part in node["properties"].items()}
        return {**node, "properties": inner, "required": sorted(inner)}
    return node


def _both(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    """A schema that takes what either takes."""
    if one == other:
        return one
    if "properties" in one and "properties" in other:
        names = [*one["properties"], *(key for key in other["properties"] if key not in one["properties"])]
        inner = {
            name: _both(one["properties"][name], other["properties"][name])
            if name in one["properties"] and name in other["properties"]
            else one["properties"].get(name) or other["properties"][name]
            for name in names
        }
        made = {**one, "properties": inner}
        if "required" in one or "required" in other:
            made["required"] = sorted(set(one.get("required", ())) & set(other.get("required", ())))
        return made
    if one.get("type") == other.get("type") == "array" and one.get("writeOnly") == other.get("writeOnly"):
        items = [part["items"] for part in (one, other) if "items" in part]
        merged = items[0] if len(items) == 1 else _both(items[0], items[1]) if items else None
        return {**one, **({"items": merged} if merged is not None else {})}
    if {one.get("type"), other.get("type")} == {"integer", "number"}:
        return {**one, "type": "number"}
    branches = list(one.get("anyOf", [one]))
    branches += [branch for branch in other.get("anyOf", [other]) if branch not in branches]
    return {"anyOf": branches}
