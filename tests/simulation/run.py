"""One run: processes and events under a scheduler, then the calm after it, in which all must come right."""

from __future__ import annotations

import functools
import random
import shutil
import tempfile
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, NamedTuple

from sealpipe.errors import ConfigError, SealpipeError
from sealpipe.stores.base import Store
from simulation import strangers
from simulation.actors import (
    REPAIRING,
    Surroundings,
    collector,
    publish_once,
    publisher,
    reader,
    source_for,
    start_once,
)
from simulation.copies import Copies
from simulation.inside import simulated
from simulation.invariants import DAY_MS, Invariants
from simulation.repository import A, B, repository
from simulation.scheduler import Actor, Choices, Scheduler, Seeded
from simulation.store import KINDS, Client, World, client_of

BEGIN_MS = 1_764_000_000_000
STEPS = 4000


class Plan(NamedTuple):
    """What a run consists of; `Seeded` runs draw one from their seed."""

    kind: str
    publishers: tuple[int, ...] = (1, 3, 4)  # commits
    tries: int = 2
    rolls: bool = False  # the first publisher rolls back
    readers: int = 2
    starts: int = 2
    collects: int = 2
    days: int = 2
    backups: int = 0
    hostile: int = 0
    acts: tuple[str, ...] = tuple(strangers.ACTS)
    skew: int = 40
    faults: tuple[str, ...] | None = None  # None: every kind
    first: int = 0  # the commit that stands in the store before, -1: an empty store
    copies: tuple[str, ...] = ()  # kinds of two mirrors and a plain tree, or none of them


class Result(NamedTuple):
    violation: str
    journal: tuple[str, ...]
    steps: int
    commands: int


