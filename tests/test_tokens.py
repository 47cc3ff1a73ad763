"""Text of a sealed value and its place; nothing here opens one."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from release_builder import token
from sealpipe.canonical import canonical, lp, to_base64url
from sealpipe.errors import TrustError
from sealpipe.paths import Member
from sealpipe.tokens import (
    HEADER,
    PAD,
    PLAINTEXT_LIMIT,
    TYPES,
    Token,
    associated_data,
    key_id,
    looks_sealed,
    parse_token,
    place,
    place_tag,
    sealed_paths,
)

TEXT = token(b"x", "checkout", "db", "password")


def refused(text):
    with pytest.raises(TrustError) as caught:
        parse_token(text)
    assert caught.value.word == "malformed-secret"
    assert caught.value.__context__ is None
    assert text not in f"{caught.value!r}{caught.value}" or text == ""


@given(
    st.sampled_from(TYPES),
    st.binary(min_size=8, max_size=8),
    st.binary(min_size=32, max_size=32),
    st.binary(min_size=16, max_size=16),
    st.integers(1, 6).flatmap(lambda n: st.binary(min_size=n * PAD + 16, max_size=n * PAD + 16)),
)
def test_tokens_are_read_back(kind, short, ephemeral, random, body):
    made = Token(kind, short, ephemeral, short, random, body)
    assert parse_token(str(made)) == made
    assert made.nonce == short + random
    assert looks_sealed(str(made))


def test_a_token_is_one_plain_yaml_scalar_of_a_line():
    assert TEXT.startswith("ENC[NACL1,type:str,data:")
    assert len(TEXT) == 24 + len(to_base64url(bytes(HEADER + PAD + 16))) + 1
    assert not set(TEXT) & set(" #{}\n\"'")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "ENC[",
        "plain",
        TEXT + "\n",
        " " + TEXT,
        TEXT[:-1],
        TEXT + "]",
        TEXT.replace("NACL1", "NACL2"),
        TEXT.replace("NACL1", "nacl1"),
        TEXT.replace("type:str", "type:null"),
        TEXT.replace("type:str,", "type:str, "),
        TEXT.replace("data:", "data:="),
        TEXT.lower(),
        "ENC[NACL1,type:str,data:]",
    ],
)
def test_what_is_no_token(text):
    refused(text)


@pytest.mark.parametrize("size", [0, 1, 63, 64, 80, 95, HEADER + 16 + PAD - 1, HEADER + 16 + PAD + 1])
def test_wrong_sizes(size):
    refused(f"ENC[NACL1,type:str,data:{to_base64url(bytes(size))}]")


def test_the_largest_size():
    largest = PLAINTEXT_LIMIT + PAD
    assert parse_token(f"ENC[NACL1,type:str,data:{to_base64url(bytes(HEADER + 16 + largest))}]")
    refused(f"ENC[NACL1,type:str,data:{to_base64url(bytes(HEADER + 16 + largest + PAD))}]")


def test_stray_bits_and_padding_are_refused():
    data = to_base64url(bytes(HEADER + 16 + PAD))
    assert len(data) % 4 == 2 or len(data) % 4 == 3
    refused(f"ENC[NACL1,type:str,data:{data[:-1]}B]")
    refused(f"ENC[NACL1,type:str,data:{data}=]")


@pytest.mark.parametrize("value", [None, 3, True, ["ENC["], {"ENC[": 1}, "enc[", " ENC[", "EN", ""])
def test_what_does_not_look_sealed(value):
    assert not looks_sealed(value)


def test_places_are_spelled_to_the_byte():
    spelled = lp(b"dev") + lp(b"_all") + b"\0\0\0\x02" + b"k" + lp("é".encode()) + b"m" + lp(b'["name","eu"]')
    assert place("dev", "_all", ("é", Member("name", "eu"))) == spelled


def test_places_that_a_pointer_cannot_tell_apart_differ():
    paths = [
        ("xs", "0"),
        ("xs", Member("id", 0)),
        ("xs", Member("id", "0")),
        ("xs", Member("id", 1)),
        ("xs", Member("id", "1")),
        ("xs", Member("id", True)),
        ("xs", Member("name", "1")),
        ("xs/0",),
        ("xs", "0", ""),
        ("x", "s", "0"),
        (),
        ("",),
    ]
    spelled = [place("dev", "a", path) for path in paths]
    spelled += [
        place("dev", "b", ("xs", "0")),
        place("dev2", "a", ("xs", "0")),
        place("deva", "", ("xs", "0")),
    ]
    assert len(set(spelled)) == len(spelled)
    assert len({place_tag(one) for one in spelled}) == len(spelled)


def test_an_index_is_no_place():
    with pytest.raises(ValueError):
        place("dev", "a", ("xs", 0))


keys = st.text(st.characters(exclude_categories=["Cs"]), max_size=5)
segments = keys | st.builds(Member, keys, keys | st.integers(-9, 9) | st.booleans())


def as_data(path):
    return canonical([["k", s] if isinstance(s, str) else ["m", *s] for s in path])


@given(st.lists(segments, max_size=3), st.lists(segments, max_size=3), keys, keys)
def test_no_two_paths_share_a_place(one, other, environment, document):
    same = place(environment, document, one) == place(environment, document, other)
    assert same == (as_data(one) == as_data(other))


def test_associated_data_covers_everything():
    base = ("str", bytes(32), b"\1" * 32, b"place")
    variants = [base, ("int", *base[1:]), (base[0], b"\2" * 32, *base[2:]), (*base[:2], b"\3" * 32, base[3]),
                (*base[:3], b"Place")]  # fmt: skip
    assert len({associated_data(*variant) for variant in variants}) == len(variants)
    assert associated_data(*base).startswith(b"SEALPIPE-VALUE-1\n" + bytes(32) + b"\1" * 32 + lp(b"str"))


def test_key_ids_have_8_bytes():
    assert len(key_id(bytes(32))) == 8
    assert key_id(bytes(32)) != key_id(b"\1" * 32)


def test_no_nacl_is_imported():
    code = "import sys, sealpipe.tokens; print(any(m.split('.')[0] == 'nacl' for m in sys.modules))"
    command = [sys.executable, "-c", code]
    root = Path(__file__).parent.parent / "pipeline"
    assert subprocess.run(command, capture_output=True, text=True, cwd=root, check=True).stdout == "False\n"


def test_where_sealed_values_stand() -> None:
    sealed = "ENC[NACL1,type:str,data:x]"
    values = {"a": sealed, "b": {"c": "plain", "d": [1, sealed, {"e": sealed}]}, "f": None}
    assert sealed_paths(values) == [("a",), ("b", "d", 1), ("b", "d", 2, "e")]
    assert sealed_paths("plain") == []
