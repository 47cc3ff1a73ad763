"""JSON bytes that two programs agree on: RFC 8785 out, strict JSON in, and the labelled digests.

`rfc8785` is imported only where something is written: a service that reads never pays for it.
"""

from __future__ import annotations

import binascii
import contextlib
import json
import re

from sealpipe.errors import TrustError

try:
    from _blake2 import blake2b as blake2b  # noqa: PLC0414  # used by others too
except ImportError:  # where hashlib has it from elsewhere; the way through it loads OpenSSL
    from hashlib import blake2b as blake2b  # noqa: PLC0414

TYPE_CHECKING = False  # as in frozen.py
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

INT_LIMIT = 2**53 - 1
DEPTH_LIMIT = 64
_MANY = 1_000_000
_BASE64URL = re.compile(r"[A-Za-z0-9_-]*")
_URL_SAFE, _STANDARD = bytes.maketrans(b"+/", b"-_"), bytes.maketrans(b"-_", b"+/")
# The closing quote is optional: a match that can fail is tried again at every quote, in quadratic time.
_STRING = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"?', re.DOTALL)
_ONE_KIND = bytes.maketrans(b"{}", b"[]")
_NO_BRACKET = bytes(set(range(256)) - set(b"[]{}"))
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")


def canonical(value: Any) -> bytes:
    """RFC 8785 (JCS) bytes. Raises ValueError for what JSON cannot carry (NaN, integers beyond 2^53)."""
    if _spelt_alike(value):
        with contextlib.suppress(ValueError, RecursionError):  # a lone surrogate: told below
            return _encode(value).encode("utf-8")
    import rfc8785

    try:
        return rfc8785.dumps(value)
    except (rfc8785.CanonicalizationError, RecursionError, UnicodeEncodeError):
        pass
    raise ValueError("not representable as canonical JSON")


# Where there are no floats and all keys are ASCII, this is RFC 8785, and many times faster.
_encode = json.JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode


_KEYS, _PLAIN = frozenset({str}), frozenset({str, bool, type(None)})


def _spelt_alike(value: Any) -> bool:
    waiting = [value]
    for node in waiting:  # grows as it goes
        kind = node.__class__
        if kind is dict:
            if not _KEYS.issuperset(map(type, node)) or not "".join(node).isascii():
                return False
            if not _PLAIN.issuperset(map(type, node.values())):
                waiting += node.values()
        elif kind is list:
            waiting += node
        elif kind is int:
            if not -INT_LIMIT <= node <= INT_LIMIT:
                return False
        elif kind is not str and kind is not bool and node is not None:
            return False
        if len(waiting) > _MANY:
            return False  # a value that holds itself has no end
    return True


def strict_json(
    data: bytes, *, what: str = "document", word: str = "malformed-json", depth: int = DEPTH_LIMIT
) -> Any:
    """Parse UTF-8 JSON. TrustError [word] for all that two parsers might read differently.

    That is: duplicate keys, NaN, integers beyond 2^53 (but for the spelling of a float), numbers that
    overflow, lone surrogates, more than `depth` levels. Does not check that the bytes are canonical: a
    signature or digest over them is the caller's.
    """
    found: Any = None
    refused = False
    try:
        _bound_depth(data, depth)
        found = _parsed(data)
    except (ValueError, RecursionError):
        refused = True
    if refused:
        raise TrustError(word, f"the {what} is not strict JSON")
    return found


def _parsed(data: bytes) -> Any:
    text = data.decode("utf-8")
    if b"\\" in data:
        found = _escaped(text)
        if _SURROGATE.search(data):
            _refuse_lone_surrogates(found)
        return found
    found = _plain(text)
    # Nothing is escaped, so each text has two quotes: a key that came twice is missing in what was parsed.
    if data.count(b'"') != 2 * _texts_in(found):
        raise ValueError("duplicate key")
    return found


