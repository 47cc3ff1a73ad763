"""Rules of publishing and collecting taken out one by one: what a switch puts in place of the program's."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from sealpipe.errors import ConflictError, OutcomeUnknownError
from sealpipe.flows import deliver as delivering
from sealpipe.flows import ship as shipping
from sealpipe.publishing import attempt as attempts
from sealpipe.publishing import collect as collecting
from sealpipe.publishing import fence as fencing
from sealpipe.publishing import publish as publishing
from sealpipe.publishing.fence import Claim
from sealpipe.publishing.publish import StateCheck
from sealpipe.released import SEQ_LIMIT, Order
from sealpipe.releases.keys import head_key, state_key
from sealpipe.stores.base import ABSENT, Listing, Put
from simulation import actors
from simulation.store import World

Patches = Sequence[tuple[str, Any]]
_P = "sealpipe.publishing."


def blind_swap() -> Patches:
    real = publishing._ops

    def ops(*args: Any) -> list[Any]:
        found = real(*args)
        return [
            op._replace(expect=None) if isinstance(op, Put) and "/heads/" in op.key else op for op in found
        ]

    return [(_P + "publish._ops", ops)]


def no_check() -> Patches:
    real = delivering.publish

    def publish(*args: Any, fence: Any, **more: Any) -> Any:
        return real(*args, **{**more, "fence": None})

    return [("sealpipe.flows.deliver.publish", publish)]


def idle_does_not_claim() -> Patches:
    """The fence is moved only by who has something to write."""
    real = shipping.claim

    def claim(store: Any, prefix: str, *args: Any, **more: Any) -> Any:
        from simulation.inside import _run

        if shipping_plan.get(_run[-1].scheduler.current):
            return real(store, prefix, *args, **more)
        entry = store.get(state_key(prefix, more["environment"]), fresh=True)
        return Claim(entry.version if entry else ABSENT, entry.value if entry else b"", joined=True, notes=())

    real_writable = shipping.check_writable
    shipping_plan: dict[Any, bool] = {}

    def writable(prepared: Any) -> None:
        from simulation.inside import _run

        shipping_plan[_run[-1].scheduler.current] = bool(prepared.plan.writing)
        real_writable(prepared)

    return [("sealpipe.flows.ship.claim", claim), ("sealpipe.flows.ship.check_writable", writable)]


def any_ancestry() -> Patches:
    return [(_P + "fence.check_fences", lambda *_, **__: ())]


def replans() -> Patches:
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
    from simulation.inside import _run
    from simulation.repository import ENVIRONMENT, KEYS, repository

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


def chunks_later() -> Patches:
    """The head first, then its parts."""
    real_flip, real_upload = publishing._flip, publishing.upload

    def flip(group: Any, store: Any, *args: Any, **more: Any) -> Any:
        receipts = real_flip(group, store, *args, **more)
        for one in group:
            real_upload(one.chunks, store)
        return receipts

    return [(_P + "publish._flip", flip), (_P + "publish.upload", lambda *_: None)]


def chunks_believed() -> Patches:
    def upload(chunks: Iterable[tuple[str, bytes]], store: Any, timeout: float = 10.0) -> None:
        for key, data in chunks:
            attempts.create(store, key, data, timeout)

    return [(_P + "publish.upload", upload)]


def shared_chunks() -> Patches:
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


def collects_above_head() -> Patches:
    real = collecting._chunks

    def chunks(store: Any, prefix: str, unit: Any, head: Order, **more: Any) -> int:
        return real(store, prefix, unit, Order(head.trust, SEQ_LIMIT), **more)

    return [(_P + "collect._chunks", chunks)]


def collects_young() -> Patches:
    real = collecting.collect

    def collect(*args: Any, **more: Any) -> int:
        return real(*args, **{**more, "age_ms": -60_000})

    return [("sealpipe.flows.deliver.collect", collect), (_P + "collect.collect", collect)]


def collects_all() -> Patches:
    real = collecting.collect

    def collect(*args: Any, **more: Any) -> int:
        return real(*args, **{**more, "keep": 0})

    return [("sealpipe.flows.deliver.collect", collect), (_P + "collect.collect", collect)]


def chunks_before_archive() -> Patches:
    real_delete, real_chunks = collecting._delete, collecting._chunks
    waiting: list[str] = []

    def delete(store: Any, name: str, *more: Any) -> bool:
        if "/releases/" in name:
            waiting.append(name)
            return True
        return real_delete(store, name, *more)

    def chunks(store: Any, *args: Any, **more: Any) -> int:
        count = real_chunks(store, *args, **more)
        while waiting:
            real_delete(store, waiting.pop(), 10.0, lambda _: None)
        return count

    return [(_P + "collect._delete", delete), (_P + "collect._chunks", chunks)]


def forgets_archives_chunks() -> Patches:
    return [(_P + "collect._rid", lambda *_: "")]


def believes_conflict() -> Patches:
    return [(_P + "publish._swap", _believing("conflict", ConflictError))]


def believes_timeout() -> Patches:
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


def head_alone_tells() -> Patches:
    """After an unclear reply only the head is looked at: another's there means that ours never was."""

    def stands(one: Any, store: Any, past: Any, timeout: float = 10.0) -> str:
        entry = store.get(one.head_key, fresh=True, timeout=timeout)
        if entry is not None and entry.value == one.head:
            return "ours"
        return "base" if (entry.version if entry else ABSENT) == one.signed.base_version else "other"

    return [(_P + "publish.stands", stands)]


