"""Where things stand in the text of a schema file, and the one edit that commands make to it."""

from __future__ import annotations

import bisect
import contextlib
import json
import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from sealpipe.errors import Finding, InputError, Where
from sealpipe.frozen import NamedTuple
from sealpipe.paths import Path, from_reference, show_path

Steps = tuple[str | int, ...]
_SPACE = re.compile(r"[ \t\n\r]*")
_SCALAR = re.compile(r"-?[0-9][0-9.eE+-]*|true|false|null")
_STRINGS = json.JSONDecoder()


class Span(NamedTuple):
    """Offsets in the text; `key` is -1 for an element of a list and the root."""

    key: int
    start: int
    end: int


@lru_cache(maxsize=8)  # asked for once a finding
def spans(text: str) -> Mapping[Steps, Span]:
    """The span of every node of a JSON text; of broken text, what ends before the break."""
    found: dict[Steps, Span] = {}
    with contextlib.suppress(ValueError, IndexError, RecursionError):
        _scan(text, _skip(text, 0), (), -1, found)
    return found


def where(text: str, file: str, steps: Sequence[str | int], *, key: bool = False) -> Where:
    """The place of a node (or of its key); of the nearest node above it where it is absent."""
    found = spans(text)
    at = tuple(steps)
    while at and at not in found:
        at = at[:-1]
    span = found.get(at)
    if span is None:
        return Where(file)
    offset = span.key if key and span.key >= 0 else span.start
    starts = [0, *(match.end() for match in re.finditer("\n", text))]
    line = bisect.bisect_right(starts, offset)
    return Where(file, line, offset - starts[line - 1] + 1)


def add_property(text: str, path: Path, schema: Mapping[str, Any], *, file: str = "") -> str:
    """The schema file's text with a property added at `path`, the rest of it byte for byte.

    Maps that are missing on the way are added closed. References within the file are followed, so the
    property lands in the definition that describes the place. Raises InputError [unknown-key] where the
    way leads through a list, a choice or a map that names its keys by pattern.
    """
    root = json.loads(text)
    at: Steps = ()
    for depth, segment in enumerate(path):
        node = _node(root, at)
        while isinstance(node, dict) and isinstance(node.get("$ref"), str) and "properties" not in node:
            at = from_reference(node["$ref"]) or ()
            node = _node(root, at)
        if not isinstance(segment, str) or not isinstance(node, dict) or not _plain_map(node):
            raise InputError([_cannot(path, depth, file)])
        if segment not in node.get("properties", {}):
            made = _nested(path[depth + 1 :], schema)
            changed = _insert(text, at, node, segment, made)
            _must_equal(changed, root, at, segment, made)
            return changed
        at = (*at, "properties", segment)
    raise InputError([_cannot(path, len(path), file)])


def _plain_map(node: Mapping[str, Any]) -> bool:
    return node.get("type", "object") == "object" and not any(
        keyword in node for keyword in ("oneOf", "anyOf", "patternProperties")
    )


def _cannot(path: Path, depth: int, file: str) -> Finding:
    shown = show_path(path[:depth]) or "the top level"
    return Finding(
        "unknown-key",
        f"`{show_path(path)}` cannot be added to the schema by a command: {shown} is not a plain map in it",
        Where(file) if file else None,
        show_path(path),
        hint=("add it to the schema file by hand",),
    )


def _nested(rest: Path, schema: Mapping[str, Any]) -> dict[str, Any]:
    made = dict(schema)
    for segment in reversed(rest):
        made = {"type": "object", "properties": {str(segment): made}, "additionalProperties": False}
    return made


def _insert(text: str, at: Steps, node: Mapping[str, Any], name: str, made: Mapping[str, Any]) -> str:
    found = spans(text)
    if isinstance(node.get("properties"), dict):
        span, entry, value = found[(*at, "properties")], name, made
    else:
        span, entry, value = found[at], "properties", {name: made}
    indent = _indent(text, span.start)
    body = json.dumps(value, indent=2, ensure_ascii=False).replace("\n", "\n" + indent + "  ")
    line = f"{json.dumps(entry, ensure_ascii=False)}: {body}"
    last = text[: span.end - 1].rstrip()
    if last.endswith("{"):
        return f"{last}\n{indent}  {line}\n{indent}{text[span.end - 1 :]}"
    one_line = "\n" not in text[span.start : span.end]
    joint = ", " if one_line and "\n" not in body else f",\n{indent}  "
    tail = text[len(last) : span.end - 1] if joint == ", " or not one_line else f"\n{indent}"
    return f"{last}{joint}{line}{tail}{text[span.end - 1 :]}"


def _indent(text: str, offset: int) -> str:
    start = text.rfind("\n", 0, offset) + 1
    return text[start : start + len(text[start:]) - len(text[start:].lstrip(" \t"))]


def _must_equal(changed: str, root: Any, at: Steps, name: str, made: Mapping[str, Any]) -> None:
    expected = json.loads(json.dumps(root))
    _node(expected, at).setdefault("properties", {})[name] = json.loads(json.dumps(made))
    if json.loads(changed) != expected:
        raise AssertionError("an edit of a schema changed something else")


def _node(root: Any, steps: Steps) -> Any:
    node = root
    for step in steps:
        if isinstance(node, list) and str(step).isdecimal() and int(step) < len(node):
            node = node[int(step)]
        elif isinstance(node, dict) and step in node:
            node = node[step]
        else:
            return None
    return node


def _skip(text: str, at: int) -> int:
    match = _SPACE.match(text, at)
    return match.end() if match else at


def _scan(text: str, at: int, steps: Steps, key: int, found: dict[Steps, Span]) -> int:
    start = at
    if text[at] == "{":
        at = _scan_map(text, at, steps, found)
    elif text[at] == "[":
        at = _scan_list(text, at, steps, found)
    elif text[at] == '"':
        at = _STRINGS.raw_decode(text, at)[1]
    else:
        match = _SCALAR.match(text, at)
        if match is None:
            raise ValueError("not JSON")
        at = match.end()
    found[steps] = Span(key, start, at)
    return at


def _scan_map(text: str, at: int, steps: Steps, found: dict[Steps, Span]) -> int:
    at = _skip(text, at + 1)
    while text[at] != "}":
        key = at
        name, at = _STRINGS.raw_decode(text, at)
        at = _skip(text, _skip(text, at) + 1)
        at = _skip(text, _scan(text, at, (*steps, name), key, found))
        if text[at] == ",":
            at = _skip(text, at + 1)
    return at + 1


def _scan_list(text: str, at: int, steps: Steps, found: dict[Steps, Span]) -> int:
    at = _skip(text, at + 1)
    index = 0
    while text[at] != "]":
        at = _skip(text, _scan(text, at, (*steps, index), -1, found))
        index += 1
        if text[at] == ",":
            at = _skip(text, at + 1)
    return at + 1
