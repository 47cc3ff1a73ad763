"""Whether a schema still takes what an earlier one took, and what changed between two schemas.

`covers` is jsonschema-rs's canonical inclusion: exact where it decides, and it says where it does not.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

_NOTES = frozenset({"title", "description", "$comment", "examples", "default", "$schema", "deprecated"})
_ORDERLESS = frozenset({"required", "enum", "type"})


class SchemaChange(NamedTuple):
    """One difference. `pointer` leads to the keyword in the schema."""

    pointer: str
    kind: str  # "added", "removed" or "changed"
    old: Any
    new: Any


def covers(new: Mapping[str, Any], old: Mapping[str, Any]) -> str:
    """Whether every document that fits `old` fits `new`: "yes", "no" or "unknown".

    Unknown is honest: equal patterns written otherwise, `not` and some conditions are not decided. Our
    own keywords are annotations and do not count.
    """
    import jsonschema_rs

    try:
        found = jsonschema_rs.canonicalize(_plain(new)).covers(jsonschema_rs.canonicalize(_plain(old)))
    except ValueError:
        return "unknown"
    return str(found) if str(found) in ("yes", "no") else "unknown"


def changes(old: Any, new: Any, pointer: str = "") -> Iterator[SchemaChange]:
    """Differences of two schemas, keyword by keyword. Titles, descriptions and defaults do not count."""
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        named = pointer.endswith(("/properties", "/patternProperties", "/$defs", "/dependentSchemas"))
        for key in [*old, *(key for key in new if key not in old)]:
            if key in _NOTES and not named:
                continue
            at = f"{pointer}/{str(key).replace('~', '~0').replace('/', '~1')}"
            if key not in new:
                yield SchemaChange(at, "removed", old[key], None)
            elif key not in old:
                yield SchemaChange(at, "added", None, new[key])
            else:
                yield from changes(old[key], new[key], at)
    elif not _same(old, new, pointer.rpartition("/")[2]):
        yield SchemaChange(pointer, "changed", old, new)


def _same(old: Any, new: Any, keyword: str) -> bool:
    if keyword in _ORDERLESS and isinstance(old, list) and isinstance(new, list):
        return sorted(map(repr, old)) == sorted(map(repr, new))
    return type(old) is type(new) and bool(old == new)


def tolerant(schema: Any) -> Any:
    """The schema as a service reads it that reports keys it does not know: closed maps are open."""
    if isinstance(schema, list):
        return [tolerant(inner) for inner in schema]
    if not isinstance(schema, Mapping):
        return schema
    opened = {
        key: inner if key in ("const", "enum", "default", "examples") else tolerant(inner)
        for key, inner in schema.items()
    }
    if opened.get("additionalProperties") is False and "properties" in opened:
        del opened["additionalProperties"]
    if opened.get("unevaluatedProperties") is False:
        del opened["unevaluatedProperties"]
    return opened


def _plain(node: Any) -> Any:
    # A property may be called x-something; a keyword of ours is one only where a schema stands.
    if isinstance(node, list):
        return [_plain(inner) for inner in node]
    if not isinstance(node, Mapping):
        return node
    return {
        key: {name: _plain(inner) for name, inner in value.items()}
        if key in ("properties", "$defs", "patternProperties") and isinstance(value, Mapping)
        else _plain(value)
        for key, value in node.items()
        if not str(key).startswith("x-")
    }
