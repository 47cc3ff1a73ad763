"""What a store is: keys `[A-Za-z0-9_./-]`, values of bytes, one all-or-nothing write. Public API.

A store never retries inside: whether a request was applied is the publisher's question to answer, and
an automatic retry of a compare-and-swap answers it wrongly. Versions are opaque and compared for
equality only.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, Protocol, cast

from sealpipe.errors import StoreError, TooLargeError, UnsupportedError
from sealpipe.frozen import NamedTuple

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
    """What a store takes. `transactional`: several keys change in one write, all or nothing.

    A store that is not transactional takes one Put or Delete in a write. Where its `ops` is above one,
    Checks of other keys may stand beside it and hold at the moment of the change; where `ops` is one,
    they may not.
    """

    value: int  # bytes
    ops: int  # operations in one write, Checks included
    request: int  # bytes of one write, as `size` counts them
    history: int  # releases kept by collection
    transactional: bool


class Fact(NamedTuple):
    """One thing that a store says of its server; what `sealpipe doctor` shows. Never holds a credential.

    A store's module may offer `examine(url, store, *, base, timeout) -> Iterable[Fact]`, which reads and
    never writes, and raises StoreError's kinds.
    """

    mark: str  # ok, warning, problem, or unknown: could not be looked at
    text: str
    hint: str = ""  # a command that works when pasted, or a sentence


def check_ops(ops: Sequence[Op], value_limit: int) -> None:
    """What no store takes in a write. Raises UnsupportedError [bad-key, bad-write] and TooLargeError
    [value-too-large]. How many operations and bytes a write may have is each store's to count.
    """
    for op in ops:
        check_key(op.key)
        if isinstance(op, Delete) and op.expect == ABSENT:
            raise UnsupportedError("bad-write", "a delete cannot expect that the key is absent")
        if isinstance(op, Put) and len(op.value) > value_limit:
            raise TooLargeError("value-too-large", f"a value is larger than {value_limit} bytes")
    if len({op.key for op in ops}) != len(ops):
        raise UnsupportedError("bad-write", "a key stands twice in one write")


KEY_LIMIT: Final = 1024
_KEY = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]{0,254}(?:/[A-Za-z0-9_-][A-Za-z0-9_.-]{0,254})*")


def check_key(key: str) -> None:
    """Raises UnsupportedError [bad-key] for a key that some store would refuse, rename or resolve.

    Segments of `[A-Za-z0-9_.-]`, 1 to 255 long and not starting with a dot, joined by single slashes.
    """
    if not is_key(key):
        raise UnsupportedError("bad-key", "a store key has characters that not every store takes")


def is_key(key: str) -> bool:
    """Whether `check_key` takes it."""
    return len(key) <= KEY_LIMIT and _KEY.fullmatch(key) is not None


def check_prefix(prefix: str) -> None:
    """Raises UnsupportedError [bad-key] unless `prefix` is empty or a key followed by one slash.

    A prefix that ends inside a name would also match the neighbours `checkout-2` of `checkout`.
    """
    if prefix:
        if not prefix.endswith("/"):
            raise UnsupportedError("bad-key", "a prefix of store keys ends with a slash")
        check_key(prefix[:-1])


class Store(Protocol):
    """Every method raises StoreError's kinds and nothing else; `timeout`, in seconds, bounds the call."""

    limits: Limits

    def size(self, ops: Sequence[Op]) -> int:
        """Bytes of these operations as the store's request limit counts them."""

    def get(self, key: str, *, fresh: bool = False, timeout: float = 10.0) -> Entry | None:
        """The entry, or None when the key does not exist. `fresh`: never older than an acknowledged write."""

    def keys(self, prefix: str, *, timeout: float = 10.0) -> list[str]:
        """All keys that start with `prefix` ("" or ending with a slash), sorted.

        Never older than an acknowledged write: a publisher that sees nothing to do says so.
        """

    def scan(self, prefix: str, *, timeout: float = 30.0) -> Iterator[Entry]:
        """All entries whose key starts with `prefix`, in key order; not one snapshot, and each of them
        never older than an acknowledged write.
        """

    def write(self, ops: Sequence[Op], *, timeout: float = 10.0) -> None:
        """All operations or none, one request, in no order; a key stands in it once at most.

        ConflictError: an expectation failed, nothing was written. OutcomeUnknownError: it may have been
        applied, or may still be. Every other kind: nothing was written.
        """

    def wait(self, key: str, after: str, *, timeout: float) -> bool:
        """Until the key's version may differ from `after`: a hint, True when it does. May return early."""

    def close(self) -> None:
        """Let go of connections; the store is not used afterwards.

        The one method that another thread may call meanwhile: a `wait` there ends within a second, by
        returning or by raising a StoreError.
        """


class TakesSeveral(Protocol):
    """What a store that is not transactional may offer besides: many writes at the price of a few."""

    def write_each(self, writes: Sequence[Sequence[Op]], *, timeout: float = 10.0) -> list[StoreError | None]:
        """Each write as `write` makes it, in this order, up to the first that fails.

        A result for each write that was tried: None, or what `write` would have raised. Each write puts
        one key; no other one of them names that key. Raises only for the form of a write.
        """


class GetsValues(Protocol):
    """What a store may offer besides, where that costs less than entries one by one: values alone."""

    def values(
        self, keys: Sequence[str], *, fresh: bool = False, timeout: float = 10.0
    ) -> Iterator[bytes | None]:
        """The value that `get` gives for each key, in their order; not one snapshot."""


class Listing(NamedTuple):
    """The version of each key below a prefix, and what the store knows the moment by, if by anything."""

    versions: Mapping[str, str]
    mark: str = ""


class ListsVersions(Protocol):
    """What a store may offer besides, where that costs less than the values: to see that nothing changed."""

    def versions(self, prefix: str, *, since: Listing | None = None, timeout: float = 30.0) -> Listing:
        """The version of each key, as `scan` gives it and no older.

        `since`, an earlier answer of this store for this prefix, changes nothing but what it costs.
        """


def lists_versions(store: Store) -> ListsVersions | None:
    """The store's own way to list versions, None where it has none."""
    return cast("ListsVersions", store) if callable(getattr(store, "versions", None)) else None


def takes_several(store: Store) -> TakesSeveral | None:
    """The store's own way to take many writes, None where it has none or takes no Check beside a Put."""
    offered = callable(getattr(store, "write_each", None)) and store.limits.ops > 1
    return cast("TakesSeveral", store) if offered else None


def values_of(
    store: Store, keys: Sequence[str], *, fresh: bool = False, timeout: float = 10.0
) -> Iterator[bytes | None]:
    """The value of each key, None for one that is not there; in the store's own way where it has one."""
    if callable(getattr(store, "values", None)):
        return cast("GetsValues", store).values(keys, fresh=fresh, timeout=timeout)
    return _values(store, keys, fresh, timeout)


def _values(store: Store, keys: Sequence[str], fresh: bool, timeout: float) -> Iterator[bytes | None]:
    deadline = time.monotonic() + timeout
    for key in keys:
        entry = store.get(key, fresh=fresh, timeout=max(0.001, deadline - time.monotonic()))
        yield entry and entry.value


def at_once(store: Store) -> int:
    """How many threads may well call `get`, `values` and `write` at a time: 1, unless the store has an
    `at_once` that says more, since it is the faster for it."""
    found = getattr(store, "at_once", 1)
    return found if isinstance(found, int) else 1
