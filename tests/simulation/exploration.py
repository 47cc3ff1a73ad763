"""Every path of a small world: two publishers, and a bounded number of interruptions and faults."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from simulation.run import Plan, Run
from simulation.scheduler import Bounded

FAULTS = ("dies", "dies-after", "unavailable", "lost", "delayed", "answer-lost", "duplicated", "replayed")


class Explored(NamedTuple):
    """How far it went; `prefix` leads to the violation, where there is one."""

    paths: int
    violation: str
    prefix: tuple[int, ...]
    complete: bool

    def __add__(self, other: object) -> Explored:
        assert isinstance(other, Explored)
        bad = self if self.violation else other
        return Explored(self.paths + other.paths, bad.violation, bad.prefix, self.complete and other.complete)


def small(kind: str) -> Plan:
    """Commits 1 and 3, which touch different units; a day may pass."""
    return Plan(kind=kind, publishers=(1, 3), tries=1, readers=0, collects=0, days=0, skew=0, faults=FAULTS)


def explore(
    kind: str,
    *,
    interruptions: int,
    faults: int,
    limit: int = 0,
    plan: Plan | None = None,
    begin: Sequence[int] = (),
) -> Explored:
    """All paths with at most so many interruptions and faults, or the first `limit` of them."""
    paths = 0
    prefix: list[int] | None = list(begin)
    while prefix is not None and (not limit or paths < limit):
        choices = Bounded(prefix, interruptions=interruptions, faults=faults)
        result = Run(plan or small(kind), choices).go()
        paths += 1
        if result.violation:
            return Explored(paths, result.violation, tuple(choices.taken), complete=False)
        prefix = choices.following()
    return Explored(paths, "", (), complete=prefix is None)
