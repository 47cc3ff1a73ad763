"""Key objects: an age X25519 key, an Ed25519 signing key, and the person who has both.

None of them prints: `str`, `repr` and `format` show the public half, and pickling or copying raises.
What a key is for is not decided here.
"""

from __future__ import annotations

import os
import re

from sealpipe import fields, tokens
from sealpipe.canonical import blake2b, to_base64url
from sealpipe.crypto import bech32, sodium
from sealpipe.crypto.points import check_point
from sealpipe.errors import TrustError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

IDENTITY_PREFIX = "age-secret-key-"
RECIPIENT_PREFIX = "age"
SIGNING_PREFIX = "sealpipe-signing-key-"
_SHARED_LIMIT = 256
_SIGN_LABEL = b"sealpipe.sign.1\n"

parse_public = fields.parse_public


class _Silent:
    """Shows the public half only; has no way out through pickle or copy."""

    __slots__ = ()

    def shown(self) -> str:
        raise NotImplementedError

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.shown()}>"

    def __str__(self) -> str:
        return repr(self)

    def __format__(self, spec: str) -> str:
        return format(repr(self), spec)

    def __reduce_ex__(self, _: object) -> NoReturn:
        raise TypeError(f"a {type(self).__name__} is not copied or written")


class PrivateKey(_Silent):
    """An X25519 private key."""

    __slots__ = ("_secret", "_shared", "key_id", "public")

    def __init__(self, secret: bytes) -> None:
        self._secret = secret
        self._shared: dict[bytes, bytes] = {}
        self.public = sodium.public_of(secret)
        self.key_id = tokens.key_id(self.public)

    @property
    def recipient(self) -> str:
        return bech32.encode(RECIPIENT_PREFIX, self.public)

    def shown(self) -> str:
        return self.recipient

    def shared_key(self, public: bytes) -> bytes:
        """For this folder only: the box key with another party, kept because values share ephemeral keys.

        Raises TrustError for a point that no secret may be sealed to.
        """
        found = self._shared.get(public)
        if found is None:
            if len(self._shared) >= _SHARED_LIMIT:
                self._shared.clear()
            found = self._shared[public] = sodium.shared_key(check_point(public), self._secret)
        return found

    def secret(self) -> bytes:
        """For this folder only: the key itself."""
        return self._secret


class SigningKey(_Silent):
    """An Ed25519 signing key; `crypto.signing.sign` uses it."""

    __slots__ = ("_pair", "public")

    def __init__(self, seed: bytes) -> None:
        self.public, self._pair = sodium.signing_pair(seed)

    def shown(self) -> str:
        return format_public("ed25519", self.public)

    def secret(self) -> bytes:
        """For this folder only: seed and public key, as signing wants them."""
        return self._pair


class Identity(_Silent):
    """A person's one key: `read` opens, `sign` is derived from it."""

    __slots__ = ("read", "sign")

    def __init__(self, secret: bytes) -> None:
        self.read = PrivateKey(secret)
        self.sign = SigningKey(blake2b(_SIGN_LABEL, key=secret, digest_size=32).digest())

    def shown(self) -> str:
        return self.read.recipient


def generate_private_key() -> tuple[PrivateKey, str]:
    """A new reading key and its `AGE-SECRET-KEY-1…` text, which is stored once and never printed again."""
    secret = os.urandom(32)
    return PrivateKey(secret), bech32.encode(IDENTITY_PREFIX, secret).upper()


def generate_identity() -> tuple[Identity, str]:
    """A person's new key and its `AGE-SECRET-KEY-1…` text."""
    secret = os.urandom(32)
    return Identity(secret), bech32.encode(IDENTITY_PREFIX, secret).upper()


def generate_signing_key() -> tuple[SigningKey, str]:
    """A machine's or recovery key and its `SEALPIPE-SIGNING-KEY-1…` text."""
    seed = os.urandom(32)
    return SigningKey(seed), bech32.encode(SIGNING_PREFIX, seed).upper()


def parse_identity(text: str) -> Identity:
    """A person's key from `AGE-SECRET-KEY-1…`. Raises TrustError, never showing the text."""
    return Identity(_identity_bytes(text))


def parse_private_key(text: str) -> PrivateKey:
    """The reading half alone, as services need it. Raises TrustError, never showing the text."""
    return PrivateKey(_identity_bytes(text))


def parse_signing_key(text: str) -> SigningKey:
    """Raises TrustError, never showing the text."""
    text = text.strip()
    if text.upper().startswith("AGE-SECRET-KEY-"):
        raise TrustError(
            "unsupported-key",
            "this is a reading key where a signing key is expected",
            why=["machines that sign hold a key that opens nothing: SEALPIPE-SIGNING-KEY-1…"],
            hint=["sealpipe trust add NAME --publishes ENV --new"],
        )
    return SigningKey(_bech32_bytes(SIGNING_PREFIX, text, "signing key (SEALPIPE-SIGNING-KEY-1…)"))


def parse_recipient(text: str) -> bytes:
    """The 32 bytes of `age1…`. Raises TrustError for another kind, a typing error or a bad point."""
    text = text.strip()
    _refuse_other_kinds(text)
    return check_point(_bech32_bytes(RECIPIENT_PREFIX, text, "public key (age1…)"))


def format_recipient(public: bytes) -> str:
    return bech32.encode(RECIPIENT_PREFIX, public)


def format_public(scheme: str, public: bytes) -> str:
    return f"{scheme}:{to_base64url(public)}"


def _identity_bytes(text: str) -> bytes:
    text = text.strip()
    _refuse_other_kinds(text)
    return _bech32_bytes(IDENTITY_PREFIX, text, "key (AGE-SECRET-KEY-1…)")


def _bech32_bytes(prefix: str, text: str, what: str) -> bytes:
    problem = ""
    data = b""
    try:
        data = bech32.decode(prefix, text)
    except ValueError as error:
        problem = str(error)
    if not problem and len(data) != 32:
        problem = "it is too short or too long"
    if problem:
        raise TrustError("malformed-key", f"this is not a {what}: {problem}")
    return data


_OTHER_KINDS = (
    (re.compile(r"AGE-SECRET-KEY-PQ-|age1pq1", re.I), "a post-quantum age key"),
    (re.compile(r"AGE-PLUGIN-|age1[^1\s]*1", re.I), "an age plugin key"),
    (re.compile(r"ssh-|-----BEGIN OPENSSH|-----BEGIN RSA|ecdsa-"), "an SSH key"),
    (re.compile(r"-----BEGIN AGE ENCRYPTED|age-encryption\.org/"), "a key file locked with a passphrase"),
)


def _refuse_other_kinds(text: str) -> None:
    for pattern, kind in _OTHER_KINDS:
        if pattern.match(text):
            raise TrustError(
                "unsupported-key",
                f"this is {kind}; sealpipe uses plain age keys (age1…, AGE-SECRET-KEY-1…)",
                why=["a signing key is derived from the secret bytes, which such a key does not show"],
                hint=["sealpipe keys new"],
            )
