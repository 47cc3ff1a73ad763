"""What a store is: keys `[A-Za-z0-9_./-]`, values of bytes, one all-or-nothing write. Public API.

A store never retries inside: whether a request was applied is the publisher's question to answer, and
an automatic retry of a compare-and-swap answers it wrongly. Versions are opaque and compared for
equality only.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple, Protocol

ABSENT: Final = ""
"""Expect that the key does not exist."""


class Entry(NamedTuple):
    key: str
    value: bytes
    version: str  # never ""


class Put(NamedTuple):
    """Write `value`; `expect` is a version, ABSENT to create only, or None for whatever is there."""

    key: str
    value: bytes
    expect: str | None


class Check(NamedTuple):
    """Write nothing; the whole write fails with ConflictError unless the key has this version."""

    key: str
    expect: str


class Delete(NamedTuple):
    """Remove the key if it is there; `expect` as in Put, but never ABSENT."""

    key: str
    expect: str | None = None


Op = Put | Check | Delete


class Limits(NamedTuple):
    """What a store takes. `transactional`: several keys change in one write, all or nothing."""

    value: int  # bytes
    ops: int  # operations in one write
    request: int  # bytes of one write, as `size` counts them
    history: int  # releases kept by collection
    transactional: bool


class Store(Protocol):
    """Every method raises StoreError's kinds and nothing else; `timeout` is in seconds and bounds the call."""

    limits: Limits

    def size(self, ops: Sequence[Op]) -> int:
        """Bytes of these operations as the store's request limit counts them."""

    def get(self, key: str, *, fresh: bool = False, timeout: float = 10.0) -> Entry | None:
        """The entry, or None when the key does not exist. `fresh`: never older than an acknowledged write."""

    def keys(self, prefix: str, *, timeout: float = 10.0) -> list[str]:
        """All keys that start with `prefix`, sorted."""

    def scan(self, prefix: str, *, timeout: float = 30.0) -> Iterator[Entry]:
        """All entries whose key starts with `prefix`, in key order; not one snapshot."""

    def write(self, ops: Sequence[Op], *, timeout: float = 10.0) -> None:
        """All operations or none, one request. ConflictError: an expectation failed, nothing was written."""

    def wait(self, key: str, after: str, *, timeout: float) -> bool:
        """Until the key's version may differ from `after`: a hint, True when it does. May return early."""

    def close(self) -> None:
        """Let go of connections; the store is not used afterwards."""
