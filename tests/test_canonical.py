"""JSON that two programs agree on."""

from __future__ import annotations

import base64
import hashlib
import json
import time

import pytest
import rfc8785
from hypothesis import given, settings
from hypothesis import strategies as st

from sealpipe.canonical import (
    DEPTH_LIMIT,
    INT_LIMIT,
    canonical,
    from_base64url,
    labelled,
    lp,
    plan_digest,
    strict_json,
    to_base64url,
)
from sealpipe.errors import TrustError

texts = st.text(st.characters(exclude_categories=["Cs"]))
scalars = (
    st.none()
    | st.booleans()
    | st.integers(-INT_LIMIT, INT_LIMIT)
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts
)
trees = st.recursive(
    scalars, lambda t: st.lists(t, max_size=4) | st.dictionaries(texts, t, max_size=4), max_leaves=20
)


def refused(data, **options):
    with pytest.raises(TrustError) as caught:
        strict_json(data, **options)
    assert caught.value.__context__ is None
    return caught.value


@settings(deadline=None)
@given(trees)
def test_what_is_written_is_read(tree):
    data = canonical(tree)
    read = strict_json(data)
    assert canonical(read) == data
    assert read == tree or isinstance(tree, float | list | dict)  # 1.0 is written 1


keys = texts | st.sampled_from(["a", "B", "a\x7f", '"', "\\", "\n", "\x00", "~", "é"])
plain = st.recursive(
    st.none() | st.booleans() | st.integers(-INT_LIMIT, INT_LIMIT) | texts,
    lambda t: st.lists(t, max_size=4) | st.dictionaries(keys, t, max_size=4),
    max_leaves=20,
)


@settings(deadline=None, max_examples=300)
@given(plain | trees)
def test_the_quick_way_writes_what_rfc8785_writes(tree):
    assert canonical(tree) == rfc8785.dumps(tree)


def test_the_quick_way_takes_nothing_that_rfc8785_refuses():
    holds_itself = []
    holds_itself.append(holds_itself)
    for value in (
        {1: 2},
        {None: 1},
        {True: 1},
        [INT_LIMIT + 1],
        ["\ud800"],
        {"\ud800": 1},
        [b"x"],
        holds_itself,
    ):
        with pytest.raises(ValueError, match="canonical"):
            canonical(value)


def test_canonical_form():
    assert canonical({"b": 1, "a": [1.0, "é\n", None, True], "€": 1e21}) == (
        '{"a":[1,"é\\n",null,true],"b":1,"€":1e+21}'.encode()
    )
    # RFC 8785 sorts by UTF-16 code units, not by code points.
    assert canonical({"\U00010000": 1, "\ufffd": 2}) == '{"\U00010000":1,"\ufffd":2}'.encode()


@pytest.mark.parametrize(
    "value",
    [
        float("nan"),
        float("inf"),
        INT_LIMIT + 1,
        -INT_LIMIT - 1,
        "\ud800",
        {"\ud800": 1},
        {1: 2},
        b"x",
        object(),
    ],
)
def test_what_json_cannot_carry(value):
    with pytest.raises(ValueError):
        canonical({"x": value})


def test_canonical_depth():
    deep: list = []
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(ValueError):
        canonical(deep)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b" ",
        b"{",
        b"{}{}",
        b"\xef\xbb\xbf{}",
        b"\xff",
        b'"\xed\xa0\x80"',
        b'{"a":1,"a":2}',
        b'{"a":1,"\\u0061":2}',
        b'{"x":[{"a":1,"a":1}]}',
        b"NaN",
        b"Infinity",
        b"-Infinity",
        b"1e999",
        b"-1e999",
        b"9007199254740993",
        b"-9007199254740993",
        b"1000000000000000000000",
        b"100000000000000000001",
        b"1" * 5000,
        b"01",
        b"+1",
        b".5",
        b"'a'",
        b'"\x01"',
        b'"\\ud800"',
        b'"\\uDFFF"',
        b'"\\ude00\\ud83d"',
        b'{"\\ud800":1}',
        b'[[{"a":["\\udc00"]}]]',
        b"[}",
        b"[1,]",
        b"// x\n1",
    ],
)
def test_what_is_not_strict(data):
    assert refused(data).word == "malformed-json"


def test_strict_accepts():
    assert strict_json(
        b' {"a" : [1, -0, 1.5, 9007199254740991, "\\ud83d\\ude00", "[[[[{"], "b": null}\n'
    ) == {
        "a": [1, 0, 1.5, INT_LIMIT, "\U0001f600", "[[[[{"],
        "b": None,
    }
    assert strict_json(b'"\\\\ud800"') == "\\ud800"  # an escaped backslash, no surrogate


def test_large_floats_are_read_as_they_are_written():
    for value in (2.0**53, -(2.0**53), 1e20, 1e21, 123456789012345680000.0, 1e300):
        found = strict_json(canonical(value))
        assert found == value
        assert isinstance(found, float)


def test_words_and_names_are_the_callers():
    error = refused(b"{", what="draft", word="malformed-draft")
    assert error.word == "malformed-draft"
    assert "draft" in str(error)


