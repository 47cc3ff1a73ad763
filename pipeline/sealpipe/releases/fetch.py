"""From a store to the bytes of a release: head, archive, chunks. Believes nothing of what it reads."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator

from sealpipe.errors import Finding, MalformedError, SealpipeError, TrustError, UnavailableError
from sealpipe.frozen import NamedTuple
from sealpipe.released import Order, Unit
from sealpipe.releases.keys import archive_key, chunk_key, head_key, heads_prefix, parse_head
from sealpipe.releases.wire import CHUNK, Locator, parse_locator
from sealpipe.stores.base import Entry, Store, values_of

TRIES = 5
_PAUSE = 0.05


class Head(NamedTuple):
    """What stands under a unit's head, with its release put together. Nothing of it is checked."""

    unit: Unit
    version: str  # the store's, for compare-and-swap
    value: bytes  # as stored: the release itself, or a locator
    raw: bytes  # the release
    locator: Locator | None


class BrokenHead(NamedTuple):
    """A head whose release cannot be put together; `version` and `value` are what a repair replaces."""

    unit: Unit
    version: str
    value: bytes
    why: Finding


def read_head(
    store: Store, prefix: str, unit: Unit, *, fresh: bool = False, timeout: float = 10.0
) -> Head | None:
    """The unit's head, None when the store has none. `timeout` bounds the whole.

    A chunk that is missing was collected because a newer head took its place: the head is read again, a
    few times. Raises StoreError (MalformedError [incomplete-head] when it stays so) and TrustError
    [malformed-locator].
    """
    deadline = time.monotonic() + timeout
    for attempt in range(TRIES):
        entry = store.get(head_key(prefix, unit), fresh=fresh or attempt > 0, timeout=_left(deadline))
        if entry is None:
            return None
        head = _assemble(store, prefix, unit, entry, deadline)
        if head is not None:
            return head
        time.sleep(min(_PAUSE * 2**attempt, _left(deadline)))
    raise _incomplete(unit)


def read_archive(
    store: Store, prefix: str, unit: Unit, order: Order, digest: str, *, timeout: float = 10.0
) -> bytes | None:
    """The bytes of a release that has been head; None when it, or a part of it, is gone.

    `digest` is the release's, whole or its first 16 digits. Raises StoreError and TrustError.
    """
    return read_release_at(store, prefix, unit, archive_key(prefix, unit, order, digest), timeout=timeout)


def read_release_at(
    store: Store, prefix: str, unit: Unit, key: str, *, timeout: float = 10.0
) -> bytes | None:
    """As `read_archive`, for a key that a listing gave."""
    deadline = time.monotonic() + timeout
    entry = store.get(key, fresh=True, timeout=timeout)
    if entry is None:
        return None
    head = _assemble(store, prefix, unit, entry, deadline)
    return None if head is None else head.raw


def scan_heads(
    store: Store, prefix: str, environment: str, *, timeout: float = 30.0
) -> Iterator[Head | BrokenHead]:
    """Every head of an environment, by service name. One that cannot be put together stops no other.

    Raises StoreError when the store does not answer.
    """
    deadline = time.monotonic() + timeout
    for entry in store.scan(heads_prefix(prefix, environment), timeout=timeout):
        unit = parse_head(prefix, entry.key)
        if unit is not None:
            yield _head_or_broken(store, prefix, unit, entry, deadline)


def read_heads(
    store: Store, prefix: str, units: Iterable[Unit], *, timeout: float = 30.0
) -> Iterator[Head | BrokenHead]:
    """The heads of these units as `scan_heads` gives them, read one by one; nothing of who has none."""
    deadline = time.monotonic() + timeout
    for unit in units:
        entry = store.get(head_key(prefix, unit), fresh=True, timeout=_left(deadline))
        if entry is not None:
            yield _head_or_broken(store, prefix, unit, entry, deadline)


def _head_or_broken(
    store: Store, prefix: str, unit: Unit, entry: Entry, deadline: float
) -> Head | BrokenHead:
    failure: SealpipeError
    try:
        head = _assemble(store, prefix, unit, entry, deadline)
        if head is None:
            head = read_head(store, prefix, unit, fresh=True, timeout=_left(deadline))
        if head is not None:
            return head
        failure = _incomplete(unit)
    except (MalformedError, TrustError) as error:
        failure = error
    return BrokenHead(unit, entry.version, entry.value, failure.finding)


def _assemble(store: Store, prefix: str, unit: Unit, entry: Entry, deadline: float) -> Head | None:
    locator = parse_locator(entry.value)
    if locator is None:
        return Head(unit, entry.version, entry.value, entry.value, None)
    keys = [chunk_key(prefix, unit, locator.order, locator.rid, n) for n in range(locator.chunks)]
    parts = []
    for key, found in zip(keys, values_of(store, keys, timeout=_left(deadline)), strict=True):
        part = found
        if part is None:
            # It may be that the copy we asked lags behind.
            [part] = values_of(store, [key], fresh=True, timeout=_left(deadline))
        if part is None:
            return None
        if len(part) > CHUNK:
            raise MalformedError("incomplete-head", f"a part of {unit}'s release is larger than parts are")
        parts.append(part)
    raw = b"".join(parts)
    if len(raw) != locator.size:
        raise MalformedError(
            "incomplete-head", f"the parts of {unit}'s release have another size than its head says"
        )
    return Head(unit, entry.version, entry.value, raw, locator)


def _incomplete(unit: Unit) -> MalformedError:
    return MalformedError("incomplete-head", f"a part of {unit}'s release is missing in the store")


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise UnavailableError("store-slow", "the store did not answer in time")
    return left
