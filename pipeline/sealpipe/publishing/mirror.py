"""Byte copies of a primary store's heads in another one: only forward, and never decided there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sealpipe.errors import ConflictError, RefusedError, StoreError
from sealpipe.model import Broken, Head
from sealpipe.publishing.attempt import upload
from sealpipe.publishing.heads import Reader, heads
from sealpipe.released import Unit
from sealpipe.releases.keys import chunk_key, head_key
from sealpipe.releases.wire import head_value
from sealpipe.stores.base import ABSENT, Put, Store


def mirror(
    primary: Mapping[Unit, Head],
    store: Store,
    prefix: str,
    environment: str,
    reader: Reader,
    *,
    repair: bool = False,
    timeout: float = 10.0,
) -> dict[Unit, str]:
    """Copy the primary's heads that are newer than the mirror's; what became of each unit.

    "copied", "same", "newer" (the mirror has a later one: a publish is under way, or the primary was
    restored) or "broken" (what stands there is no release; replaced only with `repair`). Raises
    StoreError, RefusedError [mirror-busy] when others keep writing there.
    """
    there = heads(store, prefix, environment, reader)
    return {
        unit: _copy(one, there.get(unit), store, prefix, repair=repair, timeout=timeout)
        for unit, one in sorted(primary.items())
    }


def _mend(parts: Sequence[tuple[str, bytes]], store: Store, timeout: float) -> None:
    """Replace parts that hold other bytes. An attempt of ours that was cut short left them, or a hand: unlike
    a publish, a copy has no other names to give them the next time.
    """
    for key, data in parts:
        entry = store.get(key, fresh=True, timeout=timeout)
        if entry is not None and entry.value != data:
            store.write([Put(key, data, entry.version)], timeout=timeout)


def _copy(
    one: Head, there: Head | Broken | None, store: Store, prefix: str, *, repair: bool, timeout: float
) -> str:
    release = one.release
    if isinstance(there, Head):
        if there.release.digest == release.digest:
            return "same"
        if there.release.order >= release.order:
            return "newer"
    elif isinstance(there, Broken) and not repair:
        return "broken"
    unit, order, rid = release.unit, release.order, release.payload.rid
    value, chunks = head_value(release.raw, order, rid, release.digest)
    parts = [(chunk_key(prefix, unit, order, rid, i), data) for i, data in enumerate(chunks)]
    _mend(parts, store, timeout)
    upload(parts, store, timeout)
    key = head_key(prefix, unit)
    failure: StoreError | None = None
    try:
        store.write([Put(key, value, there.version if there else ABSENT)], timeout=timeout)
    except StoreError as error:
        failure = error
    if failure is None:
        return "copied"
    now = store.get(key, fresh=True, timeout=timeout)
    if now is not None and now.value == value:
        return "copied"
    if isinstance(failure, ConflictError):
        raise RefusedError("mirror-busy", f"another publisher writes {unit} to the mirror at the same time")
    raise failure
