"""What crosses from a publisher to another process. Bottom of the tree: imports nothing of ours."""

from __future__ import annotations

from collections.abc import Mapping

from sealpipe.frozen import NamedTuple, field, frozen

TYPE_CHECKING = False  # as in frozen.py
if TYPE_CHECKING:
    from typing import Any

SEQ_LIMIT = 2**48


class Unit(NamedTuple):
    """A service in an environment."""

    environment: str
    service: str

    def __str__(self) -> str:
        return f"{self.environment}/{self.service}"


class Order(NamedTuple):
    """What decides which of two releases is newer: trust version first, then seq (Unix ms or more)."""

    trust: int
    seq: int

    def __str__(self) -> str:
        return f"{self.trust:010d}-{self.seq:015d}"


class SealedAt(NamedTuple):
    """The document whose key a sealed value of a draft belongs to."""

    environment: str
    document: str

    def __str__(self) -> str:
        return f"{self.environment}/{self.document}"


# Key ids in text are 16 hex digits; boxes are base64url without padding.
Stanzas = Mapping[str, Mapping[str, Mapping[str, str]]]
"""`"ENV/DOC"` -> document key id -> reader key id -> box of the document's private key (80 bytes)."""


@frozen
class Draft:
    """What a release says, without order, clock or signature. `values` holds tokens, never plaintext."""

    values: Mapping[str, Any] = field(repr=False)
    sealed: Mapping[str, SealedAt]  # JSON Pointer into `values` -> document
    merge_keys: Mapping[str, str]  # JSON Pointer of a list -> field that names its elements
    locked: tuple[str, ...]  # JSON Pointers that a process may not override
    stanzas: Stanzas = field(repr=False)


@frozen
class Payload:
    """The signed part of a release; `docs/FORMAT.md` has each field's meaning."""

    project: str  # 32 hex digits
    unit: Unit
    order: Order
    trust_digest: str  # hex of the embedded trust document's digest
    number: int  # for people only; decides nothing
    prev: str  # digest of the release before, "" for the first
    rid: str  # 32 hex digits, one attempt's own
    batch: str
    created_at: str  # RFC 3339, UTC
    git: Mapping[str, Any] | None  # {commit, tree, dirty}; None outside git
    tool: str
    draft_digest: str  # hex
    schema_digest: str  # hex, "" without a schema
    keyring_versions: Mapping[str, int]
    origins: Mapping[str, str] = field(repr=False)  # JSON Pointer -> file:line
    hold: Mapping[str, Any] | None = None  # {by, reason, rejected: [{path, value?}]}
    rollback_of: str | None = None  # digest of the release whose content this is
    break_glass: str | None = None  # the reason
    retired: Mapping[str, Any] | None = None  # {successor}
    format: int = 1
    min_format: int = 1


@frozen
class Release:
    """A release whose bytes were checked by `releases.check`; nothing else makes one."""

    raw: bytes = field(repr=False)
    digest: str  # hex of H32("sealpipe.release.1", payload)
    payload: Payload
    draft: Draft
    trust_version: int
    publishers: tuple[str, ...]  # names of the keys whose signature counted
    approvers: tuple[str, ...]

    @property
    def unit(self) -> Unit:
        return self.payload.unit

    @property
    def order(self) -> Order:
        return self.payload.order

    @property
    def short(self) -> str:
        return self.digest[:6]
