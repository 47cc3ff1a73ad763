"""A service's plain tree made to say what its head says: by difference, and only what is ours to change.

Not atomic, and nothing is decided here: who needs that reads releases. A death at any point leaves a
marker that says so, and the next publish, or a repair, does the rest.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence

from sealpipe.errors import ConflictError, OutcomeUnknownError, RefusedError, StoreError
from sealpipe.frozen import NamedTuple
from sealpipe.model import Broken, Head
from sealpipe.project import Limits
from sealpipe.released import Release, Unit
from sealpipe.stores.base import ABSENT, Check, Delete, Entry, Op, Put, Store
from sealpipe.views.place import (
    Marker,
    Place,
    Source,
    claimed,
    folder,
    marker_key,
    owned,
    read_marker,
    stray,
    wanted,
    written,
)

ATTEMPTS = 6
HeadOf = Callable[[Unit], Head | Broken | None]
"""A unit's head, read fresh each time it is asked."""


class Written(NamedTuple):
    """What became of one service's tree."""

    unit: Unit
    number: int  # of the release that it is of
    puts: int
    deletes: int
    left_out: tuple[str, ...]  # sealed values, by path
    strays: tuple[str, ...] = ()  # keys that are nobody's of ours; left as they are
    withheld: tuple[str, ...] = ()  # keys of ours that were to go, and are too many to go unasked


class Rules(NamedTuple):
    """What a person has said yes to."""

    limits: Limits
    removal: bool = False  # as many deletes as it takes
    repair: bool = False  # look at every key, and go back to an older release where that is the head


def write_tree(
    place: Place, source: Source, unit: Unit, head_of: HeadOf, rules: Rules, *, timeout: float = 10.0
) -> Written | None:
    """Write the tree of a unit; None where there is no release to write it from.

    Only what differs is written, deletes name one key each, and only keys go that a release of ours had.
    Raises StoreError, RefusedError [tree-taken, tree-key, tree-ahead, tree-contended].
    """
    failure: StoreError | None = None
    tried: set[str] = set()
    for attempt in range(ATTEMPTS):
        if attempt:
            time.sleep(random.uniform(0, 0.05 * 2**attempt))  # noqa: S311 - only spreads two publishers
        try:
            return _once(place, source, unit, head_of, rules, tried=tried, again=attempt > 0, timeout=timeout)
        except (ConflictError, OutcomeUnknownError) as error:
            failure = error
    if isinstance(failure, OutcomeUnknownError):
        raise failure
    raise RefusedError(
        "tree-contended",
        f"{place.url}: others keep writing the plain tree of {unit.service} at the same time",
        hint=[f"sealpipe verify {unit} --repair"],
    )


def _once(
    place: Place,
    source: Source,
    unit: Unit,
    head_of: HeadOf,
    rules: Rules,
    *,
    tried: set[str],
    again: bool,
    timeout: float,
) -> Written | None:
    """`tried` collects the keys of releases that this call set out to write: where a store checks nothing
    beside a write, some of them may have got there after the one who overtook us was done.
    """
    # The marker before the head: who was overtaken in between loses the claim.
    entry, marker = read_marker(place, unit, timeout)
    head = head_of(unit)
    if not isinstance(head, Head):
        return None
    release = head.release
    _check_ahead(place, release, marker, rules)
    tree = wanted(place, release)
    if release.payload.retired is not None and entry is None:
        return Written(unit, release.payload.number, 0, 0, ())
    if marker and marker.complete(release, place.layout) and not (rules.repair or again):
        return Written(unit, release.payload.number, 0, 0, tree.left_out)
    claim = claimed(place, release, marker)
    version = _mark(place, unit, claim, entry, timeout)
    there = _scan(place, unit, timeout)
    ours, settings = owned(source, release, marker)
    ours |= tried
    tried.update(tree.entries)
    gone = sorted(key for key in there if key not in tree.entries and key in ours)
    held = () if _may_go(gone, settings, release, rules) else tuple(gone)
    steps = _steps(place, unit, tree.entries, there, gone=[] if held else gone, held=held)
    for step in steps:
        for group in _groups(place.store, step, Check(marker_key(place, unit), version)):
            place.store.write(group, timeout=timeout)
    if not held:
        done = written(claim, release, place.layout)
        _swap(place.store, Put(marker_key(place, unit), done.encode(), version), timeout)
    return Written(
        unit,
        release.payload.number,
        sum(isinstance(op, Put) for step in steps for op in step),
        sum(isinstance(op, Delete) for step in steps for op in step),
        tree.left_out,
        tuple(stray(there, tree.entries, ours)),
        held,
    )


