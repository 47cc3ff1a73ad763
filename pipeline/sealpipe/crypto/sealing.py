"""Sealing a value for a document, opening it, and boxing one private key for another.

Sealing needs only a public key and proves nothing about who sealed. Whether a reader may open, and
whether a public key belongs to the document, is decided elsewhere (`keyrings`).
"""

from __future__ import annotations

from typing import Any

import nacl.bindings
import nacl.exceptions
import nacl.public
import nacl.secret
import nacl.utils

from sealpipe import tokens
from sealpipe.crypto import spelling
from sealpipe.crypto.keys import PrivateKey
from sealpipe.crypto.points import check_point
from sealpipe.errors import TrustError
from sealpipe.tokens import Token

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
            self._ephemeral[public] = PrivateKey(nacl.utils.random(32))
        return str(
            seal_with(
                plain, kind, place, public, ephemeral=self._ephemeral[public], random=nacl.utils.random(16)
            )
        )


def seal_with(
    plain: bytes, kind: str, place: bytes, public: bytes, *, ephemeral: PrivateKey, random: bytes
) -> Token:
    """The deterministic core of `Sealer.seal`: ephemeral key and random bytes are used for nothing else."""
    check_point(public)
    tag = tokens.place_tag(place)
    header = tokens.associated_data(kind, public, ephemeral.public, place)
    padded = nacl.bindings.sodium_pad(plain, tokens.PAD)
    aead = nacl.secret.Aead(ephemeral.shared_key(public))
    body = aead.encrypt(padded, header, tag + random).ciphertext
    return Token(kind, tokens.key_id(public), ephemeral.public, tag, random, body)


def open_value(token: Token, place: bytes, private: PrivateKey) -> Any:
    """The decoded value.

    Raises TrustError [unreadable-secret]: sealed for another key, for another place or type, altered,
    or holding something that sealpipe would not have written.
    """
    if token.key_id != private.key_id:
        raise _unreadable("it is sealed for another key")
    if token.place_tag != tokens.place_tag(place):
        raise _unreadable("it was sealed for another place (moved, copied or renamed by hand)")
    header = tokens.associated_data(token.type, private.public, token.ephemeral, place)
    plain: bytes | None = None
    try:
        check_point(token.ephemeral)
        aead = nacl.secret.Aead(private.shared_key(token.ephemeral))
        plain = nacl.bindings.sodium_unpad(aead.decrypt(token.body, header, token.nonce), tokens.PAD)
    except (nacl.exceptions.CryptoError, TrustError, ValueError, RuntimeError):
        pass
    if plain is None:
        raise _unreadable("it was altered")
    return decode_plain(plain, token.type)


def _unreadable(reason: str) -> TrustError:
    return TrustError(
        "unreadable-secret",
        f"a sealed value cannot be opened: {reason}",
        hint=["set the value again: sealpipe set ENV/SERVICE PATH"],
    )


def box(private: PrivateKey, to_public: bytes) -> bytes:
    """The private key for the holder of `to_public`'s private half: 80 bytes, anonymous."""
    check_point(to_public)
    return nacl.public.SealedBox(nacl.public.PublicKey(to_public)).encrypt(bytes(private.to_nacl()))


def unbox(
    data: bytes, key: PrivateKey, *, expect_public: bytes | None = None, expect_id: bytes = b""
) -> PrivateKey:
    """The private key in a box. Raises TrustError [foreign-box] when it is not for `key` or does not
    fit `expect_public`: anybody could have written the box. A draft names keys by id: `expect_id`."""
    secret = b""
    try:
        secret = nacl.public.SealedBox(key.to_nacl()).decrypt(data)
    except (nacl.exceptions.CryptoError, ValueError, RuntimeError):
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
