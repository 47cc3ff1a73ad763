"""Rules of the protocol, each with a switch that takes it out - here alone - and a world that needs it.

A switch replaces a function of the program, or wraps the store, for one run. The worlds are small: few
processes, and only the faults that matter, so that the violation comes within a few hundred runs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import NamedTuple
from unittest.mock import patch

from simulation.run import Plan, Result, Run
from simulation.scheduler import Choices, Scripted, Seeded
from simulation.store import Client, World
from simulation.switches import (
    LOSSY,
    Patches,
    any_ancestry,
    any_state,
    archive_apart,
    archive_first,
    believes_conflict,
    believes_timeout,
    blind_swap,
    chunks_before_archive,
    chunks_believed,
    chunks_later,
    collects_above_head,
    collects_all,
    collects_young,
    fenced_is_certain,
    forgets_archives_chunks,
    head_alone_tells,
    heads_before_fence,
    idle_does_not_claim,
    junk_tells,
    looks_once,
    no_check,
    no_predecessor,
    not_overtaken,
    nothing,
    old_listings,
    only_state_fences,
    order_counts,
    order_is_the_clock,
    replans,
    shared_chunks,
    stands_by_files,
)
from simulation.switches_of_readers import believes_anybody, reads_once, takes_older, takes_twin


class Rule(NamedTuple):
    """`without` gives the patches that take it out; `violation` is a part of what is then found."""

    name: str
    without: Callable[[], Patches]
    plan: Plan
    violation: str
    stay: float = 0.8
    faults: float = 0.0
    events: float = 0.05
    alter: Callable[[World], None] | None = None
    script: Sequence[tuple[str, ...]] = ()  # instead of seeds


QUIET = Plan(kind="txn", readers=0, collects=0, days=0, faults=())


RULES: Sequence[Rule] = (
    Rule(
        "a head is replaced by compare-and-swap",
        blind_swap,
        QUIET._replace(publishers=(3, 3)),
        "without coming from it",
        stay=0.5,
    ),
    Rule("a flip depends on the fence", no_check, QUIET, "an older commit's content", stay=0.5),
    Rule(
        "the fence moves also when nothing changes",
        idle_does_not_claim,
        QUIET._replace(publishers=(1, 2), tries=1),
        "an older commit's content",
        stay=0.5,
    ),
    Rule("an older commit does not pass the fence", any_ancestry, QUIET, "an older commit's content"),
    Rule(
        "a conflict is never planned again behind the old fence",
        replans,
        QUIET,
        "an older commit's content",
        stay=0.5,
    ),
    Rule("parts are stored before the head", chunks_later, QUIET, "incomplete"),
    Rule("parts are read back", chunks_believed, QUIET._replace(faults=("torn",)), "incomplete", faults=0.1),
    Rule(
        "parts are never shared between attempts",
        shared_chunks,
        QUIET._replace(publishers=(3, 3, 4), collects=4, days=3, faults=("dies",)),
        "needs was deleted|incomplete",
        stay=0.7,
        faults=0.03,
    ),
    Rule(
        "parts above the head are left alone",
        collects_above_head,
        QUIET._replace(collects=4, days=3),
        "incomplete",
        stay=0.5,
    ),
    Rule("a day is kept", collects_young, QUIET._replace(kind="narrow", collects=4), "younger than a day"),
    Rule("the newest are kept", collects_all, QUIET._replace(collects=4, days=2), "one of the newest"),
    Rule(
        "an archive goes before its parts",
        chunks_before_archive,
        QUIET._replace(kind="narrow", publishers=(4,), first=3, collects=4),
        "needs was deleted",
    ),
    Rule(
        "what archives need is kept",
        forgets_archives_chunks,
        QUIET._replace(publishers=(3, 4), collects=4, days=2),
        "needs was deleted",
    ),
    Rule(
        "a conflict is not believed",
        believes_conflict,
        QUIET._replace(faults=("replayed",)),
        "said to be `conflict` and was a head",
        faults=0.1,
    ),
    Rule(
        "a head that is no release says nothing of what was before it",
        junk_tells,
        QUIET._replace(kind="file", publishers=(4,), hostile=3, acts=("junk",), faults=("replayed",)),
        "`conflict` and was a head",
        stay=0.5,
        faults=0.4,
        events=0.3,
    ),
    Rule(
        "a timeout is not believed",
        believes_timeout,
        QUIET._replace(faults=LOSSY),
        "`failed` and (was|is) a head|`failed`",
        faults=0.1,
    ),
    Rule(
        "archive and chain are asked, not the head alone",
        head_alone_tells,
        QUIET._replace(publishers=(1, 4), tries=1, faults=("answer-lost",)),
        "said to be `conflict` and was a head",
        stay=0.93,
        faults=0.5,
    ),
    Rule(
        "the fence is looked at before the heads",
        heads_before_fence,
        QUIET._replace(faults=("delayed",), publishers=(3, 4)),
        "said to be `fenced` and was a head",
        script=(
            ("until", "publisher-0", "write check dev/state put dev/heads"),
            ("until", "publisher-1", "write put dev/state"),
            ("fault", "delayed"),
            ("until", "publisher-0", "get dev/state"),
            ("event", "late"),
            ("once", "publisher-1"),
            ("until", "publisher-0", "scan"),
        ),
    ),
    Rule(
        "`fenced` is said only where it is certain",
        fenced_is_certain,
        QUIET._replace(kind="s3", faults=("delayed",), publishers=(3, 4)),
        "said to be `fenced` and is a head",
        script=(
            ("until", "publisher-0", "write put dev/heads"),
            ("until", "publisher-1", "write put dev/state"),
            ("until", "publisher-1", "get dev/state"),
            ("fault", "delayed"),
            ("until", "publisher-0", "scan"),
            ("event", "late"),
        ),
    ),
    Rule(
        "an order carries time",
        order_counts,
        QUIET._replace(backups=1, readers=1, starts=3),
        "stand above everything|two contents|went back",
        events=0.1,
    ),
    Rule(
        "an order is above its head's",
        order_is_the_clock,
        QUIET._replace(skew=4000, publishers=(4, 3, 1)),
        "does not stand above",
    ),
    Rule(
        "nothing is archived before it was head",
        archive_first,
        QUIET._replace(kind="s3"),
        "never a head",
        stay=0.5,
    ),
    Rule(
        "who comes next archives the predecessor",
        no_predecessor,
        QUIET._replace(kind="file", faults=("dies-after",)),
        "was replaced and has no archive",
        faults=0.1,
    ),
    Rule("head and archive change in one write", archive_apart, QUIET, "the head has no archive"),
    Rule("who was overtaken says so", not_overtaken, QUIET._replace(kind="s3"), "nobody was told", stay=0.5),
    Rule(
        "a fence is signed by a publisher",
        any_state,
        QUIET._replace(hostile=1, acts=("state",)),
        "unknown-commit|older-commit",
    ),
    Rule(
        "without a state the heads' commits fence",
        only_state_fences,
        QUIET._replace(hostile=1, acts=("no-state",)),
        "an older commit's content",
        events=0.1,
    ),
    Rule(
        "a listing is never older than an answer",
        nothing,
        QUIET._replace(faults=("stale",), publishers=(1, 2), tries=3),
        "an older commit's content",
        stay=0.9,
        faults=0.2,
        alter=old_listings,
    ),
    Rule(
        "who stands has the head that was kept",
        stands_by_files,
        QUIET._replace(publishers=(4, 4), rolls=True, tries=3),
        "unchanged and had moved",
        stay=0.9,
    ),
    Rule(
        "who stands is looked at behind the fence",
        looks_once,
        QUIET._replace(publishers=(4, 4), rolls=True, tries=3),
        "unchanged and had moved",
        stay=0.8,
    ),
    Rule(
        "a reader never takes an older release",
        takes_older,
        QUIET._replace(readers=2, starts=4, faults=("stale",)),
        "went back",
        stay=0.5,
        faults=0.3,
    ),
    Rule(
        "two contents at one order are refused",
        takes_twin,
        QUIET._replace(readers=2, starts=4, hostile=1, acts=("twin",)),
        "two contents at one order",
        stay=0.5,
        events=0.1,
    ),
    Rule(
        "a reader checks the signature",
        believes_anybody,
        QUIET._replace(readers=2, starts=4, hostile=1, acts=("forged",), publishers=(1,)),
        "never a head|reader-",
        stay=0.5,
        events=0.1,
    ),
    Rule(
        "a part that is gone sends the reader back to the head",
        reads_once,
        QUIET._replace(kind="narrow", readers=1, first=3, publishers=(4,)),
        "could not start although",
        script=(("until", "reader-0", "get dev/chunks"), ("until", "publisher-0", "its end")),
    ),
)


def run_without(rule: Rule, seed: int, *, taken_out: bool = True) -> Result:
    """One run in the rule's world, without the rule or, to compare, with it."""
    choices: Choices = Seeded(seed, stay=rule.stay, faults=rule.faults, events=rule.events)
    if rule.script:
        choices = Scripted(rule.script)
    run = Run(rule.plan, choices, alter=rule.alter if taken_out else None)
    run.inside = lambda: _patched(rule.without() if taken_out else [])
    return run.go()


@contextmanager
def _patched(patches: Patches) -> Iterator[None]:
    with ExitStack() as stack:
        for name, value in patches:
            stack.enter_context(patch(name, value))
        yield


__all__ = ["RULES", "Client", "Mapping", "Rule", "run_without"]
