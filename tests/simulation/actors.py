"""Publishers, readers and a collector: the program's own functions, called as its commands call them."""

from __future__ import annotations

from collections.abc import Callable

from sealpipe.checks.standing import Record, Shipped, recorded, standing
from sealpipe.client.snapshot import Snapshot
from sealpipe.client.source import Source
from sealpipe.client.start import start
from sealpipe.errors import ConfigError, ConfigUnavailable, SealpipeError
from sealpipe.flows.planning import Request, look
from sealpipe.flows.rolling import Wish, prepare_rollback, undo
from sealpipe.flows.ship import prepare, ship
from sealpipe.flows.targets import primary
from sealpipe.frozen import replace
from sealpipe.model import Publication
from sealpipe.publishing import collect as collecting
from sealpipe.publishing.heads import needs
from sealpipe.released import Release, Unit
from sealpipe.releases.keys import head_key
from sealpipe.stages.plan import Allowed
from sealpipe.trust import pin_text, root_of
from simulation.invariants import Invariants, Moment
from simulation.repository import ENVIRONMENT, KEYS, A, B, Repository
from simulation.scheduler import Actor, Died
from simulation.store import Client

Now = Callable[[], int]
CALM = Allowed(removal=True, growth=True)
REPAIRING = CALM._replace(repair_head=True)


class Surroundings:
    """What every process of a run shares."""

    def __init__(self, repository: Repository, invariants: Invariants, now_ms: Now) -> None:
        self.repository, self.invariants, self.now_ms = repository, invariants, now_ms
        self.commands = 0  # that came to their end
        self.refusals: list[str] = []
        self.told: Callable[[Publication], None] = lambda _: None  # of the copies, where a run has any
        self.records: dict[str, Record] = {}  # what each publisher's machine keeps of its last publish

    def say(self, text: str) -> None:
        self.invariants.world.say(text)


def publish_once(
    around: Surroundings, number: int, who: str, *, skew: int = 0, allowed: Allowed = CALM
) -> dict[Unit, str]:
    """One `sealpipe publish dev` of a commit. Raises what the command reports."""
    repository = around.repository
    workspace, made = repository.workspaces[number], repository.inputs(number)
    request = Request(ENVIRONMENT, allowed=allowed)
    record = around.records.get(who) if allowed == CALM else None
    with primary(workspace, ENVIRONMENT) as target:
        stood = standing(record, made, look(target, ENVIRONMENT, record), target.prefix)
        documents = {
            name: one for name, one in workspace.documents.items() if name.name not in stood.services
        }
        prepared = prepare(
            replace(workspace, documents=documents),
            request,
            pins=repository.pins,
            keys=[KEYS[who]],
            target=target,
            stood=stood,
        )

    def remember(found: Shipped) -> None:
        around.records[who] = recorded(made, stood, found)

    behind: list[Moment] = []

    def say(what: str) -> None:
        if what == "taking the fence":
            behind.append(around.invariants.standing())

    done = ship(prepared, now_ms=around.now_ms() + skew, say=say, remember=remember)
    around.say(f"  {who}: " + " ".join(f"{r.unit}={r.outcome}" for r in done.receipts))
    around.invariants.told(number, done, behind[0])
    around.told(done)
    if around.refusals is not None and done.notes:
        around.say(f"  {who}: {done.notes[0].what}")
    return {receipt.unit: receipt.outcome for receipt in done.receipts}


def roll_back_once(around: Surroundings, who: str, unit: Unit, number: int, *, skew: int = 0) -> None:
    """One `sealpipe rollback`."""
    repository = around.repository
    wish = Wish(ENVIRONMENT, unit.service, reason="simulated")
    found = prepare_rollback(repository.workspaces[number], wish, pins=repository.pins, keys=[KEYS[who]])
    done = undo(found, now_ms=around.now_ms() + skew)
    around.say(f"  {who}: rollback " + " ".join(f"{r.unit}={r.outcome}" for r in done.receipts))
    around.invariants.told(-1, done)


def publisher(
    around: Surroundings, number: int, who: str, *, tries: int, skew: int, rolls: bool
) -> Callable[[Actor], None]:
    """Publishes one commit again and again; a process that dies is started anew."""

    def work(actor: Actor) -> None:
        allowed = CALM
        for attempt in range(tries):
            try:
                if rolls and attempt:
                    roll_back_once(around, who, A, number, skew=skew)
                else:
                    publish_once(around, number, who, skew=skew, allowed=allowed)
                around.commands += 1
            except SealpipeError as error:
                around.say(f"  {who}: {error.word}: {error.finding.what}")
                around.refusals.append(error.word)
                if error.word not in EXPECTED:
                    around.invariants.fail(f"{who} was told {error.word}: {error.finding.what}")
                if any(error.finding.hint and "--repair-head" in hint for hint in error.finding.hint):
                    allowed = REPAIRING
            except Died:
                if actor.doomed or around.invariants.broken:
                    raise
                around.say(f"  {who} died and is started again")

    return work


# What a publish may be told in a world of faults; anything else is a defect.
EXPECTED = frozenset({
    "broken-head", "chunk-differs", "fence-contended", "held", "moved", "not-published", "nothing-before",
    "nothing-to-roll-back", "older-commit", "outcome-unknown", "store-full", "store-slow",
    "store-unavailable", "unknown-commit",
})  # fmt: skip


def collector(around: Surroundings, client: Callable[[], Client], tries: int) -> Callable[[Actor], None]:
    def work(actor: Actor) -> None:
        for _ in range(tries):
            try:
                collecting.collect(client(), "", [A, B], needs=needs, now_ms=around.now_ms())
            except SealpipeError as error:
                around.say(f"  collector: {error.word}")
            except Died:
                if actor.doomed or around.invariants.broken:
                    raise

    return work


def source_for(repository: Repository, unit: Unit, cache: str) -> Source:
    pin = pin_text(repository.trust.project, root_of(repository.trust))
    return Source(url="simulated:", env=unit.environment, service=unit.service, trust=pin, cache=cache)


def start_once(around: Surroundings, name: str, source: Source) -> Release:
    """A service starts. Raises ConfigError."""
    taken: list[Release] = []

    def accept(snapshot: Snapshot) -> Release:
        taken.append(snapshot.release)
        return snapshot.release

    started = start(source, "model", accept)
    release: Release = started.value
    around.say(f"  {name}: runs with #{release.payload.number} {release.digest[:8]} from {started.origin}")
    around.invariants.taken(name, source.unit, release)
    return release


def reader(around: Surroundings, name: str, source: Source, tries: int) -> Callable[[Actor], None]:
    """A service that is started again and again with one cache."""

    def work(actor: Actor) -> None:
        world, invariants = around.invariants.world, around.invariants
        for _ in range(tries):
            met = actor.met
            there = head_key("", source.unit) in world.entries
            try:
                start_once(around, name, source)
            except ConfigError as error:
                around.say(f"  {name}: {error.word}: {error.finding.what}")
                calm = actor.met == met and there and not invariants.disturbed
                if isinstance(error, ConfigUnavailable) and calm:
                    invariants.fail(f"{name} could not start although the store answered: {error.word}")
            except Died:
                if actor.doomed or invariants.broken:
                    raise

    return work


__all__ = ["CALM", "EXPECTED", "REPAIRING", "B", "Surroundings", "publisher"]
