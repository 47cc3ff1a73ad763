"""Our bytes against vectors made from the format's text by another program."""

from __future__ import annotations

from typing import Any

import pytest

from format_vectors import flat
from sealpipe import tokens
from sealpipe.canonical import to_base64url
from sealpipe.crypto import keys, sealing, signing
from sealpipe.paths import Member
from sealpipe.trust import Root, parse_pins, pin_text, root_digest


@pytest.mark.parametrize("row", flat("keys"), ids=lambda row: row["key_id"])
def test_keys(row: dict[str, str]) -> None:
    identity = keys.parse_identity(row["identity"])
    assert identity.read.public.hex() == row["public"]
    assert identity.read.recipient == row["recipient"]
    assert identity.read.key_id.hex() == row["key_id"]
    assert keys.parse_recipient(row["recipient"]).hex() == row["public"]
    assert keys.format_public("x25519", identity.read.public) == row["text"]
    assert keys.parse_public(row["text"], "x25519").hex() == row["public"]
    assert keys.format_public("ed25519", identity.sign.public) == row["signing_public"]
    assert keys.SigningKey(bytes.fromhex(row["signing_seed"])).public == identity.sign.public
    machine = keys.parse_signing_key(row["machine_key"])
    assert machine.public == keys.SigningKey(bytes.fromhex(row["secret"])).public


def path_of(row: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(part if isinstance(part, str) else Member(*part) for part in row["path"])


@pytest.mark.parametrize("row", flat("tokens"), ids=lambda row: f"{row['type']}-{len(row['plain']) // 2}")
def test_tokens(row: dict[str, Any]) -> None:
    place = tokens.place(row["environment"], row["document"], path_of(row))
    assert place.hex() == row["place"]
    assert tokens.place_tag(place).hex() == row["place_tag"]
    plain = bytes.fromhex(row["plain"])
    sealed = sealing.seal_with(
        plain,
        row["type"],
        place,
        bytes.fromhex(row["document_public"]),
        ephemeral=keys.PrivateKey(bytes.fromhex(row["ephemeral_secret"])),
        random=bytes.fromhex(row["random"]),
    )
    assert str(sealed) == row["token"]
    private = keys.PrivateKey(bytes.fromhex(row["document_secret"]))
    value = sealing.open_value(tokens.parse_token(row["token"]), place, private)
    assert sealing.encode_plain(value, row["type"]) == plain


@pytest.mark.parametrize("row", flat("signatures"), ids=lambda row: row["kind"])
def test_signatures(row: dict[str, str]) -> None:
    body, public = bytes.fromhex(row["body"]), bytes.fromhex(row["public"])
    made = signing.sign(row["kind"], body, keys.SigningKey(bytes.fromhex(row["seed"])))
    assert made.hex() == row["signature"]
    assert signing.verify(row["kind"], body, public, made)
    others = [kind for kind in signing.KINDS if kind != row["kind"]]
    assert not any(signing.verify(kind, body, public, made) for kind in others)


@pytest.mark.parametrize("row", flat("pins"), ids=lambda row: f"{row['need']}-of-{len(row['keys'])}")
def test_pins(row: dict[str, Any]) -> None:
    root = Root(row["need"], tuple(map(bytes.fromhex, row["keys"])))
    assert root_digest(row["project"], root).hex() == row["digest"]
    assert pin_text(row["project"], root) == row["pin"]
    [pin] = parse_pins(row["pin"])
    assert (pin.digest.hex(), pin.min_version) == (row["digest"], 0)
    assert parse_pins(row["pin"] + "@7")[0].min_version == 7


def test_places_that_look_alike_are_different() -> None:
    """Map key `1`, merge keys 1 and "1" share a JSON Pointer and no place."""
    paths = [("xs", "1"), ("xs", Member("id", 1)), ("xs", Member("id", "1")), ("xs", Member("no", 1))]
    assert len({tokens.place("dev", "a", path) for path in paths}) == len(paths)
    assert tokens.place("dev", "a", ("b",)) != tokens.place("dev", "ab", ())
    with pytest.raises(ValueError):
        tokens.place("dev", "a", ("xs", 1))


def test_text_of_a_key_has_one_spelling() -> None:
    text = to_base64url(b"\xff" * 32)
    for bad in (text[:-1] + "9", text + "=", text + "\n", text.replace("_", "/")):
        with pytest.raises(ValueError):
            keys.parse_public(f"ed25519:{bad}", "ed25519")
