"""Where in the text each path stands. Computed when asked, once per layer: never on the way to a release."""

from __future__ import annotations

import re

from sealpipe.documents import nodes, refusals
from sealpipe.documents.nodes import MappingNode, Node, ScalarNode, SequenceNode
from sealpipe.errors import Where
from sealpipe.paths import Concrete


class Origins:
    """Places of one document's paths; made by `origins`. Paths are concrete: keys and list indices."""

    def __init__(self, root: Node | None, text: str, file: str) -> None:
        self.file = file
        self._text = text
        self._values: dict[Concrete, Node] = {}
        self._keys: dict[Concrete, Node] = {}
        if root is not None:
            self._enter(root, ())

    def _enter(self, node: Node, path: Concrete) -> None:
        self._values[path] = node
        if isinstance(node, MappingNode):
            for key, value in node.value:
                if isinstance(key, ScalarNode):
                    below = (*path, key.value)
                    self._keys[below] = key
                    self._enter(value, below)
        elif isinstance(node, SequenceNode):
            for index, item in enumerate(node.value):
                self._enter(item, (*path, index))

    def where(self, path: Concrete) -> Where | None:
        """The place of the value, or None where the document has none."""
        return self._place(self._values.get(path))

    def key_where(self, path: Concrete) -> Where | None:
        """The place of the key; of the element in a list, of the file's content for the empty path."""
        return self._place(self._keys.get(path) or self._values.get(path))

    def key_width(self, path: Concrete) -> int:
        """How many characters the key takes in its line; 1 where there is no key."""
        node = self._keys.get(path)
        return max(1, node.end_mark.index - node.start_mark.index) if node is not None else 1

    def value_width(self, path: Concrete) -> int:
        """How many characters a scalar takes in its line; 0 where it is none or goes over several lines."""
        node = self._values.get(path)
        if not isinstance(node, ScalarNode) or node.start_mark.line != node.end_mark.line:
            return 0
        return int(node.end_mark.index - node.start_mark.index)

    def line(self, path: Concrete) -> str:
        """The line of the file where the key (or list element) stands, without its end; "" for none.

        It holds the value as written: who prints it makes sure that no path of the line is secret.
        """
        node = self._keys.get(path) or self._values.get(path)
        return refusals.line_at(self._text, node.start_mark.line) if node is not None else ""

    def line_number(self, path: Concrete) -> int:
        """Line of the value's key, counted from 1; 0 for none."""
        node = self._keys.get(path) or self._values.get(path)
        return node.start_mark.line + 1 if node is not None else 0

    def paths_on(self, line: int) -> tuple[Concrete, ...]:
        """Paths whose key or value begins on, or whose value covers, this line (counted from 1)."""
        found = dict.fromkeys(p for p, n in self._keys.items() if n.start_mark.line + 1 == line)
        for path, node in self._values.items():
            if isinstance(node, ScalarNode) and _covers(node, line):
                found[path] = None
        return tuple(found)

    def cut_short(self, path: Concrete) -> bool:
        """Whether ` #` ends an unquoted value with text right behind it, as in `pass: abc #def`."""
        node = self._values.get(path)
        if not isinstance(node, ScalarNode) or node.style:
            return False
        return re.compile(r"[ \t]+#[^\s#]").match(self._text, node.end_mark.index) is not None

    def nearest(self, path: Concrete) -> Where | None:
        """The place of the key, or of the closest one above it that exists."""
        while path:
            if found := self.key_where(path):
                return found
            path = path[:-1]
        return self.key_where(())

    def _place(self, node: Node | None) -> Where | None:
        return refusals.place(node.start_mark, self.file) if node is not None else None


def _covers(node: Node, line: int) -> bool:
    last = node.end_mark.line + (0 if node.end_mark.column == 0 and node.end_mark.line else 1)
    return bool(node.start_mark.line + 1 <= line <= max(last, node.start_mark.line + 1))


def origins(text: str, *, file: str) -> Origins:
    """Composes the text once more. Raises InputError for a text that `read_yaml` refuses for its syntax."""
    return Origins(nodes.compose(text, file=file), text, file)
