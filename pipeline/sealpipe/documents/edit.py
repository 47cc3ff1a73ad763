"""Changes to a document's text that leave everything else byte for byte as it was.

Every new text is read again and compared with what the change should give; where the layout does not
allow that, RefusedError[cannot-edit] is raised and nothing is reformatted. All functions raise InputError
for a text that cannot be read, and UsageError for a path that does not fit the document. Nothing here
writes a file.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping
from typing import Any

from sealpipe.documents import insert
from sealpipe.documents.insert import Content
from sealpipe.documents.nodes import MappingNode, Node, ScalarNode, SequenceNode
from sealpipe.documents.source import (
    Slot,
    Source,
    Splice,
    apply,
    cannot_edit,
    dash_of,
    end_of,
    end_with_breaks,
    same,
    source,
)
from sealpipe.documents.write import key_text
from sealpipe.errors import UsageError, Where
from sealpipe.paths import Concrete, Member, Path, Segment, lookup, settle, show_path


def set_value(text: str, path: Path, value: Any, *, file: str) -> str:
    """The text with `value` at `path`; keys and list elements on the way are added where they are missing.

    A map over a map, and a list over a list, change only what differs in them. None writes `null`, which
    deletes what a lower layer sets. An element named by a `Member` that is not there is appended.
    """
    before = source(text, file=file)
    content = _content(value, path)
    found = _find(before, path)
    if found is None:
        return insert.add(before, path, content, _expect(before, path, value))
    concrete, slot = found
    old = lookup(before.values, concrete)
    if same(old, value):
        return text
    if isinstance(old, Mapping) and isinstance(value, Mapping) and value:
        for key, new in value.items():
            if key not in old or not same(old[key], new):
                text = set_value(text, (*concrete, key), new, file=file)
        for key in old:
            if key not in value:
                text = unset(text, (*concrete, key), file=file)
        return text
    if isinstance(old, list) and isinstance(value, list | tuple) and old and value:
        for index in reversed(range(len(value), len(old))):
            text = unset(text, (*concrete, index), file=file)
        for index, item in enumerate(value):
            text = set_value(text, (*concrete, index), item, file=file)
        return text
    return apply(before, insert.replace(before, slot, content), _expect(before, path, value))


def replace_values(text: str, values: Mapping[Path, str], *, file: str) -> str:
    """The text with each path's value, whatever it was, replaced by a string. All at once, read once.

    Raises UsageError[not-set] for a path that the document does not set.
    """
    before = source(text, file=file)
    expected = copy.deepcopy(dict(before.values))
    splices: list[Splice] = []
    seen: set[Concrete] = set()
    for path, value in sorted(values.items(), key=lambda item: len(item[0])):
        found = _find(before, path)
        if found is None:
            raise _not_set(before, path)
        concrete, slot = found
        if any(concrete[:depth] in seen for depth in range(len(concrete))):
            raise cannot_edit(before, slot.node)
        seen.add(concrete)
        splices += insert.replace(before, slot, _content(value, path))
        lookup(expected, concrete[:-1])[concrete[-1]] = value
    return apply(before, splices, expected)


def unset(text: str, path: Path, *, file: str) -> str:
    """The text without the entry or element at `path`, and without maps that would be left empty by it.

    Raises UsageError[not-set] when it is not there. A list keeps its key: the last element leaves `[]`.
    """
    before = source(text, file=file)
    found = _find(before, path)
    if found is None:
        raise _not_set(before, path)
    concrete, slot = found
    expected = copy.deepcopy(dict(before.values))
    while True:
        parent, key = lookup(expected, concrete[:-1]), concrete[-1]
        del parent[key]
        alone = len(slot.parent.value) == 1 and not slot.parent.flow_style
        if not alone or isinstance(slot.parent, SequenceNode) or len(concrete) == 1:
            break
        above = _slot(before, concrete[:-1])
        if above.key is None:
            # The only key of a list's element: the element stays, as an empty map.
            return apply(before, insert.replace(before, above, Content({}, "{}")), expected)
        slot, concrete = above, concrete[:-1]
    return apply(before, _removal(before, slot, concrete), expected)


def move(text: str, old: Path, new: Path, *, file: str) -> str:
    """The text with the value of `old` at `new`, spelled as it was; within one map only the key changes.

    A scalar of several lines is written on one when it moves to another map. Raises UsageError[not-set]
    or [already-set]. A sealed value is moved as it stands and is then sealed for the wrong place:
    sealing it again is the caller's.
    """
    before = source(text, file=file)
    found = _find(before, old)
    if found is None:
        raise _not_set(before, old)
    concrete, slot = found
    if _find(before, new) is not None:
        what = f"{file} already sets {show_path(new)}"
        raise UsageError("already-set", what, where=Where(file), path=show_path(new))
    target = settle(before.values, new[:-1])
    if target == concrete[:-1] and slot.key is not None and isinstance(new[-1], str):
        return _rename(before, slot, concrete, new[-1])
    if settle(before.values, new[: len(concrete)]) == concrete:
        raise UsageError(
            "bad-path", "a map cannot be moved into itself", where=Where(file), path=show_path(new)
        )
    value = lookup(before.values, concrete)
    added = insert.add(before, new, _as_written(before, slot, value), _expect(before, new, value))
    return unset(added, concrete, file=file)


def _rename(before: Source, slot: Slot, concrete: Concrete, name: str) -> str:
    expected = copy.deepcopy(dict(before.values))
    parent = lookup(expected, concrete[:-1])
    parent[name] = parent.pop(concrete[-1])
    key = slot.key
    if key is None:
        raise cannot_edit(before, slot.node)
    flow = bool(slot.parent.flow_style)
    return apply(
        before, [Splice(key.start_mark.index, key.end_mark.index, key_text(name, flow=flow))], expected
    )


def _as_written(before: Source, slot: Slot, value: Any) -> Content:
    """The value with the spelling and the comments that it has where it stands."""
    node, end = slot.node, end_of(before, slot.node)
    start = node.start_mark.index
    plain = _content(value, ())
    block = isinstance(node, MappingNode | SequenceNode) and not node.flow_style
    if not block:
        raw = before.text[start:end]
        multi_line = not before.same_line(start, end) or (
            isinstance(node, ScalarNode) and node.style in ("|", ">")
        )
        return plain if multi_line or not raw else plain._replace(raw=raw)
    if not before.is_first_on_line(start):
        return plain
    column = node.start_mark.column
    lines = re.split(r"\r\n|\n|\r", before.text[before.line_start(start) : end_with_breaks(before, node)])
    if all(not line.strip() or not line[:column].strip() for line in lines):
        return plain._replace(raw_lines=tuple(line[column:].rstrip("\r\n") for line in lines))
    return plain


# ---- finding


def _find(before: Source, path: Path) -> tuple[Concrete, Slot] | None:
    if not path:
        raise UsageError("bad-path", "the path is empty", where=Where(before.file))
    concrete = settle(before.values, path)
    return None if concrete is None else (concrete, _slot(before, concrete))


def _slot(before: Source, path: Concrete) -> Slot:
    """The slot of a path that is there."""
    node: Node | None = before.root
    slot: Slot | None = None
    for segment in path:
        if isinstance(node, MappingNode):
            index = next(i for i, (key, _) in enumerate(node.value) if key.value == segment)
            slot = Slot(node, index, *node.value[index])
        elif isinstance(node, SequenceNode) and isinstance(segment, int):
            slot = Slot(node, segment, None, node.value[segment])
        if slot is None:
            break
        node = slot.node
    if slot is None:
        raise cannot_edit(before, node)
    return slot


def _expect(before: Source, path: Path, value: Any) -> dict[str, Any]:
    """The document's values once `path` is `value`. Raises UsageError where the path does not fit them."""
    expected = copy.deepcopy(dict(before.values))
    node: Any = expected
    for depth, segment in enumerate(path):
        last = depth == len(path) - 1
        below = _plain(value) if last else _hollow(path[depth + 1])
        step = _step(before, node, segment, path[: depth + 1])
        if isinstance(node, list) and step == len(node):
            node.append(_element(before, node, segment, below, path[: depth + 1]))
        elif last or (node.get(step) if isinstance(node, dict) else node[step]) is None:
            node[step] = below
        node = node[step]
    return expected


