"""What must hold after every step, said of the store's content and of what was told to people.

Knows the protocol's promises and none of its steps: it sees each change that took effect, each receipt
and each release that a reader took.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from sealpipe.errors import TrustError
from sealpipe.model import Publication
from sealpipe.publishing.fence import read_state
from sealpipe.released import Order, Release, Unit
from sealpipe.releases.check import check_release
from sealpipe.releases.keys import (
    archive_key,
    archives_prefix,
    chunk_key,
    head_key,
    parse_archive,
    parse_chunk,
    parse_head,
    state_key,
)
from sealpipe.releases.wire import Locator, parse_locator
from sealpipe.stores.base import Delete, Entry, Op, Put
from simulation.repository import ENVIRONMENT, A, B, Repository
from simulation.scheduler import Died
from simulation.store import World

DAY_MS = 24 * 3600 * 1000
DONE = ("published", "already", "overtaken")
NOT_DONE = ("conflict", "fenced", "not-attempted", "failed")


class Violation(Died):
    """A promise is broken; ends the process that broke it, and the run."""


class Known(NamedTuple):
    """A release that was or is a head."""

    digest: str
    order: Order
    draft: str  # digest
    number: int
    prev: str
    commit: str
    exempt: bool  # a rollback: older content, and meant


class Moment(NamedTuple):
    """The digests of the heads, how many heads there have been, and how often a fence was taken away."""

    heads: set[str]
    count: int
    lost: int


class Invariants:
    """`now_ms` is the world's time; `repository` says which content a commit has."""

    def __init__(self, world: World, repository: Repository) -> None:
        self.world, self.repository = world, repository
        self.now_ms = 0
        self.broken: str = ""
        self.head: dict[Unit, Known] = {}
        self.history: dict[Unit, dict[str, Known]] = {A: {}, B: {}}
        self.orders: dict[tuple[Unit, Order], str] = {}
        self.denied: dict[str, str] = {}
        self.below: set[str] = set()  # flipped although a newer commit had the fence by then
        self.collected: set[str] = set()
        self.robbed: set[tuple[Order, str]] = set()  # attempts that a stranger took a part from
        self.planted: set[str] = set()  # archives that a stranger made, or that came too late
        self.spoiled: set[str] = set()  # releases that became heads without that part
        self.tampered: set[Unit] = set()
        self.disturbed = False  # a restore or a stranger's write: what was acknowledged may be gone
        self.floor = -1  # the newest commit that was acknowledged
        self.readers: dict[str, Known] = {}
        self.fences_lost = 0
        self.heads: list[str] = []  # digests of what became a head, in this order
        world.watch = self.changed

    def fail(self, what: str) -> None:
        self.broken = self.broken or what
        raise Violation(what)

    # ---- the store's content

    def changed(self, author: str, ops: Sequence[Op], before: Mapping[str, Entry | None]) -> None:
        hostile = author == "stranger"
        for op in ops:
            unit = parse_head("", op.key)
            if unit is not None and hostile:
                self._tampered(unit)
            elif unit is not None and isinstance(op, Put):
                self._flipped(unit)
            elif hostile and parse_archive("", op.key):
                self.planted.add(op.key)
            elif op.key == state_key("", ENVIRONMENT) and hostile:
                self._state_lost()
            elif isinstance(op, Delete) and (unit is not None or op.key.endswith("/state")):
                self.fail(f"{op.key} was deleted")
        for op in ops:
            if isinstance(op, Put) and not hostile:
                self._archived(op)
            elif isinstance(op, Delete) and before.get(op.key) is not None:
                self._deleted(op.key, hostile=hostile)

    def _tampered(self, unit: Unit) -> None:
        self.disturbed = True
        self.tampered.add(unit)
        known = self.known(unit)
        self.head.pop(unit, None)
        if known is not None:
            self.head[unit] = known
            self.history[unit].setdefault(known.digest, known)

    def _state_lost(self) -> None:
        # Now the heads' commits fence, and what was acknowledged without a change is not known any more.
        self.disturbed = True
        self.fences_lost += 1
        commits = [k.commit for u, k in self.head.items() if u not in self.tampered]
        self.floor = min(self.floor, max((self._number(commit) for commit in commits), default=-1))
        if self.tampered:
            self.floor = -1

    def _flipped(self, unit: Unit) -> None:
        known = self.known(unit)
        if known is None:
            self._unreadable(unit)
            return
        last = self.head.get(unit)
        if last is not None and last.digest == known.digest:
            return
        if unit not in self.tampered:
            self._follows(unit, last, known)
            self._kept(unit, last)
        highest = max((k.order for k in self._legitimate(unit)), default=None)
        if highest is not None and known.order <= highest:
            self.fail(f"{unit}: #{known.number} does not stand above everything that was a head")
        if known.digest in self.denied:
            self.fail(f"{unit} #{known.number} was said to be `{self.denied[known.digest]}` and is a head")
        self.head[unit] = known
        self.heads.append(known.digest)
        self.history[unit][known.digest] = known
        self.orders[unit, known.order] = known.digest
        self.tampered.discard(unit)
        limits = self.world.kind.limits
        if (
            limits.transactional
            and archive_key("", unit, known.order, known.digest) not in self.world.entries
        ):
            self.fail(f"{unit}: the head has no archive")
        if limits.ops > 1:
            self._above_floor(unit)
        elif not known.exempt and self._number(known.commit) < self._fence():
            self.below.add(known.digest)

    def _unreadable(self, unit: Unit) -> None:
        entry = self.world.entries.get(head_key("", unit))
        locator = _locator(entry.value) if entry else None
        if locator is None or (locator.order, locator.rid) not in self.robbed:
            self.fail(f"the head of {unit} is incomplete or no release")
            return
        # A stranger took a part between read-back and flip: the publisher finds out when it reads back.
        self.spoiled.add(locator.digest)
        self._tampered(unit)

    def _legitimate(self, unit: Unit) -> Iterable[Known]:
        return (k for k in self.history[unit].values() if self.orders.get((unit, k.order)) == k.digest)

    def _follows(self, unit: Unit, last: Known | None, known: Known) -> None:
        if last is None:
            if known.prev:
                self.fail(f"{unit}: the first release names a predecessor")
        elif known.prev != last.digest:
            self.fail(f"{unit}: #{known.number} replaced #{last.number} without coming from it")
        elif known.order <= last.order or known.number != last.number + 1:
            self.fail(f"{unit}: #{known.number} does not stand above #{last.number}")

    def _kept(self, unit: Unit, last: Known | None) -> None:
        name = archive_key("", unit, last.order, last.digest) if last else ""
        if last and name not in self.world.entries and name not in self.collected:
            self.fail(f"{unit}: #{last.number} was replaced and has no archive")

    def _above_floor(self, unit: Unit) -> None:
        known = self.head.get(unit)
        if known is None or known.exempt or unit in self.tampered or self.floor < 0:
            return
        numbers = range(self.floor, len(self.repository.workspaces))
        if all(self.repository.draft_digest(number, unit) != known.draft for number in numbers):
            self.fail(
                f"{unit}: an older commit's content stands although commit {self.floor} was acknowledged"
            )

    def _archived(self, op: Put) -> None:
        archive = parse_archive("", op.key)
        been = {*self.history[archive.unit], *self.spoiled} if archive else set()
        if archive and not any(digest.startswith(archive.digest) for digest in been):
            self.fail(f"{archive.unit}: an archive of what was never a head")
        elif archive and op.key in self.collected:
            # A request to make it took longer than the day that archives and their parts are kept.
            self.planted.add(op.key)

    def _deleted(self, key: str, *, hostile: bool) -> None:
        chunk, archive = parse_chunk("", key), parse_archive("", key)
        if chunk is not None:
            if hostile:
                self.robbed.add((chunk.order, chunk.rid))
            for name in self._users(chunk.unit, chunk.order, chunk.rid):
                if hostile and parse_head("", name):
                    self._tampered(chunk.unit)
                elif not hostile and not (parse_head("", name) and chunk.unit in self.tampered):
                    self.fail(f"a part that {name} needs was deleted")
        if archive is None or hostile:
            return
        self.collected.add(key)
        if archive.order.seq > self.now_ms - DAY_MS:
            self.fail(f"{key} was deleted and is younger than a day")
        names = [k for k in self.world.entries if k.startswith(archives_prefix("", archive.unit))]
        others = [found.order for k in names if (found := parse_archive("", k)) is not None]
        if sum(order >= archive.order for order in others) < self.world.kind.limits.history:
            self.fail(f"{key} was deleted and is one of the newest")

    def _users(self, unit: Unit, order: Order, rid: str) -> list[str]:
        prefix = archives_prefix("", unit)
        names = [k for k in self.world.entries if k.startswith(prefix) and k not in self.planted]
        found = []
        for name in [head_key("", unit), *names]:
            entry = self.world.entries.get(name)
            locator = _locator(entry.value) if entry else None
            if locator is not None and (locator.order, locator.rid) == (order, rid):
                found.append(name)
        return found

    def known(self, unit: Unit) -> Known | None:
        """What a reader makes of the head, in one look."""
        entry = self.world.entries.get(head_key("", unit))
        if entry is None:
            return None
        raw = entry.value
        locator = _locator(raw)
        if locator is not None:
            keys = [chunk_key("", unit, locator.order, locator.rid, n) for n in range(locator.chunks)]
            parts = [self.world.entries.get(key) for key in keys]
            raw = b"".join(part.value for part in parts if part is not None)
        return _checked(raw, unit, self.repository)

    def restored(self) -> None:
        """Look anew: what was acknowledged since the backup is gone, what readers hold is not."""
        self.disturbed = True
        self.floor = -1
        self.head.clear()
        self.tampered.clear()
        for unit in (A, B):
            known = self.known(unit)
            if known is not None:
                self.head[unit] = known
            # The backup may have been taken while a stranger's head stood there.
            legitimate = known is not None and self.orders.get((unit, known.order)) == known.digest
            if not legitimate and head_key("", unit) in self.world.entries:
                self.tampered.add(unit)

    # ---- what people are told

    def standing(self) -> Moment:
        """The heads now, and how many there have been."""
        return Moment({known.digest for known in self.head.values()}, len(self.heads), self.fences_lost)

    def told(self, number: int, done: Publication, behind: Moment | None = None) -> None:
        """The receipts of a publish of commit `number`, and when it went for the fence."""
        stood = behind.heads | {*self.heads[behind.count :]} if behind else set()
        for receipt in done.receipts:
            was = receipt.digest in self.history[receipt.unit] or receipt.digest in self.spoiled
            if receipt.outcome in DONE and not was:
                self.fail(f"{receipt.unit} was said to be `{receipt.outcome}` and never was a head")
            if receipt.outcome in NOT_DONE:
                if was:
                    self.fail(f"{receipt.unit} was said to be `{receipt.outcome}` and was a head")
                self.denied[receipt.digest] = receipt.outcome
            if receipt.outcome == "unchanged" and number >= 0:
                known = self.history[receipt.unit].get(receipt.digest)
                if known is None or known.draft != self.repository.draft_digest(number, receipt.unit):
                    self.fail(f"{receipt.unit} was said to be unchanged and has other content")
                elif behind and receipt.digest not in stood and not self.disturbed:
                    self.fail(f"{receipt.unit} was said to be unchanged and had moved")
            if receipt.outcome in ("published", "already") and receipt.digest in self.below:
                self.fail(f"{receipt.unit}: an older commit passed a newer fence, and nobody was told")
        outcomes = {receipt.outcome for receipt in done.receipts}
        # Where a stranger took the fence away meanwhile, nothing holds what was acknowledged unchanged.
        robbed = behind is not None and behind.lost != self.fences_lost
        held = number >= 0 and (not self.disturbed or (self._fence() >= number and not robbed))
        if held and outcomes <= {"published", "already", "unchanged"} and not done.notes:
            self.floor = max(self.floor, number)
            if self.world.kind.limits.ops > 1:
                for unit in self.head:
                    self._above_floor(unit)

    def taken(self, reader: str, unit: Unit, release: Release) -> None:
        """A reader runs with a release now."""
        known = _known(release)
        last = self.readers.get(reader)
        if known.digest not in self.history[unit]:
            self.fail(f"{reader} took a release that was never a head")
        if last is not None and known.order < last.order:
            self.fail(f"{reader} went back from #{last.number} to #{known.number}")
        if last is not None and known.order == last.order and known.digest != last.digest:
            self.fail(f"{reader} took two contents at one order")
        self.readers[reader] = known

    def _number(self, commit: str) -> int:
        commits = self.repository.commits
        return commits.index(commit) if commit in commits else -1

    def _fence(self) -> int:
        entry = self.world.entries.get(state_key("", ENVIRONMENT))
        state = read_state(entry.value, self.repository.trust, ENVIRONMENT) if entry else None
        return self._number(state.commit) if state else -1


def _locator(value: bytes) -> Locator | None:
    try:
        return parse_locator(value)
    except TrustError:
        return None


def _known(release: Release) -> Known:
    payload = release.payload
    return Known(
        release.digest,
        release.order,
        payload.draft_digest,
        payload.number,
        payload.prev,
        str((payload.git or {}).get("commit", "")),
        payload.hold is not None or payload.rollback_of is not None,
    )


@functools.lru_cache(maxsize=4096)
def _checked_raw(raw: bytes, unit: Unit, pins: tuple[object, ...], project: str) -> Known | None:
    try:
        return _known(check_release(raw, pins=pins, unit=unit, project=project))  # type: ignore[arg-type]
    except TrustError:
        return None


def _checked(raw: bytes, unit: Unit, repository: Repository) -> Known | None:
    return _checked_raw(raw, unit, repository.pins, repository.trust.project)
