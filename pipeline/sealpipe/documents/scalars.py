"""One scalar, in both directions: YAML 1.2 core types in, a spelling that YAML 1.1 programs agree on out."""

from __future__ import annotations

import json
import math
import re
from typing import Any

from sealpipe.canonical import INT_LIMIT
from sealpipe.tokens import looks_sealed

# Direction marks can make a reviewed line read differently from what it says (CVE-2021-42574).
_BIDI = "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"
FORBIDDEN = re.compile(f"[\x00\x80-\x9f{_BIDI}\ud800-\udfff]")
"""Characters that no key and no value may have, however they are written."""
RAW_FORBIDDEN = re.compile(
    f"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029{_BIDI}\ufeff\ufffe\uffff\ud800-\udfff]"
)
"""Characters that a file may not have as they are; some may be written as an escape in double quotes."""

MAYBE_TYPED = frozenset("0123456789+-.~nNtTfF")
"""First characters of plain scalars that may be anything but a string."""

_NUMERIC = frozenset("0123456789+-.")
_WORDS: dict[str, Any] = {"": None, "~": None}
_WORDS.update(dict.fromkeys(("null", "Null", "NULL")))
_WORDS.update(dict.fromkeys(("true", "True", "TRUE"), True))
_WORDS.update(dict.fromkeys(("false", "False", "FALSE"), False))
_INT = re.compile(r"[-+]?[0-9]+")
_OCTAL_HEX = re.compile(r"0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_NO_NUMBER = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")

# What YAML 1.1 programs do not read as a string.
_OLD_TYPES = re.compile(
    r"""(?:yes|Yes|YES|no|No|NO|on|On|ON|off|Off|OFF|=|<<)
      | [-+]?0b[01_]+ | [-+]?0[0-7_]+ | [-+]?0x[0-9a-fA-F_]+ | [-+]?[0-9][0-9_]*
      | [-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9_]*)?
      | [-+]?(?:[0-9][0-9_]*)?\.[0-9_]*(?:[eE][-+]?[0-9]+)?
      | \d{4}-\d\d?-\d\d?(?:[Tt\ ].*)?""",
    re.VERBOSE,
)
_INDICATOR = frozenset("-?:,[]{}#&*!|>'\"%@`")


class BadScalarError(ValueError):
    """A plain scalar that is refused; the text is the word of its finding. Never leaves `documents`."""


def plain_value(text: str) -> Any:
    """The value of an unquoted scalar. Raises BadScalarError with the finding's word."""
    if text in _WORDS:
        return _WORDS[text]
    if text[0] not in _NUMERIC:
        return text
    if _INT.fullmatch(text):
        digits = text.lstrip("+-")
        if len(digits) > 1 and digits[0] == "0":
            raise BadScalarError("leading-zero")
        return _bounded(int(text) if len(digits) < 17 else INT_LIMIT + 1)
    if _OCTAL_HEX.fullmatch(text):
        return _bounded(int(text, 0) if len(text) < 40 else INT_LIMIT + 1)
    if _FLOAT.fullmatch(text):
        number = float(text)
        if math.isinf(number):
            raise BadScalarError("number-too-large")
        return _bounded(number)
    if _NO_NUMBER.fullmatch(text):
        raise BadScalarError("not-a-number")
    return text


def _bounded(number: float) -> float:
    # Also for floats: JSON writes 1e20 as an integer, and readers refuse or round those.
    if abs(number) > INT_LIMIT:
        raise BadScalarError("number-too-large")
    return number


def is_plain_string(text: str) -> bool:
    """Whether an unquoted `text` is a string to YAML 1.2."""
    try:
        return isinstance(plain_value(text), str)
    except BadScalarError:
        return False


def scalar_text(value: Any, *, flow: bool = False) -> str:
    """The one-line spelling of a scalar, for block style or for inside `[]` and `{}`.

    Raises ValueError for what a document cannot hold (NaN, integers beyond 2^53, NUL, direction marks)
    and for values that are no scalar; the text does not show the value.
    """
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        if not math.isfinite(value) or abs(value) > INT_LIMIT:
            raise ValueError("numbers must be finite and within ±(2^53-1)")
        return _with_point(repr(value))
    if not isinstance(value, str):
        raise ValueError("only text, numbers, true, false, null, lists and maps can be written")  # noqa: TRY004
    if FORBIDDEN.search(value):
        raise ValueError("the text holds NUL, a control character or a direction mark")
    return value if _can_be_plain(value, flow) else quoted(value)


def _with_point(number: str) -> str:
    # YAML 1.1 takes 1e-07 for text.
    return number.replace("e", ".0e") if "e" in number and "." not in number else number


def _can_be_plain(text: str, flow: bool) -> bool:
    if flow and looks_sealed(text):
        return False  # brackets
    if looks_sealed(text):
        return re.fullmatch(r"ENC\[[A-Za-z0-9_,:./+=-]*\]", text) is not None
    if not text or text[0] in _INDICATOR or text != text.strip() or not text.isprintable():
        return False
    if not is_plain_string(text) or _OLD_TYPES.fullmatch(text):
        return False
    if ": " in text or " #" in text or text.endswith(":") or "{{" in text or text.startswith(("---", "...")):
        return False
    return not (flow and re.search(r"[,\[\]{}:]", text))


def quoted(text: str) -> str:
    """The text in double quotes, on one line. JSON's escapes are YAML's."""
    body = json.dumps(text, ensure_ascii=False)
    return re.sub(r"[\x7f\u2028\u2029\ufeff\ufffe\uffff]", lambda match: f"\\u{ord(match[0]):04x}", body)
