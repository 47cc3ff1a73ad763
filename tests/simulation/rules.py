"""Rules of the protocol, each with a switch that takes it out - here alone - and a world that needs it.

A switch replaces a function of the program, or wraps the store, for one run. The worlds are small: few
processes, and only the faults that matter, so that the violation comes within a few hundred runs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, NamedTuple
from unittest.mock import patch

from sealpipe.client import start as starting
from sealpipe.crypto import signing
from sealpipe.errors import ConfigError, ConflictError, OutcomeUnknownError
from sealpipe.flows import deliver as delivering
from sealpipe.flows import ship as shipping
from sealpipe.publishing import attempt as attempts
from sealpipe.publishing import collect as collecting
from sealpipe.publishing import fence as fencing
from sealpipe.publishing import publish as publishing
from sealpipe.publishing.fence import Claim
from sealpipe.publishing.publish import StateCheck
from sealpipe.released import SEQ_LIMIT, Order
from sealpipe.releases import fetch as fetching
from sealpipe.releases.keys import head_key, state_key
from sealpipe.stores.base import ABSENT, Put
from simulation.run import Plan, Result, Run
from simulation.scheduler import Choices, Scripted, Seeded
from simulation.store import Client, World

Patches = Sequence[tuple[str, Any]]


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
_P = "sealpipe.publishing."


# ---- switches


def _blind_swap() -> Patches:
    real = publishing._ops

    def ops(*args: Any) -> list[Any]:
        found = real(*args)
        return [
            op._replace(expect=None) if isinstance(op, Put) and "/heads/" in op.key else op for op in found
        ]

    return [(_P + "publish._ops", ops)]


def _no_check() -> Patches:
    real = delivering.publish

    def publish(*args: Any, fence: Any, **more: Any) -> Any:
        return real(*args, **{**more, "fence": None})

    return [("sealpipe.flows.deliver.publish", publish)]


def _idle_does_not_claim() -> Patches:
    """The fence is moved only by who has something to write."""
    real = shipping.claim

    def claim(store: Any, prefix: str, *args: Any, **more: Any) -> Any:
        from simulation.run import _run

        if shipping_plan.get(_run[-1].scheduler.current):
            return real(store, prefix, *args, **more)
        entry = store.get(state_key(prefix, more["environment"]), fresh=True)
        return Claim(entry.version if entry else ABSENT, True, ())

    real_writable = shipping.check_writable
    shipping_plan: dict[Any, bool] = {}

    def writable(prepared: Any) -> None:
        from simulation.run import _run

        shipping_plan[_run[-1].scheduler.current] = bool(prepared.plan.writing)
        real_writable(prepared)

    return [("sealpipe.flows.ship.claim", claim), ("sealpipe.flows.ship.check_writable", writable)]


def _any_ancestry() -> Patches:
    return [(_P + "fence.check_fences", lambda *_, **__: ())]


def _replans() -> Patches:
    """Who meets a conflict signs again over the new heads and writes under the fence as it is now."""
    real = delivering.publish

    def publish(batch: Any, store: Any, prefix: str, *, fence: Any, past: Any) -> Any:
        receipts = real(batch, store, prefix, fence=fence, past=past)
        if all(r.outcome in ("published", "already") for r in receipts) or fence is None:
            return receipts
        entry = store.get(state_key(prefix, batch.environment), fresh=True)
        now = StateCheck(batch.environment, entry.version if entry else ABSENT)
        return real(_over_new_heads(batch, store), store, prefix, fence=now, past=past)

    return [("sealpipe.flows.deliver.publish", publish)]


def _over_new_heads(batch: Any, store: Any) -> Any:
    from sealpipe.publishing.heads import Reader, heads
    from sealpipe.publishing.sign import Content, Signing, sign
    from sealpipe.releases.wire import split_release
    from sealpipe.trust import chain_for
    from simulation.repository import ENVIRONMENT, KEYS, repository
    from simulation.run import _run

    found = repository()
    contents = []
    for one in batch.releases:
        payload = one.release.payload
        data = split_release(one.release.raw).draft
        contents.append(
            Content(one.release.unit, data, payload.draft_digest, payload.schema_digest, {}, {}, payload.git)
        )
    reader = Reader(found.trust.project, found.pins)
    how = Signing(
        ENVIRONMENT,
        found.trust,
        chain_for(found.trust, None),
        found.pins,
        KEYS["one"],
        _run[-1].now_ms(),
        batch.id if hasattr(batch, "id") else "0" * 26,
    )
    return sign(contents, heads(store, "", ENVIRONMENT, reader), how)


def _chunks_later() -> Patches:
    """The head first, then its parts."""
    real_flip, real_upload = publishing._flip, publishing.upload

    def flip(group: Any, store: Any, *args: Any, **more: Any) -> Any:
        receipts = real_flip(group, store, *args, **more)
        for one in group:
            real_upload(one.chunks, store)
        return receipts

    return [(_P + "publish._flip", flip), (_P + "publish.upload", lambda *_: None)]


def _chunks_believed() -> Patches:
    def upload(chunks: Iterable[tuple[str, bytes]], store: Any, timeout: float = 10.0) -> None:
        for key, data in chunks:
            attempts.create(store, key, data, timeout)

    return [(_P + "publish.upload", upload)]


def _shared_chunks() -> Patches:
    """Parts are named by content, so that two attempts share them, as an earlier draft had it."""
    real = attempts.head_value

    def value(raw: bytes, order: Order, rid: str, digest: str) -> Any:
        return real(raw, *_shared(raw), digest)

    def attempt(signed: Any, prefix: str) -> Any:
        made = real_attempt(signed, prefix)
        release = signed.release
        order, rid = _shared(release.raw)
        chunks = tuple(
            (attempts.chunk_key(prefix, release.unit, order, rid, n), data)
            for n, (_, data) in enumerate(made.chunks)
        )
        return made._replace(chunks=chunks)

    real_attempt = publishing.attempt
    # Two attempts are the same bytes here: nothing in them is of the attempt but what is signed.
    fixed = [(_P + "sign.secrets", _NoChance()), ("sealpipe.publishing.sign.timestamp", lambda _: _WHEN)]
    return [*fixed, (_P + "attempt.head_value", value), (_P + "publish.attempt", attempt)]


_WHEN = "2026-05-04T00:00:00Z"


def _shared(raw: bytes) -> tuple[Order, str]:
    from sealpipe.releases.wire import split_release

    draft = signing_stage_digest(split_release(raw).draft)
    return Order(1, 1), draft


def signing_stage_digest(data: bytes) -> str:
    import hashlib

    return hashlib.blake2b(data, digest_size=16).hexdigest()


class _NoChance:
    def token_hex(self, size: int) -> str:
        return "ab" * size

    def token_bytes(self, size: int) -> bytes:
        return bytes(size)


def _collects_above_head() -> Patches:
    real = collecting._chunks

    def chunks(store: Any, prefix: str, unit: Any, head: Order, **more: Any) -> int:
        return real(store, prefix, unit, Order(head.trust, SEQ_LIMIT), **more)

    return [(_P + "collect._chunks", chunks)]


def _collects_young() -> Patches:
    real = collecting.collect

    def collect(*args: Any, **more: Any) -> int:
        return real(*args, **{**more, "age_ms": -60_000})

    return [("sealpipe.flows.deliver.collect", collect), (_P + "collect.collect", collect)]


def _collects_all() -> Patches:
    real = collecting.collect

    def collect(*args: Any, **more: Any) -> int:
        return real(*args, **{**more, "keep": 0})

    return [("sealpipe.flows.deliver.collect", collect), (_P + "collect.collect", collect)]


def _chunks_before_archive() -> Patches:
    real_delete, real_chunks = collecting._delete, collecting._chunks
    waiting: list[str] = []

    def delete(store: Any, name: str, timeout: float) -> bool:
        if "/releases/" in name:
            waiting.append(name)
            return True
        return real_delete(store, name, timeout)

    def chunks(store: Any, *args: Any, **more: Any) -> int:
        count = real_chunks(store, *args, **more)
        while waiting:
            real_delete(store, waiting.pop(), 10.0)
        return count

    return [(_P + "collect._delete", delete), (_P + "collect._chunks", chunks)]


def _forgets_archives_chunks() -> Patches:
    return [(_P + "collect._rid", lambda *_: "")]


def _believes_conflict() -> Patches:
    return [(_P + "publish._swap", _believing("conflict", ConflictError))]


def _believes_timeout() -> Patches:
    return [(_P + "publish._swap", _believing("failed", OutcomeUnknownError))]


def _believing(outcome: str, kind: type[Exception]) -> Any:
    real = publishing._swap

    def swap(group: Any, store: Any, prefix: str, *, fence: Any, past: Any, timeout: float) -> Any:
        failure = publishing._write(store, publishing._ops(group, store, prefix, fence), timeout)
        if failure is None:
            return [publishing._receipt(one, "published") for one in group]
        if isinstance(failure, kind):
            return [publishing._receipt(one, outcome) for one in group]
        return real(group, store, prefix, fence=fence, past=past, timeout=timeout)

    return swap


def _head_alone_tells() -> Patches:
    """After an unclear reply only the head is looked at: another's there means that ours never was."""

    def stands(one: Any, store: Any, past: Any, timeout: float = 10.0) -> str:
        entry = store.get(one.head_key, fresh=True, timeout=timeout)
        if entry is not None and entry.value == one.head:
            return "ours"
        return "base" if (entry.version if entry else ABSENT) == one.signed.base_version else "other"

    return [(_P + "publish.stands", stands)]


