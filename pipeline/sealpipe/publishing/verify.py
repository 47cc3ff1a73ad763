"""A store against itself, its mirrors and git. Reads only; what is wrong becomes a finding."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sealpipe.errors import Finding, StoreError, TrustError
from sealpipe.model import Broken, Drafted, Head, Verification
from sealpipe.publishing.heads import Reader, heads
from sealpipe.released import Order, Release, Unit
from sealpipe.releases.fetch import read_release_at
from sealpipe.releases.keys import archive_key, archives_prefix, parse_archive
from sealpipe.stages.hold import still_rendered
from sealpipe.stores.base import Store

Mirror = tuple[str, Store, str]
"""URL, store, prefix."""


def verify(
    environment: str,
    store: Store,
    prefix: str,
    reader: Reader,
    *,
    mirrors: Sequence[Mirror] = (),
    drafted: Mapping[Unit, Drafted] | None = None,
    only: Unit | None = None,
) -> Verification:
    """Every head, every archive with its chunks, the chain between them, the mirrors, and git's drafts.

    `drafted` None leaves git out. A unit's word is "ok" or the first thing that is wrong with it. Raises
    StoreError when the primary does not answer.
    """
    found = heads(store, prefix, environment, reader)
    findings: list[Finding] = []
    units: dict[Unit, str] = {}
    for unit, one in sorted(found.items()):
        if only not in (None, unit):
            continue
        mine = _head(unit, one)
        if isinstance(one, Head):
            mine += _archives(store, prefix, one.release, reader)
            mine += _against_git(one.release, drafted) if drafted is not None else []
        units[unit] = mine[0].word if mine else "ok"
        findings += mine
    for unit in sorted(drafted or ()):
        if unit not in found and only in (None, unit):
            what = f"{unit} is in git and was never published"
            findings.append(Finding("not-published", what, hint=(f"sealpipe publish {unit}",)))
            units[unit] = "not-published"
    for url, copy, at in mirrors:
        findings += _mirror(environment, found, url, copy, at, reader=reader, only=only)
    return Verification(environment, units, tuple(findings))


def _head(unit: Unit, one: Head | Broken) -> list[Finding]:
    if isinstance(one, Head):
        return []
    return [
        Finding(
            one.word,
            f"{unit}: no service accepts what the store has as its release: {one.what}",
            why=("services keep the release they have",),
            hint=(f"sealpipe publish {unit} --repair-head",),
        )
    ]


def _archives(store: Store, prefix: str, head: Release, reader: Reader) -> list[Finding]:
    """Each archive read back whole; the chain from the head through every `prev` that is still kept."""
    unit = head.unit
    found: list[Finding] = []
    good: dict[str, Release] = {}
    for key in store.keys(archives_prefix(prefix, unit)):
        named = parse_archive(prefix, key)
        if named is None:
            continue
        release = _read(store, prefix, unit, key, reader)
        if isinstance(release, Finding):
            found.append(release)
            continue
        if (release.order, release.digest[:16]) != (named.order, named.digest):
            found.append(
                Finding("misnamed-archive", f"{unit}: {key} holds another release than its name says")
            )
            continue
        good[release.digest] = release
    own = archive_key(prefix, unit, head.order, head.digest)
    if head.digest not in good and store.limits.transactional:
        found.append(Finding("missing-archive", f"{unit}: the head has no archive ({own})"))
    good[head.digest] = head
    return found + _chain(head, good)


def _read(store: Store, prefix: str, unit: Unit, key: str, reader: Reader) -> Release | Finding:
    try:
        raw = read_release_at(store, prefix, unit, key)
        if raw is not None:
            return reader.check(raw, unit)
    except TrustError as error:
        return Finding(error.word, f"{unit}: {key}: {error.finding.what}")
    except StoreError as error:
        if error.word != "incomplete-head":
            raise
    return Finding("incomplete-archive", f"{unit}: a part of {key} is missing")


def _chain(head: Release, good: Mapping[str, Release]) -> list[Finding]:
    found = []
    chained = {head.digest}
    step: Release | None = head
    oldest: Order = head.order
    while step is not None:
        before = good.get(step.payload.prev)
        if before is not None and before.order >= step.order:
            what = f"{head.unit}: #{step.payload.number} does not stand above the release it replaced"
            found.append(Finding("broken-chain", what))
            break
        if before is not None:
            chained.add(before.digest)
            oldest = before.order
        step = before
    for digest, release in good.items():
        if digest not in chained and release.order > oldest:
            number, short = release.payload.number, release.short
            what = f"{head.unit}: #{number} ({short}) was a release and the head does not come from it"
            found.append(Finding("forked-history", what, severity="warning"))
    return found


def _against_git(head: Release, drafted: Mapping[Unit, Drafted]) -> list[Finding]:
    unit, mine = head.unit, drafted.get(head.unit)
    if head.payload.retired is not None:
        if mine is None:
            return []
        what = f"{unit} is retired in the store and exists in git"
    elif mine is None:
        what = f"{unit} is published and no longer in git"
    elif mine.digest == head.payload.draft_digest:
        return []
    elif head.payload.hold is not None and still_rendered(head.payload.hold, mine.draft):
        what = f"{unit} is held after a rollback: git still has what was rejected"
        return [Finding("held", what, hint=(f"sealpipe adopt {unit}",), severity="warning")]
    else:
        what = f"{unit}: what is published (#{head.payload.number}) is not what git says"
    return [Finding("differs-from-git", what, hint=(f"sealpipe plan {unit}",))]


def _mirror(
    environment: str,
    primary: Mapping[Unit, Head | Broken],
    url: str,
    store: Store,
    prefix: str,
    *,
    reader: Reader,
    only: Unit | None,
) -> list[Finding]:
    hint = (f"sealpipe publish {environment} --mirrors-only",)
    try:
        there = heads(store, prefix, environment, reader)
    except StoreError as error:
        return [Finding("mirror-unreachable", f"{url}: {error.finding.what}")]
    wanted = [one for unit, one in sorted(primary.items()) if isinstance(one, Head) and only in (None, unit)]
    if wanted and not there:
        why = ("nothing was ever copied there, or it was emptied, or another disk is mounted in its place",)
        return [Finding("mirror-empty", f"{url} has nothing of {environment}", why=why, hint=hint)]
    found = []
    for one in wanted:
        unit = one.release.unit
        copy = there.get(unit)
        if copy is None:
            found.append(Finding("mirror-behind", f"{url} does not have {unit}", hint=hint))
        elif isinstance(copy, Broken):
            what = f"{url}: {unit}: no service accepts what the mirror has: {copy.what}"
            found.append(Finding("mirror-broken", what, hint=(f"sealpipe verify {unit} --repair",)))
        elif copy.release.digest != one.release.digest:
            mine, theirs = one.release.payload.number, copy.release.payload.number
            what = f"{url} has {unit} #{theirs}, the primary #{mine}"
            found.append(Finding("mirror-behind", what, hint=hint))
    return found
