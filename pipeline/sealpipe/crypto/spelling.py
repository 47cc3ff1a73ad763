"""The one spelling of each type inside a sealed value. Pure: names no cryptography.

What is opened may have been sealed by anybody who knows the public key: it is read as hostile.
`rfc8785` is imported only to seal; a service checks the spelling with the small encoder here.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import Any

from sealpipe.canonical import INT_LIMIT, canonical, strict_json
from sealpipe.errors import TrustError, UsageError
from sealpipe.tokens import PLAINTEXT_LIMIT, TYPES

DEPTH = 32
_INT = re.compile(r"0|-?[1-9][0-9]{0,15}")
_FLOAT = re.compile(r"-?[0-9][0-9.]{0,30}(?:e[+-][0-9]{1,3})?")


def type_of(value: Any) -> str | None:
    """The type under which a plain value is sealed; None for what cannot be (null, dates, NaN)."""
    kinds = ((bool, "bool"), (str, "str"), (int, "int"), (float, "float"), (bytes, "bytes"))
    for kind, name in kinds:
        if isinstance(value, kind):
            return name
    if isinstance(value, Mapping):
        return "object"
    return "array" if isinstance(value, list) else None


def encode_plain(value: Any, kind: str) -> bytes:
    """The bytes that are sealed. Raises UsageError [unsealable-value], which never shows the value."""
    data: bytes | None = None
    try:
        data = _encode(value, kind)
        _decode(data, kind)  # what could not be opened is not sealed
    except (ValueError, RecursionError, TrustError):
        data = None
    if data is None or len(data) > PLAINTEXT_LIMIT:
        raise UsageError(
            "unsealable-value",
            f"this value cannot be sealed as {kind}: {_reason(value, kind, data)} (value not shown)",
        )
    return data


def _reason(value: Any, kind: str, data: bytes | None) -> str:
    if data is not None:
        return f"it is longer than {PLAINTEXT_LIMIT // 1024} KiB"
    if kind not in TYPES:
        return "there is no such type"
    if type_of(value) != kind:
        return f"it is {type_of(value) or 'null or no plain data'}"
    return {
        "str": "it holds a NUL character or half of one",
        "int": "it is beyond ±(2^53-1)",
        "float": "it is not a finite number",
    }.get(kind, f"it nests deeper than {DEPTH} or holds numbers that JSON programs do not agree on")


def decode_plain(data: bytes, kind: str) -> Any:
    """The value of opened bytes. Raises TrustError [unreadable-secret] for any other spelling."""
    value: Any = None
    failed = len(data) > PLAINTEXT_LIMIT
    try:
        value = None if failed else _decode(data, kind)
    except (ValueError, RecursionError, TrustError):
        failed = True
    if failed:
        raise TrustError(
            "unreadable-secret",
            f"a sealed value opened, and holds no {kind} in its canonical spelling",
            why=["whoever sealed it did not use sealpipe; anybody with the public key can seal"],
            hint=["set the value again: sealpipe set ENV/SERVICE PATH"],
        )
    return value


def _encode(value: Any, kind: str) -> bytes:
    if kind == "float" and type(value) is int:
        value = float(value)
    if kind not in TYPES or type_of(value) != kind:
        raise ValueError("another type")
    if isinstance(value, bytes):
        return value
    if isinstance(value, str):
        return value.encode()
    if isinstance(value, bool):
        return b"true" if value else b"false"
    if isinstance(value, int):
        return str(value).encode()
    if isinstance(value, float):
        return es_number(value).encode()
    return canonical(value)


def _decode(data: bytes, kind: str) -> Any:
    if kind == "bytes":
        return data
    text = data.decode("utf-8")
    value: Any = text
    if kind == "bool":
        value = {"true": True, "false": False}.get(text)
        good = value is not None
    elif kind == "int":
        good = _INT.fullmatch(text) is not None and abs(int(text)) <= INT_LIMIT
        value = int(text) if good else None
    elif kind == "float":
        good = _FLOAT.fullmatch(text) is not None and es_number(float(text)) == text
        value = float(text) if good else None
    elif kind == "str":
        good = "\0" not in text
    else:
        value = strict_json(data, what="sealed value", depth=DEPTH)
        good = type_of(value) == kind and _compact(value).encode() == data
    if not good:
        raise ValueError("another spelling")
    return value


def es_number(value: float) -> str:
    """A finite double as RFC 8785 writes it. Raises ValueError for NaN and infinities."""
    if not math.isfinite(value):
        raise ValueError("not a finite number")
    if value == 0:
        return "0"
    sign = "-" if value < 0 else ""
    mantissa, _, exponent = repr(abs(value)).partition("e")
    whole, _, fraction = mantissa.partition(".")
    digits = (whole + fraction).lstrip("0")
    point = len(whole) + int(exponent or 0) - (len(whole + fraction) - len(digits))
    digits = digits.rstrip("0")
    count = len(digits)
    if count <= point <= 21:
        return sign + digits + "0" * (point - count)
    if 0 < point <= 21:
        return f"{sign}{digits[:point]}.{digits[point:]}"
    if -6 < point <= 0:
        return f"{sign}0.{'0' * -point}{digits}"
    power = point - 1
    rest = f".{digits[1:]}" if count > 1 else ""
    return f"{sign}{digits[0]}{rest}e{'+' if power > 0 else '-'}{abs(power)}"


def _compact(value: Any) -> str:
    if isinstance(value, dict):
        keys = sorted(value, key=lambda key: key.encode("utf-16-be"))
        return "{" + ",".join(f"{_compact(key)}:{_compact(value[key])}" for key in keys) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(_compact, value)) + "]"
    if isinstance(value, float):
        return es_number(value)
    return json.dumps(value, ensure_ascii=False)