def _element(before: Source, items: list[Any], segment: Segment, below: Any, path: Path) -> Any:
    if not isinstance(segment, Member):
        return below
    if not isinstance(below, dict):
        what = f"an element named by `{segment.field}` must be a map"
        raise UsageError("bad-value", what, where=Where(before.file), path=show_path(path))
    return {segment.field: insert.member_value(items, segment), **below}


def _step(before: Source, node: Any, segment: Segment, path: Path) -> Any:
    if isinstance(node, dict) and isinstance(segment, str):
        return segment
    if isinstance(node, list) and not isinstance(segment, str):
        found = settle(node, (segment,))
        if found is not None:
            return found[0]
        if isinstance(segment, Member) or segment == len(node):
            return len(node)
    above = show_path(path[:-1])
    what = f"`{above}` has no place for this path" if above else "the path does not fit the document"
    if isinstance(segment, int):
        hint = "an index may be at most one behind the last element"
    else:
        hint = f"unset it first: `{above}` is no map" if above else "the document is a map of keys"
    where = Where(before.file)
    raise UsageError("bad-path", what, where=where, path=show_path(path), hint=[hint])


def _hollow(segment: Segment) -> Any:
    return {} if isinstance(segment, str) else []


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value


def _content(value: Any, path: Path) -> Content:
    problem = ""
    try:
        return insert.content_of(_plain(value))
    except ValueError as error:
        problem = str(error)
    raise UsageError("bad-value", f"this value cannot be written: {problem}", path=show_path(path))


