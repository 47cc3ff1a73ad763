"""Mirrors and a plain tree beside the simulated primary: stores of their own, with faults of their own.

They decide nothing, so what must hold is less: a mirror only goes forward and is whole whenever it has a
head; of a tree only keys go that a release of ours had; and who is told that a copy has everything, has it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from sealpipe.model import Head, Publication, Workspace
from sealpipe.project import TreeSpec
from sealpipe.publishing.heads import Reader, head
from sealpipe.released import Order, Unit
from sealpipe.releases.keys import chunk_key, head_key, parse_head
from sealpipe.releases.wire import parse_locator
from sealpipe.stores.base import Delete, Entry, Op, Put
from sealpipe.views import environment as views
from sealpipe.views.drift import drift
from sealpipe.views.place import Place, Source
from simulation.invariants import _checked
from simulation.repository import A, B
from simulation.store import KINDS, Client, World, client_of

if TYPE_CHECKING:
    from simulation.run import Run

MIRRORS = ("simulated:mirror", "simulated:other")
TREE = "simulated:tree"
THEIRS = "a/of-somebody-else"
_real_trees = views.write_trees


class Copies:
    """What a run has beside its primary; `kinds` are those of the mirrors and of the tree."""

    def __init__(self, run: Run, kinds: Sequence[str]) -> None:
        self.run = run
        self.worlds = {url: World(KINDS[kind]) for url, kind in zip((*MIRRORS, TREE), kinds, strict=True)}
        self.highest: dict[tuple[str, Unit], Order] = {}
        for url in MIRRORS:
            self.worlds[url].watch = lambda _author, ops, _before, url=url: self._mirrored(url, ops)
        self.worlds[TREE].apply([Put(THEIRS, b"theirs", "")], "somebody")
        self.worlds[TREE].watch = lambda _author, ops, before: self._planted(ops, before)
        for world in self.worlds.values():
            world.journal = run.world.journal

    # ---- after each change

    def _mirrored(self, url: str, ops: Sequence[Op]) -> None:
        invariants, world = self.run.invariants, self.worlds[url]
        for op in ops:
            unit = parse_head("", op.key)
            if unit is None:
                if isinstance(op, Delete) and op.key in self._needed(world):
                    invariants.fail(f"{url}: a part that its head needs was deleted")
                continue
            if isinstance(op, Delete):
                invariants.fail(f"{url}: a head was deleted")
            known = self._known(world, unit)
            if known is None:
                invariants.fail(f"{url}: the head of {unit} is incomplete or no release")
            elif known.digest not in invariants.history[unit] and known.digest not in invariants.spoiled:
                invariants.fail(f"{url}: the mirror has what never was a head of {unit}")
            elif known.order < self.highest.get((url, unit), known.order):
                invariants.fail(f"{url}: the mirror went back")
            else:
                self.highest[url, unit] = known.order

    def _known(self, world: World, unit: Unit) -> Any:
        entry = world.entries.get(head_key("", unit))
        if entry is None:
            return None
        locator = parse_locator(entry.value)
        raw = entry.value
        if locator is not None:
            keys = [chunk_key("", unit, locator.order, locator.rid, n) for n in range(locator.chunks)]
            raw = b"".join(part.value for key in keys if (part := world.entries.get(key)) is not None)
        return _checked(raw, unit, self.run.repository)

    def _needed(self, world: World) -> set[str]:
        found: set[str] = set()
        for unit in (A, B):
            entry = world.entries.get(head_key("", unit))
            locator = parse_locator(entry.value) if entry else None
            if locator is not None:
                named = (chunk_key("", unit, locator.order, locator.rid, n) for n in range(locator.chunks))
                found.update(named)
        return found

    def _planted(self, ops: Sequence[Op], before: Mapping[str, Entry | None]) -> None:
        for op in ops:
            if isinstance(op, Delete) and op.key not in ("a/n", "a/text", "b/n", "b/text"):
                self.run.invariants.fail(f"{TREE}: {op.key} was deleted and is not ours")
            if isinstance(op, Put) and op.key == THEIRS and before.get(op.key) is not None:
                self.run.invariants.fail(f"{TREE}: {op.key} was written and is not ours")

    # ---- what people are told

    def told(self, done: Publication) -> None:
        """Who is told that a copy has what was published, has it or something newer."""
        if not done.receipts or any(r.outcome not in ("published", "already") for r in done.receipts):
            return
        for url, problem in done.mirrors.items():
            for receipt in done.receipts if not problem else ():
                known = self.run.invariants.history[receipt.unit].get(receipt.digest)
                order = self.highest.get((url, receipt.unit))
                if known is not None and (order is None or order < known.order):
                    self.run.invariants.fail(f"{url} was said to have {receipt.unit} #{receipt.number}")

    def settled(self) -> None:
        """In the calm after a publish: equal to the primary, nothing of somebody else's touched."""
        run = self.run
        for unit in (A, B):
            known = run.invariants.known(unit)
            for url in MIRRORS:
                copy = self._known(self.worlds[url], unit)
                if known is None or copy is None or copy.digest != known.digest:
                    run.invariants.fail(f"{url} does not have the newest release of {unit}")
        if self.worlds[TREE].entries[THEIRS].value != b"theirs":
            run.invariants.fail("a key of somebody else's changed")
        run.calmly("the tree", self._drift)

    def _drift(self) -> None:
        run = self.run
        source = Source(run.client(), "", Reader(run.repository.trust.project, run.repository.pins))
        place = Place(TREE, self.client(TREE), "", "keys", run.repository.trust.project)
        for unit in (A, B):
            one = head(source.store, "", unit, source.reader)
            words = (
                [f.word for f in drift(place, source, one.release)] if isinstance(one, Head) else ["no head"]
            )
            # Where nothing is checked beside a write, a late one may bring back what had gone. Of what only a
            # release had that lost a part since, nobody can say that it was ours.
            strays = run.invariants.robbed or not self.worlds[TREE].kind.limits.transactional
            late = "tree-stray" if strays else ""
            expected = {"tree-stray"} if unit == A else {late}
            if set(words) - expected:
                run.invariants.fail(f"the tree of {unit} is not what it must be: {words}")

    # ---- the program's ways to them

    def client(self, url: str) -> Client:
        actor = self.run.scheduler.current
        assert actor is not None
        client = client_of(self.worlds[url], actor, faulty=not self.run.calm)
        client.uses = self.run.plan.faults
        client.where = url.removeprefix("simulated:") + ": "
        return client

    def patches(self) -> Sequence[tuple[str, Any]]:
        """What a run puts in place of functions that read sealpipe.yaml."""
        return (
            ("sealpipe.flows.deliver.mirrors_of", lambda *_: MIRRORS),
            ("sealpipe.flows.deliver.write_trees", _trees),
        )

    def late(self) -> list[tuple[World, int]]:
        return [(world, n) for world in self.worlds.values() for n in range(len(world.pending))]


def _trees(workspace: Workspace, environment: str, *args: Any, **more: Any) -> Any:
    spec = workspace.project.environments[environment]
    found = replace(spec, tree=TreeSpec("keys", TREE, ("a", "b")))
    project = replace(workspace.project, environments={environment: found})
    return _real_trees(replace(workspace, project=project), environment, *args, **more)
