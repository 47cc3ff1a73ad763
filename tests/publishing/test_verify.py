"""A store against itself, its mirror and git: each thing that can be wrong, and nothing when all is right."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from publishing import NOW, READER, A, B, content, make_draft, put, release
from sealpipe.model import Head
from sealpipe.publishing.heads import heads
from sealpipe.publishing.mirror import mirror
from sealpipe.publishing.verify import verify
from sealpipe.released import Unit
from sealpipe.releases.keys import archive_key, archives_prefix, chunks_prefix, head_key
from sealpipe.stores.base import Delete, Put, Store
from sealpipe.stores.file import FileStore
from sealpipe.testing.memory import MemoryStore

BIG = {"x": "y" * 300_000}


@pytest.fixture(params=["memory", "file"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    return MemoryStore() if request.param == "memory" else FileStore(tmp_path / "store")


def words(store: Store, **more: Any) -> list[str]:
    return [finding.word for finding in verify("dev", store, "", READER, **more).findings]


def change(store: Store, key: str, value: bytes) -> None:
    entry = store.get(key)
    store.write([Put(key, value, entry.version if entry else "")])


def test_nothing_is_wrong(store: Store) -> None:
    for n in range(3):
        put(store, [content(A, {**BIG, "n": n}), content(B, {"n": n})], now=NOW + n)
    found = verify("dev", store, "", READER)
    assert found.findings == ()
    assert found.units == {A: "ok", B: "ok"}


def test_a_head_that_no_service_accepts(store: Store) -> None:
    put(store, [content(A, {"n": 1}), content(B, {"n": 1})])
    change(store, head_key("", A), b"junk")
    found = verify("dev", store, "", READER)
    assert found.units == {A: "not-a-release", B: "ok"}


def test_a_chunk_that_is_missing_or_altered(store: Store) -> None:
    put(store, [content(A, BIG)])
    chunk = store.keys(chunks_prefix("", A))[0]
    entry = store.get(chunk)
    assert entry
    change(store, chunk, b"?" + entry.value[1:])
    assert words(store)[0] == "not-a-release"
    store.write([Delete(chunk)])
    assert words(store)[0] == "incomplete-head"


def test_an_archive_that_is_altered_or_under_a_wrong_name(store: Store) -> None:
    put(store, [content(A, {"n": 1})], now=NOW)
    first = release(store, A)
    put(store, [content(A, {"n": 2})], now=NOW + 1)
    key = archive_key("", A, first.order, first.digest)
    good = store.get(key)
    assert good
    change(store, key, b"junk")
    assert words(store) == ["not-a-release"]
    change(store, key, good.value)
    assert words(store) == []
    wrong = archive_key("", A, first.order._replace(seq=1), first.digest)
    store.write([Put(wrong, good.value, None)])
    assert words(store) == ["misnamed-archive"]


def test_a_history_that_forked(store: Store) -> None:
    """A backup of the head was put back, and publishing went on from it."""
    put(store, [content(A, {"n": 0})], now=NOW)
    saved = store.get(head_key("", A))
    put(store, [content(A, {"n": 1})], now=NOW + 1)
    assert saved
    change(store, head_key("", A), saved.value)
    put(store, [content(A, {"n": 2})], now=NOW + 2)
    assert words(store) == ["forked-history"]


def test_collected_archives_are_no_gap(store: Store) -> None:
    for n in range(4):
        put(store, [content(A, {"n": n})], now=NOW + n)
    for key in store.keys(archives_prefix("", A))[:2]:
        store.write([Delete(key)])
    assert words(store) == []


def test_against_git(store: Store) -> None:
    put(store, [content(A, {"n": 1})])
    same, other = make_draft(A, {"n": 1}), make_draft(A, {"n": 2})
    assert words(store, drafted={A: same}) == []
    assert words(store, drafted={A: other}) == ["differs-from-git"]
    assert words(store, drafted={}) == ["differs-from-git"]
    assert words(store, drafted={A: same, B: make_draft(B, {})}) == ["not-published"]
    assert words(store, drafted={A: same, B: make_draft(B, {})}, only=A) == []


def test_against_a_mirror(store: Store) -> None:
    copy = MemoryStore()
    there = [("file:mirror", copy, "")]
    put(store, [content(A, {**BIG, "n": 1})], now=NOW)
    assert words(store, mirrors=there) == ["mirror-empty"]
    known = {unit: one for unit, one in heads(store, "", "dev", READER).items() if isinstance(one, Head)}
    assert mirror(known, copy, "", "dev", READER) == {A: "copied"}
    assert words(store, mirrors=there) == []
    assert mirror(known, copy, "", "dev", READER) == {A: "same"}
    put(store, [content(A, {"n": 2})], now=NOW + 1)
    assert words(store, mirrors=there) == ["mirror-behind"]
    change(copy, head_key("", A), b"junk")
    assert words(store, mirrors=there) == ["mirror-broken"]
    assert mirror(known, copy, "", "dev", READER) == {A: "broken"}
    assert mirror(known, copy, "", "dev", READER, repair=True) == {A: "copied"}


def test_a_part_that_was_cut_short_does_not_jam_a_mirror(store: Store) -> None:
    copy = MemoryStore()
    put(store, [content(A, BIG)])
    known = {unit: one for unit, one in heads(store, "", "dev", READER).items() if isinstance(one, Head)}
    part = store.keys(chunks_prefix("", A))[1]
    copy.write([Put(part, b"cut short", None)])
    assert mirror(known, copy, "", "dev", READER) == {A: "copied"}
    assert release(copy, A).digest == release(store, A).digest


def test_a_mirror_never_goes_back(store: Store) -> None:
    copy = MemoryStore()
    put(store, [content(A, {"n": 1})], now=NOW)
    old = {A: Head(release(store, A), "v")}
    put(store, [content(A, {"n": 2})], now=NOW + 1)
    new = {A: Head(release(store, A), "v")}
    assert mirror(new, copy, "", "dev", READER) == {A: "copied"}
    assert mirror(old, copy, "", "dev", READER) == {A: "newer"}
    assert release(copy, A).draft.values == {"n": 2}


def test_other_environments_are_left_alone(store: Store) -> None:
    put(store, [content(A, {"n": 1})])
    change(store, head_key("", Unit("production", "a")), b"junk")
    assert words(store) == []
