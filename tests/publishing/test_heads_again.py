"""Heads that are read once more: only those whose version is another, where a store lists versions."""

from __future__ import annotations

import pytest

from publishing import NOW, READER, A, Around, B, content, look, put
from sealpipe.model import Broken, Head
from sealpipe.publishing import heads as reading
from sealpipe.publishing.heads import heads_listed, versions
from sealpipe.released import Unit
from sealpipe.releases.keys import head_key
from sealpipe.stores.base import Delete, Entry, Listing, Put, Store
from sealpipe.testing.memory import MemoryStore


class Lists(Around):
    """Lists versions, and counts what is read besides."""

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        self.read: list[str] = []

    def get(self, key: str, *, fresh: bool = False, timeout: float = 10.0) -> Entry | None:
        self.read.append(key)
        return super().get(key, fresh=fresh, timeout=timeout)

    def scan(self, prefix: str, *, timeout: float = 30.0):  # type: ignore[no-untyped-def]
        self.read.append(prefix)
        return super().scan(prefix, timeout=timeout)

    def versions(self, prefix: str, *, since: Listing | None = None, timeout: float = 30.0) -> Listing:
        return Listing({entry.key: entry.version for entry in self.inner.scan(prefix, timeout=timeout)})


@pytest.fixture
def store() -> Lists:
    made = Lists(MemoryStore())
    put(made, [content(A, {"n": 1}), content(B, {"n": 1})])
    made.read.clear()
    return made


def again(store: Lists, before: dict[Unit, Head | Broken]) -> dict[Unit, Head | Broken]:
    store.read.clear()
    found = heads_listed(store, "", "dev", READER, versions(store, "", "dev"), before=before)
    assert found == look(store.inner)
    assert list(found) == sorted(found)
    return found


def test_nothing_is_read_that_did_not_change(store: Lists) -> None:
    before = look(store)
    found = again(store, before)
    assert store.read == []
    assert found[A] is before[A]


def test_what_changed_came_or_went_is_read(store: Lists) -> None:
    before = look(store)
    put(store.inner, [content(A, {"n": 2}), content(Unit("dev", "c"), {})], now=NOW + 1)
    store.inner.write([Delete(head_key("", B))])
    found = again(store, before)
    assert store.read == [head_key("", A), head_key("", Unit("dev", "c"))]
    assert sorted(found) == [A, Unit("dev", "c")]


def test_a_head_that_was_swapped_for_something_else_is_broken(store: Lists) -> None:
    before = look(store)
    store.inner.write([Put(head_key("", A), b"junk", None)])
    found = again(store, before)
    assert isinstance(found[A], Broken)
    assert store.read[0] == head_key("", A)
    again(store, found)  # what was broken is looked at again
    assert head_key("", A) in store.read


def test_many_changes_are_read_together(store: Lists, monkeypatch: pytest.MonkeyPatch) -> None:
    before = look(store)
    put(store.inner, [content(A, {"n": 2}), content(B, {"n": 2})], now=NOW + 1)
    monkeypatch.setattr(reading, "FEW", 1)
    again(store, before)
    assert store.read == ["dev/heads/"]


def test_who_is_left_out_is_not_read_until_it_moves(store: Lists) -> None:
    before = look(store)
    without = {A: before[A].version, B: before[B].version}
    put(store.inner, [content(A, {"n": 2})], now=NOW + 1)
    store.read.clear()
    found = heads_listed(store, "", "dev", READER, versions(store, "", "dev"), without=without)
    assert [*found] == [A]
    assert store.read == [head_key("", A)]


def test_versions_of_a_store_that_does_not_list_them(store: Lists) -> None:
    assert versions(store.inner, "", "dev") == versions(store, "", "dev")
