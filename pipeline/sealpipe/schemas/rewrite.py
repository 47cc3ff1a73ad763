"""Schemas made from a service's schema: one for files with sealed values, one for a layer alone.

The walk follows what `references.gather` made: every reference is `#/$defs/NAME`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sealpipe.schemas.references import MANY, NAMED, ONE
from sealpipe.schemas.walk import Walk, is_marked, json_type
from sealpipe.tokens import TYPES

# What a layer alone cannot be asked: it holds a part of the whole.
_WHOLE_ONLY = frozenset(
    {
        "required",
        "minProperties",
        "minItems",
        "contains",
        "minContains",
        "maxContains",
        "dependentRequired",
        "dependentSchemas",
        "not",
        "if",
        "then",
        "else",
        # Which keys count as evaluated depends on what is dropped above.
        "unevaluatedProperties",
        "unevaluatedItems",
    }
)


def sealed_schema(schema: Mapping[str, Any], walk: Walk) -> dict[str, Any]:
    """`schema` for values with tokens in place: a secret accepts a token of its types and nothing plain."""
    rewritten: dict[str, Any] = dict(schema) if walk.is_plain else _seal(schema, walk)
    return rewritten


def _seal(node: Any, walk: Walk) -> Any:
    if not isinstance(node, Mapping):
        return node
    if is_marked(node):
        secret = walk.spot([node]).secret or frozenset(TYPES)
        return _token_schema(secret)
    return {keyword: _seal_keyword(keyword, value, walk) for keyword, value in node.items()}


def _seal_keyword(keyword: str, value: Any, walk: Walk) -> Any:
    if keyword in ONE:
        return _seal(value, walk)
    if keyword in MANY and isinstance(value, list):
        inner = [_seal(item, walk) for item in value]
        if keyword == "oneOf" and any(walk.spot([item]).secret for item in value):
            # A plain text branch beside a secret one would accept the token too, and two match.
            return [
                new if walk.spot([item]).secret else {"allOf": [new], "not": _token_schema(frozenset(TYPES))}
                for item, new in zip(value, inner, strict=True)
            ]
        return inner
    if keyword in NAMED and isinstance(value, Mapping):
        return {name: _seal(item, walk) for name, item in value.items()}
    return value


def _token_schema(types: frozenset[str]) -> dict[str, Any]:
    names = "|".join(sorted(types))
    pattern = rf"^ENC\[NACL1,type:(?:{names}),data:[A-Za-z0-9_-]+\]$"
    return {"type": "string", "pattern": pattern}


def partial_schema(schema: Any) -> Any:
    """`schema` for one layer: nothing is required, one branch of a choice is enough, null means delete."""
    if not isinstance(schema, Mapping):
        return schema
    made: dict[str, Any] = {}
    for keyword, value in schema.items():
        if keyword in _WHOLE_ONLY:
            continue
        if keyword in ONE:
            made[keyword] = partial_schema(value)
        elif keyword in MANY and isinstance(value, list):
            # Two branches may fit a part that only one of them fits whole.
            name = "anyOf" if keyword == "oneOf" else keyword
            branches = [partial_schema(item) for item in value]
            if name in made:
                made.setdefault("allOf", []).append({name: branches})
            else:
                made[name] = branches
        elif keyword in NAMED and isinstance(value, Mapping):
            made[keyword] = {name: partial_schema(item) for name, item in value.items()}
        else:
            made[keyword] = value
    return _nullable(made)


def _nullable(node: dict[str, Any]) -> dict[str, Any]:
    if isinstance(node.get("type"), str):
        node["type"] = [node["type"], "null"] if node["type"] != "null" else "null"
    elif isinstance(node.get("type"), list) and "null" not in node["type"]:
        node["type"] = [*node["type"], "null"]
    if "const" in node and json_type(node["const"]) != "null":
        constant = {"enum": [node.pop("const"), None]}
        if "enum" in node:
            node.setdefault("allOf", []).append(constant)
        else:
            node.update(constant)
    elif isinstance(node.get("enum"), list) and None not in node["enum"]:
        node["enum"] = [*node["enum"], None]
    return node