def heads_before_fence() -> Patches:
    def look(group: Any, store: Any, prefix: str, *, fence: Any, past: Any, timeout: float) -> Any:
        standing = [publishing.stands(one, store, past, timeout) for one in group]
        return fence is not None and publishing._moved(store, prefix, fence, timeout), standing

    return [(_P + "publish._look", look)]


def fenced_is_certain() -> Patches:
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


def order_counts() -> Patches:
    def order(unit: Any, base: Any, trust: int, now_ms: int) -> Order:
        return Order(trust, base.seq + 1 if base is not None else 1_764_000_000_000)

    return [(_P + "sign.next_order", order)]


def order_is_the_clock() -> Patches:
    return [(_P + "sign.next_order", lambda unit, base, trust, now_ms: Order(trust, now_ms))]


def archive_first() -> Patches:
    real = publishing._flip

    def flip(group: Any, store: Any, *args: Any, **more: Any) -> Any:
        for one in group:
            attempts.create(store, one.archive_key, one.head)
        return real(group, store, *args, **more)

    return [(_P + "publish._flip", flip)]


def no_predecessor() -> Patches:
    return [(_P + "publish.archive_predecessor", lambda *_: None)]


def archive_apart() -> Patches:
    real = publishing._ops

    def ops(*args: Any) -> list[Any]:
        return [op for op in real(*args) if "/releases/" not in op.key]

    return [(_P + "publish._ops", ops)]


def not_overtaken() -> Patches:
    return [(_P + "publish._overtaken", lambda *_: False)]


def any_state() -> Patches:
    return [(_P + "fence.signers", lambda *_: {b"somebody"})]


def only_state_fences() -> Patches:
    real = fencing.fences
    return [(_P + "fence.fences", lambda state, _heads, trust: real(state, {}, trust))]


def junk_tells() -> Patches:
    """A head that is no release counts like one whose past does not tell."""
    real = publishing._settled

    def settled(group: Any, standing: Sequence[str], **more: Any) -> Any:
        return real(group, ["unclear" if place == "lost" else place for place in standing], **more)

    return [(_P + "publish._settled", settled)]


def stands_by_files() -> Patches:
    """Who is here as it was stands, whatever the store has by now."""
    real = actors.standing

    def standing(record: Any, now: Any, looked: Any, prefix: str) -> Any:
        if record is not None and looked.listing is not None:
            mine = {head_key(prefix, unit): one.version for unit, one in record.units.items()}
            looked = looked._replace(listing=Listing({**looked.listing.versions, **mine}))
        return real(record, now, looked, prefix)

    return [("simulation.actors.standing", standing), *looks_once()]


def looks_once() -> Patches:
    """Who stands is not looked at again behind the fence."""
    real = shipping.versions

    def versions(*args: Any, since: Any, **more: Any) -> Any:
        return real(*args, since=since, **more) if since is None else since

    return [("sealpipe.flows.ship.versions", versions)]


def nothing() -> Patches:
    return []


def old_listings(world: World) -> None:
    world.stale_listings = True


LOSSY = ("lost", "delayed", "answer-lost", "duplicated", "replayed")
