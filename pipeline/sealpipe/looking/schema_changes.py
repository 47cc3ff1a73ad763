"""What changed between two schemas, keyword by keyword."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from sealpipe.frozen import NamedTuple

_NOTES = frozenset({"title", "description", "$comment", "examples", "default", "$schema", "deprecated"})
_ORDERLESS = frozenset({"required", "enum", "type"})


class SchemaChange(NamedTuple):
    """One difference. `pointer` leads to the keyword in the schema."""

    pointer: str
    kind: str  # "added", "removed" or "changed"
    old: Any
    new: Any


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