class Run:
    """A world with its processes. `go` gives the result."""

    def __init__(self, plan: Plan, choices: Choices, *, alter: Callable[[World], None] | None = None) -> None:
        self.plan, self.choices = plan, choices
        self.repository = repository()
        self.world = World(KINDS[plan.kind])
        if alter is not None:
            alter(self.world)
        self.invariants = Invariants(self.world, self.repository)
        self.scheduler = Scheduler(choices)
        self.around = Surroundings(self.repository, self.invariants, self.now_ms)
        self.copies = Copies(self, plan.copies) if plan.copies else None
        if self.copies is not None:
            self.around.told = self.copies.told
        self.jumped = 0
        self.left = {"day": plan.days, "backup": plan.backups, "restore": 0, "stranger": plan.hostile}
        self.commands: list[Actor] = []
        self.calm = False
        self.inside: Callable[[], AbstractContextManager[None]] = nullcontext  # a rule taken out
        self.cache = Path(tempfile.mkdtemp(prefix="sealpipe-simulation-", dir=_memory()))

    def now_ms(self) -> int:
        now = BEGIN_MS + self.scheduler.steps + self.jumped
        self.invariants.now_ms = now
        return now

    def open(self, url: str, *, base: str) -> tuple[Store, str]:
        if self.copies is not None and url in self.copies.worlds:
            return self.copies.client(url), ""
        return self.client(), ""

    def pending(self) -> list[tuple[World, int]]:
        """Requests that nobody waits for any more, on every store."""
        found = [(self.world, n) for n in range(len(self.world.pending))]
        return found + (self.copies.late() if self.copies is not None else [])

    def client(self) -> Client:
        actor = self.scheduler.current
        assert actor is not None
        client = client_of(self.world, actor, faulty=not self.calm)
        client.uses = self.plan.faults
        return client

    def go(self) -> Result:
        try:
            with simulated(self), self.inside():
                self._go()
        finally:
            self.scheduler.end()
            shutil.rmtree(self.cache, ignore_errors=True)
        return Result(
            self.invariants.broken, tuple(self.world.journal), self.scheduler.steps, self.around.commands
        )

    def _go(self) -> None:
        plan = self.plan
        if plan.first >= 0:
            self.calmly("before", lambda: publish_once(self.around, plan.first, "one"))
            self.jumped += 2 * DAY_MS
        self._start()
        while not self.invariants.broken and self.scheduler.steps < STEPS:
            event = self.scheduler.step([f"*{name}" for name in self._events()])
            self._crashes()
            if event is None:
                break
            if event:
                self._event(event[1:])
        if not self.invariants.broken:
            self._afterwards()

    def _start(self) -> None:
        plan = self.plan
        for n, number in enumerate(plan.publishers):
            skew = plan.skew * (n - 1)
            work = publisher(
                self.around,
                number,
                ("one", "two", "three")[n % 3],
                tries=plan.tries,
                skew=skew,
                rolls=plan.rolls and not n,
            )
            self.commands.append(self.scheduler.add(f"publisher-{n}", work))
        for n in range(plan.readers):
            source = source_for(self.repository, A, str(self.cache / str(n)))
            self.scheduler.add(f"reader-{n}", reader(self.around, f"reader-{n}", source, plan.starts))
        if plan.collects:
            work = collector(self.around, self.client, plan.collects)
            self.commands.append(self.scheduler.add("collector", work))

    # ---- events

    def _events(self) -> list[str]:
        names = [name for name, left in self.left.items() if left]
        return names + [f"late {n}" for n in range(len(self.pending()))]

    def _event(self, name: str) -> None:
        self.world.say(f"* {name}")
        kind, _, number = name.partition(" ")
        if number:
            world, at = self.pending()[int(number)]
            self._guarded(lambda: world.arrive(at))
            return
        self.left[kind] -= 1
        if kind == "day":
            self.jumped += DAY_MS + 60_000
        elif kind == "backup":
            self.world.save()
            self.left["restore"] = 1
        elif kind == "restore":
            # As the runbook says: publishers are stopped before; what was under way ended with the server.
            self.scheduler.end([actor for actor in self.commands if actor.alive])
            self.world.restore()
            self.invariants.restored()
            self.jumped += 60_000
            self._again()
        else:
            self.jumped += 60_000
            picked = self.plan.acts[self._pick(len(self.plan.acts))]
            self.now_ms()
            self._guarded(lambda: self._stranger(picked))

    def _again(self) -> None:
        plan = self.plan
        for n, number in enumerate(plan.publishers):
            work = publisher(
                self.around,
                number,
                ("one", "two", "three")[n % 3],
                tries=1,
                skew=plan.skew * (n - 1),
                rolls=False,
            )
            self.commands.append(self.scheduler.add(f"publisher-{n}-again", work))

    def _stranger(self, name: str) -> None:
        self.world.say(f"  stranger: {name}")
        strangers.write(name, self.world, self.repository, self.now_ms(), self._pick)

    def _pick(self, below: int) -> int:
        return self.choices.whom([str(n) for n in range(below)])

    def _guarded(self, act: Callable[[], Any]) -> None:
        try:
            act()
        except BaseException:
            if not self.invariants.broken:
                raise

    def _crashes(self) -> None:
        for actor in self.scheduler.actors:
            if actor.crash is not None and not self.invariants.broken:
                self.invariants.broken = f"{actor.name} crashed: {actor.crash!r}"

    # ---- the calm after it

    def _afterwards(self) -> None:
        self.scheduler.end()
        self.jumped += 60_000
        newest = len(self.repository.workspaces) - 1
        if self.pending() and self._pick(2):
            self._late()
        if self.invariants.broken:
            return
        allowed = REPAIRING._replace(lift_hold=True, reissue=self.invariants.disturbed)
        self.calmly("the next publish", lambda: self._next(newest, allowed))
        self._late()
        self.jumped += 3 * DAY_MS
        self.now_ms()
        if self.copies is not None and not self.invariants.broken:
            self.calmly("the publish after the late ones", lambda: self._next(newest, allowed))
        if self.copies is not None and not self.invariants.broken:
            self._guarded(self.copies.settled)
        if not self.invariants.broken:
            self.calmly("collection", self._collect)
        for n in range(self.plan.readers + 1):
            if not self.invariants.broken:
                self.calmly(f"reader-{n}", functools.partial(self._reads, n))

    def _late(self) -> None:
        while (late := self.pending()) and not self.invariants.broken:
            world, at = late[0]
            self._guarded(lambda world=world, at=at: world.arrive(at))  # type: ignore[misc]

    def _next(self, newest: int, allowed: Any) -> None:
        outcomes = publish_once(self.around, newest, "two", allowed=allowed)
        if set(outcomes) != {A, B} or set(outcomes.values()) - {"published", "unchanged"}:
            self.invariants.fail(f"the next publish did not go through: {outcomes}")
        for unit in (A, B):
            known = self.invariants.known(unit)
            if known is None or known.draft != self.repository.draft_digest(newest, unit):
                self.invariants.fail(f"{unit} is not what the newest commit says")

    def _collect(self) -> None:
        from sealpipe.publishing import collect as collecting
        from sealpipe.publishing.heads import needs

        collecting.collect(self.client(), "", [A, B], needs=needs, now_ms=self.now_ms())

    def _reads(self, number: int) -> None:
        name = f"reader-{number}"
        cache = str(self.cache / str(number)) if number < self.plan.readers else ""
        release = start_once(self.around, name, source_for(self.repository, A, cache))
        known = self.invariants.known(A)
        if known is None or release.digest != known.digest:
            self.invariants.fail(f"{name} does not come to the newest release")

    def calmly(self, what: str, act: Callable[[], Any]) -> None:
        """Alone and with a store that answers; an error is a violation."""
        self.calm = True

        def work(_: Actor) -> None:
            try:
                act()
            except (SealpipeError, ConfigError) as error:
                self.invariants.fail(f"{what}: {error.word}: {error.finding.what}")

        actor = self.scheduler.add(what, work)
        while actor.alive:
            self.scheduler.steps += 1
            actor.resume()
        self._crashes()
        self.calm = False


