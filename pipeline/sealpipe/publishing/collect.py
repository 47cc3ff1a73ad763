"""Old archives and orphaned chunks out of a store. Deletes only what no head and no kept archive needs."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from sealpipe.errors import StoreError
from sealpipe.frozen import NamedTuple
from sealpipe.released import Order, Unit
from sealpipe.releases.keys import (
    Archive,
    Chunk,
    archives_prefix,
    chunks_prefix,
    head_key,
    parse_archive,
    parse_chunk,
)
from sealpipe.stores.base import Delete, Entry, Store

DAY_MS = 24 * 3600 * 1000
MANY = 50  # units from which on the whole environment is listed, and not each of them


class Needs(NamedTuple):
    """What a head or archive says of itself: its order, and the attempt whose chunks it uses."""

    order: Order
    rid: str  # "" when the release stands in the value itself


NeedsOf = Callable[[Unit, Entry], Needs | None]
"""None for what is neither a release nor a locator of one."""


def collect(
    store: Store,
    prefix: str,
    units: Sequence[Unit],
    *,
    needs: NeedsOf,
    now_ms: int,
    keep: int | None = None,
    age_ms: int = DAY_MS,
    timeout: float = 10.0,
    locked: Callable[[str], object] = lambda _: None,
) -> int:
    """How many keys were deleted. Never touches a head, and nothing of a unit whose head is not readable.
    `locked` is told of each key that the store keeps locked: it stays, and may go another time.

    The age is read from the order in a key's name, which is Unix ms or later: what looks too young is
    kept. An archive goes before its chunks, and only chunks up to the head's order: a set above it may
    belong to a publish that is under way.
    """
    count = 0
    limit = store.limits.history if keep is None else keep
    before = now_ms - age_ms
    for unit in _with_old(store, prefix, units, before_ms=before, limit=limit, timeout=timeout):
        head = store.get(head_key(prefix, unit), fresh=True, timeout=timeout)
        known = needs(unit, head) if head else None
        if known is None:
            continue
        archives = _known_archives(store, prefix, archives_prefix(prefix, unit), timeout)
        kept = {(known.order, known.rid)}

        def delete(name: str) -> bool:
            return _delete(store, name, timeout, locked)

        count += _archives(
            store, archives, needs, kept, before_ms=before, limit=limit, timeout=timeout, delete=delete
        )
        count += _chunks(
            store, prefix, unit, known.order, kept=kept, before_ms=before, timeout=timeout, delete=delete
        )
    return count


def _with_old(
    store: Store, prefix: str, units: Sequence[Unit], *, before_ms: int, limit: int, timeout: float
) -> list[Unit]:
    """The units with anything that may go by its name alone; most have nothing. Many are listed at once."""
    environments = dict.fromkeys(unit.environment for unit in units)
    if len(units) < MANY:
        places = [(archives_prefix(prefix, unit), chunks_prefix(prefix, unit)) for unit in units]
    else:
        places = [(f"{prefix}{name}/releases/", f"{prefix}{name}/chunks/") for name in environments]
    orders: dict[Unit, list[Order]] = {}
    found: set[Unit] = set()
    for archives, chunks in places:
        for archive, _ in _known_archives(store, prefix, archives, timeout):
            orders.setdefault(archive.unit, []).append(archive.order)
        for chunk, _ in _known_chunks(store, prefix, chunks, timeout):
            if chunk.order.seq <= before_ms:
                found.add(chunk.unit)
    found.update(
        unit for unit, known in orders.items() if any(order.seq <= before_ms for order in known[limit:])
    )
    return [unit for unit in units if unit in found]


def _known_archives(store: Store, prefix: str, below: str, timeout: float) -> list[tuple[Archive, str]]:
    """The newest first."""
    names = store.keys(below, timeout=timeout)
    known = [(a, name) for name in names if (a := parse_archive(prefix, name)) is not None]
    return sorted(known, key=lambda item: item[0].order, reverse=True)


def _known_chunks(store: Store, prefix: str, below: str, timeout: float) -> list[tuple[Chunk, str]]:
    names = store.keys(below, timeout=timeout)
    return [(c, name) for name in names if (c := parse_chunk(prefix, name)) is not None]


def _archives(
    store: Store,
    known: Sequence[tuple[Archive, str]],
    needs: NeedsOf,
    kept: set[tuple[Order, str]],
    *,
    before_ms: int,
    limit: int,
    timeout: float,
    delete: Callable[[str], bool],
) -> int:
    """Deletes old archives, adds what the remaining ones need to `kept`."""
    count = 0
    for index, (archive, name) in enumerate(known):
        if index >= limit and archive.order.seq <= before_ms and delete(name):
            count += 1
            continue
        kept.add((archive.order, _rid(store, archive, name, needs, timeout)))
    return count


def _rid(store: Store, archive: Archive, name: str, needs: NeedsOf, timeout: float) -> str:
    entry = store.get(name, fresh=True, timeout=timeout)
    found = needs(archive.unit, entry) if entry else None
    # Not readable: every chunk set of that order stays.
    return found.rid if found is not None and found.order == archive.order else "*"


def _chunks(
    store: Store,
    prefix: str,
    unit: Unit,
    head: Order,
    *,
    kept: set[tuple[Order, str]],
    before_ms: int,
    timeout: float,
    delete: Callable[[str], bool],
) -> int:
    count = 0
    for chunk, name in _known_chunks(store, prefix, chunks_prefix(prefix, unit), timeout):
        if chunk.order > head or chunk.order.seq > before_ms or _needed(chunk, kept):
            continue
        count += delete(name)
    return count


def _needed(chunk: Chunk, kept: set[tuple[Order, str]]) -> bool:
    return (chunk.order, chunk.rid) in kept or (chunk.order, "*") in kept


def _delete(store: Store, name: str, timeout: float, locked: Callable[[str], object]) -> bool:
    # Deleting twice, or what another collector deleted, is no failure; an unclear one is tried next time.
    try:
        store.write([Delete(name)], timeout=timeout)
    except StoreError as error:
        if error.word == "object-locked":
            locked(name)
        return False
    return True
