"""What a store has: the heads of an environment, each checked as a reader would, and the past of a unit."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType

from sealpipe.errors import StoreError, TrustError
from sealpipe.frozen import NamedTuple
from sealpipe.model import Broken, Head
from sealpipe.publishing.collect import Needs
from sealpipe.released import Release, Unit
from sealpipe.releases.check import check_release
from sealpipe.releases.fetch import BrokenHead, read_head, read_heads, read_release_at, scan_heads
from sealpipe.releases.fetch import Head as RawHead
from sealpipe.releases.keys import archives_prefix, heads_prefix, parse_archive, parse_head
from sealpipe.releases.wire import parse_locator, payload_from_json, split_release
from sealpipe.stores.base import Entry, Listing, Store, lists_versions
from sealpipe.trust import Pin

CHAIN_LIMIT = 1000
FEW = 16  # heads that are read one by one rather than all again


class Reader(NamedTuple):
    """As whom releases are checked: what a service with these pins would accept."""

    project: str
    pins: Sequence[Pin]
    known: Mapping[Unit, Release] = MappingProxyType({})  # of each unit what was checked last

    def check(self, raw: bytes, unit: Unit) -> Release:
        """Raises TrustError."""
        known = self.known.get(unit)
        if known is not None and known.raw == raw:
            return known
        return check_release(raw, pins=self.pins, unit=unit, project=self.project)

    def having(self, checked: Iterable[Release]) -> Reader:
        """The same reader, who need not check these once more: the bytes are what decides, nothing else.

        They must have been checked with these pins and for this project.
        """
        return self._replace(known={**self.known, **{release.unit: release for release in checked}})


def heads(
    store: Store,
    prefix: str,
    environment: str,
    reader: Reader,
    *,
    timeout: float = 30.0,
) -> dict[Unit, Head | Broken]:
    """Every head of an environment. One that no reader would accept is `Broken`, with the newest archive
    that one would.

    Raises StoreError when the store does not answer, TrustError [foreign-project] when a head belongs to
    another project: two projects share a prefix by mistake, and nothing may be written over it.
    """
    found = scan_heads(store, prefix, environment, timeout=timeout)
    return {raw.unit: _checked(store, prefix, raw, reader) for raw in found}


def versions(
    store: Store, prefix: str, environment: str, *, since: Listing | None = None, timeout: float = 30.0
) -> Listing:
    """The version of every head, by key. `since` is an earlier answer, of whichever process."""
    lists, below = lists_versions(store), heads_prefix(prefix, environment)
    if lists is not None:
        return lists.versions(below, since=since, timeout=timeout)
    return Listing({entry.key: entry.version for entry in store.scan(below, timeout=timeout)})


def heads_listed(
    store: Store,
    prefix: str,
    environment: str,
    reader: Reader,
    listed: Listing,
    *,
    before: Mapping[Unit, Head | Broken] = MappingProxyType({}),
    without: Mapping[Unit, str] = MappingProxyType({}),
    timeout: float = 30.0,
) -> dict[Unit, Head | Broken]:
    """As `heads`, of the units that are listed. A head that still has the version of what this process read
    `before` is taken from that; those `without` are left out while they have the version given there."""
    found: dict[Unit, Head | Broken] = {}
    others: list[Unit] = []
    for key, version in listed.versions.items():
        unit = parse_head(prefix, key)
        if unit is None or without.get(unit) == version:
            continue
        if _is_still(before.get(unit), version):
            found[unit] = before[unit]
        else:
            others.append(unit)
    if len(others) <= FEW:
        raws: Iterable[RawHead | BrokenHead] = read_heads(store, prefix, others, timeout=timeout)
    else:
        raws = scan_heads(store, prefix, environment, timeout=timeout)
    for raw in raws:
        if raw.unit not in found and without.get(raw.unit) != raw.version:
            found[raw.unit] = _checked(store, prefix, raw, reader)
    return dict(sorted(found.items()))


def _is_still(one: Head | Broken | None, version: str) -> bool:
    return isinstance(one, Head) and one.version == version


def head(
    store: Store, prefix: str, unit: Unit, reader: Reader, *, fresh: bool = True, timeout: float = 10.0
) -> Head | Broken | None:
    """One unit's head, None where there is none. Raises as `heads` does."""
    try:
        raw: RawHead | BrokenHead | None = read_head(store, prefix, unit, fresh=fresh, timeout=timeout)
    except TrustError as error:
        problem = error.finding
    else:
        return None if raw is None else _checked(store, prefix, raw, reader)
    entries = heads(store, prefix, unit.environment, reader)
    return entries.get(unit) or Broken(unit, "", problem.word, problem.what)


