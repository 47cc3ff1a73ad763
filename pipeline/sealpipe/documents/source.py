"""A text that is about to be edited: its nodes, its layout, and where things begin and end in it.

Positions are code points of the text, as the parser counts them. Edits are splices; everything outside
of them stays byte for byte.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from sealpipe.documents import nodes
from sealpipe.documents.nodes import MappingNode, Node, ScalarNode, SequenceNode
from sealpipe.documents.read import read_yaml
from sealpipe.documents.write import Layout
from sealpipe.errors import InputError, RefusedError, Where
from sealpipe.frozen import NamedTuple, field, frozen

Collection = MappingNode | SequenceNode


class Splice(NamedTuple):
    """Replace the text from `start` to `end`."""

    start: int
    end: int
    text: str


class Slot(NamedTuple):
    """Where a value hangs: an entry of a map, or an element of a list."""

    parent: Collection
    at: int  # the number of the entry or element in the parent
    key: Node | None  # None in a list
    node: Node


@frozen
class Source:
    """Made by `source`."""

    text: str = field(repr=False)
    file: str
    root: Node | None = field(repr=False)
    values: Mapping[str, Any] = field(repr=False)
    newline: str
    layout: Layout

    def line_start(self, index: int) -> int:
        return max(self.text.rfind("\n", 0, index), self.text.rfind("\r", 0, index)) + 1

    def line_end(self, index: int) -> int:
        """Where the line's text ends, in front of its line break."""
        found = re.compile(r"[\r\n]").search(self.text, index)
        return found.start() if found else len(self.text)

    def next_line(self, index: int) -> int:
        """Where the next line begins, behind the line break."""
        found = re.compile(r"\r\n|\n|\r").search(self.text, index)
        return found.end() if found else len(self.text)

    def same_line(self, start: int, end: int) -> bool:
        return re.search(r"[\r\n]", self.text[start:end]) is None

    def column(self, index: int) -> int:
        return index - self.line_start(index)

    def line_number(self, index: int) -> int:
        return len(re.split(r"\r\n|\n|\r", self.text[:index]))

    def is_first_on_line(self, index: int) -> bool:
        return not self.text[self.line_start(index) : index].strip(" ")


def source(text: str, *, file: str) -> Source:
    """Raises InputError for a text that `read_yaml` refuses."""
    values = read_yaml(text, file=file)
    root = nodes.compose(text, file=file)
    found = re.search(r"\r\n|\n|\r", text)
    return Source(text, file, root, values, found[0] if found else "\n", _layout(root))


def _layout(root: Node | None) -> Layout:
    """The indentation that the file uses, from the first places that show it."""
    step = list_step = -1
    for node in nodes.walk(root) if root is not None else ():
        if isinstance(node, MappingNode) and not node.flow_style:
            for _, value in node.value:
                if isinstance(value, MappingNode | SequenceNode) and not value.flow_style:
                    distance = value.start_mark.column - node.start_mark.column
                    if isinstance(value, MappingNode) and step < 0:
                        step = distance
                    elif isinstance(value, SequenceNode) and list_step < 0:
                        list_step = distance
    step = step if step > 0 else 2
    return Layout(step, list_step if list_step >= 0 else step)


def end_of(source: Source, node: Node) -> int:
    """Where the node's own text ends, without the blank lines and comments that the parser counts in."""
    end: int = node.end_mark.index
    if isinstance(node, ScalarNode):
        if node.style in ("|", ">"):
            return node.start_mark.index + len(source.text[node.start_mark.index : end].rstrip(" \r\n"))
        return end
    if not isinstance(node, MappingNode | SequenceNode) or node.flow_style or not node.value:
        return end
    last = node.value[-1]
    return end_of(source, last[1] if isinstance(node, MappingNode) else last)


def end_with_breaks(source: Source, node: Node) -> int:
    """As `end_of`, at the end of the line; a kept block scalar (`|+`) owns the blank lines behind it."""
    last = node
    while isinstance(last, MappingNode | SequenceNode) and last.value and not last.flow_style:
        last = last.value[-1][1] if isinstance(last, MappingNode) else last.value[-1]
    if isinstance(last, ScalarNode) and last.style in ("|", ">"):
        header = source.text[last.start_mark.index : source.line_end(last.start_mark.index)]
        if "+" in header.partition("#")[0]:
            return _kept(source, last)
    return source.line_end(end_of(source, node))


def _kept(source: Source, node: Node) -> int:
    # In front of the last line break of the scalar, which ends its last blank line.
    found = re.search(r"(?:\r\n|\n|\r)\Z", source.text[node.start_mark.index : node.end_mark.index])
    return node.start_mark.index + found.start() if found else int(node.end_mark.index)


def is_empty(node: Node) -> bool:
    """A null that is written as nothing: `key:`."""
    return isinstance(node, ScalarNode) and not node.style and node.start_mark.index == node.end_mark.index


def is_null(node: Node) -> bool:
    return isinstance(node, ScalarNode) and not node.style and node.value in ("", "~", "null", "Null", "NULL")


def after_indicator(source: Source, slot: Slot) -> int:
    """The position behind the `:` of an entry or the `-` of an element. Raises RefusedError if it hides."""
    if slot.key is not None:
        found = re.compile(r"[ \t\r\n]*:").match(source.text, slot.key.end_mark.index)
        if found is None:
            raise cannot_edit(source, slot.key)
        return found.end()
    return dash_of(source, slot) + 1


def dash_of(source: Source, slot: Slot) -> int:
    """The position of an element's `-` in a block list."""
    column: int = slot.parent.start_mark.column
    at = source.line_start(slot.node.start_mark.index)
    while at >= source.line_start(slot.parent.start_mark.index):
        here = at + column
        if source.text[here : here + 1] == "-" and here <= slot.node.start_mark.index:
            return here
        at = source.line_start(max(at - 1, 0)) if at else -1
    raise cannot_edit(source, slot.node)


def cannot_edit(source: Source, node: Node | None) -> RefusedError:
    """The layout leaves no safe place for the change: a person must make it."""
    return _refused(source, node.start_mark.line + 1 if node is not None else 1)


def _refused(source: Source, line: int) -> RefusedError:
    return RefusedError(
        "cannot-edit",
        "the layout of the file does not let this change be made without reformatting it",
        where=Where(source.file, line),
        why=["nothing was written"],
        hint=[f"make it by hand: ${{EDITOR:-vi}} +{line} {source.file}"],
    )


def apply(source: Source, splices: Iterable[Splice], expected: Mapping[str, Any]) -> str:
    """The new text, once it is proven to read as `expected`. Raises RefusedError[cannot-edit] otherwise."""
    text = source.text
    ordered = sorted(splices, key=lambda s: (s.start, s.end), reverse=True)
    limit = len(text) + 1
    for splice in ordered:
        if splice.end > limit:
            raise cannot_edit(source, None)
        text = text[: splice.start] + splice.text + text[splice.end :]
        limit = splice.start
    found: Any = None
    try:
        found = read_yaml(text, file=source.file)
    except InputError:
        found = None
    if found is None or not same(found, expected):
        raise _refused(source, source.line_number(ordered[-1].start) if ordered else 1)
    return text


def same(one: Any, other: Any) -> bool:
    """Equal with equal types: 1, 1.0 and true are three values. The order of keys does not count."""
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same, one, other))
    return type(one) is type(other) and bool(one == other)
