"""Sealing a value for a document, opening it, and boxing one private key for another.

Sealing needs only a public key and proves nothing about who sealed. Whether a reader may open, and
whether a public key belongs to the document, is decided elsewhere (`keyrings`).
"""

from __future__ import annotations

import os

from sealpipe import tokens
from sealpipe.crypto import sodium, spelling
from sealpipe.crypto.keys import PrivateKey
from sealpipe.crypto.points import check_point
from sealpipe.errors import TrustError
from sealpipe.tokens import Token

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

MOVED = "it was sealed for another place (moved, copied or renamed by hand)"

encode_plain = spelling.encode_plain
decode_plain = spelling.decode_plain
type_of = spelling.type_of


class Sealer:
    """Seals the values of one command: one ephemeral key for each recipient, a random nonce tail a value."""

    def __init__(self) -> None:
        self._ephemeral: dict[bytes, PrivateKey] = {}

    def seal(self, value: Any, kind: str, place: bytes, public: bytes) -> str:
        """The token's text. Raises UsageError for a value that cannot be sealed as that type."""
        plain = encode_plain(value, kind)
        if public not in self._ephemeral:
            self._ephemeral[public] = PrivateKey(os.urandom(32))
        ephemeral = self._ephemeral[public]
        return str(seal_with(plain, kind, place, public, ephemeral=ephemeral, random=os.urandom(16)))


def seal_with(
    plain: bytes, kind: str, place: bytes, public: bytes, *, ephemeral: PrivateKey, random: bytes
) -> Token:
    """The deterministic core of `Sealer.seal`: ephemeral key and random bytes are used for nothing else."""
    key = ephemeral.shared_key(public)
    tag = tokens.place_tag(place)
    header = tokens.associated_data(kind, public, ephemeral.public, place)
    body = sodium.encrypt(sodium.pad(plain, tokens.PAD), header, tag + random, key)
    return Token(kind, tokens.key_id(public), ephemeral.public, tag, random, body)


def open_value(token: Token, place: bytes, private: PrivateKey) -> Any:
    """The decoded value.

    Raises TrustError [unreadable-secret]: sealed for another key, for another place or type, altered,
    or holding something that sealpipe would not have written.
    """
    if token.key_id != private.key_id:
        raise unreadable("it is sealed for another key")
    if token.place_tag != tokens.place_tag(place):
        raise unreadable(MOVED)
    header = tokens.associated_data(token.type, private.public, token.ephemeral, place)
    plain: bytes | None = None
    try:
        key = private.shared_key(token.ephemeral)
        plain = sodium.unpad(sodium.decrypt(token.body, header, token.nonce, key), tokens.PAD)
    except (TrustError, ValueError):
        pass
    if plain is None:
        raise unreadable("it was altered")
    return decode_plain(plain, token.type)


def unreadable(reason: str) -> TrustError:
    """What is said of a sealed value that does not open."""
    return TrustError(
        "unreadable-secret",
        f"a sealed value cannot be opened: {reason}",
        hint=["set the value again: sealpipe set ENV/SERVICE PATH"],
    )


def box(private: PrivateKey, to_public: bytes) -> bytes:
    """The private key for the holder of `to_public`'s private half: 80 bytes, anonymous."""
    return sodium.seal(private.secret(), check_point(to_public))


def unbox(
    data: bytes, key: PrivateKey, *, expect_public: bytes | None = None, expect_id: bytes = b""
) -> PrivateKey:
    """The private key in a box. Raises TrustError [foreign-box] when it is not for `key` or does not
    fit `expect_public`: anybody could have written the box. A draft names keys by id: `expect_id`."""
    secret = b""
    try:
        secret = sodium.unseal(data, key.public, key.secret())
    except ValueError:
        secret = b""
    found = PrivateKey(secret) if len(secret) == 32 else None
    fits = found is not None and (
        found.key_id == expect_id if expect_public is None else found.public == expect_public
    )
    if found is None or not fits:
        raise TrustError(
            "foreign-box",
            "a box in the keyring does not hold the key that it stands for",
            why=["it was not written for this reader, or was exchanged"],
            hint=["an admin of the environment: sealpipe keys grant NAME ENV"],
        )
    return found
