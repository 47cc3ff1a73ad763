"""Key objects: kinds that are refused, points that are refused, and nothing that prints."""

from __future__ import annotations

import copy
import pickle
import traceback

import pytest

from sealpipe.crypto import bech32
from sealpipe.crypto.keys import (
    Identity,
    PrivateKey,
    SigningKey,
    format_recipient,
    generate_identity,
    generate_private_key,
    generate_signing_key,
    parse_identity,
    parse_private_key,
    parse_recipient,
    parse_signing_key,
)
from sealpipe.crypto.points import check_point
from sealpipe.crypto.sealing import box
from sealpipe.errors import TrustError

SECRET = bytes(range(32))
OBJECTS = [PrivateKey(SECRET), SigningKey(SECRET), Identity(SECRET)]
P = 2**255 - 19
LOW_ORDER = [
    0,
    1,
    P - 1,
    325606250916557431795983626356110631294008115727848805560023387167927233504,
    39382357235489614581723060781553021112529911719440698176882885853963445705823,
]


def forms(key: object) -> str:
    return "".join([str(key), repr(key), f"{key}", f"{key:>200}", f"{key!r}", "%s" % key, "{}".format(key)])  # noqa: UP031, UP032


@pytest.mark.parametrize("key", OBJECTS, ids=lambda key: type(key).__name__)
class TestNothingPrints:
    def test_no_form_of_it_holds_the_secret(self, key: object) -> None:
        shown = forms(key)
        identity = Identity(SECRET)
        for hidden in (
            SECRET,
            identity.sign.secret(),
        ):
            for spelled in (hidden.hex(), repr(hidden), bech32.encode("age-secret-key-", hidden)):
                assert spelled not in shown
                assert spelled.upper() not in shown

    def test_is_not_pickled_or_copied(self, key: object) -> None:
        for way in (pickle.dumps, copy.copy, copy.deepcopy):
            with pytest.raises(TypeError):
                way(key)

    def test_has_no_dict_to_dump(self, key: object) -> None:
        assert not hasattr(key, "__dict__")
        with pytest.raises(TypeError):
            vars(key)

    def test_an_exception_with_it_shows_the_public_half(self, key: object) -> None:
        try:
            raise ValueError(key)  # noqa: TRY301
        except ValueError as error:
            text = "".join(traceback.format_exception(error))
        assert SECRET.hex() not in text
        assert repr(SECRET)[2:-1] not in text


class TestKinds:
    @pytest.mark.parametrize(
        "text",
        [
            "age1pq1" + "q" * 60,
            "AGE-SECRET-KEY-PQ-1" + "Q" * 50,
            "age1yubikey1qgqf9s3pdtu2t9fwc6z2s2ftxlgu5kwz3wvhfjd2s0n9y7g8qk5rwzqz3qp",
            "age1se1qgg72x2qfk9wg3wh0qg9u0v7l5dkq4jx69fv80p6wdus3ftg6flwg5dz2dp",
            "AGE-PLUGIN-YUBIKEY-1QQQQQYZ",
            "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAA",
            "ecdsa-sha2-nistp256 AAAA",
            "-----BEGIN OPENSSH PRIVATE KEY-----",
            "-----BEGIN AGE ENCRYPTED FILE-----",
        ],
    )
    def test_others_are_refused_by_name(self, text: str) -> None:
        for parse in (parse_identity, parse_recipient, parse_private_key):
            with pytest.raises(TrustError) as error:
                parse(text)
            assert error.value.word == "unsupported-key"
            assert "sealpipe keys new" in str(error.value)
            assert text not in str(error.value)

    def test_a_reading_key_does_not_sign(self) -> None:
        _, text = generate_private_key()
        with pytest.raises(TrustError) as error:
            parse_signing_key(text)
        assert error.value.word == "unsupported-key"

    @pytest.mark.parametrize("parse", [parse_identity, parse_private_key, parse_signing_key])
    def test_a_typing_error_is_found_and_not_shown(self, parse) -> None:  # type: ignore[no-untyped-def]
        text = generate_signing_key()[1] if parse is parse_signing_key else generate_identity()[1]
        wrong = text[:-3] + ("Q" if text[-3] != "Q" else "P") + text[-2:]
        for bad in (
            wrong,
            text[:-1],
            text + "Q",
            text[:20] + text[20:].lower(),
            "",
            text.replace("1", "2", 1),
        ):
            with pytest.raises(TrustError) as error:
                parse(bad)
            assert error.value.word == "malformed-key"
            assert text[25:40] not in str(error.value)
            assert text[25:40] not in "".join(traceback.format_exception(error.value))

    def test_lower_case_identities_and_spaces_around_are_taken(self) -> None:
        identity, text = generate_identity()
        assert parse_identity(f" {text.lower()}\n").read.public == identity.read.public

    def test_wrong_length(self) -> None:
        with pytest.raises(TrustError):
            parse_recipient(bech32.encode("age", b"\x09" * 31))
        with pytest.raises(TrustError):
            parse_recipient(bech32.encode("age", b"\x09" * 33))


class TestPoints:
    @pytest.mark.parametrize(
        "number", [*LOW_ORDER, P, P + 1, 2**255 - 1, *(n | 1 << 255 for n in LOW_ORDER), 1 << 255 | 9]
    )
    def test_low_order_and_second_spellings_are_refused(self, number: int) -> None:
        public = number.to_bytes(32, "little")
        with pytest.raises(TrustError) as error:
            parse_recipient(format_recipient(public))
        assert error.value.word == "malformed-key"
        with pytest.raises(TrustError):
            box(PrivateKey(SECRET), public)

    def test_good_points_pass(self) -> None:
        for number in range(50):
            public = PrivateKey(bytes([number]) * 32).public
            assert check_point(public) == public


class TestBech32:
    def test_stray_bits_and_mixed_case_are_refused(self) -> None:
        text = bech32.encode("age", SECRET)
        assert bech32.decode("age", text) == SECRET
        assert bech32.decode("age", text.upper()) == SECRET
        with pytest.raises(ValueError):
            bech32.decode("age", text[:-1] + text[-1].upper() + "")
        # Another last data character with a right checksum: the padding bits are not zero.
        values = [bech32.ALPHABET.index(c) for c in text[4:-6]]
        values[-1] |= 1
        prefix = [ord(c) >> 5 for c in "age"] + [0] + [ord(c) & 31 for c in "age"]
        check = bech32._polymod([*prefix, *values, *[0] * 6]) ^ 1
        values += [check >> 5 * (5 - i) & 31 for i in range(6)]
        with pytest.raises(ValueError, match="stray"):
            bech32.decode("age", "age1" + "".join(bech32.ALPHABET[v] for v in values))

    def test_every_single_wrong_character_is_found(self) -> None:
        text = bech32.encode("age", SECRET)
        for at in range(4, len(text)):
            for char in bech32.ALPHABET:
                if char != text[at]:
                    with pytest.raises(ValueError):
                        bech32.decode("age", text[:at] + char + text[at + 1 :])