def _heads_before_fence() -> Patches:
    def look(group: Any, store: Any, prefix: str, *, fence: Any, past: Any, timeout: float) -> Any:
        standing = [publishing.stands(one, store, past, timeout) for one in group]
        return fence is not None and publishing._moved(store, prefix, fence, timeout), standing

    return [(_P + "publish._look", look)]


def _fenced_is_certain() -> Patches:
    """Where the state is not checked in the write, a delayed one may still come."""

    def swap(group: Any, store: Any, prefix: str, **more: Any) -> Any:
        receipts = real(group, store, prefix, **more)
        entry = store.get(head_key(prefix, group[0].unit), fresh=True)
        fence = more["fence"]
        base = (entry.version if entry else ABSENT) == group[0].signed.base_version
        unclear = receipts[0].outcome == "unknown" and base and fence
        if unclear and publishing._moved(store, prefix, fence, 10.0):
            return [r._replace(outcome="fenced") for r in receipts]
        return receipts

    real = publishing._swap
    return [(_P + "publish._swap", swap)]


def _order_counts() -> Patches:
    def order(unit: Any, base: Any, trust: int, now_ms: int) -> Order:
        return Order(trust, base.seq + 1 if base is not None else 1_764_000_000_000)

    return [(_P + "sign.next_order", order)]


