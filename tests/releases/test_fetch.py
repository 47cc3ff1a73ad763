"""From a store to the bytes of a release, with chunks that vanish and stores that lie."""

from __future__ import annotations

import pytest

from release_builder import UNIT
from sealpipe.errors import MalformedError, TrustError, UnavailableError
from sealpipe.released import Order, Unit
from sealpipe.releases import fetch
from sealpipe.releases.fetch import BrokenHead, Head, read_archive, read_head, scan_heads
from sealpipe.releases.keys import archive_key, chunk_key, head_key
from sealpipe.releases.wire import CHUNK, head_value
from sealpipe.stores.base import Delete, Put
from sealpipe.stores.file import FileStore
from sealpipe.testing.memory import MemoryStore

DIGEST = "cd" * 32


@pytest.fixture(params=["memory", "file"])
def store(request, tmp_path):
    return MemoryStore() if request.param == "memory" else FileStore(tmp_path / "store")


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(fetch, "_PAUSE", 0.001)


def publish(store, raw, seq, unit=UNIT, *, archive=True):
    order, rid = Order(7, seq), f"{seq:032x}"
    value, chunks = head_value(raw, order, rid, DIGEST)
    for number, chunk in enumerate(chunks):
        store.write([Put(chunk_key("c/", unit, order, rid, number), chunk, None)])
    store.write([Put(head_key("c/", unit), value, None)])
    if archive:
        store.write([Put(archive_key("c/", unit, order, DIGEST), value, None)])
    return [chunk_key("c/", unit, order, rid, number) for number in range(len(chunks))]


def test_nothing_there_is_none(store):
    assert read_head(store, "c/", UNIT) is None
    assert read_archive(store, "c/", UNIT, Order(7, 1), DIGEST) is None
    assert list(scan_heads(store, "c/", "production")) == []


@pytest.mark.parametrize("size", [10, CHUNK, CHUNK + 1, 3 * CHUNK])
def test_head_and_archive(store, size):
    raw = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
    publish(store, raw, 1)
    head = read_head(store, "c/", UNIT)
    assert head.raw == raw
    assert head.version == store.get(head_key("c/", UNIT)).version
    assert (head.locator is None) == (size <= CHUNK)
    assert read_archive(store, "c/", UNIT, Order(7, 1), DIGEST) == raw


def test_a_missing_chunk_sends_the_reader_back_to_the_head(store, monkeypatch):
    """Between the reader's two reads, a newer release is flipped in and the old one's chunks collected."""
    old = publish(store, b"a" * (2 * CHUNK), 1)
    real, done = store.get, []

    def get(key, **options):
        if key == old[1] and not done:
            done.append(publish(store, b"b" * (2 * CHUNK), 2))
            for gone in old:
                store.write([Delete(gone)])
        return real(key, **options)

    monkeypatch.setattr(store, "get", get)
    assert read_head(store, "c/", UNIT).raw == b"b" * (2 * CHUNK)


def test_tries_are_bounded(store, monkeypatch):
    chunks = publish(store, b"a" * (2 * CHUNK), 1)
    store.write([Delete(chunks[0])])
    reads = []
    real = store.get
    monkeypatch.setattr(store, "get", lambda key, **options: reads.append(key) or real(key, **options))
    with pytest.raises(MalformedError) as caught:
        read_head(store, "c/", UNIT)
    assert caught.value.word == "incomplete-head"
    assert reads.count(head_key("c/", UNIT)) == fetch.TRIES
    assert read_archive(store, "c/", UNIT, Order(7, 1), DIGEST) is None


def test_time_is_bounded(store, monkeypatch):
    monkeypatch.setattr(fetch, "_PAUSE", 5.0)
    chunks = publish(store, b"a" * (2 * CHUNK), 1)
    store.write([Delete(chunks[0])])
    with pytest.raises(UnavailableError):
        read_head(store, "c/", UNIT, timeout=0.1)


def test_parts_of_another_size_are_refused(store):
    chunks = publish(store, b"a" * (2 * CHUNK), 1)
    for wrong in (b"short", bytes(CHUNK + 1)):
        store.write([Put(chunks[1], wrong, None)])
        with pytest.raises(MalformedError) as caught:
            read_head(store, "c/", UNIT)
        assert caught.value.word == "incomplete-head"


def test_a_bad_locator_is_named(store):
    store.write([Put(head_key("c/", UNIT), b"SEALPIPE-CHUNKS-1\n{}", None)])
    with pytest.raises(TrustError) as caught:
        read_head(store, "c/", UNIT)
    assert caught.value.word == "malformed-locator"


def test_scan_gives_every_head_and_one_broken_stops_no_other(store):
    publish(store, b"small", 1, Unit("production", "alpha"))
    gone = publish(store, b"a" * (2 * CHUNK), 2, Unit("production", "beta"))
    publish(store, b"b" * (2 * CHUNK), 3, Unit("production", "gamma"))
    publish(store, b"other", 4, Unit("production-eu", "alpha"))
    store.write([Put("c/production/heads/delta", b"SEALPIPE-CHUNKS-1\n{}", None)])
    store.write([Put("c/production/heads/NOT-OURS", b"x", None)])
    store.write([Delete(gone[0])])
    found = list(scan_heads(store, "c/", "production"))
    assert [item.unit.service for item in found] == ["alpha", "beta", "delta", "gamma"]
    alpha, beta, delta, gamma = found
    assert isinstance(alpha, Head)
    assert alpha.raw == b"small"
    assert isinstance(gamma, Head)
    assert gamma.raw == b"b" * (2 * CHUNK)
    assert isinstance(beta, BrokenHead)
    assert beta.why.word == "incomplete-head"
    assert beta.version == store.get("c/production/heads/beta").version
    assert isinstance(delta, BrokenHead)
    assert delta.why.word == "malformed-locator"