def _not_set(before: Source, path: Path) -> UsageError:
    what = f"{before.file} does not set {show_path(path)}"
    return UsageError("not-set", what, where=Where(before.file), path=show_path(path))


# ---- removing


def _removal(before: Source, slot: Slot, path: Concrete) -> list[Splice]:
    parent = slot.parent
    if parent.flow_style:
        return [_flow_removal(before, slot)]
    if len(parent.value) == 1 and isinstance(parent, SequenceNode):
        return insert.replace(before, _slot(before, path[:-1]), Content([], "[]"))
    start = slot.key.start_mark.index if slot.key is not None else dash_of(before, slot)
    end = end_with_breaks(before, slot.node)
    if before.is_first_on_line(start):
        return [Splice(before.line_start(start), before.next_line(end), "")]
    if slot.at + 1 == len(parent.value):
        raise cannot_edit(before, slot.node)
    # The first of several behind a `-`: what follows moves up to its place.
    after = slot._replace(at=slot.at + 1)
    following = _start_of(before, after)
    if "#" in before.text[end:following]:
        raise cannot_edit(before, slot.node)
    return [Splice(start, following, "")]


def _start_of(before: Source, slot: Slot) -> int:
    entry = slot.parent.value[slot.at]
    if isinstance(slot.parent, MappingNode):
        return int(entry[0].start_mark.index)
    if slot.parent.flow_style:
        return int(entry.start_mark.index)
    return dash_of(before, Slot(slot.parent, slot.at, None, entry))


def _flow_removal(before: Source, slot: Slot) -> Splice:
    start, end = _start_of(before, slot), end_of(before, slot.node)
    if slot.at + 1 < len(slot.parent.value):
        return Splice(start, _start_of(before, slot._replace(at=slot.at + 1)), "")
    if slot.at:
        entry = slot.parent.value[slot.at - 1]
        previous = entry[1] if isinstance(slot.parent, MappingNode) else entry
        return Splice(end_of(before, previous), end, "")
    return Splice(start, end, "")