def _order_is_the_clock() -> Patches:
    return [(_P + "sign.next_order", lambda unit, base, trust, now_ms: Order(trust, now_ms))]


def _archive_first() -> Patches:
    real = publishing._flip

    def flip(group: Any, store: Any, *args: Any, **more: Any) -> Any:
        for one in group:
            attempts.create(store, one.archive_key, one.head)
        return real(group, store, *args, **more)

    return [(_P + "publish._flip", flip)]


def _no_predecessor() -> Patches:
    return [(_P + "publish.archive_predecessor", lambda *_: None)]


def _archive_apart() -> Patches:
    real = publishing._ops

    def ops(*args: Any) -> list[Any]:
        return [op for op in real(*args) if "/releases/" not in op.key]

    return [(_P + "publish._ops", ops)]


def _not_overtaken() -> Patches:
    return [(_P + "publish._overtaken", lambda *_: False)]


def _any_state() -> Patches:
    return [(_P + "fence.signers", lambda *_: {b"somebody"})]


def _only_state_fences() -> Patches:
    real = fencing.fences
    return [(_P + "fence.fences", lambda state, _heads, trust: real(state, {}, trust))]


def _takes_older() -> Patches:
    return [("sealpipe.client.start.refuse_older", lambda *_: None)]


def _takes_twin() -> Patches:
    real = starting.newer

    def newer(current: Any, offered: Any) -> str:
        found = real(current, offered)
        return "load" if found == "equivocation" else found

    return [("sealpipe.client.start.newer", newer)]


def _believes_anybody() -> Patches:
    from sealpipe.releases.check import check_release

    def check(raw: bytes, *, pins: Any, unit: Any) -> Any:
        # A signature is not looked at; that one by a listed key is there is.
        return check_release(
            raw,
            pins=pins,
            unit=unit,
            verify=lambda kind, *rest: kind == "RELEASE" or signing.verify(kind, *rest),
        )

    return [("sealpipe.client.start.check_release", check)]


def _reads_once() -> Patches:
    def once(self: Any) -> Any:
        try:
            return self.from_store(self.source.urls[0], 3.0)
        except ConfigError as error:
            self.refused.append(error)
            return None

    # The start asks the stores again as well: both are taken out.
    return [
        ("sealpipe.releases.fetch.TRIES", 1),
        ("sealpipe.client.start._Start.from_stores", once),
    ]


def _fails_at_lag() -> Patches:
    """A part that a lagging copy does not have yet is taken for missing, every time."""

    class Lagging:
        def __init__(self, inner: Any) -> None:
            self.inner = inner

        def get(self, key: str, *, fresh: bool = False, timeout: float = 10.0) -> Any:
            return self.inner.get(key, fresh=False, timeout=timeout)

    real = fetching._assemble
    return [
        ("sealpipe.releases.fetch._assemble", lambda store, *rest: real(Lagging(store), *rest)),
    ]


def _nothing() -> Patches:
    return []


def _old_listings(world: World) -> None:
    world.stale_listings = True


LOSSY = ("lost", "delayed", "answer-lost", "duplicated", "replayed")