@functools.cache
def _memory() -> str | None:
    return "/dev/shm" if Path("/dev/shm").is_dir() else None


# ---- seeds


def plan_of(seed: int) -> tuple[Plan, Seeded]:
    """What a seed stands for."""
    drawn = random.Random(f"plan {seed}")  # noqa: S311 - a seed is to be repeated
    kinds = tuple(KINDS)
    plan = Plan(
        kind=kinds[seed % len(kinds)],
        publishers=tuple(drawn.choice((1, 2, 3, 4)) for _ in range(3)),
        tries=drawn.choice((1, 2, 2, 3)),
        rolls=drawn.random() < 0.2,
        days=drawn.choice((0, 1, 2, 3)),
        backups=int(drawn.random() < 0.25),
        hostile=drawn.choice((0, 0, 0, 1, 2)),
        skew=drawn.choice((0, 40, 40)),
        first=drawn.choice((0, 0, 0, -1)),
        copies=_copies_of(seed),
    )
    choices = Seeded(
        drawn.randrange(1 << 62),
        stay=drawn.choice((0.0, 0.5, 0.8, 0.95)),
        faults=drawn.choice((0.0, 0.02, 0.06, 0.15)),
        events=drawn.choice((0.02, 0.05)),
    )
    return plan, choices


def _copies_of(seed: int) -> tuple[str, ...]:
    """Every third run has mirrors and a tree; drawn apart, so that the others stay what they were."""
    drawn = random.Random(f"copies {seed}")  # noqa: S311 - a seed is to be repeated
    return tuple(drawn.choice((*KINDS,)) for _ in range(3)) if drawn.random() < 1 / 3 else ()


def run_seed(seed: int) -> Result:
    plan, choices = plan_of(seed)
    return Run(plan, choices).go()
