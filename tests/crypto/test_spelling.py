"""Limits of what is sealed and opened, to the unit, and what is said beyond them."""

from __future__ import annotations

import math
from typing import Any

import pytest
import rfc8785

from sealpipe.crypto.spelling import decode_plain, encode_plain, es_number
from sealpipe.errors import TrustError, UsageError

LIMIT = 64 * 1024


def nested(depth: int) -> list[Any]:
    found: list[Any] = []
    for _ in range(depth - 1):
        found = [found]
    return found


def refused(value: Any, kind: str) -> str:
    with pytest.raises(UsageError) as caught:
        encode_plain(value, kind)
    return caught.value.finding.what


def test_depth() -> None:
    deepest = nested(32)
    data = encode_plain(deepest, "array")
    assert decode_plain(data, "array") == deepest
    assert "nests deeper than 32" in refused(nested(33), "array")
    with pytest.raises(TrustError, match="canonical spelling"):
        decode_plain(b"[" + data + b"]", "array")


@pytest.mark.parametrize(("kind", "value"), [("str", "x" * LIMIT), ("bytes", b"x" * LIMIT)])
def test_length(kind: str, value: Any) -> None:
    assert decode_plain(encode_plain(value, kind), kind) == value
    assert "it is longer than 64 KiB (value not shown)" in refused(value + value[:1], kind)
    longer = b"x" * (LIMIT + 1)
    with pytest.raises(TrustError, match="canonical spelling"):
        decode_plain(longer, kind)


@pytest.mark.parametrize(
    ("value", "kind", "reason"),
    [
        ("x", "text", "there is no such type"),
        (1, "str", "it is int"),
        (None, "str", "it is null or no plain data"),
        (True, "int", "it is bool"),
        ("a\0b", "str", "it holds a NUL character or half of one"),
        ("\ud800", "str", "it holds a NUL character or half of one"),
        (2**53, "int", "it is beyond ±(2^53-1)"),
        (math.inf, "float", "it is not a finite number"),
        (math.nan, "float", "it is not a finite number"),
        ([math.nan], "array", "it nests deeper than 32 or holds numbers that JSON programs do not agree on"),
    ],
)
def test_what_cannot_be_sealed_is_told_by_its_reason(value: Any, kind: str, reason: str) -> None:
    assert refused(value, kind).endswith(f"cannot be sealed as {kind}: {reason} (value not shown)")


def test_a_whole_number_is_sealed_as_a_float_where_one_is_wanted() -> None:
    assert encode_plain(3, "float") == encode_plain(3.0, "float") == b"3"
    assert "it is bool" in refused(True, "float")
    assert "it is str" in refused("3", "float")


@pytest.mark.parametrize("kind", ["object", "array", "int", "bool"])
def test_what_is_no_boolean_is_not_opened_as_one(kind: str) -> None:
    for data in (b"True", b"1", b"", b"null"):
        if (kind, data) != ("int", b"1"):
            with pytest.raises(TrustError):
                decode_plain(data, kind)


@pytest.mark.parametrize("value", [True, False])
def test_a_boolean_is_opened_as_it_was_sealed(value: bool) -> None:
    assert decode_plain(encode_plain(value, "bool"), "bool") is value


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_what_is_no_number_has_no_spelling(number: float) -> None:
    with pytest.raises(ValueError, match="not a finite number"):
        es_number(number)


EDGES = [
    0.0,
    -0.0,
    1.0,
    -1.0,
    0.1,
    1e-6,
    1e-7,
    1.5e-7,
    9.999e-7,
    123456.789,
    0.5,
    5e-324,
    1.7976931348623157e308,
]
EDGES += [
    1e20,
    1e21,
    1.5e20,
    1.5e21,
    123456789012345680000.0,
    1234567890123456800000.0,
    2e22,
    1.0e23,
    12345678901234567.0,
]


@pytest.mark.parametrize("number", [*EDGES, *(-edge for edge in EDGES)])
def test_numbers_are_spelt_as_rfc_8785_has_them(number: float) -> None:
    assert es_number(number).encode() == rfc8785.dumps(number)
