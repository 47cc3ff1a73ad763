"""YAML text to plain data by the parser: YAML 1.2 core types, what JSON can carry, refusals with places."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator
from itertools import islice
from typing import Any

from sealpipe.documents import nodes, refusals
from sealpipe.documents.nodes import MappingNode, Node, ScalarNode, SequenceNode
from sealpipe.documents.scalars import FORBIDDEN, MAYBE_TYPED, BadScalarError, is_plain_string, plain_value
from sealpipe.errors import Finding, InputError
from sealpipe.paths import Concrete, show_path

_SCALARS = {
    "leading-zero": (
        "a number with a leading zero is octal to some programs and decimal to others",
        "put it in quotes if it is text; else drop the zero (0o10 is octal)",
    ),
    "number-too-large": (
        "the number is beyond ±(2^53-1), which many programs round",
        "put it in quotes",
    ),
    "not-a-number": ("JSON has no infinity and no NaN", "leave the key out, or put text in quotes"),
}


def parse_yaml(text: str, *, file: str) -> dict[str, Any]:
    """What `read_yaml` gives for texts that are not plain, for any text. Raises as it does."""
    root = nodes.compose(text, file=file)
    if root is None:
        return {}
    builder = _Builder(text, file)
    value = builder.build(root, 1)
    if not isinstance(root, MappingNode):
        builder.problems = [(root, _not_a_map(root, text, file))]
    if "\t" in text:
        builder.problems.extend(
            (None, finding) for finding in islice(_tabs(root, text, file), _PROBLEM_LIMIT)
        )
    if builder.problems:
        raise InputError(_with_paths(root, builder.problems))
    return value if isinstance(value, dict) else {}


_Problem = tuple[Node | None, Finding]
_PROBLEM_LIMIT = 200  # more are the same mistake again, and each has to be looked up


class _Builder:
    """Values from nodes. Keeps going after a problem, so that one run shows all of a file.

    Compares classes, not instances: this is where most of the time of a large repository goes.
    """

    def __init__(self, text: str, file: str) -> None:
        self.file = file
        self.text = text
        self.escapes = "\\" in text
        self.templates = "{{" in text
        self.problems: list[_Problem] = []

    def build(self, node: Node, depth: int) -> Any:
        if node.__class__ is ScalarNode:
            return self.scalar(node)
        if depth > refusals.DEPTH_LIMIT:
            self.add(node, refusals.too_deep(refusals.place(node.start_mark, self.file)))
            return None
        if node.__class__ is MappingNode:
            return self.mapping(node, depth)
        return [self.build(item, depth + 1) for item in node.value]

    def scalar(self, node: Any) -> Any:
        text: str = node.value
        if node.style:
            if self.escapes and (bad := FORBIDDEN.search(text)):
                self.add(node, refusals.forbidden(bad[0], refusals.place(node.start_mark, self.file)))
            return text
        if self.templates and "{{" in text:
            self.add(node, refusals.templating(refusals.place(node.start_mark, self.file)))
        if text and text[0] not in MAYBE_TYPED:
            return text
        try:
            return plain_value(text)
        except BadScalarError as error:
            word = str(error)
        what, hint = _SCALARS[word]
        self.add(node, Finding(word, what, refusals.place(node.start_mark, self.file), hint=(hint,)))
        return None

    def mapping(self, node: Any, depth: int) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = key_node.value
            if key_node.__class__ is not ScalarNode:
                self.bad_key(key_node)
                continue
            if not key_node.style and (not key or key[0] in MAYBE_TYPED or key == "<<"):
                if key == "<<":
                    self.add(key_node, refusals.merge_key(refusals.place(key_node.start_mark, self.file)))
                    continue
                if not is_plain_string(key):
                    self.bad_key(key_node)
                    continue
            elif self.escapes and FORBIDDEN.search(key):
                self.scalar(key_node)
                continue
            if key in found:
                self.duplicate(node, key_node)
                continue
            found[key] = self.build(value_node, depth + 1)
        return found

    def add(self, node: Node, finding: Finding) -> None:
        if len(self.problems) < _PROBLEM_LIMIT:
            self.problems.append((node, finding))

    def bad_key(self, node: Node) -> None:
        where = refusals.place(node.start_mark, self.file)
        at = node.start_mark.index
        if self.text[at : at + 1] == "{" and (
            self.text[at - 1 : at] == "{" or self.text[at + 1 : at + 2] == "{"
        ):
            self.add(node, refusals.templating(where))
            return
        what, hint = "keys must be text", "put the key in quotes"
        if not isinstance(node, ScalarNode):
            hint = "a map or list cannot be a key; put text that holds brackets in quotes"
        elif not node.value:
            hint = "write a key before the `:`"
        self.add(node, Finding("non-string-key", what, where, hint=(hint,)))

    def duplicate(self, node: MappingNode, key_node: ScalarNode) -> None:
        if len(self.problems) >= _PROBLEM_LIMIT:
            return
        key = key_node.value
        first = next(k for k, _ in node.value if isinstance(k, ScalarNode) and k.value == key)
        what = f"duplicate key `{refusals.show_key(key)}`; first at line {first.start_mark.line + 1}"
        where = refusals.place(key_node.start_mark, self.file)
        self.add(key_node, Finding("duplicate-key", what, where, hint=("remove one of the two",)))


def _not_a_map(root: Node, text: str, file: str) -> Finding:
    where = refusals.place(root.start_mark, file)
    hint = "the file must be made of lines `key: value`"
    if isinstance(root, SequenceNode):
        what = "the file is a list; a map of keys is expected"
    else:
        what = "the file is a single value; a map of keys is expected"
        at = root.start_mark.index
        if isinstance(root, ScalarNode) and not root.style and ":" in text[at : root.end_mark.index]:
            hint = "is a space missing after `:`?"
    return Finding("not-a-map", what, where, hint=(hint,))


def _tabs(root: Node, text: str, file: str) -> Iterator[Finding]:
    """Tabs that are neither data nor in a comment. libyaml takes some of them, other parsers none."""
    at = behind = 0
    told: set[int] = set()
    lines = [0, *(found.end() for found in re.finditer(r"\r\n|\n|\r", text))]
    spans = [(n.start_mark.index, n.end_mark.index) for n in nodes.walk(root) if isinstance(n, ScalarNode)]
    for start, end in [*spans, (len(text), len(text))]:
        while (found := text.find("\t", at, max(start, at))) >= 0:
            at = found + 1
            begin = lines[bisect_right(lines, found) - 1]
            if begin not in told and not _in_comment(text, max(begin, behind), found):
                told.add(begin)
                yield refusals.tab(refusals.place_of_index(text, found, file))
        at = behind = max(at, end)


def _in_comment(text: str, begin: int, tab: int) -> bool:
    # The gap on this line in front of the tab, after the last scalar that ends on it.
    gap = text[begin:tab]
    return gap.startswith("#") or " #" in gap or "\t#" in gap


def _with_paths(root: Node, problems: list[_Problem]) -> list[Finding]:
    paths = {id(node): path for node, path in _paths(root, ())}
    found = []
    for node, finding in problems:
        named = node is not None and finding.word not in ("too-deep", "merge-key")
        path = paths.get(id(node)) if named else None
        found.append(finding._replace(path=show_path(path)) if path else finding)
    return sorted(found, key=lambda f: (f.where.line, f.where.column) if f.where else (0, 0))


def _paths(node: Node, path: Concrete) -> Iterator[tuple[Node, Concrete]]:
    """Every node with its path; a key that is text has the path of its value, any other that of its map."""
    yield node, path
    if isinstance(node, MappingNode):
        for key, value in node.value:
            is_text = isinstance(key, ScalarNode) and not FORBIDDEN.search(key.value)
            below = (*path, key.value) if is_text else path
            yield key, below if is_text and (key.style or is_plain_string(key.value)) else path
            yield from _paths(value, below)
    elif isinstance(node, SequenceNode):
        for index, item in enumerate(node.value):
            yield from _paths(item, (*path, index))
