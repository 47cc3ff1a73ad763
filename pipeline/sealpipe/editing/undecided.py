"""Unions of models in a schema whose branches nothing tells apart."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import combinations
from typing import Any

_CHOICES = ("anyOf", "oneOf")


def undecided(schema: Mapping[str, Any]) -> Iterator[str]:
    """Pointers to unions of two or more object schemas that no required constant tells apart: a value that
    fits one badly becomes another, silently, where a model ignores keys that it does not know."""
    yield from _walk(schema, schema, "")


def _walk(root: Mapping[str, Any], node: Any, pointer: str) -> Iterator[str]:
    if isinstance(node, list):
        for index, item in enumerate(node):
            yield from _walk(root, item, f"{pointer}/{index}")
    if not isinstance(node, Mapping):
        return
    for keyword in _CHOICES:
        branches = node.get(keyword)
        if isinstance(branches, list) and "discriminator" not in node:
            records = [one for one in (_resolved(root, branch) for branch in branches) if "properties" in one]
            if any(not _apart(one, other) for one, other in combinations(records, 2)):
                yield f"{pointer}/{keyword}"
    for key, item in node.items():
        yield from _walk(root, item, f"{pointer}/{str(key).replace('~', '~0').replace('/', '~1')}")


def _apart(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    both = set(one.get("required", ())) & set(other.get("required", ()))
    return any(
        (mine := _constants(one["properties"].get(name)))
        and (theirs := _constants(other["properties"].get(name)))
        and not mine & theirs
        for name in both
    )


def _constants(node: Any) -> set[str]:
    if not isinstance(node, Mapping):
        return set()
    return {repr(node["const"])} if "const" in node else {repr(value) for value in node.get("enum", ())}


def _resolved(root: Mapping[str, Any], branch: Any) -> Mapping[str, Any]:
    for _ in range(8):
        if not isinstance(branch, Mapping):
            return {}
        name = str(branch.get("$ref", ""))
        if not name.startswith("#/$defs/"):
            return branch
        branch = root.get("$defs", {}).get(name.removeprefix("#/$defs/"))
    return {}
