"""Rules of mirrors and plain trees, each with a switch that takes it out and a world that needs it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from sealpipe.model import Broken, Head
from sealpipe.publishing import mirror as mirroring
from sealpipe.stores.base import Check, Op, Put
from sealpipe.views import place as places
from sealpipe.views import write as writing
from simulation.rules import QUIET, Patches, Rule

TXN = ("txn", "txn", "txn")
ALONE = ("s3", "s3", "s3")
_M, _W = "sealpipe.publishing.mirror.", "sealpipe.views.write."
PLAN = QUIET._replace(copies=TXN, tries=2)


def _blind_mirror() -> Patches:
    return [(_M + "Put", lambda key, value, _expect: Put(key, value, None))]


def _backwards() -> Patches:
    real = mirroring._copy

    def copy(one: Head, there: Head | Broken | None, *args: Any, **more: Any) -> str:
        if isinstance(there, Head) and there.release.order > one.release.order:
            there = Broken(one.release.unit, there.version, "", "")
        return real(one, there, *args, **{**more, "repair": True})

    return [(_M + "_copy", copy)]


def _head_without_parts() -> Patches:
    return [(_M + "upload", lambda *_: None)]


def _jammed() -> Patches:
    return [(_M + "_mend", lambda *_: None)]


def _unbound_keys() -> Patches:
    real = writing._groups

    def groups(store: Any, ops: Sequence[Op], check: Check) -> Iterator[list[Op]]:
        for group in real(store, ops, check):
            yield [op._replace(expect=None) for op in group if not isinstance(op, Check)]

    return [(_W + "_groups", groups)]


def _all_is_ours() -> Patches:
    return [(_W + "owned", lambda *_: (frozenset({"n", "text", "of-somebody-else"}), 100))]


def _whole_from_the_start() -> Patches:
    def claimed(place: Any, release: Any, before: Any) -> Any:
        return places.written(places.claimed(place, release, before), release, place.layout)

    return [(_W + "claimed", claimed)]


def _believes_a_lost_reply() -> Patches:
    """What got lost is taken for done."""
    from sealpipe.errors import OutcomeUnknownError

    real = writing._groups

    class Careless:
        def __init__(self, inner: Any) -> None:
            self.inner = inner

        def __getattr__(self, name: str) -> Any:
            return getattr(self.inner, name)

        def write(self, ops: Sequence[Op], *, timeout: float = 10.0) -> None:
            try:
                self.inner.write(ops, timeout=timeout)
            except OutcomeUnknownError:
                return

    real_once = writing._once

    def once(place: Any, *args: Any, **more: Any) -> Any:
        return real_once(place._replace(store=Careless(place.store)), *args, **more)

    return [(_W + "_once", once), (_W + "_groups", real)]


PAUSED = ("until", "publisher-1", "its end"), ("until", "publisher-0", "its end")
"""What a publisher misses who stands still: another one comes and is done."""

RULES: Sequence[Rule] = (
    Rule(
        "a mirror's head is replaced by compare-and-swap",
        _blind_mirror,
        PLAN._replace(publishers=(3, 4), tries=1),
        "the mirror went back",
        script=(("until", "publisher-0", "mirror: write put dev/heads/a"), *PAUSED),
    ),
    Rule(
        "a mirror goes forward only",
        _backwards,
        PLAN._replace(publishers=(3, 4), tries=1),
        "the mirror went back",
        script=(("until", "publisher-0", "mirror: scan dev/heads/"), *PAUSED),
    ),
    Rule("a mirror has the parts before the head", _head_without_parts, PLAN, "incomplete"),
    Rule(
        "a part that was cut short is replaced",
        _jammed,
        PLAN._replace(copies=ALONE, faults=("torn",)),
        "chunk-differs|does not have the newest",
        faults=0.1,
    ),
    Rule(
        "keys of a tree are bound to a claim",
        _unbound_keys,
        PLAN._replace(publishers=(3, 4), tries=1, faults=("dies-after",)),
        "the tree of",
        script=(
            ("until", "publisher-0", "tree: write "),
            ("once", "publisher-0"),
            ("until", "publisher-0", "tree: write "),
            ("until", "publisher-1", "its end"),
            ("fault", "dies-after"),
            ("until", "publisher-0", "its end"),
        ),
    ),
    Rule("only what a release of ours had is deleted", _all_is_ours, PLAN, "is not ours"),
    Rule(
        "the marker says so last",
        _whole_from_the_start,
        PLAN._replace(copies=ALONE, publishers=(4,), tries=1, faults=("dies-after",)),
        "the tree of",
        script=(
            ("until", "publisher-0", "tree: write put a/"),
            ("fault", "dies-after"),
            ("until", "publisher-0", "its end"),
        ),
    ),
    Rule(
        "a lost reply is no reply",
        _believes_a_lost_reply,
        PLAN._replace(faults=("lost",)),
        "the tree of",
        faults=0.2,
    ),
)
