"""What changed between two schemas, keyword by keyword."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from sealpipe.frozen import NamedTuple
from sealpipe.schemas.references import target

_NOTES = frozenset({"title", "description", "$comment", "examples", "default", "$schema", "deprecated"})
_LISTS = frozenset({"allOf", "anyOf", "oneOf", "prefixItems"})  # of schemas
_ORDERLESS = frozenset({"required", "enum", "type"})


class SchemaChange(NamedTuple):
    """One difference. `pointer` leads to the keyword in the schema."""

    pointer: str
    kind: str  # "added", "removed" or "changed"
    old: Any
    new: Any


def changes(old: Any, new: Any) -> Iterator[SchemaChange]:
    """Differences of two schemas, keyword by keyword. Titles, descriptions and defaults do not count, nor
    does it whether something is written in its place or in `$defs`, as pydantic does.
    """
    return _changes((old, new), (old, new), "", frozenset())


def _changes(
    roots: tuple[Any, Any], pair: tuple[Any, Any], pointer: str, followed: frozenset[tuple[str, str]]
) -> Iterator[SchemaChange]:
    old, new = pair
    names = (_reference(old), _reference(new))
    if all(names):
        if names in followed:
            return  # both go on as they did further up
        followed |= {names}
    old, new = _followed(roots[0], old), _followed(roots[1], new)
    keyword = pointer.rpartition("/")[2]
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        named = pointer.endswith(("/properties", "/patternProperties", "/dependentSchemas"))
        for key in [*old, *(key for key in new if key not in old)]:
            if not named and (key in _NOTES or (key == "$defs" and not pointer)):
                continue
            if not named and key == "format" and _shown_hidden(old) == _shown_hidden(new):
                continue  # how a form shows it: pydantic says so of each secret
            at = f"{pointer}/{str(key).replace('~', '~0').replace('/', '~1')}"
            if key not in new:
                yield SchemaChange(at, "removed", old[key], None)
            elif key not in old:
                yield SchemaChange(at, "added", None, new[key])
            else:
                yield from _changes(roots, (old[key], new[key]), at, followed)
    elif keyword in _LISTS and isinstance(old, list) and isinstance(new, list) and len(old) == len(new):
        for number, inner in enumerate(zip(old, new, strict=True)):
            yield from _changes(roots, inner, f"{pointer}/{number}", followed)
    elif not _same(old, new, keyword):
        yield SchemaChange(pointer, "changed", old, new)


def _shown_hidden(node: Mapping[str, Any]) -> Any:
    found = node.get("format")
    return None if found == "password" else found


def _reference(node: Any) -> str:
    name = node.get("$ref") if isinstance(node, Mapping) else None
    return name if isinstance(name, str) else ""


def _followed(root: Any, node: Any) -> Any:
    """A reference replaced by what it names, with what stands beside it."""
    seen: set[str] = set()
    while (name := _reference(node)) and name not in seen:
        seen.add(name)
        found = target(root, name)
        if not isinstance(found, Mapping):
            break
        node = {**found, **{key: value for key, value in node.items() if key != "$ref"}}
    return node


def _same(old: Any, new: Any, keyword: str) -> bool:
    if keyword in _ORDERLESS and isinstance(old, list) and isinstance(new, list):
        return sorted(map(repr, old)) == sorted(map(repr, new))
    return type(old) is type(new) and bool(old == new)