RULES: Sequence[Rule] = (
    Rule(
        "a head is replaced by compare-and-swap",
        _blind_swap,
        QUIET._replace(publishers=(3, 3)),
        "without coming from it",
        stay=0.5,
    ),
    Rule("a flip depends on the fence", _no_check, QUIET, "an older commit's content", stay=0.5),
    Rule(
        "the fence moves also when nothing changes",
        _idle_does_not_claim,
        QUIET._replace(publishers=(1, 2), tries=1),
        "an older commit's content",
        stay=0.5,
    ),
    Rule("an older commit does not pass the fence", _any_ancestry, QUIET, "an older commit's content"),
    Rule(
        "a conflict is never planned again behind the old fence",
        _replans,
        QUIET,
        "an older commit's content",
        stay=0.5,
    ),
    Rule("parts are stored before the head", _chunks_later, QUIET, "incomplete"),
    Rule("parts are read back", _chunks_believed, QUIET._replace(faults=("torn",)), "incomplete", faults=0.1),
    Rule(
        "parts are never shared between attempts",
        _shared_chunks,
        QUIET._replace(publishers=(3, 3, 4), collects=4, days=3, faults=("dies",)),
        "needs was deleted|incomplete",
        stay=0.7,
        faults=0.03,
    ),
    Rule(
        "parts above the head are left alone",
        _collects_above_head,
        QUIET._replace(collects=4, days=3),
        "incomplete",
        stay=0.5,
    ),
    Rule("a day is kept", _collects_young, QUIET._replace(kind="narrow", collects=4), "younger than a day"),
    Rule("the newest are kept", _collects_all, QUIET._replace(collects=4, days=2), "one of the newest"),
    Rule(
        "an archive goes before its parts",
        _chunks_before_archive,
        QUIET._replace(kind="narrow", publishers=(4,), first=3, collects=4),
        "needs was deleted",
    ),
    Rule(
        "what archives need is kept",
        _forgets_archives_chunks,
        QUIET._replace(publishers=(3, 4), collects=4, days=2),
        "needs was deleted",
    ),
    Rule(
        "a conflict is not believed",
        _believes_conflict,
        QUIET._replace(faults=("replayed",)),
        "said to be `conflict` and was a head",
        faults=0.1,
    ),
    Rule(
        "a timeout is not believed",
        _believes_timeout,
        QUIET._replace(faults=LOSSY),
        "`failed` and (was|is) a head|`failed`",
        faults=0.1,
    ),
    Rule(
        "archive and chain are asked, not the head alone",
        _head_alone_tells,
        QUIET._replace(publishers=(1, 4), tries=1, faults=("answer-lost",)),
        "said to be `conflict` and was a head",
        stay=0.93,
        faults=0.5,
    ),
    Rule(
        "the fence is looked at before the heads",
        _heads_before_fence,
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
        _fenced_is_certain,
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
        _order_counts,
        QUIET._replace(backups=1, readers=1, starts=3),
        "stand above everything|two contents|went back",
        events=0.1,
    ),
    Rule(
        "an order is above its head's",
        _order_is_the_clock,
        QUIET._replace(skew=4000, publishers=(4, 3, 1)),
        "does not stand above",
    ),
    Rule(
        "nothing is archived before it was head",
        _archive_first,
        QUIET._replace(kind="s3"),
        "never a head",
        stay=0.5,
    ),
    Rule(
        "who comes next archives the predecessor",
        _no_predecessor,
        QUIET._replace(kind="file", faults=("dies-after",)),
        "was replaced and has no archive",
        faults=0.1,
    ),
    Rule("head and archive change in one write", _archive_apart, QUIET, "the head has no archive"),
    Rule("who was overtaken says so", _not_overtaken, QUIET._replace(kind="s3"), "nobody was told", stay=0.5),
    Rule(
        "a fence is signed by a publisher",
        _any_state,
        QUIET._replace(hostile=1, acts=("state",)),
        "unknown-commit|older-commit",
    ),
    Rule(
        "without a state the heads' commits fence",
        _only_state_fences,
        QUIET._replace(hostile=1, acts=("no-state",)),
        "an older commit's content",
        events=0.1,
    ),
    Rule(
        "a listing is never older than an answer",
        _nothing,
        QUIET._replace(faults=("stale",), publishers=(1, 2)),
        "an older commit's content",
        stay=0.9,
        faults=0.4,
        alter=_old_listings,
    ),
    Rule(
        "a reader never takes an older release",
        _takes_older,
        QUIET._replace(readers=2, starts=4, faults=("stale",)),
        "went back",
        stay=0.5,
        faults=0.3,
    ),
    Rule(
        "two contents at one order are refused",
        _takes_twin,
        QUIET._replace(readers=2, starts=4, hostile=1, acts=("twin",)),
        "two contents at one order",
        stay=0.5,
        events=0.1,
    ),
    Rule(
        "a reader checks the signature",
        _believes_anybody,
        QUIET._replace(readers=2, starts=4, hostile=1, acts=("forged",), publishers=(1,)),
        "never a head|reader-",
        stay=0.5,
        events=0.1,
    ),
    Rule(
        "a part that is gone sends the reader back to the head",
        _reads_once,
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
