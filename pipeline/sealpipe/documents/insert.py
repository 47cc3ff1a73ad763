"""Where a new value goes in a text, and how it is spelled there: in the layout of what stands around it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from sealpipe.documents.nodes import MappingNode, Node, ScalarNode, SequenceNode
from sealpipe.documents.scalars import quoted
from sealpipe.documents.source import (
    Slot,
    Source,
    Splice,
    after_indicator,
    apply,
    cannot_edit,
    dash_of,
    end_of,
    end_with_breaks,
    is_empty,
    is_null,
)
from sealpipe.documents.write import block_lines, entry_lines, fits_inline, inline, item_lines, key_text
from sealpipe.frozen import NamedTuple
from sealpipe.paths import Member, Path, Segment


class Content(NamedTuple):
    """A value to be written, and how it was written elsewhere, if it was."""

    value: Any
    raw: str = ""  # on one line, for block style
    raw_lines: tuple[str, ...] = ()  # in block style, without indentation

    def inline(self, *, flow: bool) -> str:
        return self.raw if self.raw and not flow else inline(self.value, flow=flow)

    @property
    def fits(self) -> bool:
        return not self.raw_lines and (bool(self.raw) or fits_inline(self.value))


def content_of(value: Any) -> Content:
    """Raises ValueError for what no document can hold."""
    inline(value, flow=True)
    return Content(value)


def add(before: Source, path: Path, content: Content, expected: Mapping[str, Any]) -> str:
    """The text with a value at a path that is not there yet."""
    node: Node | None = before.root
    slot: Slot | None = None
    depth = 0
    for segment in path:
        below = _below(node, segment)
        if below is None:
            break
        slot, depth = below, depth + 1
        node = below.node
    rest = path[depth:]
    if node is None:
        return apply(before, [_at_end(before, rest, content)], expected)
    if isinstance(node, ScalarNode):
        if slot is None or not is_null(node):
            raise cannot_edit(before, node)
        return apply(before, replace(before, slot, _wrapped(rest, content, before)), expected)
    first = _wrapped(rest[1:], content, before)
    if isinstance(node, MappingNode) and isinstance(rest[0], str):
        return apply(before, [_new_entry(before, node, rest[0], first)], expected)
    if isinstance(node, SequenceNode):
        return apply(
            before,
            [_new_item(before, node, _element(node, rest[0], first, expected, path[:depth]))],
            expected,
        )
    raise cannot_edit(before, node)


def _below(node: Node | None, segment: Segment) -> Slot | None:
    if isinstance(node, MappingNode):
        for index, (key, value) in enumerate(node.value):
            if isinstance(segment, str) and key.value == segment:
                return Slot(node, index, key, value)
    elif isinstance(node, SequenceNode):
        for index, item in enumerate(node.value):
            if index == segment or (isinstance(segment, Member) and _is_member(item, segment)):
                return Slot(node, index, None, item)
    return None


def _is_member(item: Node, member: Member) -> bool:
    if not isinstance(item, MappingNode):
        return False
    return any(k.value == member.field and v.value == str(member.value) for k, v in item.value)


def member_value(items: list[Any], member: Member) -> Any:
    """What a new element's field is set to: an integer where the others have integers."""
    others = [item[member.field] for item in items if isinstance(item, Mapping) and member.field in item]
    numbers = bool(others) and all(isinstance(other, int) and not isinstance(other, bool) for other in others)
    if numbers and isinstance(member.value, str) and re.fullmatch(r"-?[1-9][0-9]{0,14}|0", member.value):
        return int(member.value)
    return member.value


def _element(
    node: SequenceNode, segment: Segment, content: Content, expected: Mapping[str, Any], path: Path
) -> Content:
    if not isinstance(segment, Member):
        return content
    items: Any = expected
    for step in path:
        items = _follow(items, step)
    return Content(items[len(node.value)])


def _follow(place: Any, step: Segment) -> Any:
    if isinstance(step, Member):
        return next(item for item in place if str(item.get(step.field)) == str(step.value))
    return place[step]


def _wrapped(rest: Path, content: Content, before: Source) -> Content:
    """The content inside the maps and lists that the rest of the path names."""
    for segment in reversed(rest):
        if isinstance(segment, str):
            raw_lines: tuple[str, ...] = ()
            if content.raw:
                raw_lines = (f"{key_text(segment)}: {content.raw}",)
            elif content.raw_lines:
                indent = before.layout.below(content.value)
                raw_lines = (
                    f"{key_text(segment)}:",
                    *(indent + line if line else line for line in content.raw_lines),
                )
            content = Content({segment: content.value}, raw_lines=raw_lines)
        elif isinstance(segment, Member):
            value = content.value if isinstance(content.value, Mapping) else {}
            content = Content([{segment.field: segment.value, **value}])
        else:
            content = Content([content.value])
    return content


def _lines(before: Source, content: Content, indent: str) -> Iterator[str]:
    if content.raw_lines:
        yield from (indent + line if line else line for line in content.raw_lines)
    else:
        yield from block_lines(content.value, indent, before.layout)


def _entry(before: Source, key: str, content: Content, indent: str) -> str:
    if content.raw:
        lines = [f"{indent}{key_text(key)}: {content.raw}"]
    elif content.raw_lines:
        lines = [f"{indent}{key_text(key)}:"]
        lines += _lines(before, content, indent + before.layout.below(content.value))
    else:
        lines = list(entry_lines(key, content.value, indent, before.layout))
    return before.newline.join(lines)


