"""YAML text to plain data. The parser, which costs more, is imported for texts that are not plain."""

from __future__ import annotations

from typing import Any

from sealpipe.documents.plain import read_plain
from sealpipe.documents.text import decode


def read_yaml(text: str | bytes, *, file: str) -> dict[str, Any]:
    """The document's values, keys in the order of the file; {} for an empty file or one of comments only.

    Raises InputError with every cause found (of many, 200), each with file:line:col and a remedy; no text
    shows a value.
    Does not look at schemas, at sealed values, or at what `null` would delete.
    """
    if isinstance(text, bytes):
        text = decode(text, file=file)
    found = read_plain(text)
    if found is None:
        from sealpipe.documents.parse import parse_yaml

        found = parse_yaml(text, file=file)
    return found
