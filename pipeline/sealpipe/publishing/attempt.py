"""One release on its way into a store: its keys and bytes, its chunks, and the archives beside its head."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

from sealpipe.errors import ConflictError, MalformedError, OutcomeUnknownError, StoreError
from sealpipe.frozen import NamedTuple
from sealpipe.model import SignedRelease
from sealpipe.released import Unit
from sealpipe.releases.keys import archive_key, chunk_key, head_key
from sealpipe.releases.wire import head_value
from sealpipe.stores.base import ABSENT, Put, Store, TakesSeveral, at_once, values_of
from sealpipe.stores.threads import side_by_side


class Attempt(NamedTuple):
    """What a release is in a store. The same release gives the same keys and bytes every time."""

    signed: SignedRelease
    head: bytes  # the release, or the locator of its chunks
    chunks: tuple[tuple[str, bytes], ...]  # under this attempt's own rid, never shared
    head_key: str
    archive_key: str
    predecessor_key: str  # "" where the head that is replaced was no release

    @property
    def unit(self) -> Unit:
        return self.signed.release.unit


def attempt(signed: SignedRelease, prefix: str) -> Attempt:
    """Pure: writes and reads nothing."""
    release = signed.release
    order, rid, unit = release.order, release.payload.rid, release.unit
    head, chunks = head_value(release.raw, order, rid, release.digest)
    named = tuple((chunk_key(prefix, unit, order, rid, i), data) for i, data in enumerate(chunks))
    before = ""
    if signed.base is not None and not signed.repairs:
        before = archive_key(prefix, unit, signed.base.order, signed.base.digest)
    own = archive_key(prefix, unit, order, release.digest)
    return Attempt(signed, head, named, head_key(prefix, unit), own, before)


def upload(chunks: Sequence[tuple[str, bytes]], store: Store, timeout: float = 10.0) -> None:
    """Store the chunks of one attempt and read every one back, before any head says that they exist.

    A chunk that is already there is our own retry's: its bytes are compared. Raises StoreError's kinds,
    MalformedError [chunk-differs] when the store gives back other bytes.
    """
    side_by_side(
        lambda group: _store_and_read(group, store, timeout), _requests(chunks, store), at_once(store)
    )


def _requests(chunks: Sequence[tuple[str, bytes]], store: Store) -> list[list[tuple[str, bytes]]]:
    """One chunk in each, where the store takes several requests at once; else as many as one may have."""
    groups: list[list[tuple[str, bytes]]] = []
    alone = at_once(store) > 1 or not store.limits.transactional
    for one in chunks:
        puts = [Put(key, data, ABSENT) for key, data in (*groups[-1], one)] if groups else []
        together = puts and not alone and len(puts) <= store.limits.ops
        if together and store.size(puts) <= store.limits.request:
            groups[-1].append(one)
        else:
            groups.append([one])
    return groups


def _store_and_read(group: Sequence[tuple[str, bytes]], store: Store, timeout: float) -> None:
    if len(group) == 1 or not _created(store, group, timeout):
        for key, data in group:
            create(store, key, data, timeout)
    stored = values_of(store, [key for key, _ in group], fresh=True, timeout=timeout)
    for (key, data), found in zip(group, stored, strict=True):
        if found != data:
            raise MalformedError("chunk-differs", f"{key} does not hold what was written to it")


def _created(store: Store, group: Sequence[tuple[str, bytes]], timeout: float) -> bool:
    """Whether all were made at once. If not, some may be there: each is then seen to by itself."""
    try:
        store.write([Put(key, data, ABSENT) for key, data in group], timeout=timeout)
    except (ConflictError, OutcomeUnknownError):
        return False
    return True


def create(store: Store, key: str, data: bytes, timeout: float = 10.0) -> None:
    """Create a key, whatever the replies say; the caller reads it back."""
    failure: StoreError | None = None
    for _ in range(2):
        try:
            store.write([Put(key, data, ABSENT)], timeout=timeout)
        except ConflictError:
            return
        except OutcomeUnknownError as error:
            failure = error
        else:
            return
        entry = store.get(key, fresh=True, timeout=timeout)
        if entry is not None:
            return
    if failure is not None:
        raise failure


def archive_predecessor(one: Attempt, store: Store, timeout: float = 10.0) -> None:
    """Where a head and its archive are not written at once: see to it that the base has its archive.

    Its publisher may have died between the two, and after our flip nobody could make it any more.
    """
    if not one.predecessor_key or store.get(one.predecessor_key, fresh=True, timeout=timeout) is not None:
        return
    entry = store.get(one.head_key, fresh=True, timeout=timeout)
    if entry is not None and entry.version == one.signed.base_version:
        create(store, one.predecessor_key, entry.value, timeout)


def archive_own(one: Attempt, store: Store, timeout: float = 10.0) -> StoreError | None:
    """Archive what is head now. What it failed for: who publishes next makes it, if he can.

    Nothing where the head is another's by now: who replaced ours made the archive, and it may have been
    collected since, with the chunks that it names.
    """
    try:
        entry = store.get(one.head_key, fresh=True, timeout=timeout)
        if entry is not None and entry.value == one.head:
            create(store, one.archive_key, one.head, timeout)
    except StoreError as error:
        return error
    return None


def archive_each(
    attempts: Sequence[Attempt], several: TakesSeveral, store: Store, timeout: float = 10.0
) -> None:
    """As `archive_own` for each, with the writes handed over at once."""
    standing: list[Attempt] = []
    with suppress(StoreError):
        for one in attempts:
            entry = store.get(one.head_key, fresh=True, timeout=timeout)
            if entry is not None and entry.value == one.head:
                standing.append(one)
    while standing:
        tried = several.write_each(
            [[Put(one.archive_key, one.head, ABSENT)] for one in standing], timeout=timeout
        )
        for one, problem in zip(standing, tried, strict=False):
            if problem is not None:
                archive_own(one, store, timeout)
        standing = standing[len(tried) :]
