"""Units that a store takes in one go: each is published, refused and archived as if it came alone."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from publishing import READER, A, Around, B, Died, content, make_batch, outcomes, put, release, touches_head
from sealpipe.errors import OutcomeUnknownError, StoreError, UnavailableError
from sealpipe.publishing.heads import archives
from sealpipe.publishing.publish import AT_ONCE, StateCheck
from sealpipe.released import Unit
from sealpipe.releases.keys import archives_prefix, state_key
from sealpipe.stores.base import ABSENT, Entry, Op, Put, Store
from sealpipe.stores.file import FileStore

C = Unit("dev", "c")
UNITS = (A, B, C)


class Several(Around):
    """Passes several writes on together."""

    inner: FileStore

    def write_each(self, writes: Sequence[Sequence[Op]], *, timeout: float = 10.0) -> list[StoreError | None]:
        return self.inner.write_each(writes, timeout=timeout)


def contents(n: int, units: Sequence[Unit] = UNITS) -> list[object]:
    return [content(unit, {"n": n}) for unit in units]


def history(store: Store, unit: Unit) -> list[int]:
    return [one.draft.values["n"] for one in archives(store, "", unit, READER)]


@pytest.fixture
def store(tmp_path: Path) -> FileStore:
    found = FileStore(tmp_path)
    assert set(put(found, contents(0)).values()) == {"published"}
    return found


def test_more_units_than_go_at_once(tmp_path: Path) -> None:
    store, units = FileStore(tmp_path), [Unit("dev", f"s{n}") for n in range(2 * AT_ONCE + 3)]
    for n in (1, 2):
        assert put(store, contents(n, units)) == dict.fromkeys(units, "published")
    assert all(release(store, unit).draft.values == {"n": 2} for unit in units)
    assert all(history(store, unit) == [2, 1] for unit in units)


def test_who_was_overtaken_stops_and_who_came_before_stays(store: FileStore) -> None:
    batch = make_batch(store, contents(1))
    put(store, [content(B, {"n": 7})])
    assert outcomes(store, batch) == {A: "published", B: "conflict", C: "not-attempted"}
    assert [release(store, unit).draft.values["n"] for unit in UNITS] == [1, 7, 0]
    assert [history(store, unit) for unit in UNITS] == [[1, 0], [7, 0], [0]]


def test_the_same_batch_again_finds_what_is_there(store: FileStore) -> None:
    batch = make_batch(store, contents(1))
    assert set(outcomes(store, batch).values()) == {"published"}
    assert set(outcomes(store, batch).values()) == {"already"}
    assert all(history(store, unit) == [1, 0] for unit in UNITS)


def test_a_fence_that_moved_stops_all(store: FileStore) -> None:
    key = state_key("", "dev")
    store.write([Put(key, b"ours", ABSENT)])
    entry = store.get(key)
    assert entry
    batch = make_batch(store, contents(1))
    store.write([Put(key, b"newer", None)])
    found = outcomes(store, batch, fence=StateCheck("dev", entry.version))
    assert found == {A: "fenced", B: "not-attempted", C: "not-attempted"}
    assert all(release(store, unit).draft.values == {"n": 0} for unit in UNITS)


@pytest.mark.parametrize("applied", [True, False])
def test_replies_that_are_lost_are_settled_unit_by_unit(store: FileStore, *, applied: bool) -> None:
    class Lost(Several):
        def write_each(
            self, writes: Sequence[Sequence[Op]], *, timeout: float = 10.0
        ) -> list[StoreError | None]:
            if applied:
                self.inner.write_each(writes, timeout=timeout)
            return [OutcomeUnknownError("outcome-unknown", "the reply was lost") for _ in writes]

    batch = make_batch(store, contents(1))
    assert outcomes(Lost(store), batch) == dict.fromkeys(UNITS, "published")
    assert all(history(store, unit) == [1, 0] for unit in UNITS)


def test_a_store_that_fails_for_one_is_asked_again_for_it_alone(store: FileStore) -> None:
    class Busy(Several):
        def write_each(
            self, writes: Sequence[Sequence[Op]], *, timeout: float = 10.0
        ) -> list[StoreError | None]:
            made = self.inner.write_each(writes[:1], timeout=timeout)
            return [*made, UnavailableError("store-unavailable", "busy")] if writes[1:] else made

    batch = make_batch(store, contents(1))
    watched = Busy(store)
    assert outcomes(watched, batch) == dict.fromkeys(UNITS, "published")
    assert [ops[-1].key for ops in watched.writes if touches_head(ops)] == ["dev/heads/b"]
    assert all(history(store, unit) == [1, 0] for unit in UNITS)


def test_a_unit_whose_predecessor_cannot_be_looked_at_fails_alone(store: FileStore) -> None:
    class Fails(Several):
        def get(self, key: str, *, fresh: bool = False, timeout: float = 10.0) -> Entry | None:
            if "/releases/b/" in key:
                raise UnavailableError("store-unavailable", "no answer")
            return super().get(key, fresh=fresh, timeout=timeout)

    batch = make_batch(store, contents(1))
    assert outcomes(Fails(store), batch) == {A: "published", B: "failed", C: "not-attempted"}
    assert history(store, A) == [1, 0]


@pytest.mark.parametrize("at", range(7))
def test_who_dies_on_the_way_leaves_whole_units_and_the_next_mends(store: FileStore, at: int) -> None:
    class Dies(Several):
        left = at

        def write_each(
            self, writes: Sequence[Sequence[Op]], *, timeout: float = 10.0
        ) -> list[StoreError | None]:
            done = self.inner.write_each(writes[: self.left], timeout=timeout)
            self.left -= len(done)
            if len(done) < len(writes):
                raise Died
            return done

    batch = make_batch(store, contents(1))
    try:
        outcomes(Dies(store), batch)
    except Died:
        assert at < 6
    now = [release(store, unit).draft.values["n"] for unit in UNITS]
    assert now == [1] * min(at, 3) + [0] * (3 - min(at, 3))
    assert len(store.keys(archives_prefix("", A))) == 1 + (at > 3)
    assert put(store, contents(2)) == dict.fromkeys(UNITS, "published")
    for unit, before in zip(UNITS, now, strict=True):
        assert history(store, unit) == [2, *range(before, -1, -1)]
