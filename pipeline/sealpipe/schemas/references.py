"""Local references of a schema, and one schema made of several files without mixing their definitions."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from sealpipe.paths import from_reference

# Keywords whose value is a subschema, a list of them, or a map of them.
ONE = (
    "additionalProperties",
    "unevaluatedProperties",
    "items",
    "unevaluatedItems",
    "contains",
    "not",
    "if",
    "then",
    "else",
    "propertyNames",
    "contentSchema",
)
MANY = ("allOf", "anyOf", "oneOf", "prefixItems")
NAMED = ("properties", "patternProperties", "dependentSchemas", "$defs", "definitions")


DEPTH_LIMIT = 100  # maps and lists within each other
_KINDS = dict.fromkeys(ONE, "one") | dict.fromkeys(MANY, "many") | dict.fromkeys(NAMED, "named")
# Definitions come back by reference; the rest says nothing here, and lint refuses what is not said.
_LEFT_OUT = frozenset(
    {"$defs", "definitions", "$id", "$schema", "$comment", "$anchor", "$dynamicRef", "$dynamicAnchor"}
    | {"$recursiveRef", "$recursiveAnchor", "$vocabulary", "dependencies", "additionalItems"}
)
_PLAIN = re.compile(r"[A-Za-z0-9_.-]+")


def children(schema: Mapping[str, Any]) -> list[tuple[tuple[str | int, ...], Any]]:
    """Every direct subschema with its steps below `schema`, maps and booleans alike."""
    found: list[tuple[tuple[str | int, ...], Any]] = []
    for keyword, value in schema.items():
        kind = _KINDS.get(keyword)
        if kind == "one" and isinstance(value, dict | bool):
            found.append(((keyword,), value))
        elif kind == "many" and isinstance(value, list):
            found += [((keyword, index), item) for index, item in enumerate(value)]
        elif kind == "named" and isinstance(value, dict):
            found += [((keyword, name), item) for name, item in value.items()]
    return found


def too_deep(schema: Any) -> bool:
    """Whether a schema is nested deeper than anything that people write; recursion stays within bounds."""
    level: list[Any] = [schema]
    for _ in range(DEPTH_LIMIT):
        inner: list[Any] = []
        for node in level:
            if isinstance(node, dict):
                inner += node.values()
            elif isinstance(node, list):
                inner += node
        level = inner
    return bool(level)


def target(root: Mapping[str, Any], reference: object) -> Any:
    """The subschema that a local reference names, or None where it leads nowhere."""
    node: Any = root
    steps = from_reference(reference) if isinstance(reference, str) else None
    if steps is None:
        return None
    for step in steps:
        if isinstance(node, list) and step.isdecimal() and int(step) < len(node):
            node = node[int(step)]
        elif isinstance(node, Mapping) and step in node:
            node = node[step]
        else:
            return None
    return node if isinstance(node, dict | bool) else None


class Gathered:
    """Copies schemas of several files under one `$defs`, so that every reference is `#/$defs/NAME`.

    `bad` collects references that lead nowhere; what stands in their place accepts nothing.
    """

    def __init__(self) -> None:
        self.bad: list[str] = []
        self.defs: dict[str, Any] = {}
        self._names: dict[tuple[str, tuple[str, ...]], str] = {}
        self._waiting: list[tuple[str, Any, Mapping[str, Any], str]] = []

    def copy(self, node: Any, root: Mapping[str, Any], prefix: str) -> Any:
        """`node` of the file `root`, its references pointing into `defs`."""
        if not isinstance(node, dict):
            return node
        copied: dict[str, Any] = {}
        for keyword, value in node.items():
            if keyword == "$ref":
                from urllib.parse import quote

                copied["$ref"] = "#/$defs/" + quote(self._define(str(value), root, prefix), safe=":")
            elif keyword in _LEFT_OUT:
                continue
            elif keyword in ONE:
                copied[keyword] = self.copy(value, root, prefix)
            elif keyword in MANY and isinstance(value, list):
                copied[keyword] = [self.copy(item, root, prefix) for item in value]
            elif keyword in NAMED and isinstance(value, dict):
                copied[keyword] = {name: self.copy(item, root, prefix) for name, item in value.items()}
            else:
                copied[keyword] = value
        return copied

    def _define(self, reference: str, root: Mapping[str, Any], prefix: str) -> str:
        steps = from_reference(reference)
        name = self._names.get((prefix, steps or (reference,)))
        if name is None:
            found = target(root, reference)
            if found is None:
                self.bad.append(reference)
                found = False
            plain = (
                steps is not None and len(steps) == 2 and steps[0] == "$defs" and _PLAIN.fullmatch(steps[1])
            )
            # A colon keeps made names apart from a file's own.
            name = prefix + (steps[1] if steps and plain else f":{len(self._names)}")
            self._names[(prefix, steps or (reference,))] = name
            self._waiting.append((name, found, root, prefix))
        return name

    def finish(self) -> None:
        """Copy what was referred to, and what that refers to. One after the other: chains may be long."""
        while self._waiting:
            name, found, root, prefix = self._waiting.pop()
            self.defs[name] = self.copy(found, root, prefix)


def gather(
    own: Mapping[str, Any], layers: Sequence[tuple[str, Mapping[str, Any]]]
) -> tuple[dict[str, Any], list[str]]:
    """A service's schema with the top-level properties of its layers' schemas; its own win.

    `layers` are named, lowest first; a later one wins over an earlier one. Of a layer's schema only
    `properties`, `patternProperties` and `required` count: lint refuses the rest.
    The second result names the references that lead nowhere.
    """
    gathered = Gathered()
    merged: dict[str, Any] = gathered.copy(_unwrapped(own), own, "")
    mine = merged.get("properties", {})
    for name, layer in reversed(layers):
        plain = _unwrapped(layer)
        for keyword in ("properties", "patternProperties"):
            theirs = gathered.copy({keyword: plain.get(keyword, {})}, layer, f"{name}:")[keyword]
            if theirs:
                merged[keyword] = {**theirs, **merged.get(keyword, {})}
        needed = [key for key in plain.get("required", []) if key not in mine]
        if needed:
            merged["required"] = list(dict.fromkeys([*merged.get("required", []), *needed]))
    gathered.finish()
    if gathered.defs:
        merged["$defs"] = gathered.defs
    return merged, gathered.bad


def _unwrapped(root: Mapping[str, Any]) -> Mapping[str, Any]:
    """A root that is only a reference (recursive models are written so), replaced by what it names."""
    node: Mapping[str, Any] = root
    seen: set[str] = set()
    while isinstance(node.get("$ref"), str) and node["$ref"] not in seen:
        seen.add(node["$ref"])
        found = target(root, node["$ref"])
        if not isinstance(found, dict):
            break
        node = {**found, **{key: value for key, value in node.items() if key != "$ref"}}
    return node
