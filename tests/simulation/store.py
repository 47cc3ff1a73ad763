"""A simulated store: what a request can meet on its way, and what real stores differ in.

Requests take effect one after the other, at the moment the scheduler gives; between asking and taking
effect anything may happen. The semantics of a write are those of `sealpipe.testing.MemoryStore`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from sealpipe.errors import (
    ConflictError,
    FullError,
    OutcomeUnknownError,
    StoreError,
    UnavailableError,
)
from sealpipe.stores.base import (
    ABSENT,
    Check,
    Delete,
    Entry,
    Limits,
    Listing,
    Op,
    Put,
    check_key,
    check_prefix,
)
from simulation.scheduler import Actor, Died


class Kind(NamedTuple):
    """What a store is like."""

    name: str
    limits: Limits
    by_content: bool  # versions are digests of the content, so they come back
    stale: bool  # reads that are not `fresh` may be old


KINDS = {
    "txn": Kind("txn", Limits(512 << 10, 128, 512 << 10, 2, transactional=True), False, True),
    "narrow": Kind("narrow", Limits(512 << 10, 4, 16 << 10, 1, transactional=True), False, True),
    "file": Kind("file", Limits(4 << 20, 64, 256 << 20, 2, transactional=False), True, False),
    "s3": Kind("s3", Limits(4 << 20, 1, 8 << 20, 1, transactional=False), True, False),
}


class Pending(NamedTuple):
    """A request that nobody waits for any more and that may still be applied."""

    ops: tuple[Op, ...]
    author: str


Watch = Callable[[str, Sequence[Op], "dict[str, Entry | None]"], None]


class World:
    """The content, its past, and requests that are under way."""

    def __init__(self, kind: Kind) -> None:
        self.kind = kind
        self.entries: dict[str, Entry] = {}
        self.past: dict[str, list[Entry | None]] = {}
        self.pending: list[Pending] = []
        self.revision = 0
        self.backup: tuple[dict[str, Entry], int] | None = None
        self.watch: Watch = lambda _author, _ops, _before: None
        self.journal: list[str] = []
        self.stale_listings = False  # a rule taken out: real listings are not older than what was answered

    def say(self, text: str) -> None:
        self.journal.append(text)

    def apply(self, ops: Sequence[Op], author: str) -> None:
        """All or nothing, now. Raises ConflictError."""
        for op in ops:
            found = self.entries.get(op.key)
            if op.expect is not None and op.expect != (found.version if found else ABSENT):
                raise ConflictError("conflict", f"{op.key} is not what was expected; nothing was written")
        before = {op.key: self.entries.get(op.key) for op in ops if not isinstance(op, Check)}
        for op in ops:
            if isinstance(op, Put):
                self.revision += 1
                version = _digest(op.value) if self.kind.by_content else str(self.revision)
                self.entries[op.key] = Entry(op.key, op.value, version)
            elif isinstance(op, Delete):
                self.entries.pop(op.key, None)
        for key, entry in before.items():
            self.past.setdefault(key, []).append(entry)
        self.watch(author, ops, before)

    def arrive(self, number: int) -> None:
        """A delayed request takes effect, or is refused; nobody hears of it."""
        late = self.pending.pop(number)
        try:
            self.apply(late.ops, late.author)
            self.say(f"    late request of {late.author} applied: {_names(late.ops)}")
        except ConflictError:
            self.say(f"    late request of {late.author} refused: {_names(late.ops)}")

    def save(self) -> None:
        self.backup = dict(self.entries), self.revision

    def restore(self) -> None:
        """The backup as it was, its count of revisions included."""
        assert self.backup is not None
        entries, self.revision = self.backup
        self.entries = dict(entries)
        self.past.clear()
        self.pending.clear()


def _digest(value: bytes) -> str:
    return hashlib.blake2b(value, digest_size=16).hexdigest()


def _names(ops: Sequence[Op]) -> str:
    return " ".join(f"{type(op).__name__.lower()} {op.key}" for op in ops)


LOST = ("lost", "delayed")  # not applied, or not yet: the caller cannot know
APPLIED = ("answer-lost", "duplicated", "replayed")


class Client:
    """The store as one process has it. Every call is a turn of the scheduler."""

    def __init__(self, world: World, actor: Actor, *, faulty: bool = True) -> None:
        self.world, self.actor, self.faulty = world, actor, faulty
        self.limits = world.kind.limits
        self.where = ""  # which store, where a run has several
        self.uses: tuple[str, ...] | None = None  # the faults of this run; None: all

    def size(self, ops: Sequence[Op]) -> int:
        return sum(len(op.key) + (len(op.value) if isinstance(op, Put) else 0) for op in ops)

    def get(self, key: str, *, fresh: bool = False, timeout: float = 10.0) -> Entry | None:
        check_key(key)
        stale = self.world.kind.stale and not fresh and bool(self.world.past.get(key))
        fault = self._turn(f"get {key}{' fresh' if fresh else ''}", ["stale"] if stale else [])
        past = self.world.past.get(key)
        if fault == "stale" and past:  # a restore meanwhile has no past
            return past[-1 - self._which(len(past))]
        return self.world.entries.get(key)

    def keys(self, prefix: str, *, timeout: float = 10.0) -> list[str]:
        check_prefix(prefix)
        self._turn(f"keys {prefix}")
        return sorted(key for key in self.world.entries if key.startswith(prefix))

    def scan(self, prefix: str, *, timeout: float = 30.0) -> Iterator[Entry]:
        check_prefix(prefix)
        self._turn(f"scan {prefix}")
        for key in sorted(key for key in self.world.entries if key.startswith(prefix)):
            fault = self._turn(f"page {key}", ["stale"] if self.world.stale_listings else [])
            past = self.world.past.get(key)
            entry = past[-1] if fault == "stale" and past else self.world.entries.get(key)
            if entry is not None:
                yield entry

    def versions(self, prefix: str, *, since: Listing | None = None, timeout: float = 30.0) -> Listing:
        check_prefix(prefix)
        found = {}
        for key in sorted(key for key in self.world.entries if key.startswith(prefix)):
            fault = self._turn(f"version of {key}", ["stale"] if self.world.stale_listings else [])
            past = self.world.past.get(key)
            entry = past[-1] if fault == "stale" and past else self.world.entries.get(key)
            if entry is not None:
                found[key] = entry.version
        return Listing(found)

    def write(self, ops: Sequence[Op], *, timeout: float = 10.0) -> None:
        self._fits(ops)
        faults = [*LOST, *APPLIED, "full", "dies-after"]
        if any("/chunks/" in op.key for op in ops):
            faults.append("torn")
        fault = self._turn(f"write {_names(ops)}", faults)
        world, name = self.world, self.actor.name
        if fault in LOST:
            if fault == "delayed":
                world.pending.append(Pending(tuple(ops), name))
            raise OutcomeUnknownError("outcome-unknown", "no answer")
        if fault == "full":
            raise FullError("store-full", "no room")
        if fault == "torn":
            ops = [op._replace(value=op.value[:-1]) if isinstance(op, Put) else op for op in ops]
        if fault == "duplicated":
            world.pending.append(Pending(tuple(ops), name))
        world.apply(ops, name)
        if fault == "dies-after":
            raise Died
        if fault == "answer-lost":
            raise OutcomeUnknownError("outcome-unknown", "the answer was lost")
        if fault == "replayed":
            # A proxy sent it twice and passes on the second answer.
            world.apply(ops, name)

    def wait(self, key: str, after: str, *, timeout: float) -> bool:
        self.actor.turn()
        return True

    def close(self) -> None:
        """Nothing to let go of."""

    # ---- what befalls a call

    def _turn(self, what: str, faults: Sequence[str] = ()) -> str:
        what = self.where + what
        self.actor.doing = what
        self.actor.turn()
        options = ["", *(f for f in ("unavailable", "dies", *faults) if self._possible(f))]
        fault = options[self.actor.scheduler.choices.fault(options)] if self.faulty else ""
        self.world.say(f"{self.actor.name}: {what}{f'   << {fault}' if fault else ''}")
        if fault == "dies":
            raise Died
        self.actor.met += bool(fault)
        if fault == "unavailable":
            raise UnavailableError("store-unavailable", "no answer")
        return fault

    def _possible(self, fault: str) -> bool:
        return self.uses is None or fault in self.uses

    def _which(self, count: int) -> int:
        return self.actor.scheduler.choices.fault([""] + [str(n) for n in range(1, min(count, 4))])

    def _fits(self, ops: Sequence[Op]) -> None:
        limits = self.limits
        changes = [op for op in ops if not isinstance(op, Check)]
        assert ops
        assert len({op.key for op in ops}) == len(ops), "a key stands twice in one write"
        assert limits.transactional or len(changes) <= 1, "this store changes one key in a write"
        assert len(ops) <= limits.ops, "more operations than the store takes"
        assert self.size(ops) <= limits.request, "a request larger than the store takes"


class FolderClient(Client):
    """A store that takes many writes at the price of a few, as a folder does: one after the other."""

    def write_each(self, writes: Sequence[Sequence[Op]], *, timeout: float = 10.0) -> list[StoreError | None]:
        results: list[StoreError | None] = []
        for ops in writes:
            try:
                self.write(ops, timeout=timeout)
            except StoreError as error:
                return [*results, error]
            results.append(None)
        return results


def client_of(world: World, actor: Actor, *, faulty: bool = True) -> Client:
    """The store of this world as one process has it."""
    return (FolderClient if world.kind.name == "file" else Client)(world, actor, faulty=faulty)


__all__ = ["KINDS", "Client", "Kind", "Pending", "StoreError", "World"]
