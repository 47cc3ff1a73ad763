"""What YAML text is refused for, in our words. The parser's own texts may quote what stands in the file."""

from __future__ import annotations

import re
from typing import Any

from sealpipe.errors import Finding, Where

DEPTH_LIMIT = 64


def place(mark: Any, file: str) -> Where:
    return Where(file, mark.line + 1, mark.column + 1)


def place_of_index(text: str, index: int, file: str) -> Where:
    """The place of a code point, counting lines as YAML does."""
    before = re.split(r"\r\n|\n|\r", text[:index])
    return Where(file, len(before), len(before[-1]) + 1)


_TOO_DEEP = f"maps and lists are nested more than {DEPTH_LIMIT} deep"
_TOO_DEEP_HINT = "use a flatter structure; a list of maps is often better a map"
_TAB = "a tab stands where YAML wants spaces"
_TAB_HINT = "use spaces"


def too_deep(where: Where) -> Finding:
    return Finding("too-deep", _TOO_DEEP, where, hint=(_TOO_DEEP_HINT,))


def forbidden(character: str, where: Where, path: str = "") -> Finding:
    code = ord(character)
    hint = "remove it; it cannot be seen and can make a line read differently from what it says"
    if character in "\u2028\u2029\x7f":
        hint = f'write it as an escape in double quotes: "\\u{code:04x}"'
    elif character == "\ufeff":
        hint = "remove it; it is a byte order mark that was pasted into the file"
    what = f"the character U+{code:04X} is not allowed"
    return Finding("forbidden-character", what, where, path, hint=(hint,))


_ALIAS_HINT = "write the value out, or move it to a lower layer; put text that begins with & or * in quotes"
_TAG_HINT = "remove the tag; put text that begins with ! in quotes"


def alias(where: Where) -> Finding:
    return Finding("alias", "anchors and aliases are not supported", where, hint=(_ALIAS_HINT,))


def tag(where: Where) -> Finding:
    return Finding("tag", "YAML tags are not supported", where, hint=(_TAG_HINT,))


def merge_key(where: Where, path: str = "") -> Finding:
    what = "merge keys (`<<`) are not supported"
    return Finding("merge-key", what, where, path, hint=("put what is shared into a lower layer",))


# A part of the parser's message: our word, what, and hint.
_SYNTAX: tuple[tuple[str, str, str, str], ...] = (
    ("tab character", "tab", _TAB, _TAB_HINT),
    ("nesting", "too-deep", _TOO_DEEP, _TOO_DEEP_HINT),
    (
        "end of stream while scanning a quoted scalar",
        "yaml-syntax",
        "this quoted text never ends",
        "add the closing quote",
    ),
    (
        "found another document",
        "many-documents",
        "a second document starts here",
        "one document a file: remove the `---`, or make a file of its own",
    ),
    ("mapping values are not allowed", "yaml-syntax", "a `:` is not expected here", "_colon"),
    ("could not find expected ':'", "yaml-syntax", "a key without `:`", "write `key: value`"),
    (
        "unknown escape character",
        "yaml-syntax",
        "this escape does not exist",
        "use single quotes, or write `\\\\` for a backslash",
    ),
    ("escape code", "yaml-syntax", "this escape is no character", "write the character itself"),
    (
        "expected hexdecimal number",
        "yaml-syntax",
        "this escape is no character",
        "write `\\\\` for a backslash",
    ),
    (
        "block sequence entries are not allowed",
        "yaml-syntax",
        "a `-` is not expected here",
        "put the list on lines of its own; put text that begins with - in quotes",
    ),
    ("expected ',' or ']'", "yaml-syntax", "this list never ends", "add `,` or the closing `]`"),
    ("expected ',' or '}'", "yaml-syntax", "this map never ends", "add `,` or the closing `}`"),
    (
        "did not find expected '-' indicator",
        "yaml-syntax",
        "this line does not fit the list above",
        "give all `-` of the list the same indentation",
    ),
    (
        "did not find expected key",
        "yaml-syntax",
        "this line does not fit the map above",
        "give all keys of the map the same indentation; put text with quotes or brackets in quotes",
    ),
    ("quoted scalar", "yaml-syntax", "this quoted text never ends", "add the closing quote"),
    (
        "node content",
        "yaml-syntax",
        "a value or key is missing here",
        "put text that begins with a bracket in quotes",
    ),
    ("end of stream", "yaml-syntax", "the file ends too early", "close the bracket or quote"),
    ("alphabetic or numeric character", "alias", "anchors and aliases are not supported", _ALIAS_HINT),
    ("undefined tag handle", "tag", "YAML tags are not supported", _TAG_HINT),
    ("while parsing a tag", "tag", "YAML tags are not supported", _TAG_HINT),
    ("while scanning a tag", "tag", "YAML tags are not supported", _TAG_HINT),
)


def syntax(error: Any, text: str, file: str) -> Finding:
    said = " ".join(str(part) for part in (error.problem, error.context) if part)
    mark = error.problem_mark or error.context_mark
    if re.search("end of stream while|expected ',' or", said) and error.context_mark:
        mark = error.context_mark
    if mark is None:
        return Finding("yaml-syntax", "this is not YAML", Where(file), hint=("check it in an editor",))
    line = line_at(text, mark.line)
    where = place(mark, file)
    content = text.rstrip()
    if mark.index >= len(content):
        where = place_of_index(text, len(content), file)
        said = said.replace("node content", "end of stream")
    if "{{" in line or "{%" in line:
        return templating(where)
    if "cannot start any token" in said:
        return _cannot_start(line, mark, where)
    for part, word, what, hint in _SYNTAX:
        if part in said:
            if hint == "_colon":
                hint = _colon_hint(line)  # noqa: PLW2901
            return Finding(word, what, where, hint=(hint,))
    return Finding("yaml-syntax", "this is not YAML", where, hint=("put the text in quotes",))


def _colon_hint(line: str) -> str:
    if line.count(": ") + line.rstrip().endswith(":") > 1:
        return "put text that holds `: ` in quotes"
    return "the line above has a value already, or the indentation is wrong"


def _cannot_start(line: str, mark: Any, where: Where) -> Finding:
    character = line[mark.column : mark.column + 1]
    if character == "\t" or "\t" in line[: mark.column + 1]:
        return tab(where)
    if character in ("@", "`", "%"):
        what = "unquoted text cannot begin with this character"
        return Finding("yaml-syntax", what, where, hint=("put the text in quotes",))
    return Finding("yaml-syntax", "this is not YAML", where, hint=("put the text in quotes",))


def templating(where: Where, path: str = "") -> Finding:
    hint = "write the value itself, or override it in a layer; put text that holds {{ in quotes"
    return Finding("templating", "templates are not supported", where, path, hint=(hint,))


def tab(where: Where) -> Finding:
    return Finding("tab", _TAB, where, hint=(_TAB_HINT,))


def show_key(key: str) -> str:
    """A key as text of one line that a terminal takes as it is."""
    return key if key.isprintable() else ascii(key)


def line_at(text: str, line: int) -> str:
    """A line of the text, counted from 0, without its end; "" where there is none."""
    lines = re.split(r"\r\n|\n|\r", text)
    return lines[line] if 0 <= line < len(lines) else ""
