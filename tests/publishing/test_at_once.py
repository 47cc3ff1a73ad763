"""The chunks of a release in a store that takes several requests at a time."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence

import pytest

from publishing import A, Around, Died, content, make_batch, outcomes, put, release
from sealpipe.errors import FullError, MalformedError, OutcomeUnknownError
from sealpipe.publishing.attempt import attempt
from sealpipe.releases.keys import head_key
from sealpipe.stores.base import ABSENT, Entry, Op, Put, Store, at_once
from sealpipe.testing.memory import MemoryStore

BIG = {"x": "y" * 300_000}  # three chunks


class Wide(MemoryStore):
    at_once = 4


class AtChunks(Around):
    """Something happens where the chunk of this number is written, instead of the write or besides."""

    def __init__(self, store: Store, happens: Callable[[Callable[[], None]], None], number: int = 1) -> None:
        super().__init__(store)
        self.happens, self.number, self.read = happens, f"/{number}", set[str]()

    def write(self, ops: Sequence[Op], *, timeout: float = 10.0) -> None:
        if "/chunks/" in ops[0].key and ops[0].key.endswith(self.number):
            self.happens(lambda: self.inner.write(ops, timeout=timeout))
        else:
            super().write(ops, timeout=timeout)

    def get(self, key: str, *, fresh: bool = False, timeout: float = 10.0) -> Entry | None:
        if fresh:
            self.read.add(key)
        return super().get(key, fresh=fresh, timeout=timeout)


def test_one_in_a_request_and_several_at_a_time() -> None:
    met = threading.Barrier(3)

    class Meeting(Around):
        def write(self, ops: Sequence[Op], *, timeout: float = 10.0) -> None:
            if "/chunks/" in ops[0].key:
                met.wait(10)
            super().write(ops, timeout=timeout)

    store = Wide()
    watched = Meeting(store)
    assert at_once(watched) == 4
    assert put(watched, [content(A, BIG)]) == {A: "published"}
    kinds = [[op.key.split("/")[1] for op in ops] for ops in watched.writes]
    assert kinds == [["chunks"], ["chunks"], ["chunks"], ["heads", "releases"]]
    assert release(store, A).draft.values == BIG


def test_each_is_read_back_before_the_flip() -> None:
    store = Wide()
    batch = make_batch(store, [content(A, BIG)])
    keys = {key for key, _ in attempt(batch.releases[0], "").chunks}
    unread: list[set[str]] = []

    class Flip(AtChunks):
        def write(self, ops: Sequence[Op], *, timeout: float = 10.0) -> None:
            if "/chunks/" not in ops[0].key:
                unread.append(keys - self.read)
            super().write(ops, timeout=timeout)

    assert outcomes(Flip(store, lambda write: write()), batch) == {A: "published"}
    assert unread == [set()]


@pytest.mark.parametrize("number", range(3))
def test_other_bytes_are_never_pointed_at(number: int) -> None:
    store = Wide()
    batch = make_batch(store, [content(A, BIG)])
    key, _ = attempt(batch.releases[0], "").chunks[number]
    store.write([Put(key, b"another's", ABSENT)])
    with pytest.raises(MalformedError, match="does not hold"):
        outcomes(store, batch)
    assert store.get(head_key("", A)) is None


@pytest.mark.parametrize("applied", [True, False])
def test_a_lost_reply_is_settled_by_a_look(applied: bool) -> None:
    lost: list[bool] = []

    def lose(write: Callable[[], None]) -> None:
        if applied or lost:
            write()
        if not lost:
            lost.append(True)
            raise OutcomeUnknownError("outcome-unknown", "the reply was lost")

    store = Wide()
    assert put(AtChunks(store, lose), [content(A, BIG)]) == {A: "published"}
    assert lost
    assert release(store, A).draft.values == BIG


@pytest.mark.parametrize("error", [FullError("store-full", "no room"), Died()])
def test_what_stops_one_stops_the_publish(error: BaseException) -> None:
    def fail(_: Callable[[], None]) -> None:
        raise error

    store = Wide()
    with pytest.raises(type(error)):
        put(AtChunks(store, fail), [content(A, BIG)])
    assert store.get(head_key("", A)) is None
    assert put(store, [content(A, BIG)]) == {A: "published"}