def _texts_in(found: Any) -> int:
    """How many texts it has, keys among them."""
    texts, waiting = 0, [found]
    for node in waiting:  # grows as it goes
        kind = node.__class__
        if kind is str:
            texts += 1
        elif kind is dict:
            values = [*map(type, node.values())].count(str)
            texts += len(node) + values
            if values < len(node):
                waiting += [child for child in node.values() if child.__class__ is not str]
        elif kind is list:
            waiting += node
    return texts


def _bound_depth(data: bytes, limit: int) -> None:
    # A bomb must not reach the recursive parser, and no bomb has so few brackets.
    if data.count(b"[") + data.count(b"{") <= limit:
        return
    # Each pass takes away the innermost level, in C.
    brackets = _STRING.sub(b"", data).translate(_ONE_KIND, _NO_BRACKET)
    for _ in range(limit):
        if not brackets:
            return
        brackets = brackets.replace(b"[]", b"")
    if brackets:
        raise ValueError("too deep, or brackets that do not pair")


def _refuse_lone_surrogates(node: Any) -> None:
    # Only after an escape of that range was seen; Python's parser takes half a pair as a character.
    if isinstance(node, str):
        node.encode("utf-8")
    elif isinstance(node, dict):
        for key, value in node.items():
            key.encode("utf-8")
            _refuse_lone_surrogates(value)
    elif isinstance(node, list):
        for value in node:
            _refuse_lone_surrogates(value)


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("duplicate key")
    return found


def _no_constant(_: str) -> Any:
    raise ValueError("not a JSON number")


def _bounded_int(text: str) -> int | float:
    if len(text) > 22:
        raise ValueError("integer out of range")
    found = int(text)
    if abs(found) <= INT_LIMIT:
        return found
    # RFC 8785 writes a large float without point or exponent: 1e20 as 100000000000000000000.
    from decimal import Decimal

    number = float(found)
    if abs(found) >= 10**21 or Decimal(repr(number)) != found:
        raise ValueError("integer out of range")
    return number


def _finite(text: str) -> float:
    found = float(text)
    if found in (float("inf"), float("-inf")):
        raise ValueError("number out of range")
    return found


# Made once; without a hook for its objects, the parser makes no pair of each key and value.
_NUMBERS: dict[str, Any] = {
    "parse_constant": _no_constant,
    "parse_int": _bounded_int,
    "parse_float": _finite,
}
_plain = json.JSONDecoder(**_NUMBERS).decode
_escaped = json.JSONDecoder(object_pairs_hook=_no_duplicates, **_NUMBERS).decode


def lp(data: bytes) -> bytes:
    """Length-prefixed bytes: u32 big-endian length, then the bytes."""
    return len(data).to_bytes(4, "big") + data


def labelled(size: int, label: str, data: bytes) -> bytes:
    """`H<size>(label, data)` of the format: BLAKE2b of `size` bytes over label, newline, data."""
    return blake2b(label.encode("ascii") + b"\n" + data, digest_size=size).digest()


def plan_digest(rows: Sequence[tuple[str, str, str, str]]) -> str:
    """Hex digest of a plan: rows of environment, service, old and new draft digest ("" for none)."""
    ordered = sorted([list(row) for row in rows])
    return labelled(32, "sealpipe.plan.1", canonical(ordered)).hex()


def to_base64url(data: bytes) -> str:
    return binascii.b2a_base64(data, newline=False).translate(_URL_SAFE).rstrip(b"=").decode("ascii")


# The last character by the length in fours: of 2 or 3 left its unused bits are 0, and 1 left is no byte.
_LAST = (
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_",
    "",
    "AQgw",
    "AEIMQUYcgkosw048",
)


def from_base64url(text: str) -> bytes:
    """Decode the one accepted spelling. Raises ValueError for padding, foreign characters or stray bits."""
    if not _BASE64URL.fullmatch(text):
        raise ValueError("not base64url")
    if text[-1:] not in _LAST[len(text) % 4]:
        raise ValueError("not the canonical base64url spelling")
    return binascii.a2b_base64(text.encode("ascii").translate(_STANDARD) + b"=" * (-len(text) % 4))
