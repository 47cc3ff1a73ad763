"""The plain part of YAML that most files keep to, read by one grammar over the whole text.

Block maps of lines `key:` and `key: value`, lists of values or of such maps, `[a, b]` and `{a: b}` of
plain values; a value stands on one line, quoted without escapes or not quoted. Whatever does not fit, and
all that `read` refuses, is None here: then the parser decides, and only it makes findings.
tests/documents/test_plain.py proves that both read the same; docs/adr/ has why.
"""

from __future__ import annotations

import re
from typing import Any

from sealpipe.documents.scalars import MAYBE_TYPED, RAW_FORBIDDEN, BadScalarError, plain_value

# Of what may be too large, or too many values, the parser decides. A comma stands between two values at most.
_SIZE = 256 * 1024
_LINES = 5_000
_COMMAS = 16_000
_DEPTH = 32

# No `: `, no ` #`, no brace (a template), and in front nothing that means something to YAML.
_INNER = r"[^\x00- \x7f:{}]"
_UNQUOTED = (
    r"(?:[A-Za-z0-9_/.+~$^(;\\]|[^\x00-\x7f]|-[A-Za-z0-9_.])"
    rf"{_INNER}*+(?:(?: (?![# \n])|:(?![ \n])){_INNER}*+)*+"
)
_QUOTED = r"\"[^\"\\\x00-\x1f\x7f]*+\"|'[^'\x00-\x1f\x7f]*+'"
_ITEM = rf"(?:[A-Za-z0-9_./][A-Za-z0-9_./-]*+|{_QUOTED})"
_PAIR = (
    r"([A-Za-z_][A-Za-z0-9_-]{0,127}+): "
    rf"([A-Za-z0-9_./][A-Za-z0-9_./-]*+(?::[A-Za-z0-9_./-]++)*+|{_QUOTED})"
)
_PAIRS = _PAIR.replace("(", "(?:").replace("(?:?:", "(?:")
_FLOW = rf"\[(?:{_ITEM}(?:, ?{_ITEM})*+)?\]|\{{(?:{_PAIRS}(?:, ?{_PAIRS})*+)?\}}"
_COMMENT = r"#[^\x00-\x1f\x7f]*+"
_LINE = re.compile(
    r"( *+)(- ++)?+(?:([A-Za-z_][A-Za-z0-9_./-]{0,127}+):(?=[ \n]))?+"
    rf" *+({_QUOTED}|{_UNQUOTED}|{_FLOW})?+ *+(?:(?<= ){_COMMENT})?+\n"
    r"|[\s\S]"  # anything else: nothing of a text is passed over
)
_BLANK = re.compile(rf"^ *+(?:{_COMMENT})?+\n", re.MULTILINE)  # a line without content
_START = re.compile(r"--- *+\n")
_ITEMS = re.compile(_ITEM)
_PAIRED = re.compile(_PAIR)
_TYPED_KEYS = frozenset(["null", "Null", "NULL", "true", "True", "TRUE", "false", "False", "FALSE"])
_Line = tuple[str, str, str, str]


def read_plain(text: str) -> dict[str, Any] | None:
    """The values of a text that is in the plain part of YAML and breaks no rule; None of any other text."""
    lines = _lines(text)
    try:
        return _build(lines) if lines is not None else None
    except BadScalarError:
        return None


def plain_lines(text: str) -> tuple[dict[str, Any], list[int]] | None:
    """The maps and lists that `read_plain` makes, with the number of its line for each value, counted from 1;
    and the lines that have content. None where `read_plain` gives None, and in rare other cases.

    A key without a value in its line has none here either: a map, a list or None.
    """
    lines = _lines(text)
    numbers = [at for at, line in enumerate(text.split("\n"), 1) if line.lstrip(" ")[:1] not in ("", "#")]
    numbers = numbers[1:] if lines is not None and len(numbers) == len(lines) + 1 else numbers  # `---`
    if lines is None or len(numbers) != len(lines):
        return None
    try:
        found = _build(
            [
                (i, dash, key, value and str(at))
                for at, (i, dash, key, value) in zip(numbers, lines, strict=True)
            ]
        )
    except BadScalarError:
        return None
    return found, numbers


def split_line(line: str) -> tuple[str, str, str] | None:
    """All in front of a plain line's value, its key, all behind the value; None without key or value."""
    found = _LINE.fullmatch(line + "\n")
    if found is None or not found[3] or not found[4]:
        return None
    return line[: found.start(4)], found[3], line[found.end(4) :]


def _lines(text: str) -> list[_Line] | None:
    """Of each line with content its parts, all empty where it does not fit; None of a text that cannot."""
    if len(text) > _SIZE or text.count(",") > _COMMAS:
        return None
    if not (text.isascii() or RAW_FORBIDDEN.search(text) is None):
        return None
    if not text.endswith("\n"):
        text += "\n"
    if "#" in text or "\n\n" in text or text[0] in " \n":
        text = _BLANK.sub("", text)
    start = _START.match(text)
    lines = _LINE.findall(text, start.end() if start else 0)
    return lines if lines and len(lines) <= _LINES else None


def _build(lines: list[_Line]) -> dict[str, Any]:  # noqa: C901, PLR0912 - the hot loop
    """Maps and lists from (indentation, dash, key, value); of a line that did not fit all are empty."""
    root: dict[str, Any] = {}
    above: list[tuple[str, dict[str, Any], Any, str]] = []  # maps that are open around `here`
    here, depth, opened = root, "", ""  # `opened`: the key of the line before, when it had no value
    items: list[Any] | None = None  # the list that is open in `here`, and how far in it stands
    listed = ""
    for indent, dash, key, value in lines:
        if dash:
            if opened and len(indent) >= len(depth):
                items = here[opened] = []
                listed = indent
            else:
                while items is None or indent != listed:
                    if not above:
                        raise BadScalarError
                    depth, here, items, listed = above.pop()
            opened = ""
            if not key:
                if not value:
                    raise BadScalarError
                items.append(_value(value))
                continue
            if len(above) >= _DEPTH // 2:
                raise BadScalarError
            above.append((depth, here, items, listed))
            here = {}
            items.append(here)
            depth, items = indent + " " * len(dash), None
        elif not key:
            raise BadScalarError
        elif indent != depth:
            if len(indent) > len(depth):
                if not opened or len(above) >= _DEPTH:
                    raise BadScalarError
                above.append((depth, here, None, ""))
                here[opened] = here = {}
                depth = indent
            else:
                while depth != indent:
                    if not above:
                        raise BadScalarError
                    depth, here, items, listed = above.pop()
            items = None
        else:
            items = None
        if key in here or key in _TYPED_KEYS:
            raise BadScalarError
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
    if text[0] == "[":
        return [_value(item) for item in _ITEMS.findall(text)]
    pairs = _PAIRED.findall(text)
    found = {key: _value(value) for key, value in pairs}
    if len(found) < len(pairs) or not _TYPED_KEYS.isdisjoint(found):
        raise BadScalarError
    return found