def _checked(store: Store, prefix: str, raw: RawHead | BrokenHead, reader: Reader) -> Head | Broken:
    if isinstance(raw, BrokenHead):
        word, what = raw.why.word, raw.why.what
    else:
        try:
            return Head(reader.check(raw.raw, raw.unit), raw.version)
        except TrustError as error:
            word, what = error.finding.word, error.finding.what
        if word == "foreign-project":
            raise TrustError(
                word,
                f"the store has a release of another project as {raw.unit}",
                why=["two repositories publish to one place; nothing is written over it"],
                hint=["give each project its own `publish_to` in sealpipe.yaml"],
            )
    newest = next(iter(archives(store, prefix, raw.unit, reader)), None)
    return Broken(raw.unit, raw.version, word, what, newest)


def archives(store: Store, prefix: str, unit: Unit, reader: Reader) -> Iterator[Release]:
    """The releases that have been head and are still kept, newest first; others are passed over.

    Raises StoreError. An archive that does not check is no part of history: `verify` reports it.
    """
    for key in _archive_keys(store, prefix, unit):
        release = _archived(store, prefix, unit, key, reader)
        if release is not None:
            yield release


def find(store: Store, prefix: str, unit: Unit, digest: str, reader: Reader) -> Release | None:
    """The archived release with exactly this digest (64 hex digits), None when it is gone."""
    for key in _archive_keys(store, prefix, unit):
        if key.endswith("-" + digest[:16]):
            release = _archived(store, prefix, unit, key, reader)
            if release is not None and release.digest == digest:
                return release
    return None


def chain(store: Store, prefix: str, newest: Release, reader: Reader) -> Iterator[Release]:
    """A release and those before it, by `prev` and never by a listing's order; ends where one is gone."""
    release: Release | None = newest
    for _ in range(CHAIN_LIMIT):
        if release is None:
            return
        yield release
        if not release.payload.prev:
            return
        release = find(store, prefix, release.unit, release.payload.prev, reader)


def digests(store: Store, prefix: str, unit: Unit, reader: Reader) -> Iterator[str]:
    """The digests of a unit's releases, from the head back, the one that the last names included.

    What `publish` asks after an unclear reply. Ends early where an archive is gone.
    """
    now = head(store, prefix, unit, reader)
    if not isinstance(now, Head):
        return
    last = ""
    for release in chain(store, prefix, now.release, reader):
        yield release.digest
        last = release.payload.prev
    yield last


def _archive_keys(store: Store, prefix: str, unit: Unit) -> list[str]:
    known = [
        (archive.order, key)
        for key in store.keys(archives_prefix(prefix, unit))
        if (archive := parse_archive(prefix, key)) is not None
    ]
    return [key for _, key in sorted(known, reverse=True)]


def _archived(store: Store, prefix: str, unit: Unit, key: str, reader: Reader) -> Release | None:
    try:
        raw = read_release_at(store, prefix, unit, key)
        return None if raw is None else reader.check(raw, unit)
    except TrustError:
        return None
    except StoreError as error:
        if error.word == "incomplete-head":
            return None
        raise


def needs(unit: Unit, entry: Entry) -> Needs | None:
    """What a head or archive says of itself, for `collect`; None for what is neither. Believes its form."""
    try:
        locator = parse_locator(entry.value)
        if locator is not None:
            return Needs(locator.order, locator.rid)
        payload = payload_from_json(split_release(entry.value).payload.body)
    except TrustError:
        return None
    return Needs(payload.order, "") if payload.unit == unit else None


def released(found: Mapping[Unit, Head | Broken]) -> dict[Unit, Release | Broken]:
    """The heads as `plan` compares them."""
    return {unit: one.release if isinstance(one, Head) else one for unit, one in found.items()}
