"""Ed25519 over a digest, under a label that says what kind of thing is signed. No policy."""

from __future__ import annotations

from sealpipe.canonical import blake2b
from sealpipe.crypto import sodium
from sealpipe.crypto.keys import SigningKey

KINDS = ("ROOT", "TRUST", "KEYRING", "RELEASE", "APPROVAL", "STATE")


def message(kind: str, body: bytes) -> bytes:
    """The bytes that are signed."""
    if kind not in KINDS:
        raise ValueError("unknown kind of signature")
    return f"SEALPIPE-{kind}-1\n".encode() + blake2b(body).digest()


def sign(kind: str, body: bytes, key: SigningKey) -> bytes:
    """A signature of 64 bytes."""
    return sodium.sign(message(kind, body), key.secret())


def verify(kind: str, body: bytes, public: bytes, signature: bytes) -> bool:
    """Whether `signature` is this key's over this body. Says nothing of whether the key may sign."""
    return sodium.verify(message(kind, body), public, signature)
