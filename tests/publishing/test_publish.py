"""The protocol: each trace that broke an earlier draft of it, and each of its rules."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path

import pytest

from publishing import (
    NOW,
    READER,
    A,
    Around,
    B,
    Died,
    Dying,
    DyingAtFlip,
    Unclear,
    content,
    look,
    make_batch,
    outcomes,
    past,
    put,
    release,
    touches_head,
)
from sealpipe.errors import (
    ConflictError,
    DeniedError,
    FullError,
    MalformedError,
    OutcomeUnknownError,
    StoreError,
    UnavailableError,
)
from sealpipe.flows import deliver
from sealpipe.model import Head
from sealpipe.publishing.attempt import attempt
from sealpipe.publishing.collect import DAY_MS, collect
from sealpipe.publishing.heads import archives, chain, needs
from sealpipe.publishing.publish import StateCheck, publish
from sealpipe.publishing.sign import next_order
from sealpipe.released import Unit
from sealpipe.releases.keys import archive_key, archives_prefix, chunks_prefix, head_key, state_key
from sealpipe.stores.base import ABSENT, Limits, Op, Put, Store
from sealpipe.stores.file import FileStore
from sealpipe.testing.memory import MemoryStore

BIG = {"x": "y" * 300_000}
ONE_AT_A_TIME = Limits(value=4 << 20, ops=1, request=8 << 20, history=20, transactional=False)


@pytest.fixture(params=["memory", "file", "one-key"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    """A transactional store, the folder store, and one that takes a single operation, as S3 does."""
    if request.param == "file":
        return FileStore(tmp_path / "store")
    return MemoryStore() if request.param == "memory" else MemoryStore(ONE_AT_A_TIME)


def state(store: Store, value: bytes = b"state") -> StateCheck:
    entry = store.get(state_key("", "dev"))
    store.write([Put(state_key("", "dev"), value, entry.version if entry else ABSENT)])
    now = store.get(state_key("", "dev"))
    assert now
    return StateCheck("dev", now.version)


# ---- the plain course


def test_first_and_second_release(store: Store) -> None:
    assert put(store, [content(A, {"n": 1}), content(B, {"n": 1})]) == {A: "published", B: "published"}
    first = release(store, A)
    assert put(store, [content(A, {"n": 2})]) == {A: "published"}
    second = release(store, A)
    assert (second.payload.number, second.payload.prev) == (2, first.digest)
    assert second.order > first.order
    assert [r.digest for r in archives(store, "", A, READER)] == [second.digest, first.digest]
    assert [r.digest for r in chain(store, "", second, READER)] == [second.digest, first.digest]


def test_both_heads_change_in_one_request_where_the_store_can() -> None:
    store = Around(MemoryStore())
    put(store, [content(A, {}), content(B, {})])
    assert len([ops for ops in store.writes if touches_head(ops)]) == 1


def test_requests_stay_within_the_limits() -> None:
    store = Around(
        MemoryStore(Limits(value=512 * 1024, ops=4, request=512 * 1024, history=3, transactional=True))
    )
    units = [Unit("dev", f"s{n}") for n in range(5)]
    fence = state(store)
    assert set(put(store, [content(u, {}) for u in units], fence=fence).values()) == {"published"}
    flips = [ops for ops in store.writes if touches_head(ops)]
    assert len(flips) == 5  # state, head and archive are 3 of 4 operations
    assert all(len(ops) == 3 for ops in flips)


def test_requests_are_as_full_as_they_may_be() -> None:
    limits = Limits(value=512 * 1024, ops=128, request=512 * 1024, history=3, transactional=True)
    units = [Unit("dev", f"s{n}") for n in range(130)]

    def sizes(values: dict[str, str]) -> list[int]:
        store = Around(MemoryStore(limits))
        found = put(store, [content(u, values) for u in units], fence=state(store))
        assert set(found.values()) == {"published"}
        flips = [ops for ops in store.writes if touches_head(ops)]
        assert all(store.size(ops) <= limits.request for ops in flips)
        return [len(ops) // 2 for ops in flips]

    assert sizes({}) == [63, 63, 4]  # the state is checked in each, and 128 operations are all
    assert 20 <= min(sizes({"x": "y" * 8_000})[:-1]) < 63


def test_an_archive_that_could_not_be_written_is_told_of() -> None:
    """As of a bucket where the token may write heads, and not lock what is in `releases/`."""

    class NoArchives(Around):
        def write(self, ops: Sequence[Op], *, timeout: float = 10.0) -> None:
            if any("/releases/" in op.key for op in ops):
                raise DeniedError("store-denied", "it may not lock anything")
            super().write(ops, timeout=timeout)

    store = NoArchives(MemoryStore(Limits(512 * 1024, 1, 512 * 1024, 3, transactional=False)))
    batch = make_batch(store, [content(A, {"n": 1})])
    receipts = publish(batch, store, "", fence=None, past=past(store))
    assert [(r.outcome, r.detail) for r in receipts] == [("published", "it may not lock anything")]
    [told] = deliver._not_archived(receipts)
    assert (told.word, told.severity) == ("not-archived", "warning")
    assert "its archive could not be written: it may not lock anything" in told.what


def test_a_large_release_goes_in_chunks_before_its_head(store: Store) -> None:
    watched = Around(store)
    assert put(watched, [content(A, BIG)]) == {A: "published"}
    kinds = [op.key.split("/")[1] for ops in watched.writes for op in ops if isinstance(op, Put)]
    assert kinds[:3] == ["chunks", "chunks", "chunks"]
    assert "heads" in kinds[3:]
    assert release(store, A).draft.values == BIG


def test_chunks_are_read_back_before_the_flip(store: Store) -> None:
    class Rots(Around):
        def write(self, ops: object, *, timeout: float = 10.0) -> None:
            changed = [
                op._replace(value=b"?" + op.value[1:]) if isinstance(op, Put) and "/chunks/" in op.key else op
                for op in ops  # type: ignore[attr-defined]
            ]
            self.inner.write(changed, timeout=timeout)

    with pytest.raises(MalformedError, match="does not hold"):
        put(Rots(store), [content(A, BIG)])
    assert store.get(head_key("", A)) is None


def test_chunks_go_together_where_the_store_takes_several_keys_at_once(store: Store) -> None:
    watched = Around(store)
    assert put(watched, [content(A, BIG)]) == {A: "published"}
    requests = [len(ops) for ops in watched.writes if "/chunks/" in ops[0].key]
    assert requests == ([3] if store.limits.transactional else [1, 1, 1])


def test_chunks_are_cut_at_the_size_of_a_request() -> None:
    limits = Limits(value=512 * 1024, ops=128, request=280 * 1024, history=3, transactional=True)
    watched = Around(MemoryStore(limits))
    assert put(watched, [content(A, BIG)]) == {A: "published"}
    assert [len(ops) for ops in watched.writes if "/chunks/" in ops[0].key] == [2, 1]


def test_a_retry_finds_some_of_its_chunks(store: Store) -> None:
    batch = make_batch(store, [content(A, BIG)])
    (_, second, _) = attempt(batch.releases[0], "").chunks
    store.write([Put(*second, ABSENT)])
    assert outcomes(store, batch) == {A: "published"}
    assert release(store, A).draft.values == BIG


def test_a_chunk_of_other_bytes_is_never_pointed_at(store: Store) -> None:
    batch = make_batch(store, [content(A, BIG)])
    (_, (key, _), _) = attempt(batch.releases[0], "").chunks
    store.write([Put(key, b"another's", ABSENT)])
    with pytest.raises(MalformedError, match="does not hold"):
        outcomes(store, batch)
    assert store.get(head_key("", A)) is None


def test_chunks_whose_reply_was_lost_are_seen_to_one_by_one(store: Store) -> None:
    for applied in (True, False):

        class Lost(Around):
            lost = False

            def write(self, ops: Sequence[Op], *, timeout: float = 10.0, applied: bool = applied) -> None:
                if self.lost or "/chunks/" not in ops[0].key:
                    return self.inner.write(ops, timeout=timeout)
                self.lost = True
                if applied:
                    self.inner.write(ops, timeout=timeout)
                raise OutcomeUnknownError("outcome-unknown", "the reply was lost")

        unit = Unit("dev", f"applied-{applied}".lower())
        assert put(Lost(store), [content(unit, BIG)]) == {unit: "published"}
        assert release(store, unit).draft.values == BIG


def test_chunks_of_two_attempts_are_never_shared(store: Store) -> None:
    put(store, [content(A, BIG)])
    put(store, [content(A, {"n": 1})])
    put(store, [content(A, BIG)])
    attempts = {key.rsplit("/", 1)[0] for key in store.keys(chunks_prefix("", A))}
    assert len(attempts) == 2


# ---- traces


def test_stuck__a_publisher_that_died_before_the_flip_stops_nobody(store: Store) -> None:
    batch = make_batch(store, [content(A, BIG)])
    with pytest.raises(Died):
        outcomes(DyingAtFlip(store), batch)
    assert put(store, [content(A, {"n": 1})], now=NOW + 1) == {A: "published"}
    assert release(store, A).payload.number == 1


def test_history_lies__what_was_never_head_is_no_archive(store: Store) -> None:
    put(store, [content(A, {"n": 0})])
    lost = make_batch(store, [content(A, {"n": 1})])
    put(store, [content(A, {"n": 2})])
    assert outcomes(store, lost) == {A: "conflict"}
    kept = [r.draft.values["n"] for r in archives(store, "", A, READER)]
    assert kept == [2, 0]


def test_incomplete_head__the_collector_leaves_a_publish_under_way_alone(store: Store) -> None:
    put(store, [content(A, {"n": 0})])
    batch = make_batch(store, [content(A, BIG)], now=NOW + 5)
    with pytest.raises(Died):
        outcomes(DyingAtFlip(store), batch)
    deleted = collect(store, "", [A], needs=needs, now_ms=NOW + 100 * DAY_MS, keep=1)
    assert deleted == 0
    assert outcomes(store, batch) == {A: "published"}
    assert release(store, A).draft.values == BIG


def test_false_failure__a_reply_that_is_lost_is_no_failure(store: Store) -> None:
    put(store, [content(A, {"n": 0})])
    assert put(Unclear(store, applied=True), [content(A, {"n": 1})]) == {A: "published"}
    assert release(store, A).draft.values == {"n": 1}


def test_false_failure__a_request_that_was_lost_is_sent_again_with_the_same_bytes(store: Store) -> None:
    wrapped = Unclear(store, applied=False)
    assert put(wrapped, [content(A, {"n": 1})]) == {A: "published"}
    flips = [[op for op in ops if "/heads/" in op.key] for ops in wrapped.writes if touches_head(ops)]
    assert len(flips) == 2
    assert flips[0] == flips[1]


def test_false_failure__a_delayed_request_changes_nothing_any_more(store: Store) -> None:
    put(store, [content(A, {"n": 0})])
    wrapped = Unclear(store, applied=False)
    assert put(wrapped, [content(A, {"n": 1})]) == {A: "published"}
    ours = release(store, A)
    with pytest.raises(ConflictError):
        store.write(wrapped.late[0])
    assert release(store, A).digest == ours.digest


def test_false_failure__applied_and_overtaken_twice_is_still_published(store: Store) -> None:
    def others() -> None:
        put(store, [content(A, {"n": 8})], now=NOW + 8)
        put(store, [content(A, {"n": 9})], now=NOW + 9)

    put(store, [content(A, {"n": 0})])
    assert put(Unclear(store, applied=True, after=others), [content(A, {"n": 1})]) == {A: "published"}


def test_false_failure__the_same_when_our_archive_is_gone(store: Store) -> None:
    def others() -> None:
        ours = release(store, A)
        put(store, [content(A, {"n": 8})], now=NOW + 8)
        from sealpipe.stores.base import Delete

        store.write([Delete(archive_key("", A, ours.order, ours.digest))])

    put(store, [content(A, {"n": 0})])
    # The head's `prev` names our release, whose archive nobody has.
    assert put(Unclear(store, applied=True, after=others), [content(A, {"n": 1})]) == {A: "published"}


def test_unknown_when_the_store_never_says(store: Store) -> None:
    class Silent(Unclear):
        def get(self, key: str, *, fresh: bool = False, timeout: float = 10.0):  # type: ignore[no-untyped-def]
            if self.writes and any(touches_head(ops) for ops in self.writes):
                raise UnavailableError("store-unavailable", "no answer")
            return super().get(key, fresh=fresh, timeout=timeout)

    batch = make_batch(store, [content(A, {"n": 1})])
    assert outcomes(Silent(store, applied=False, times=9), batch) == {A: "unknown"}


def test_unknown_when_every_reply_is_lost_and_nothing_happened(store: Store) -> None:
    assert put(Unclear(store, applied=False, times=9), [content(A, {"n": 1})]) == {A: "unknown"}


def test_unknown_is_not_conflict__the_head_is_anothers_and_its_past_is_gone(store: Store) -> None:
    from sealpipe.stores.base import Delete

    def others() -> None:
        for n in (7, 8, 9):
            put(store, [content(A, {"n": n})], now=NOW + n)
        newest = release(store, A)
        for key in store.keys(archives_prefix("", A)):
            if newest.digest[:16] not in key:
                store.write([Delete(key)])

    put(store, [content(A, {"n": 0})])
    assert put(Unclear(store, applied=True, after=others), [content(A, {"n": 1})]) == {A: "unknown"}


def test_conflict__somebody_published_in_between(store: Store) -> None:
    put(store, [content(A, {"n": 0}), content(B, {"n": 0})])
    ours = make_batch(store, [content(A, {"n": 1}), content(B, {"n": 1})])
    put(store, [content(A, {"n": 2})])
    found = outcomes(store, ours)
    assert found == {A: "conflict", B: "not-attempted"}
    assert release(store, A).draft.values == {"n": 2}
    assert release(store, B).draft.values == {"n": 0}


def test_conflict_after_an_unclear_reply_is_proven_by_the_chain(store: Store) -> None:
    put(store, [content(A, {"n": 0})])

    def others() -> None:
        put(store, [content(A, {"n": 8})], now=NOW + 8)
        put(store, [content(A, {"n": 9})], now=NOW + 9)

    assert put(Unclear(store, applied=False, after=others), [content(A, {"n": 1})]) == {A: "conflict"}


def test_a_batch_published_twice_is_there_already(store: Store) -> None:
    batch = make_batch(store, [content(A, {"n": 1}), content(B, {"n": 1})])
    assert outcomes(store, batch) == {A: "published", B: "published"}
    assert outcomes(store, batch) == {A: "already", B: "already"}
    put(store, [content(A, {"n": 2})], now=NOW + 2)
    assert outcomes(store, batch)[A] == "already"
    assert release(store, A).draft.values == {"n": 2}


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("at", range(7))
def test_dying_at_any_write_leaves_a_whole_head_and_a_way_on(store: Store, at: int, after: bool) -> None:
    put(store, [content(A, {"n": 0})])
    before = release(store, A).digest
    batch = make_batch(store, [content(A, BIG)], now=NOW + 1)
    with contextlib.suppress(Died):
        outcomes(Dying(store, at, after=after), batch)
    now = release(store, A)  # complete and verified, whatever happened
    assert now.digest in (before, batch.releases[0].release.digest)
    assert outcomes(store, batch)[A] in ("published", "already")
    assert put(store, [content(A, {"n": 2})], now=NOW + 2) == {A: "published"}
    assert [r.payload.number for r in archives(store, "", A, READER)] == [3, 2, 1]


def test_fork__a_restored_head_is_never_continued_with_a_number_that_readers_hold(store: Store) -> None:
    put(store, [content(A, {"n": 0})], now=NOW)
    saved = store.get(head_key("", A))
    assert saved
    put(store, [content(A, {"n": 1})], now=NOW + 1000)
    held = release(store, A).order
    now = store.get(head_key("", A))
    assert now
    store.write([Put(now.key, saved.value, now.version)])  # a backup is put back
    put(store, [content(A, {"n": 2})], now=NOW + 2000)
    assert release(store, A).order > held


def test_write_skew__the_fence_stops_the_older_of_two_that_touch_different_units(store: Store) -> None:
    older = state(store, b"older")
    batch = make_batch(store, [content(B, {"n": 1})])
    newer = state(store, b"newer")  # sees nothing to do for b, and is acknowledged
    assert outcomes(store, batch, fence=older) == {B: "fenced"}
    assert B not in look(store)
    assert outcomes(store, batch, fence=newer) == {B: "published"}


def test_overtaken__a_store_without_checks_says_so_afterwards() -> None:
    store = MemoryStore(ONE_AT_A_TIME)
    fence = state(store, b"ours")

    class Overtaken(Around):
        def write(self, ops: object, *, timeout: float = 10.0) -> None:
            self.inner.write(ops, timeout=timeout)  # type: ignore[arg-type]
            if touches_head(ops):  # type: ignore[arg-type]
                state(store, b"newer")

    assert put(Overtaken(store), [content(A, {})], fence=fence) == {A: "overtaken"}


def test_a_head_is_replaced_only_by_compare_and_swap(store: Store) -> None:
    watched = Around(store)
    put(watched, [content(A, {"n": 1})])
    put(watched, [content(A, {"n": 2})])
    swaps = [op for ops in watched.writes for op in ops if "/heads/" in op.key]
    assert len(swaps) == 2
    assert all(isinstance(op, Put) and op.expect is not None for op in swaps)


def test_the_predecessors_archive_is_made_by_who_comes_next(tmp_path: Path) -> None:
    store = FileStore(tmp_path)
    batch = make_batch(store, [content(A, {"n": 1})])
    with pytest.raises(Died):
        outcomes(Dying(store, 0, after=True), batch)  # flipped, not archived
    assert store.keys(archives_prefix("", A)) == []
    put(store, [content(A, {"n": 2})], now=NOW + 1)
    assert [r.draft.values["n"] for r in archives(store, "", A, READER)] == [2, 1]


def test_a_late_publisher_does_not_bring_back_an_archive_that_was_collected() -> None:
    """It sleeps for a day between its flip and its archive; others publish over it and collect."""
    store = MemoryStore(ONE_AT_A_TIME)

    class Sleeps(Around):
        def write(self, ops: object, *, timeout: float = 10.0) -> None:
            self.inner.write(ops, timeout=timeout)  # type: ignore[arg-type]
            if touches_head(ops):  # type: ignore[arg-type]
                for n in (2, 3):
                    put(self.inner, [content(A, {"n": n})], now=NOW + n)
                collect(self.inner, "", [A], needs=needs, now_ms=NOW + 2 * DAY_MS, keep=1)

    put(Sleeps(store), [content(A, BIG)], now=NOW + 1)
    assert [r.draft.values["n"] for r in archives(store, "", A, READER)] == [3]
    assert len(store.keys(archives_prefix("", A))) == 1
    assert store.keys(chunks_prefix("", A)) == []


@pytest.mark.parametrize("error", [FullError, UnavailableError])
def test_a_store_that_refuses_leaves_everything_as_it_was(store: Store, error: type[StoreError]) -> None:
    class Refuses(Around):
        def write(self, ops: object, *, timeout: float = 10.0) -> None:
            raise error("store-refused", "no room")

    put(store, [content(A, {"n": 0})])
    batch = make_batch(store, [content(A, {"n": 1}), content(B, {"n": 1})])
    found = publish(batch, Refuses(store), "", fence=None, past=past(store))
    # Not available is not certain: a proxy says so of requests that went through.
    assert found[0].outcome == ("failed" if error is FullError else "unknown")
    assert release(store, A).draft.values == {"n": 0}


# ---- order


def test_seq_is_time_or_one_more_and_starts_again_under_a_higher_trust_version() -> None:
    first = next_order(A, None, 1, NOW)
    assert first == (1, NOW)
    assert next_order(A, first, 1, NOW - 99) == (1, NOW + 1)
    assert next_order(A, first, 1, NOW + 99) == (1, NOW + 99)
    huge = first._replace(seq=2**48 - 2)  # a stolen key's
    assert next_order(A, huge, 2, NOW) == (2, NOW)
    from sealpipe.errors import RefusedError

    with pytest.raises(RefusedError) as spent:
        next_order(A, huge._replace(seq=2**48 - 1), 1, NOW)
    assert spent.value.word == "sequence-spent"
    with pytest.raises(RefusedError) as newer:
        next_order(A, first._replace(trust=3), 2, NOW)
    assert newer.value.word == "newer-trust"


# ---- collection


def test_collection_keeps_the_newest_and_the_young(store: Store) -> None:
    for n in range(6):
        put(store, [content(A, {**BIG, "n": n})], now=NOW + n)
    assert collect(store, "", [A], needs=needs, now_ms=NOW + DAY_MS - 1, keep=2) == 0
    collect(store, "", [A], needs=needs, now_ms=NOW + DAY_MS + 10, keep=2)
    assert [r.draft.values["n"] for r in archives(store, "", A, READER)] == [5, 4]
    assert len({key.rsplit("/", 1)[0] for key in store.keys(chunks_prefix("", A))}) == 2
    assert isinstance(look(store)[A], Head)


def test_collection_takes_orphans_up_to_the_head_and_none_above(store: Store) -> None:
    put(store, [content(A, {"n": 0})], now=NOW)
    lower = make_batch(store, [content(A, BIG)], now=NOW + 1)
    higher = make_batch(store, [content(A, BIG)], now=NOW + 9)
    for batch in (lower, higher):
        with pytest.raises(Died):
            outcomes(DyingAtFlip(store), batch)
    put(store, [content(A, {"n": 1})], now=NOW + 5)
    collect(store, "", [A], needs=needs, now_ms=NOW + 10 * DAY_MS, keep=1)
    left = {key.split("/")[-2] for key in store.keys(chunks_prefix("", A))}
    assert left == {f"{higher.releases[0].release.order}-{higher.releases[0].release.payload.rid}"}


def test_collection_deletes_an_archive_before_its_chunks(store: Store) -> None:
    class NoDelete(Around):
        def write(self, ops: object, *, timeout: float = 10.0) -> None:
            if any("/releases/" in op.key for op in ops):  # type: ignore[attr-defined]
                raise UnavailableError("store-unavailable", "no answer")
            self.inner.write(ops, timeout=timeout)  # type: ignore[arg-type]

    for n in range(3):
        put(store, [content(A, {**BIG, "n": n})], now=NOW + n)
    collect(NoDelete(store), "", [A], needs=needs, now_ms=NOW + 9 * DAY_MS, keep=1)
    assert [r.draft.values["n"] for r in archives(store, "", A, READER)] == [2, 1, 0]


def test_collection_leaves_a_unit_alone_whose_head_is_no_release(store: Store) -> None:
    for n in range(3):
        put(store, [content(A, {"n": n})], now=NOW + n)
    entry = store.get(head_key("", A))
    assert entry
    store.write([Put(entry.key, b"junk", entry.version)])
    assert collect(store, "", [A], needs=needs, now_ms=NOW + 9 * DAY_MS, keep=1) == 0


def test_our_archive_proves_it_where_the_chain_is_cut(store: Store) -> None:
    from sealpipe.stores.base import Delete

    def others() -> None:
        put(store, [content(A, {"n": 8})], now=NOW + 8)
        cut = release(store, A)
        put(store, [content(A, {"n": 9})], now=NOW + 9)
        store.write([Delete(archive_key("", A, cut.order, cut.digest))])

    put(store, [content(A, {"n": 0})])
    assert put(Unclear(store, applied=True, after=others), [content(A, {"n": 1})]) == {A: "published"}


def test_our_bytes_in_the_head_prove_it_without_asking_for_its_past(store: Store) -> None:
    batch = make_batch(store, [content(A, {"n": 1})])
    found = publish(batch, Unclear(store, applied=True), "", fence=None, past=lambda _: ())
    assert [receipt.outcome for receipt in found] == ["published"]


def test_fenced_is_said_only_when_a_delayed_request_can_no_longer_be_applied(store: Store) -> None:
    """The request arrives after we looked at the head, and only then the fence moves on."""
    fence = state(store, b"ours")

    class Late(Unclear):
        def get(self, key: str, *, fresh: bool = False, timeout: float = 10.0):  # type: ignore[no-untyped-def]
            found = super().get(key, fresh=fresh, timeout=timeout)
            if self.late and key == head_key("", A):
                self.inner.write(self.late.pop())
                state(self.inner, b"newer")
            return found

    batch = make_batch(store, [content(A, {"n": 1})])
    # Without a check in the write the fence is looked at once more, afterwards.
    expected = "published" if store.limits.ops > 1 else "overtaken"
    assert outcomes(Late(store, applied=False), batch, fence=fence) == {A: expected}
    assert release(store, A).draft.values == {"n": 1}


def test_a_store_that_fails_between_two_units_loses_no_receipt(tmp_path: Path) -> None:
    class Fails(Around):
        def get(self, key: str, *, fresh: bool = False, timeout: float = 10.0):  # type: ignore[no-untyped-def]
            if "/releases/b/" in key:
                raise UnavailableError("store-unavailable", "no answer")
            return super().get(key, fresh=fresh, timeout=timeout)

    store = FileStore(tmp_path)
    put(store, [content(A, {"n": 0}), content(B, {"n": 0})])
    batch = make_batch(store, [content(A, {"n": 1}), content(B, {"n": 1})])
    assert outcomes(Fails(store), batch) == {A: "published", B: "failed"}
