"""Schemas that are right at a glance: keywords that everybody uses, each with what it may have.

Most schemas are such. To look at one, a small command then needs neither the meta-schema nor the
validator, whose import costs more than all its work. Only ever says yes: of any other schema the engine
decides. tests/schemas/test_ordinary.py holds it against the engine.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

_TYPES = frozenset(["string", "integer", "number", "boolean", "object", "array", "null"])
_DRAFT = "https://json-schema.org/draft/2020-12/schema"
_FORMATS = frozenset(["hostname", "uri", "email", "date", "date-time", "ipv4", "ipv6", "uuid", "password"])
_DEPTH = 16


def ordinary(schema: object, depth: int = 0) -> bool:
    """Whether it is surely JSON Schema 2020-12 that the engine can compile."""
    if not isinstance(schema, dict) or depth > _DEPTH:
        return _flag(schema) and depth > 0
    return all(_ordinary(keyword, value, depth + 1) for keyword, value in schema.items())


def _ordinary(keyword: str, value: Any, depth: int) -> bool:
    if keyword == "properties":
        if not (isinstance(value, dict) and all(map(_text, value))):
            return False
        return all(ordinary(inner, depth) for inner in value.values())
    if keyword in ("additionalProperties", "items"):
        return ordinary(value, depth)
    return keyword in _FITS and _FITS[keyword](value)


def _text(value: object) -> bool:
    if not isinstance(value, str):
        return False
    return value.isascii() or not any("\ud800" <= letter <= "\udfff" for letter in value)


def _flag(value: object) -> bool:
    return value is True or value is False


def _number(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**53


def _count(value: object) -> bool:
    return _number(value) and value >= 0  # type: ignore[operator]


def _names(value: Any) -> bool:
    return isinstance(value, list) and all(map(_text, value)) and len(set(value)) == len(value)


def _type(value: Any) -> bool:
    return _text(value) and value in _TYPES


_FITS: Mapping[str, Callable[[Any], bool]] = {
    "$schema": lambda value: value == _DRAFT,
    "title": _text,
    "description": _text,
    "type": _type,
    "required": _names,
    "enum": lambda value: bool(value) and _names(value),
    "default": lambda value: value is None or _flag(value) or _number(value) or _text(value),
    "minimum": _number,
    "maximum": _number,
    "exclusiveMinimum": _number,
    "exclusiveMaximum": _number,
    "uniqueItems": _flag,
    "format": lambda value: _text(value) and value in _FORMATS,
    "minLength": _count,
    "maxLength": _count,
    "minItems": _count,
    "maxItems": _count,
    "writeOnly": _flag,
    "x-locked": _flag,
    "x-restart": _flag,
    "x-environment": _flag,
    "x-merge-key": _text,
}
