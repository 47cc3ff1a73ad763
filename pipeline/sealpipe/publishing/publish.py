"""A signed batch into a store: chunks, then one compare-and-swap of each head.

Every reply but success is settled by a fresh look at the store, a conflict included: a request may have
been applied although its answer says otherwise, and it may still be. Never re-plans: who gets `conflict`
starts again at the fence.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from sealpipe.errors import (
    ConflictError,
    DeniedError,
    FullError,
    StoreError,
    TooLargeError,
    UnsupportedError,
)
from sealpipe.frozen import NamedTuple
from sealpipe.model import Batch, Receipt, SignedRelease
from sealpipe.publishing.attempt import (
    Attempt,
    archive_each,
    archive_own,
    archive_predecessor,
    attempt,
    upload,
)
from sealpipe.released import Unit
from sealpipe.releases.keys import state_key
from sealpipe.stores.base import ABSENT, Check, Op, Put, Store, TakesSeveral, takes_several

RESENDS = 1
AT_ONCE = 64  # units whose heads change under one lock of a folder store: what dying there leaves to archive
THROUGH = ("published", "already")
Past = Callable[[Unit], Iterable[str]]
"""A unit -> digests of its releases as the store has them now, the head first, each the `prev` of the
one before it; ends where an archive is gone."""
_NOTHING_WRITTEN = (ConflictError, DeniedError, FullError, TooLargeError, UnsupportedError)


class StateCheck(NamedTuple):
    """The fence that a flip depends on: nothing is flipped once it moved."""

    environment: str
    version: str


def publish(
    batch: Batch,
    store: Store,
    prefix: str,
    *,
    fence: StateCheck | None,
    past: Past,
    timeout: float = 10.0,
) -> tuple[Receipt, ...]:
    """A receipt for each release of the batch, in its order.

    Repeating a call with the same batch is safe at any point: its bytes are the same, and what is
    already there is found. `fence` is None for a rollback, which neither checks nor moves it. The first
    unit that does not get through stops the rest (`not-attempted`): the plan is stale. Raises StoreError
    when a chunk cannot be stored; nothing was flipped then.

    Checks no signature and no role: `publishing.sign` made the releases.
    """
    attempts = [attempt(signed, prefix) for signed in batch.releases]
    for one in attempts:
        upload(one.chunks, store, timeout)
    receipts: dict[Unit, Receipt] = {}
    stopped, several = False, takes_several(store)
    for group in _groups(attempts, store, prefix, fence):
        if stopped:
            receipts.update({a.unit: _receipt(a, "not-attempted") for a in group})
            continue
        if several is None:
            found = _flip(group, store, prefix, fence=fence, past=past, timeout=timeout)
        else:
            found = _flip_each(group, several, store, prefix, fence=fence, past=past, timeout=timeout)
        receipts.update({receipt.unit: receipt for receipt in found})
        stopped = any(receipt.outcome not in THROUGH for receipt in found)
    return tuple(receipts[signed.unit] for signed in batch.releases)


def _receipt(one: Attempt, outcome: str, detail: str = "") -> Receipt:
    release = one.signed.release
    return Receipt(one.unit, outcome, release.payload.number, release.digest, detail)


# ---- requests


def _groups(
    attempts: Sequence[Attempt], store: Store, prefix: str, fence: StateCheck | None
) -> list[list[Attempt]]:
    """Units that change together: as many as one request takes where the store is transactional, and where
    it takes several requests at once, enough for the disk to be busy; else one.
    """
    if not store.limits.transactional:
        size = AT_ONCE if takes_several(store) else 1
        return [list(attempts[at : at + size]) for at in range(0, len(attempts), size)]
    groups: list[list[Attempt]] = []
    most = max(1, (store.limits.ops - (fence is not None)) // 2)  # a head and an archive each
    at = 0
    while at < len(attempts):
        group = list(attempts[at : at + most])
        while len(group) > 1 and not _fits(group, store, prefix, fence):
            del group[-max(1, len(group) // 16) :]
        groups.append(group)
        at += len(group)
    return groups


def _fits(group: Sequence[Attempt], store: Store, prefix: str, fence: StateCheck | None) -> bool:
    ops = _ops(group, store, prefix, fence)
    return len(ops) <= store.limits.ops and store.size(ops) <= store.limits.request


def _ops(group: Sequence[Attempt], store: Store, prefix: str, fence: StateCheck | None) -> list[Op]:
    ops: list[Op] = []
    if fence is not None and store.limits.ops > 1:
        ops.append(Check(state_key(prefix, fence.environment), fence.version))
    for one in group:
        ops.append(Put(one.head_key, one.head, one.signed.base_version or ABSENT))
        if store.limits.transactional:
            ops.append(Put(one.archive_key, one.head, ABSENT))
    return ops


# ---- the flip


def _flip(
    group: Sequence[Attempt],
    store: Store,
    prefix: str,
    *,
    fence: StateCheck | None,
    past: Past,
    timeout: float,
) -> list[Receipt]:
    alone = not store.limits.transactional
    watched = fence if fence is not None and store.limits.ops == 1 else None
    try:
        if watched and _moved(store, prefix, watched, timeout):
            return [_receipt(one, "fenced") for one in group]
        if alone:
            archive_predecessor(group[0], store, timeout)
    except StoreError as error:
        return [_receipt(one, "failed", error.finding.what) for one in group]
    receipts = _swap(group, store, prefix, fence=fence, past=past, timeout=timeout)
    if alone and receipts[0].outcome in THROUGH:
        problem = archive_own(group[0], store, timeout)
        receipts = [r._replace(detail=problem.finding.what) for r in receipts] if problem else receipts
    if watched and _overtaken(store, prefix, watched, timeout):
        return [r._replace(outcome="overtaken") if r.outcome in THROUGH else r for r in receipts]
    return receipts


def _flip_each(
    group: Sequence[Attempt],
    several: TakesSeveral,
    store: Store,
    prefix: str,
    *,
    fence: StateCheck | None,
    past: Past,
    timeout: float,
) -> list[Receipt]:
    """As `_flip` for each unit alone, in this order, with the writes of several handed over at once."""
    receipts: list[Receipt] = []
    ready: list[Attempt] = []
    failure: StoreError | None = None
    try:
        for one in group:
            archive_predecessor(one, store, timeout)
            ready.append(one)
    except StoreError as error:
        failure = error
    while len(receipts) < len(ready) and all(r.outcome in THROUGH for r in receipts):
        rest = ready[len(receipts) :]
        tried = several.write_each([_ops([one], store, prefix, fence) for one in rest], timeout=timeout)
        for one, problem in zip(rest, tried, strict=False):
            if problem is None:
                receipts.append(_receipt(one, "published"))
            else:
                receipts += _swap(
                    [one], store, prefix, fence=fence, past=past, timeout=timeout, failure=problem
                )
    through = [one for one, r in zip(ready, receipts, strict=False) if r.outcome in THROUGH]
    archive_each(through, several, store, timeout)
    if failure is not None and len(receipts) == len(ready) and all(r.outcome in THROUGH for r in receipts):
        receipts.append(_receipt(group[len(ready)], "failed", failure.finding.what))
    return receipts + [_receipt(one, "not-attempted") for one in group[len(receipts) :]]


def _overtaken(store: Store, prefix: str, fence: StateCheck, timeout: float) -> bool:
    """Whether a newer publish may have begun before the flip. What is flipped stays flipped: a store that
    does not answer now takes nothing of it back, and who cannot look must not say that nobody came."""
    for _ in range(1 + RESENDS):
        try:
            return _moved(store, prefix, fence, timeout)
        except StoreError:
            continue
    return True


def _moved(store: Store, prefix: str, fence: StateCheck, timeout: float) -> bool:
    entry = store.get(state_key(prefix, fence.environment), fresh=True, timeout=timeout)
    return (entry.version if entry else ABSENT) != fence.version


def _swap(
    group: Sequence[Attempt],
    store: Store,
    prefix: str,
    *,
    fence: StateCheck | None,
    past: Past,
    timeout: float,
    failure: StoreError | None = None,
) -> list[Receipt]:
    """`failure` given, the request was made once and this is what came of it."""
    ops = _ops(group, store, prefix, fence)
    uncertain = False
    for number in range(1 + RESENDS):
        if number or failure is None:
            failure = _write(store, ops, timeout)
        if failure is None:
            return [_receipt(one, "published") for one in group]
        uncertain = uncertain or not isinstance(failure, _NOTHING_WRITTEN)
        found = _look(group, store, prefix, fence=fence, past=past, timeout=timeout)
        if found is None:
            return [_receipt(one, "unknown", failure.finding.what) for one in group]
        moved, standing = found
        if any(place != "base" for place in standing):
            return _settled(group, standing, uncertain=uncertain)
        if moved:
            # Where the state is checked in the same write, a delayed one cannot be applied any more.
            sure = not uncertain or store.limits.ops > 1
            return [_receipt(one, "fenced" if sure else "unknown") for one in group]
        if isinstance(failure, (DeniedError, FullError, TooLargeError, UnsupportedError)):
            break
    detail = failure.finding.what if failure else ""
    return [_receipt(one, "unknown" if uncertain else "failed", detail) for one in group]


def _write(store: Store, ops: Sequence[Op], timeout: float) -> StoreError | None:
    try:
        store.write(ops, timeout=timeout)
    except StoreError as error:
        return error
    return None


def _look(
    group: Sequence[Attempt],
    store: Store,
    prefix: str,
    *,
    fence: StateCheck | None,
    past: Past,
    timeout: float,
) -> tuple[bool, list[str]] | None:
    """Whether the fence moved, and where each unit stands; None when the store does not say.

    The fence first: a head that is still the base after the fence moved will never become ours, while
    one that was the base before it moved may have been ours in between.
    """
    try:
        moved = fence is not None and _moved(store, prefix, fence, timeout)
        return moved, [stands(one, store, past, timeout) for one in group]
    except StoreError:
        return None


def stands(one: Attempt, store: Store, past: Past, timeout: float = 10.0) -> str:
    """`ours`: our release is or was the head. `base`: nothing happened. `other`: somebody replaced the
    base without us. `unclear`: the head is another's and its past does not tell. `lost`: it is no release,
    so that it has no past; whoever wrote it kept nothing of what was there.
    """
    entry = store.get(one.head_key, fresh=True, timeout=timeout)
    if entry is not None and entry.value == one.head:
        return "ours"
    archived = store.get(one.archive_key, fresh=True, timeout=timeout)
    if archived is not None and archived.value == one.head:
        return "ours"
    if (entry.version if entry else ABSENT) == one.signed.base_version:
        return "base"
    base = one.signed.base.digest if one.signed.base else ""
    place = "lost"
    for digest in past(one.unit):
        place = "unclear"
        if digest == one.signed.release.digest:
            return "ours"
        if digest == base:
            return "other"
    return place


def _settled(group: Sequence[Attempt], standing: Sequence[str], *, uncertain: bool) -> list[Receipt]:
    lost = any(place in ("other", "unclear", "lost") for place in standing)
    found = []
    for one, place in zip(group, standing, strict=True):
        if place == "ours":
            outcome = "published" if uncertain else "already"
        elif place == "base":
            # Several units change in one request or none does: it can only have been refused.
            outcome = "not-attempted" if lost or not uncertain else "unknown"
        elif place == "lost" or (place == "unclear" and uncertain):
            # Lost: also after a refusal. What was sent twice on its way is refused the second time.
            outcome = "unknown"
        else:
            outcome = "conflict"
        found.append(_receipt(one, outcome))
    return found


def release_of(receipts: Sequence[Receipt], batch: Batch) -> list[SignedRelease]:
    """The releases of a batch that are in the store now."""
    done = {r.unit for r in receipts if r.outcome in ("published", "already", "overtaken")}
    return [signed for signed in batch.releases if signed.unit in done]


__all__ = ["StateCheck", "Unit", "publish", "release_of", "stands"]
