"""The line that each key stands in, without the parser where the text is plain. Columns are `origins`'."""

from __future__ import annotations

from bisect import bisect_left
from typing import Any

from sealpipe.documents.plain import plain_lines
from sealpipe.paths import Concrete


class KeyLines:
    """Of one document. tests/documents/test_lines.py proves that `origins` has the same lines."""

    def __init__(self, text: str) -> None:
        found = plain_lines(text)
        self._root: Any = found[0] if found is not None else None
        self._lines = found[1] if found is not None else []

    def line(self, path: Concrete) -> int:
        """The line of a key that is there, counted from 1. 0 where the text does not tell so easily."""
        node: Any = self._root
        for step in path:
            if isinstance(node, int):
                return node  # a map in braces is all on one line
            try:
                node = node[step]
            except (KeyError, IndexError, TypeError):
                return 0
        if isinstance(node, list) and path:
            first = node[0] if node else None
            first = next(iter(first.values()), None) if isinstance(first, dict) else first
            # What has no value in its own line is followed by what is in it.
            return self._lines[bisect_left(self._lines, first) - 1] if isinstance(first, int) else 0
        return node if isinstance(node, int) else 0