def test_values_are_not_shown():
    for data in (b'{"a":"marker-5521","a":1}', b'["marker-5521"', b'{"marker-5521":"\\ud800"}'):
        error = refused(data)
        assert "marker-5521" not in f"{error!r}{error}{error.__cause__!r}{error.__context__!r}"


@pytest.mark.parametrize("shape", ["[", '{"a":', '[{"a":'])
def test_depth_is_exact(shape):
    close = {"[": "]", "{": "}"}
    brackets = [c for c in shape if c in "[{"]

    def nested(levels):
        times, rest = divmod(levels, len(brackets))
        text = shape * times + ("[" if rest else "") + "1" + ("]" if rest else "")
        return (text + "".join(close[c] for c in reversed(brackets)) * times).encode()

    assert strict_json(nested(DEPTH_LIMIT))
    refused(nested(DEPTH_LIMIT + 1))
    assert strict_json(nested(4), depth=4)
    refused(nested(5), depth=4)


def _written(value: object, twice: list[int], escaped: bool) -> str:
    """JSON by hand, in which the n-th key of all is there again, for each n in `twice`."""
    if isinstance(value, list):
        return "[" + " , ".join(_written(item, twice, escaped) for item in value) + "]"
    if not isinstance(value, dict):
        return json.dumps(value, ensure_ascii=escaped)
    parts = []
    for key, child in value.items():
        part = f"{json.dumps(key, ensure_ascii=escaped)} :{_written(child, twice, escaped)}"
        twice[:] = [number - 1 for number in twice]
        parts += [part, part] if -1 in twice else [part]
    return "{" + ",".join(parts) + "}"


@given(trees, st.booleans(), st.integers(0, 12))
def test_a_key_that_comes_twice_is_refused_wherever_it_stands(
    value: object, escaped: bool, number: int
) -> None:
    once = _written(value, [], escaped).encode()
    assert strict_json(once) == json.loads(once)
    twice = _written(value, [number], escaped).encode()
    if twice != once:
        with pytest.raises(TrustError):
            strict_json(twice)


@pytest.mark.parametrize(
    "text",
    [
        '{"a":1,"a":1}',
        '{"a":"b","a":"b"}',
        '{"a":{"b":[]},"a":1}',
        '[{"c":[{"a":1,"b":{},"a":"x"}]}]',
        '{"":"","":""}',
        '{"\\u0061":1,"a":1}',
        '{"a":"\\"","a":1}',
    ],
)
def test_duplicates_with_and_without_escapes(text: str) -> None:
    with pytest.raises(TrustError):
        strict_json(text.encode())


@given(trees, st.integers(1, 6))
def test_depth_agrees_with_a_plain_count(tree, limit):
    def depth(node):
        children = node.values() if isinstance(node, dict) else node if isinstance(node, list) else None
        return 0 if children is None else 1 + max((depth(child) for child in children), default=0)

    data = json.dumps(tree).encode()
    try:
        strict_json(data, depth=limit)
        fits = True
    except TrustError:
        fits = False
    assert fits == (depth(tree) <= limit)


@pytest.mark.parametrize(
    "bomb",
    [
        b"[" * 4_000_000,
        b'{"a":' * 800_000,
        b"[]" * 2_000_000,
        b"[[]," * 1_000_000,
        b'"' * 4_000_001,
        b'"\\' * 2_000_000,
    ],
)
def test_bombs_are_refused_quickly(bomb):
    started = time.process_time()
    refused(bomb)
    assert time.process_time() - started < 5


def test_lp_and_labels():
    assert lp(b"ab") == b"\0\0\0\x02ab"
    assert labelled(8, "a", b"b") == hashlib.blake2b(b"a\nb", digest_size=8).digest()
    assert labelled(32, "x", b"")[:8] != labelled(8, "x", b"")  # the length goes into the digest


def test_plan_digest_does_not_depend_on_order():
    rows = [("production", "b", "", "22"), ("production", "a", "11", "33")]
    assert plan_digest(rows) == plan_digest(rows[::-1])
    assert plan_digest(rows) == labelled(32, "sealpipe.plan.1", canonical(sorted(map(list, rows)))).hex()
    assert plan_digest(rows) != plan_digest(rows[:1])


@given(st.binary())
def test_base64url_is_read_back(data):
    assert from_base64url(to_base64url(data)) == data


@pytest.mark.parametrize("text", ["A", "AB=", "AA==", "AB", "AAB", "A A", "AAAA\n", "+/+/", "ÄÄÄÄ", "AAAA="])
def test_base64url_has_one_spelling(text):
    with pytest.raises(ValueError):
        from_base64url(text)


@given(st.text("ABCQgw-_019xyz", max_size=9))
def test_base64url_is_read_exactly_where_it_is_written_so(text):
    try:
        found = from_base64url(text)
    except ValueError:
        padded = text + "=" * (-len(text) % 4)
        assert len(text) % 4 == 1 or to_base64url(base64.urlsafe_b64decode(padded)) != text
    else:
        assert to_base64url(found) == text
