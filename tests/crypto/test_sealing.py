"""Sealed values: what opens, what must not, and the one spelling of each type."""

from __future__ import annotations

import json
import struct
import traceback
from typing import Any

import pytest
import rfc8785
from hypothesis import given, settings
from hypothesis import strategies as st

from sealpipe.canonical import canonical
from sealpipe.crypto.keys import PrivateKey
from sealpipe.crypto.sealing import (
    Sealer,
    box,
    decode_plain,
    encode_plain,
    open_value,
    seal_with,
    type_of,
    unbox,
)
from sealpipe.crypto.spelling import _compact, es_number
from sealpipe.errors import TrustError, UsageError
from sealpipe.tokens import TYPES, Token, parse_token, place

KEY = PrivateKey(b"\x05" * 32)
OTHER = PrivateKey(b"\x06" * 32)
HERE = place("production", "checkout", ("db", "password"))
CANARY = "canary-4f1c9b"


def seal(value: Any, kind: str = "str", at: bytes = HERE) -> str:
    return Sealer().seal(value, kind, at, KEY.public)


def opens(text: str, at: bytes = HERE, key: PrivateKey = KEY) -> Any:
    return open_value(parse_token(text), at, key)


def forged(plain: bytes, kind: str) -> str:
    """What anybody who knows the public key can make: any bytes under any type."""
    ephemeral = PrivateKey(b"\x09" * 32)
    return str(seal_with(plain, kind, HERE, KEY.public, ephemeral=ephemeral, random=b"r" * 16))


