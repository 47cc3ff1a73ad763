"""YAML text to nodes with their places, or findings. The one importer of the parser.

libyaml's C parser where PyYAML has it (7 times faster), else the pure one. The node classes and their
marks (code points, counted from 0) are the same in both.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING, Any

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from sealpipe.documents.refusals import (
    DEPTH_LIMIT,
    alias,
    forbidden,
    merge_key,
    place,
    place_of_index,
    syntax,
    tag,
    too_deep,
)
from sealpipe.documents.scalars import RAW_FORBIDDEN
from sealpipe.documents.text import SIZE_LIMIT, refused
from sealpipe.errors import Finding, InputError, Where

__all__ = ["MappingNode", "Node", "ScalarNode", "SequenceNode", "compose", "walk"]

_FINDING_LIMIT = 20
_NODE_LIMIT = 50_000  # keys, values, maps and lists: more than 10,000 values ever have
_UNGUARDED = 8192  # the C parser recurses; below this size no nesting can exhaust the stack

if TYPE_CHECKING or not yaml.__with_libyaml__:
    from yaml.composer import Composer
    from yaml.parser import Parser
    from yaml.reader import Reader
    from yaml.scanner import Scanner

    class _Parser(Reader, Scanner, Parser, Composer):
        def __init__(self, text: str) -> None:
            Reader.__init__(self, text)
            Scanner.__init__(self)
            Parser.__init__(self)
            Composer.__init__(self)

else:
    from yaml.cyaml import CParser as _Parser


class _Loader(_Parser):
    """Composes nodes without resolving their types: that is `read`'s, by YAML 1.2."""

    def resolve(self, *_: Any) -> None:
        return None

    def descend_resolver(self, *_: Any) -> None:
        return None

    def ascend_resolver(self) -> None:
        return None


class _GuardedLoader(_Loader):
    """Stops at the depth limit, before the parser's own recursion reaches the end of the stack, and soon."""

    depth = nodes = 0
    last: Any = None

    def descend_resolver(self, *parent: Any) -> None:
        self.depth, self.nodes = self.depth + 1, self.nodes + 1
        if self.nodes > _NODE_LIMIT:
            raise OverflowError
        if parent and parent[0] is not None:
            self.last = parent[0]
        if self.depth > DEPTH_LIMIT + 2:
            raise RecursionError

    def ascend_resolver(self) -> None:
        self.depth -= 1


def compose(text: str, *, file: str) -> Node | None:
    """The root node, or None for a text without content.

    Raises InputError for text that is no YAML and for what we refuse of YAML's syntax: characters,
    directives, anchors, aliases, merge keys, tags, several documents, depth. Types, keys and tabs are
    checked by `read`.
    """
    if len(text) > SIZE_LIMIT // 4 and len(text.encode("utf-8", "surrogatepass")) > SIZE_LIMIT:
        raise refused("too-large", "the file is larger than 1024 KiB", Where(file), "split it into layers")
    found = [*_bad_characters(text, file), *_directives(text, file)]
    if found:
        raise InputError(found)
    problem: Finding | None = None
    node: Node | None = None
    try:
        if not {"&", "*", "!"}.isdisjoint(text):
            found = list(islice(_refused_events(text, file), _FINDING_LIMIT))
        if not found:
            node = _compose(text, file)
    except yaml.MarkedYAMLError as error:
        problem = syntax(error, text, file)
    except yaml.YAMLError:
        problem = Finding("yaml-syntax", "this is not YAML", Where(file), hint=("check it in an editor",))
    if problem is not None:
        raise InputError([*found, problem])
    if found:
        raise InputError(found)
    if isinstance(node, ScalarNode) and not node.style and not node.value:
        return None
    return node


def _compose(text: str, file: str) -> Node | None:
    if len(text) < _UNGUARDED:
        return _root(_Loader(text))
    loader = _GuardedLoader(text)
    try:
        return _root(loader)
    except RecursionError:
        finding = too_deep(place(loader.last.start_mark, file))
    except OverflowError:
        finding = Finding("too-many-values", "the file has more values than a service may have", Where(file))
    raise InputError([finding])


def _root(loader: _Loader) -> Node | None:
    try:
        return loader.get_single_node()
    finally:
        loader.dispose()


def _bad_characters(text: str, file: str) -> Iterator[Finding]:
    for match in islice(RAW_FORBIDDEN.finditer(text), _FINDING_LIMIT):
        yield forbidden(match[0], place_of_index(text, match.start(), file))


def _directives(text: str, file: str) -> Iterator[Finding]:
    if "%" not in text:
        return
    for number, line in enumerate(re.split(r"\r\n|\n|\r", text), 1):
        if re.match(r"%[A-Z]", line):
            what = "YAML directives are not supported"
            yield Finding("yaml-directive", what, Where(file, number, 1), hint=("remove the line",))
        elif line.strip() and not line.lstrip().startswith("#"):
            return


def _refused_events(text: str, file: str) -> Iterator[Finding]:
    """Anchors, aliases, merge keys and tags. Events are flat: an alias bomb costs nothing here."""
    loader = _Loader(text)
    merging = False
    try:
        while loader.check_event():
            event: Any = loader.get_event()  # type: ignore[no-untyped-call]
            kind = type(event).__name__
            if kind == "AliasEvent" and not merging:
                yield alias(place(event.start_mark, file))
            merging = kind == "ScalarEvent" and not event.style and event.value == "<<"
            if merging:
                yield merge_key(place(event.start_mark, file))
            if getattr(event, "anchor", None) is not None and kind != "AliasEvent":
                yield alias(place(event.start_mark, file))
            if getattr(event, "tag", None) is not None:
                yield tag(place(event.start_mark, file))
    finally:
        loader.dispose()


def walk(node: Node) -> Iterator[Node]:
    """The node and everything below it, in the order of the text. Recursion is bounded by the depth limit."""
    yield node
    if isinstance(node, MappingNode):
        for key, value in node.value:
            yield from walk(key)
            yield from walk(value)
    elif isinstance(node, SequenceNode):
        for item in node.value:
            yield from walk(item)
