"""The plain part of YAML that most files keep to, read by one grammar over the whole text.

Block maps of lines `key:` and `key: value`, lists of values; a value stands on one line,
quoted without escapes or not quoted. Whatever does not fit, and all that `read` refuses, is None here:
then the parser decides, and only it makes findings. tests/documents/test_plain.py proves that both read
the same; docs/adr/ has why.
"""

from __future__ import annotations

import re
from typing import Any

from sealpipe.documents.scalars import MAYBE_TYPED, RAW_FORBIDDEN, BadScalarError, plain_value

_SIZE = 128 * 1024  # in larger texts the parser counts what there is too much of
_LINES = 5_000
_DEPTH = 32

# No `: `, no ` #`, no brace (a template), and in front nothing that means something to YAML.
_INNER = r"[^\x00- \x7f:{}]"
_UNQUOTED = (
    r"(?:[A-Za-z0-9_/.+~$^(;\\]|[^\x00-\x7f]|-[A-Za-z0-9_.])"
    rf"{_INNER}*+(?:(?: (?![# \n])|:(?![ \n])){_INNER}*+)*+"
)
_QUOTED = r"\"[^\"\\\x00-\x1f\x7f]*+\"|'[^'\x00-\x1f\x7f]*+'"
_ITEM = rf"(?:[A-Za-z0-9_./][A-Za-z0-9_./-]*+|{_QUOTED})"
_FLOW = rf"\[(?:{_ITEM}(?:, ?{_ITEM})*+)?\]|\{{\}}"
_COMMENT = r"#[^\x00-\x1f\x7f]*+"
_LINE = re.compile(
    rf"( *+)(?:([A-Za-z_][A-Za-z0-9_./-]{{0,127}}+):|-(?= ))(?: ++({_QUOTED}|{_UNQUOTED}|{_FLOW}))?+"
    rf" *+(?:(?<= ){_COMMENT})?+\n"
    r"|[\s\S]"  # anything else: nothing of a text is passed over
)
_BLANK = re.compile(rf"^ *+(?:{_COMMENT})?+\n", re.MULTILINE)  # a line without content
_START = re.compile(r"--- *+\n")
_ITEMS = re.compile(_ITEM)
_TYPED_KEYS = frozenset(["null", "Null", "NULL", "true", "True", "TRUE", "false", "False", "FALSE"])


def read_plain(text: str) -> dict[str, Any] | None:
    """The values of a text that is in the plain part of YAML and breaks no rule; None of any other text."""
    if len(text) > _SIZE or not (text.isascii() or RAW_FORBIDDEN.search(text) is None):
        return None
    if not text.endswith("\n"):
        text += "\n"
    if "#" in text or "\n\n" in text or text[0] in " \n":
        text = _BLANK.sub("", text)
    start = _START.match(text)
    lines = _LINE.findall(text, start.end() if start else 0)
    if not lines or len(lines) > _LINES:
        return None
    try:
        return _build(lines)
    except BadScalarError:
        return None


def _build(lines: list[tuple[str, str, str]]) -> dict[str, Any] | None:  # noqa: C901, PLR0912 - the hot loop
    """Maps and lists from (indentation, key, value); a line without key and value is one that did not fit."""
    root: dict[str, Any] = {}
    above: list[tuple[str, dict[str, Any]]] = []  # maps that are open around `here`
    here, depth, opened = root, "", ""  # `opened`: the key of the line before, when it had no value
    items: list[Any] | None = None
    for indent, key, value in lines:
        if not key:
            if not value:
                return None
            if opened and len(indent) >= len(depth):
                items = here[opened] = []
                listed, opened = indent, ""
            elif items is None or indent != listed:
                return None
            items.append(_value(value))
            continue
        items = None
        if indent != depth:
            if len(indent) > len(depth):
                if not opened or len(above) == _DEPTH:
                    return None
                above.append((depth, here))
                here[opened] = here = {}
                depth = indent
            else:
                while depth != indent:
                    if not above:
                        return None
                    depth, here = above.pop()
        if key in here or key in _TYPED_KEYS:
            return None
        if value:
            here[key], opened = _value(value), ""
        else:
            here[key], opened = None, key
    return root


def _value(text: str) -> Any:
    first = text[0]
    if first in "\"'":
        return text[1:-1]
    if first not in MAYBE_TYPED:
        return _flow(text) if first in "[{" else text
    if first in "123456789" and len(text) < 16 and text.isascii() and text.isdigit():
        return int(text)
    return plain_value(text)


def _flow(text: str) -> Any:
    return {} if text[0] == "{" else [_value(item) for item in _ITEMS.findall(text)]
