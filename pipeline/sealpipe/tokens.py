"""The text of a sealed value, `ENC[NACL1,type:T,data:D]`, and its place. Pure: opens nothing, no nacl."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from sealpipe.canonical import canonical, from_base64url, labelled, lp, to_base64url
from sealpipe.errors import TrustError
from sealpipe.frozen import NamedTuple
from sealpipe.paths import Concrete, Member, Segment

TYPES = ("str", "int", "float", "bool", "object", "array", "bytes")
HEADER = 64  # key id 8, ephemeral key 32, place tag 8, random 16
PAD = 32
PLAINTEXT_LIMIT = 64 * 1024
MARK = "ENC["
_TOKEN = re.compile(r"ENC\[NACL1,type:(str|int|float|bool|object|array|bytes),data:([A-Za-z0-9_-]+)\]")


class Token(NamedTuple):
    """The parts of a sealed value; `body` is the ciphertext with its 16-byte tag at the end."""

    type: str
    key_id: bytes  # 8
    ephemeral: bytes  # 32
    place_tag: bytes  # 8
    random: bytes  # 16
    body: bytes

    @property
    def nonce(self) -> bytes:
        return self.place_tag + self.random

    def __str__(self) -> str:
        data = self.key_id + self.ephemeral + self.place_tag + self.random + self.body
        return f"ENC[NACL1,type:{self.type},data:{to_base64url(data)}]"


def looks_sealed(value: object) -> bool:
    """Whether a value claims to be sealed, well formed or not."""
    return isinstance(value, str) and value.startswith(MARK)


def parse_token(text: str) -> Token:
    """Raises TrustError [malformed-secret] for anything but the one spelling; checks no key and no place."""
    match = _TOKEN.fullmatch(text)
    data = b""
    if match:
        try:
            data = from_base64url(match[2])
        except ValueError:
            data = b""
    padded = len(data) - HEADER - 16
    if match is None or padded < PAD or padded % PAD or padded > PLAINTEXT_LIMIT + PAD:
        raise TrustError(
            "malformed-secret",
            "this looks like a sealed value and is not one (cut short or edited by hand)",
            hint=["set the value again: sealpipe set ENV/SERVICE PATH"],
        )
    return Token(match[1], data[:8], data[8:40], data[40:48], data[48:64], data[64:])


def key_id(public: bytes) -> bytes:
    """The 8-byte id of an X25519 public key."""
    return labelled(8, "sealpipe.kid.1", public)


def place(environment: str, document: str, path: Sequence[Segment]) -> bytes:
    """The bytes a sealed value is bound to. Raises ValueError for an un-keyed list index in the path."""
    parts = [_front(environment, document), len(path).to_bytes(4, "big")]
    for segment in path:
        if isinstance(segment, str):
            key = segment.encode()
            parts += (b"k", len(key).to_bytes(4, "big"), key)
        elif isinstance(segment, Member):
            parts.append(b"m" + lp(canonical([segment.field, segment.value])))
        else:
            raise ValueError("an index of a list without a merge key is no place")  # noqa: TRY004  # a wrong path
    return b"".join(parts)


@lru_cache(maxsize=64)
def _front(environment: str, document: str) -> bytes:
    return lp(environment.encode()) + lp(document.encode())


def place_tag(place_bytes: bytes) -> bytes:
    """The 8 bytes at the front of the nonce that show, without a key, where a value belongs."""
    return labelled(8, "sealpipe.place.1", place_bytes)


def associated_data(token_type: str, public: bytes, ephemeral: bytes, place_bytes: bytes) -> bytes:
    return b"SEALPIPE-VALUE-1\n" + public + ephemeral + lp(token_type.encode()) + place_bytes


def sealed_paths(values: Any, path: Concrete = ()) -> list[Concrete]:
    """Where in a document sealed values stand."""
    if looks_sealed(values):
        return [path]
    if isinstance(values, Mapping):
        return [found for key, inner in values.items() for found in sealed_paths(inner, (*path, key))]
    if isinstance(values, list):
        return [found for at, inner in enumerate(values) for found in sealed_paths(inner, (*path, at))]
    return []