class TestMutants:
    def test_no_single_bit_flip_opens(self) -> None:
        token = parse_token(seal(CANARY))
        raw = token.key_id + token.ephemeral + token.place_tag + token.random + token.body
        accepted = 0
        for bit in range(len(raw) * 8):
            flipped = bytearray(raw)
            flipped[bit // 8] ^= 1 << bit % 8
            cut = bytes(flipped)
            mutant = Token(token.type, cut[:8], cut[8:40], cut[40:48], cut[48:64], cut[64:])
            try:
                open_value(mutant, HERE, KEY)
            except TrustError:
                continue
            accepted += 1
        assert len(raw) * 8 == 896
        assert accepted == 0

    def test_a_bit_flip_in_the_place_tag_is_caught_by_the_cipher_too(self) -> None:
        """The tag is half a nonce: an opener that skipped the comparison would still fail."""
        token = parse_token(seal(CANARY))
        for bit in range(64):
            tag = bytearray(token.place_tag)
            tag[bit // 8] ^= 1 << bit % 8
            import nacl.exceptions
            import nacl.secret

            from sealpipe.tokens import associated_data

            aead = nacl.secret.Aead(KEY.shared_key(token.ephemeral))
            header = associated_data("str", KEY.public, token.ephemeral, HERE)
            with pytest.raises(nacl.exceptions.CryptoError):
                aead.decrypt(token.body, header, bytes(tag) + token.random)

    def test_every_character_of_the_text_counts(self) -> None:
        text = seal("x")
        for at, char in enumerate(text):
            other = "A" if char != "A" else "B"
            with pytest.raises(TrustError):
                opens(text[:at] + other + text[at + 1 :])
        for bad in (text + "\n", " " + text, text[:-1], text.replace(",", ", "), text[:-2] + "=]"):
            with pytest.raises(TrustError):
                parse_token(bad)

    @pytest.mark.parametrize("kind", [k for k in TYPES if k != "str"])
    def test_another_type_does_not_open(self, kind: str) -> None:
        with pytest.raises(TrustError):
            opens(seal("true").replace("type:str", f"type:{kind}"))

    @pytest.mark.parametrize(
        "at",
        [
            place("staging", "checkout", ("db", "password")),
            place("production", "mailer", ("db", "password")),
            place("production", "checkout", ("db", "user")),
            place("production", "checkout", ("db",)),
            place("production", "checkout", ("db", "password", "x")),
        ],
    )
    def test_another_place_does_not_open(self, at: bytes) -> None:
        with pytest.raises(TrustError, match="another place"):
            opens(seal("x"), at)
        # Nor when the tag is rewritten to fit.
        from sealpipe.tokens import place_tag

        token = parse_token(seal("x"))._replace(place_tag=place_tag(at))
        with pytest.raises(TrustError, match="altered"):
            open_value(token, at, KEY)

    def test_another_key_does_not_open(self) -> None:
        with pytest.raises(TrustError, match="another key"):
            opens(seal("x"), key=OTHER)
        token = parse_token(seal("x"))._replace(key_id=OTHER.key_id)
        with pytest.raises(TrustError, match="altered"):
            open_value(token, HERE, OTHER)

    def test_a_low_order_ephemeral_key_is_an_ordinary_refusal(self) -> None:
        for number in (0, 1, 2**255 - 20):
            token = parse_token(seal("x"))._replace(ephemeral=number.to_bytes(32, "little"))
            with pytest.raises(TrustError):
                open_value(token, HERE, KEY)


class TestSealer:
    def test_one_ephemeral_key_for_each_recipient_and_no_nonce_twice(self) -> None:
        sealer = Sealer()
        tokens = [parse_token(sealer.seal("x", "str", HERE, KEY.public)) for _ in range(50)]
        assert len({token.ephemeral for token in tokens}) == 1
        assert len({token.nonce for token in tokens}) == 50
        assert len({token.body for token in tokens}) == 50
        other = parse_token(sealer.seal("x", "str", HERE, OTHER.public))
        assert other.ephemeral != tokens[0].ephemeral
        assert parse_token(seal("x")).ephemeral != tokens[0].ephemeral

    def test_length_is_hidden_in_steps_of_32(self) -> None:
        assert len({len(seal("x" * size)) for size in range(32)}) == 1
        assert len(seal("x" * 32)) > len(seal("x" * 31))
        assert len(seal("x" * 20)) == 175


class TestSpelling:
    @pytest.mark.parametrize(
        ("kind", "plain"),
        [
            ("int", b"01"), ("int", b"+1"), ("int", b"-0"), ("int", b"1.0"), ("int", b"1_0"), ("int", b""),
            ("int", b"9007199254740992"), ("int", b" 1"), ("int", "\u0661".encode()), ("int", b"9" * 5000),
            ("float", b"1.0"), ("float", b"1e21"), ("float", b"-0"), ("float", b"NaN"),
            ("float", b"Infinity"),
            ("float", b".5"), ("float", b"0.10"), ("float", b"1e400"), ("float", b"0x1p3"),
            ("bool", b"True"), ("bool", b"1"), ("bool", b""),
            ("str", b"a\0b"), ("str", b"\xff"), ("str", b"\xed\xa0\x80"),
            ("object", b"{ }"), ("object", b"[]"), ("object", b'{"b":1,"a":2}'), ("object", b'{"a":1,"a":1}'),
            ("object", b'{"a":1.0}'), ("object", b'{"a":"\\u0061"}'), ("object", b'{"a":"\\ud800"}'),
            ("object", b'{"a":NaN}'), ("object", b""), ("array", b"[1,]"), ("array", b"{}"),
            ("array", b"[1] "),
            ("array", b"[" * 33 + b"]" * 33), ("array", b"[" * 60_000), ("str", b"x" * (64 * 1024 + 1)),
        ],
    )  # fmt: skip
    def test_hostile_plaintext_is_refused(self, kind: str, plain: bytes) -> None:
        with pytest.raises(TrustError) as error:
            decode_plain(plain, kind)
        assert error.value.word == "unreadable-secret"
        with pytest.raises(TrustError):
            opens(forged(plain, kind))

    def test_a_json_bomb_is_refused_in_time(self) -> None:
        import time

        started = time.perf_counter()
        for bomb in (b"[" * 65_000, b'{"a":' * 13_000, b"9" * 65_000):
            with pytest.raises(TrustError):
                opens(forged(bomb, "array"))
        assert time.perf_counter() - started < 2

    @pytest.mark.parametrize(
        ("value", "kind"),
        [
            (None, "str"), (1, "str"), ("1", "int"), (True, "int"), (2**53, "int"), (float("nan"), "float"),
            (float("inf"), "float"), ("a\0", "str"), ("\ud800", "str"), ([CANARY], "object"),
            ({"a": 2**60}, "object"),
            ("x", "secret"), ("x" * (64 * 1024 + 1), "str"),
            ({"a": {1, 2}}, "object"), ({"a": b"x"}, "object"),
        ],
    )  # fmt: skip
    def test_what_cannot_be_sealed_is_said_without_the_value(self, value: Any, kind: str) -> None:
        with pytest.raises(UsageError) as error:
            encode_plain(value, kind)
        text = "".join(traceback.format_exception(error.value))
        assert error.value.word == "unsealable-value"
        assert CANARY not in text
        assert error.value.__context__ is None

    def test_errors_of_opening_carry_no_value(self) -> None:
        with pytest.raises(TrustError) as error:
            opens(forged(f'{{"b":"{CANARY}","a":1}}'.encode(), "object"))
        assert CANARY not in "".join(traceback.format_exception(error.value))
        assert error.value.__context__ is None

    def test_an_empty_string_is_sealed_and_text_that_looks_sealed_is_not_opened_again(self) -> None:
        assert opens(seal("")) == ""
        inner = seal("x")
        assert opens(seal(inner)) == inner

    def test_types(self) -> None:
        for value, kind in (
            (True, "bool"),
            (1, "int"),
            (1.5, "float"),
            ("", "str"),
            (b"", "bytes"),
            ({}, "object"),
            ([], "array"),
        ):
            assert type_of(value) == kind
        assert type_of(None) is None

    @given(st.floats(allow_nan=False, allow_infinity=False))
    @settings(max_examples=300, deadline=None)
    def test_floats_as_rfc_8785(self, value: float) -> None:
        assert es_number(value).encode() == rfc8785.dumps(value)
        assert decode_plain(encode_plain(value, "float"), "float") == value

    def test_edges_of_the_exponent(self) -> None:
        for exponent in range(-330, 309):
            value = float(f"1.2345e{exponent}")
            assert es_number(value).encode() == rfc8785.dumps(value)
        for bits in (1, 2**52, 2**63 - 1 - 2**52):
            value = struct.unpack("<d", struct.pack("<Q", bits))[0]
            assert es_number(value).encode() == rfc8785.dumps(value)

    json_values = st.recursive(
        st.none()
        | st.booleans()
        | st.integers(-(2**53) + 1, 2**53 - 1)
        | st.text(st.characters(exclude_categories=["Cs"])),
        lambda inner: (
            st.lists(inner, max_size=4)
            | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), inner, max_size=4)
        ),
        max_leaves=12,
    )

    @given(json_values)
    @settings(max_examples=200, deadline=None)
    def test_the_readers_encoder_agrees_with_the_sealers(self, value: Any) -> None:
        assert _compact(json.loads(canonical(value))).encode() == canonical(value)

    @given(st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])), json_values, max_size=3))
    @settings(max_examples=60, deadline=None)
    def test_round_trip(self, value: dict[str, Any]) -> None:
        assert opens(seal(value, "object")) == value


class TestBoxes:
    def test_fits_only_its_reader_and_its_public_key(self) -> None:
        data = box(KEY, OTHER.public)
        assert len(data) == 80
        assert unbox(data, OTHER, expect_public=KEY.public).public == KEY.public
        for key, expected in ((KEY, KEY.public), (OTHER, OTHER.public)):
            with pytest.raises(TrustError) as error:
                unbox(data, key, expect_public=expected)
            assert error.value.word == "foreign-box"

    def test_no_bit_flip_opens(self) -> None:
        data = box(KEY, OTHER.public)
        for bit in range(len(data) * 8):
            mutant = bytearray(data)
            mutant[bit // 8] ^= 1 << bit % 8
            with pytest.raises(TrustError):
                unbox(bytes(mutant), OTHER, expect_public=KEY.public)
        for bad in (b"", data[:-1], data + b"\0"):
            with pytest.raises(TrustError):
                unbox(bad, OTHER, expect_public=KEY.public)

    def test_without_any_expectation_nothing_is_taken(self) -> None:
        with pytest.raises(TrustError):
            unbox(box(KEY, OTHER.public), OTHER)
        assert unbox(box(KEY, OTHER.public), OTHER, expect_id=KEY.key_id).public == KEY.public
