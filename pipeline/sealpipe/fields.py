"""Strict reading of the mappings that commands write: trust, roots, keyrings.

Unknown fields are refused: what an older program would skip must not be what a newer one obeys.
Messages name fields and never show what stands in them.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any

from sealpipe.canonical import from_base64url
from sealpipe.errors import TrustError, Where

NAME = re.compile(r"[a-z0-9](?:[a-z0-9_-]*[a-z0-9])?")
_HEX32 = re.compile(r"[0-9a-f]{32}")
_HEX64 = re.compile(r"[0-9a-f]{64}")
_PUBLIC = re.compile(r"(ed25519|x25519):([A-Za-z0-9_-]{43})")
_VERSION_LIMIT = 2**31


class Fields:
    """One mapping of a file, read field by field. `what` names the file's kind: malformed-<what>."""

    def __init__(self, data: Any, what: str, file: str, at: str = "") -> None:
        self.what, self.file, self.at = what, file, at
        if not isinstance(data, Mapping) or not all(isinstance(key, str) for key in data):
            raise self.wrong("", "must be a map")
        self.data: Mapping[str, Any] = data

    def wrong(self, field: str, problem: str) -> TrustError:
        path = ".".join(part for part in (self.at, field) if part)
        return TrustError(
            f"malformed-{self.what}",
            f"{path or 'the file'} {problem}",
            where=Where(self.file),
            why=["this file is written by commands; a hand edit is not signed"],
        )

    def only(self, *, required: Collection[str], optional: Collection[str] = ()) -> None:
        """Raises TrustError for a field that is missing or unknown."""
        for field in required:
            if field not in self.data:
                raise self.wrong(field, "is missing")
        for field in self.data:
            if field not in required and field not in optional:
                raise self.wrong(field, "is not a field here")

    def inner(self, field: str, data: Any) -> Fields:
        return Fields(data, self.what, self.file, ".".join(p for p in (self.at, field) if p))

    def items(self, field: str) -> list[tuple[str, Any]]:
        """The entries of a map of names (absent: none)."""
        found = self.inner(field, self.data.get(field, {}))
        for name in found.data:
            found.name(name)
        return list(found.data.items())

    def list(self, field: str, limit: int) -> list[Any]:
        """A list of at most `limit` items (absent: empty)."""
        found = self.data.get(field, [])
        if not isinstance(found, list) or len(found) > limit:
            raise self.wrong(field, f"must be a list of at most {limit}")
        return found

    def text(self, field: str, default: str | None = None) -> str:
        found = self.data.get(field, default)
        if not isinstance(found, str):
            raise self.wrong(field, "must be text")
        return found

    def flag(self, field: str) -> bool:
        found = self.data.get(field, False)
        if not isinstance(found, bool):
            raise self.wrong(field, "must be true or false")
        return found

    def number(self, field: str, low: int, high: int = _VERSION_LIMIT) -> int:
        found = self.data.get(field)
        if isinstance(found, bool) or not isinstance(found, int) or not low <= found <= high:
            raise self.wrong(field, f"must be an integer from {low}")
        return found

    def name(self, text: Any) -> str:
        if not isinstance(text, str) or not NAME.fullmatch(text) or len(text) > 64:
            raise self.wrong("", "holds a name that is not one (small letters, digits, - and _)")
        return text

    def format_one(self) -> None:
        found = self.data.get("format")
        if type(found) is not int or found != 1:
            raise self.wrong("format", "is not one that this version of sealpipe knows (1)")

    def project(self) -> str:
        found = self.text("project")
        if not _HEX32.fullmatch(found):
            raise self.wrong("project", "must be 32 hex digits")
        return found

    def past(self) -> tuple[str, ...]:
        found = self.list("past", 16)
        if not all(isinstance(digest, str) and _HEX64.fullmatch(digest) for digest in found):
            raise self.wrong("past", "must hold digests of 64 hex digits")
        return tuple(found)

    def public(self, field: str, scheme: str) -> bytes:
        try:
            return parse_public(self.text(field), scheme)
        except ValueError:
            pass
        raise self.wrong(field, f"must be {scheme}: and 43 characters of base64url")

    def raw(self, field: str, size: int) -> bytes:
        """Bytes of exactly `size`, written as base64url."""
        try:
            found = from_base64url(self.text(field))
        except ValueError:
            found = b""
        if len(found) != size:
            raise self.wrong(field, f"must be {size} bytes as base64url")
        return found

    def signatures(self) -> tuple[tuple[str, bytes], ...]:
        """`signatures: [{by: NAME, sig: …}]`; who is named is looked up by the caller."""
        found: list[tuple[str, bytes]] = []
        for index, item in enumerate(self.list("signatures", 16)):
            entry = self.inner(f"signatures[{index}]", item)
            entry.only(required=("by", "sig"))
            found.append((entry.name(entry.text("by")), entry.raw("sig", 64)))
        return tuple(found)


def parse_public(text: str, scheme: str) -> bytes:
    """The 32 bytes of `ed25519:…` or `x25519:…`. Raises ValueError. Not checked: that it is a good point."""
    match = _PUBLIC.fullmatch(text)
    if match is None or match[1] != scheme:
        raise ValueError(f"not an {scheme} public key")
    return from_base64url(match[2])