def _at_end(before: Source, rest: Path, content: Content) -> Splice:
    """Into a text that has no content yet: behind its comments."""
    wrapped = _wrapped(rest, content, before)
    body = before.newline.join([*_lines(before, wrapped, ""), ""])
    gap = "" if not before.text or before.text.endswith(("\n", "\r")) else before.newline
    return Splice(len(before.text), len(before.text), gap + body)


def _new_entry(before: Source, node: MappingNode, key: str, content: Content) -> Splice:
    if node.flow_style:
        json_like = bool(node.value) and node.value[-1][0].style == '"'
        name = quoted(key) if json_like else key_text(key, flow=True)
        return _in_flow(before, node, f"{name}: {content.inline(flow=True)}")
    indent = " " * node.start_mark.column
    return _behind(before, node, _entry(before, key, content, indent))


def _new_item(before: Source, node: SequenceNode, content: Content) -> Splice:
    if node.flow_style:
        return _in_flow(before, node, content.inline(flow=True))
    indent = " " * node.start_mark.column
    lines = [f"{indent}- {content.raw}"] if content.raw else item_lines(content.value, indent, before.layout)
    return _behind(before, node, before.newline.join(lines))


def _behind(before: Source, node: Node, text: str) -> Splice:
    at = end_with_breaks(before, node)
    return Splice(at, at, before.newline + text)


def _in_flow(before: Source, node: MappingNode | SequenceNode, text: str) -> Splice:
    if not node.value:
        at = node.start_mark.index + 1
        return Splice(at, at, text)
    last = node.value[-1]
    at = end_of(before, last[1] if isinstance(node, MappingNode) else last)
    return Splice(at, at, f", {text}")


def replace(before: Source, slot: Slot, content: Content) -> list[Splice]:
    """The splices that put the content in place of a slot's value."""
    if slot.parent.flow_style:
        return [_in_place_flow(before, slot, content)]
    if content.fits and not _keeps_block(slot.node, content):
        return _in_place_inline(before, slot, content)
    return _in_place_block(before, slot, content)


def _in_place_flow(before: Source, slot: Slot, content: Content) -> Splice:
    if not is_empty(slot.node):
        return Splice(slot.node.start_mark.index, end_of(before, slot.node), content.inline(flow=True))
    if slot.key is None:
        raise cannot_edit(before, slot.node)
    found = re.compile(r"[ \t]*:").match(before.text, slot.key.end_mark.index)
    at = found.end() if found else slot.key.end_mark.index
    return Splice(at, at, f"{'' if found else ':'} {content.inline(flow=True)}")


def _in_place_inline(before: Source, slot: Slot, content: Content) -> list[Splice]:
    start, end, mark = slot.node.start_mark.index, end_of(before, slot.node), after_indicator(before, slot)
    spelled = content.inline(flow=False)
    if is_empty(slot.node):
        return [Splice(mark, mark, f" {spelled}")]
    if before.same_line(mark, start):
        return [Splice(start, end, spelled + _header_comment(before, slot.node))]
    return [Splice(mark, mark, f" {spelled}"), Splice(before.line_start(start), before.next_line(end), "")]


def _in_place_block(before: Source, slot: Slot, content: Content) -> list[Splice]:
    node, mark = slot.node, after_indicator(before, slot)
    start, end = node.start_mark.index, end_of(before, node)
    beside = before.same_line(mark, start)
    if slot.key is None:
        return [_block_item(before, slot, content, mark)]
    indent = " " * slot.parent.start_mark.column + before.layout.below(content.value)
    if beside:
        body = before.newline + before.newline.join(_lines(before, content, indent))
        at = before.line_end(end)
        return [Splice(mark, end, ""), Splice(at, at, body)]
    same_kind = isinstance(node, MappingNode if isinstance(content.value, Mapping) else SequenceNode)
    if same_kind:
        indent = " " * node.start_mark.column
    body = before.newline.join(_lines(before, content, indent))
    return [Splice(before.line_start(start), before.line_end(end), body)]


def _keeps_block(node: Node, content: Content) -> bool:
    """A list in block style stays one, unless it becomes empty."""
    block = isinstance(node, SequenceNode) and not node.flow_style
    return block and isinstance(content.value, list) and bool(content.value)


def _block_item(before: Source, slot: Slot, content: Content, mark: int) -> Splice:
    indent = " " * (before.column(dash_of(before, slot)) + 2)
    body = before.newline.join(_lines(before, content, indent)).lstrip(" ")
    end = end_of(before, slot.node)
    if is_empty(slot.node):
        return Splice(mark, mark, f" {body}")
    if not before.same_line(mark, slot.node.start_mark.index):
        raise cannot_edit(before, slot.node)
    return Splice(slot.node.start_mark.index, end, body)


def _header_comment(before: Source, node: Node) -> str:
    """The comment behind `|` or `>`, which stands inside the scalar's span."""
    if isinstance(node, ScalarNode) and node.style in ("|", ">"):
        line = before.text[node.start_mark.index : before.line_end(node.start_mark.index)]
        found = re.search(r"[ \t]+#.*$", line)
        return found[0] if found else ""
    return ""
