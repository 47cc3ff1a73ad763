"""Paths to a setting: as people write them (`db.pool_max`), as JSON Pointers, and as typed segments.

A path is a tuple of segments: `str` a map key, `int` a list index, `Member` an element of a list that
merges by key. A *concrete* path has no `Member`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from sealpipe.frozen import NamedTuple


class Member(NamedTuple):
    """The element of a keyed list whose `field` equals `value` (a string, integer or boolean)."""

    field: str
    value: str | int | bool


Segment = str | int | Member
Path = tuple[Segment, ...]
Concrete = tuple[str | int, ...]

_PLAIN = re.compile(r"[A-Za-z0-9_-]+")
_DOTTED = re.compile(r"[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*+")
_STEP = re.compile(
    r"""(?:^|\.)(?P<key>[A-Za-z0-9_-]+)
      | \[(?P<index>0|[1-9][0-9]*)\]
      | \[(?P<field>[A-Za-z0-9_-]+)=(?P<value>[^\]]*)\]""",
    re.VERBOSE,
)


def parse_path(text: str) -> Path:
    """Read `db.pool_max`, `replicas[name=eu].port`, `xs[0]` or a JSON Pointer.

    In a pointer every segment is a string; `settle` turns digits into indices once the tree is known.
    Raises ValueError with a sentence that says what is expected.
    """
    if text.startswith("/"):
        return tuple(from_pointer(text))
    segments: list[Segment] = []
    at = 0
    while at < len(text):
        step = _STEP.match(text, at)
        if step is None or (step.start() == 0 and text[0] == "."):
            raise ValueError("expected keys joined by dots (db.pool_max) or a JSON Pointer (/db/pool_max)")
        at = step.end()
        if step["key"] is not None:
            segments.append(step["key"])
        elif step["index"] is not None:
            segments.append(int(step["index"]))
        else:
            segments.append(Member(step["field"], step["value"]))
    if not segments:
        raise ValueError("the path is empty")
    return tuple(segments)


def show_path(path: Sequence[Segment]) -> str:
    """The path as people write it; a JSON Pointer where a key has characters that dots cannot carry."""
    if (text := _joined(".", path)) is not None and _DOTTED.fullmatch(text):
        return text
    text = ""
    for segment in path:
        if isinstance(segment, Member):
            text += f"[{segment.field}={_as_written(segment.value)}]"
        elif isinstance(segment, int):
            text += f"[{segment}]"
        elif _PLAIN.fullmatch(segment):
            text += f".{segment}" if text else segment
        else:
            return to_pointer(path)
    return text


def to_pointer(path: Sequence[Segment]) -> str:
    """RFC 6901. A `Member` is written by its value: only concrete pointers can be read back."""
    text = _joined("/", path)
    if text is not None and "~" not in text:
        return f"/{text}"
    parts = (_as_written(s.value) if isinstance(s, Member) else str(s) for s in path)
    return "".join("/" + part.replace("~", "~0").replace("/", "~1") for part in parts)


def _joined(by: str, path: Sequence[Segment]) -> str | None:
    """Keys that do not have the joint in themselves, which most paths consist of; None for any other path."""
    try:
        text = by.join(path)  # type: ignore[arg-type]
    except TypeError:
        return None
    return text if path and text.count(by) == len(path) - 1 else None


def from_pointer(text: str) -> tuple[str, ...]:
    """The segments of a JSON Pointer, all as strings. Raises ValueError."""
    if text == "":
        return ()
    if not text.startswith("/") or re.search(r"~(?![01])", text):
        raise ValueError("not a JSON Pointer")
    return tuple(part.replace("~1", "/").replace("~0", "~") for part in text[1:].split("/"))


def from_reference(text: str) -> tuple[str, ...] | None:
    """The segments of a schema's local reference (`#/$defs/port`); None for other files and anchors."""
    from urllib.parse import unquote

    if not text.startswith("#") or (len(text) > 1 and text[1] != "/"):
        return None
    try:
        return from_pointer(unquote(text[1:], errors="strict"))
    except ValueError:
        return None


def settle(tree: Any, path: Sequence[Segment]) -> Concrete | None:
    """The concrete path that `path` names in `tree`, or None where nothing is there.

    Digits of a pointer become an index where the tree has a list; a `Member` becomes its index.
    """
    node = tree
    concrete: list[str | int] = []
    for segment in path:
        step: str | int | None
        if isinstance(node, Mapping):
            step = segment if isinstance(segment, str) and segment in node else None
        elif isinstance(node, list):
            step = _index(node, segment)
        else:
            step = None
        if step is None:
            return None
        concrete.append(step)
        node = node[step]
    return tuple(concrete)


def _index(items: list[Any], segment: Segment) -> int | None:
    if isinstance(segment, Member):
        named = [
            (index, item[segment.field])
            for index, item in enumerate(items)
            if isinstance(item, Mapping) and segment.field in item
        ]
        # The very value first: 1, "1" and true name three elements; typed by a person, all are text.
        for index, found in named:
            if type(found) is type(segment.value) and found == segment.value:
                return index
        for index, found in named:
            if isinstance(found, str | int) and _as_written(found) == segment.value:
                return index
        return None
    if isinstance(segment, str):
        if not re.fullmatch(r"0|[1-9][0-9]*", segment):
            return None
        segment = int(segment)
    return segment if segment < len(items) else None


def _as_written(value: str | int | bool) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def lookup(tree: Any, path: Concrete) -> Any:
    """The node at a concrete path. Raises KeyError or IndexError where there is none."""
    node = tree
    for segment in path:
        node = node[segment]
    return node


def typed(tree: Any, path: Concrete, merge_keys: Mapping[str, str]) -> Path | None:
    """The place of a value: list indices replaced by the element's merge key.

    `merge_keys` maps the JSON Pointer of a list in `tree` to its field. None when the path goes through
    a list without one, or an element without the field: nothing may be sealed there.
    """
    segments: list[Segment] = []
    node = tree
    for depth, segment in enumerate(path):
        if isinstance(segment, str):
            segments.append(segment)
        else:
            field = merge_keys.get(to_pointer(path[:depth]))
            if field is None or not isinstance(node[segment], Mapping) or field not in node[segment]:
                return None
            segments.append(Member(field, node[segment][field]))
        node = node[segment]
    return tuple(segments)