def _check_ahead(place: Place, release: Release, marker: Marker | None, rules: Rules) -> None:
    if marker is None or marker.order <= release.order or rules.repair:
        return
    raise RefusedError(
        "tree-ahead",
        f"{place.url}: the plain tree of {release.unit.service} is of a newer release than the store has",
        why=["a newer publish is under way, or the store was restored from a backup"],
        hint=[f"sealpipe verify {release.unit}"],
    )


def _may_go(gone: Sequence[str], settings: int, release: Release, rules: Rules) -> bool:
    """The guard of a plan, once more: what a plan let through passes here as well."""
    if rules.removal or release.payload.retired is not None or len(gone) <= 1:
        return True
    return len(gone) <= rules.limits.removed_keys * settings


def _mark(place: Place, unit: Unit, claim: Marker, entry: Entry | None, timeout: float) -> str:
    """Put our claim there; its version."""
    key, raw = marker_key(place, unit), claim.encode()
    _swap(place.store, Put(key, raw, entry.version if entry else ABSENT), timeout)
    now = place.store.get(key, fresh=True, timeout=timeout)
    if now is None or now.value != raw:
        raise ConflictError("conflict", f"{key} was written by somebody else at the same time")
    return now.version


def _swap(store: Store, put: Put, timeout: float) -> None:
    """A swap whose reply was lost is looked at: every marker has its attempt's own bytes."""
    try:
        store.write([put], timeout=timeout)
    except (ConflictError, OutcomeUnknownError):
        now = store.get(put.key, fresh=True, timeout=timeout)
        if now is None or now.value != put.value:
            raise


def _scan(place: Place, unit: Unit, timeout: float) -> dict[str, Entry]:
    start = folder(place, unit)
    found = place.store.scan(start, timeout=max(timeout, 30.0))
    return {entry.key.removeprefix(start): entry for entry in found}


def _steps(
    place: Place,
    unit: Unit,
    mine: Mapping[str, bytes],
    there: Mapping[str, Entry],
    *,
    gone: Sequence[str],
    held: Sequence[str],
) -> tuple[list[Op], list[Op], list[Op]]:
    """First what stands in the way of a key, then the keys, then what else is to go.

    Each step in requests of its own: where keys are folders, one request cannot make one of the other.
    """
    start = folder(place, unit)
    above = {parent for key in mine for parent in _parents(key)}
    first = [key for key in gone if key in above or any(parent in mine for parent in _parents(key))]
    # A folder and a value of one name: not before the other one may go.
    blocked = {parent for key in held for parent in _parents(key)}
    puts: list[Op] = []
    for key, value in mine.items():
        was = there.get(key)
        same = was is not None and was.value == value
        if not same and key not in blocked and not any(parent in held for parent in _parents(key)):
            puts.append(Put(start + key, value, was.version if was else ABSENT))
    last = [key for key in gone if key not in first]
    return [_delete(there[key]) for key in first], puts, [_delete(there[key]) for key in last]


def _delete(entry: Entry) -> Op:
    return Delete(entry.key, entry.version)


def _parents(key: str) -> Iterator[str]:
    while "/" in key:
        key = key.rpartition("/")[0]
        yield key


def _groups(store: Store, ops: Sequence[Op], check: Check) -> Iterator[list[Op]]:
    """As many operations in a request as the store takes, each request bound to our claim where it can be."""
    fixed: list[Op] = [check] if store.limits.ops > 1 else []
    group: list[Op] = [*fixed]
    for op in ops:
        more = [*group, op]
        full = _weight(more) > store.limits.ops or store.size(more) > store.limits.request
        alone = not store.limits.transactional and len(group) > len(fixed)
        if len(group) > len(fixed) and (full or alone):
            yield group
            more = [*fixed, op]
        group = more
    if len(group) > len(fixed):
        yield group


def _weight(ops: Sequence[Op]) -> int:
    # Consul needs a check beside a delete that expects a version.
    return sum(2 if isinstance(op, Delete) else 1 for op in ops)
