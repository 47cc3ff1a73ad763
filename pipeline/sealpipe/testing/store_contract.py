"""What every store must do, as checks that any test runner can call. Shipped: a store of your own uses it.

    import pytest
    from sealpipe.testing.store_contract import CHECKS

    @pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
    def test_contract(check, empty_place):
        check(lambda: MyStore(empty_place))

Each check gets a function that opens one more client of the same place, empty when the check starts. A
check that fails raises AssertionError. What differs between stores is read from `limits`, never from a
name.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress

from sealpipe.errors import ConflictError, OutcomeUnknownError, StoreError, TooLargeError, UnsupportedError
from sealpipe.stores.base import (
    ABSENT,
    Check,
    Delete,
    Op,
    Put,
    Store,
    at_once,
    lists_versions,
    takes_several,
    values_of,
)
from sealpipe.stores.threads import side_by_side
from sealpipe.testing.expecting import expect, fails, together, value_of, version_of, versions_of

Open = Callable[[], Store]


def missing_is_none(open_store: Open) -> None:
    store = open_store()
    expect(store.get("dev/heads/a") is None, "a missing key is not None")
    expect(store.get("dev/heads/a", fresh=True) is None, "a missing key is not None when read fresh")
    expect(store.keys("dev/heads/") == [], "an empty store lists keys")
    expect(list(store.scan("")) == [], "an empty store has entries")


def written_is_read(open_store: Open) -> None:
    store = open_store()
    values = {"dev/heads/a": b"", "dev/heads/b": bytes(range(256)) * 5, "dev/state": b"\r\n\0\xff"}
    for key, value in values.items():
        store.write([Put(key, value, ABSENT)])
    other = open_store()
    for key, value in values.items():
        for reader in (store, other):
            entry = reader.get(key, fresh=True)
            expect(entry is not None and entry.key == key, f"{key} is not there")
            expect(entry is not None and entry.value == value, f"{key} came back changed")
            expect(entry is not None and entry.version != ABSENT, f"{key} has no version")
    expect(version_of(store, "dev/state") == version_of(other, "dev/state"), "two clients see two versions")


def create_only(open_store: Open) -> None:
    store = open_store()
    store.write([Put("dev/heads/a", b"1", ABSENT)])
    fails(ConflictError, lambda: store.write([Put("dev/heads/a", b"2", ABSENT)]), "create over a key")
    fails(ConflictError, lambda: store.write([Put("dev/heads/a", b"1", ABSENT)]), "create the same bytes")
    expect(value_of(store, "dev/heads/a") == b"1", "a failed create changed the key")


def swap(open_store: Open) -> None:
    store = open_store()
    store.write([Put("dev/heads/a", b"1", ABSENT)])
    first = version_of(store, "dev/heads/a")
    store.write([Put("dev/heads/a", b"2", first)])
    second = version_of(store, "dev/heads/a")
    expect(second not in (first, ABSENT), "a swap left the version as it was")
    fails(ConflictError, lambda: store.write([Put("dev/heads/a", b"3", first)]), "swap from a stale version")
    fails(ConflictError, lambda: store.write([Put("dev/heads/b", b"3", first)]), "swap of a missing key")
    expect(value_of(store, "dev/heads/a") == b"2", "a failed swap changed the key")
    expect(value_of(store, "dev/heads/b") is None, "a failed swap made a key")


def unconditional(open_store: Open) -> None:
    store = open_store()
    store.write([Put("dev/heads/a", b"1", None)])
    store.write([Put("dev/heads/a", b"2", None)])
    expect(value_of(store, "dev/heads/a") == b"2", "a write without expectation was not made")


def delete(open_store: Open) -> None:
    store = open_store()
    store.write([Delete("dev/releases/a/1")])
    store.write([Put("dev/releases/a/1", b"1", ABSENT)])
    store.write([Put("dev/releases/a/2", b"2", ABSENT)])
    stale = version_of(store, "dev/releases/a/1")
    store.write([Put("dev/releases/a/1", b"other", stale)])
    fails(
        ConflictError, lambda: store.write([Delete("dev/releases/a/1", stale)]), "delete of a stale version"
    )
    expect(value_of(store, "dev/releases/a/1") == b"other", "a failed delete removed the key")
    store.write([Delete("dev/releases/a/1", version_of(store, "dev/releases/a/1"))])
    expect(value_of(store, "dev/releases/a/1") is None, "a deleted key is still there")
    expect(store.keys("dev/releases/a/") == ["dev/releases/a/2"], "a delete took its neighbour along")
    fails(UnsupportedError, lambda: store.write([Delete("dev/releases/a/2", ABSENT)]), "delete of nothing")


def listing(open_store: Open) -> None:
    store = open_store()
    keys = [f"dev/{name}" for name in ("heads/b", "heads/a", "heads/a-2", "releases/a/1", "state")]
    for key in [*keys, "dev-eu/heads/a", "prod/heads/a"]:
        store.write([Put(key, key.encode(), ABSENT)])
    expect(store.keys("dev/") == sorted(keys), "a listing is not sorted or not exact")
    expect(store.keys("dev/heads/") == ["dev/heads/a", "dev/heads/a-2", "dev/heads/b"], "wrong keys")
    expect(store.keys("dev/releases/a/") == ["dev/releases/a/1"], "a neighbour's keys were listed")
    expect(store.keys("nothing/") == [], "a missing prefix lists keys")
    expect(len(store.keys("")) == len(keys) + 2, "the empty prefix does not list everything")
    found = list(store.scan("dev/"))
    expect([entry.key for entry in found] == sorted(keys), "a scan is not in key order")
    expect(all(entry.value == entry.key.encode() for entry in found), "a scan mixed up values")
    expect(all(e.version == version_of(store, e.key) for e in found), "a scan gives other versions than get")
    lists = lists_versions(store)
    if lists is not None:
        before = lists.versions("dev/")
        expect(
            dict(before.versions) == versions_of(store), "versions are listed that are not those of a scan"
        )
        again = lists.versions("dev/", since=before)
        expect(again.versions == before.versions, "an earlier listing changes what is listed")
        store.write([Put("prod/heads/b", b"", ABSENT)])
        for op in (
            Put("dev/heads/a", b"new", found[0].version),
            Put("dev/heads/c", b"new", ABSENT),
            Delete("dev/heads/c"),
            Put("dev/heads/b", b"new", None),
            Delete("dev/heads/b"),
        ):
            store.write([op])
            now = lists.versions("dev/", since=before)
            expect(
                dict(now.versions) == versions_of(store), "since an earlier listing, a change is not listed"
            )
        expect(
            dict(lists.versions("dev/", since=now).versions) == versions_of(store),
            "the last listing is not kept",
        )


def many_keys(open_store: Open) -> None:
    store = open_store()
    keys = [f"dev/heads/s{number:04d}" for number in range(300)]
    for key in keys:
        store.write([Put(key, key.encode(), ABSENT)])
    expect(store.keys("dev/heads/") == keys, "keys are missing from a listing of 300")
    expect([entry.key for entry in store.scan("dev/heads/")] == keys, "keys are missing from a scan of 300")


def bad_keys(open_store: Open) -> None:
    store = open_store()
    bad = [
        "",
        "/a",
        "a/",
        "a//b",
        "../a",
        "a/../b",
        "a/.hidden",
        "a b",
        "a\nb",
        "ä",
        "a%2fb",
        "a*",
        "x" * 300,
    ]
    for key in bad:
        fails(UnsupportedError, lambda key=key: store.get(key), f"get of {key!r}")  # type: ignore[misc]
        put = Put(key, b"", ABSENT)
        fails(UnsupportedError, lambda put=put: store.write([put]), f"put of {key!r}")  # type: ignore[misc]
    fails(UnsupportedError, lambda: store.keys("dev/heads"), "a prefix that ends inside a name")
    expect(store.keys("") == [], "a refused key was written")


def bad_writes(open_store: Open) -> None:
    store = open_store()
    twice: list[Op] = [Put("dev/heads/a", b"1", None), Put("dev/heads/a", b"2", None)]
    fails(UnsupportedError, lambda: store.write(twice), "one key twice in a write")
    expect(store.keys("") == [], "a refused write was made")


def value_limit(open_store: Open) -> None:
    store = open_store()
    largest = bytes(min(store.limits.value, 128 * 1024))
    store.write([Put("dev/heads/a", largest, ABSENT)])
    expect(value_of(store, "dev/heads/a") == largest, "a value of 128 KiB came back changed")
    over = Put("dev/heads/b", bytes(store.limits.value + 1), ABSENT)
    fails(TooLargeError, lambda: store.write([over]), "a value above the limit")
    expect(value_of(store, "dev/heads/b") is None, "a value above the limit was written")


def checks_guard(open_store: Open) -> None:
    store = open_store()
    if store.limits.ops < 2:
        return
    store.write([Put("dev/state", b"fence 1", ABSENT)])
    fence = version_of(store, "dev/state")
    store.write([Check("dev/state", fence), Put("dev/heads/a", b"1", ABSENT)])
    store.write([Put("dev/state", b"fence 2", fence)])
    guarded: list[Op] = [Check("dev/state", fence), Put("dev/heads/a", b"2", None)]
    fails(ConflictError, lambda: store.write(guarded), "a write past a failed check")
    fails(ConflictError, lambda: store.write(guarded[::-1]), "a write before a failed check")
    fails(
        ConflictError,
        lambda: store.write([Check("dev/state", ABSENT), Put("dev/heads/a", b"2", None)]),
        "a check for absence of a key that is there",
    )
    expect(value_of(store, "dev/heads/a") == b"1", "a failed check did not guard its write")
    store.write([Check("dev/none", ABSENT), Put("dev/heads/a", b"3", None)])
    expect(value_of(store, "dev/heads/a") == b"3", "a check for absence failed without cause")


def all_or_nothing(open_store: Open) -> None:
    store = open_store()
    several: list[Op] = [Put("dev/heads/a", b"1", ABSENT), Put("dev/heads/b", b"1", ABSENT)]
    if not store.limits.transactional:
        fails(UnsupportedError, lambda: store.write(several), "several changes in one write")
        expect(store.keys("") == [], "a refused write was made in part")
        return
    store.write(several)
    first = version_of(store, "dev/heads/a")
    half: list[Op] = [Put("dev/heads/a", b"2", first), Put("dev/heads/b", b"2", "no-such-version")]
    for ops in (half, half[::-1]):
        fails(ConflictError, lambda ops=ops: store.write(ops), "a write with a failed half")  # type: ignore[misc]
        expect(value_of(store, "dev/heads/a") == b"1", "half of a failed write was made")
    mixed: list[Op] = [
        Delete("dev/heads/b"),
        Put("dev/heads/a", b"2", first),
        Put("dev/releases/a", b"r", ABSENT),
    ]
    store.write(mixed)
    expect(store.keys("") == ["dev/heads/a", "dev/releases/a"], "a write of three kinds is incomplete")


def several_writes(open_store: Open) -> None:
    """Where a store takes many at once: each is a write of its own, up to the first that fails."""
    store = open_store()
    several = takes_several(store)
    if several is not None:
        store.write([Put("dev/heads/b", b"theirs", ABSENT)])
        found = several.write_each([[Put(f"dev/heads/{name}", b"1", ABSENT)] for name in "abc"])
        told = [type(one) for one in found]
        expect(told == [type(None), ConflictError], "not every write of several was answered for itself")
        now = [value_of(store, f"dev/heads/{name}") for name in "abc"]
        expect(now == [b"1", b"theirs", None], "several writes did not end at the first that failed")


def several_at_a_time(open_store: Open) -> None:
    """Values read together and, where a store says so, written by several threads: as one by one."""
    store = open_store()
    keys = [f"dev/chunks/a/{number}" for number in range(9)]
    side_by_side(lambda key: store.write([Put(key, key.encode(), ABSENT)]), keys, at_once(store))
    store.write([Put("dev/empty", b"", ABSENT)])
    asked = [keys[3], "dev/chunks/none", *keys[::-1], "dev", "dev/empty"]
    for fresh in (True, False):
        found = [*values_of(store, asked, fresh=fresh)]
        expect(found == [value_of(store, key) for key in asked], "values are not what they are one by one")
    expect([*values_of(store, [])] == [], "no keys have values")
    fails(UnsupportedError, lambda: [*values_of(store, [keys[0], "a//b"])], "a bad key among several")


def one_winner(open_store: Open) -> None:
    """Eight clients count up one key by compare-and-swap: nothing is lost and nothing counted twice."""
    open_store().write([Put("dev/heads/a", b"0", ABSENT)])
    rounds, clients = 6, 8
    problems: list[str] = []

    def count() -> None:
        store = open_store()
        won = 0
        deadline = time.monotonic() + 60
        while won < rounds and time.monotonic() < deadline:
            entry = store.get("dev/heads/a", fresh=True)
            if entry is None:
                problems.append("the key vanished")
                return
            try:
                store.write([Put("dev/heads/a", b"%d" % (int(entry.value) + 1), entry.version)], timeout=30)
            except ConflictError:
                continue
            except OutcomeUnknownError:
                problems.append("a write between clients of one machine had an unknown outcome")
                return
            won += 1
        store.close()

    together([count] * clients)
    expect(not problems, "; ".join(problems))
    expect(value_of(open_store(), "dev/heads/a") == b"%d" % (rounds * clients), "a swap was lost or repeated")


def no_torn_reads(open_store: Open) -> None:
    """A reader beside a writer sees only whole values, and never goes back."""
    store, done = open_store(), threading.Event()
    store.write([Put("dev/heads/a", b"00000000" * 4096, ABSENT)])
    problems: list[str] = []

    def read() -> None:
        reader, last = open_store(), b""
        while not done.is_set():
            value = value_of(reader, "dev/heads/a") or b""
            if len(value) != 32768 or value != value[:8] * 4096:
                problems.append("a torn value was read")
            if value[:8] < last:
                problems.append("a fresh read went back")
            last = value[:8]

    def write() -> None:
        for number in range(1, 40):
            store.write([Put("dev/heads/a", b"%08d" % number * 4096, None)], timeout=30)
        done.set()

    together([write, read])
    expect(not problems, "; ".join(problems[:3]))


def waiting(open_store: Open) -> None:
    store = open_store()
    expect(store.wait("dev/heads/a", "not this", timeout=5), "wait slept on a version that is already old")
    store.write([Put("dev/heads/a", b"1", ABSENT)])
    version = version_of(store, "dev/heads/a")
    started = time.monotonic()
    store.wait("dev/heads/a", version, timeout=0.3)
    expect(time.monotonic() - started < 5, "wait outlived its timeout")
    for change in (Put("dev/heads/a", b"2", version), Delete("dev/heads/a")):
        before = version_of(store, "dev/heads/a")
        timer = threading.Timer(0.2, lambda change=change: open_store().write([change]))
        timer.start()
        deadline = time.monotonic() + 20
        woken = False
        while not woken and time.monotonic() < deadline:
            woken = (
                store.wait("dev/heads/a", before, timeout=5) and version_of(store, "dev/heads/a") != before
            )
        timer.join()
        expect(woken, "wait missed a change")


def closing_ends_a_wait(open_store: Open) -> None:
    """A reader that stops must not hang on its store."""
    store = open_store()
    with suppress(StoreError):
        store.get("dev/heads/closed")
    waiter = threading.Thread(target=_wait_quietly, args=(store, "dev/heads/closed"), daemon=True)
    waiter.start()
    time.sleep(0.3)
    store.close()
    waiter.join(timeout=2.0)
    expect(not waiter.is_alive(), "close() ends a wait() of another thread within a second or so")


def _wait_quietly(store: Store, key: str) -> None:
    with suppress(Exception):
        store.wait(key, ABSENT, timeout=20.0)


def size_bounds(open_store: Open) -> None:
    store = open_store()
    small: list[Op] = [Put("dev/heads/a", b"1", ABSENT)]
    large: list[Op] = [Put("dev/heads/a", bytes(1000), ABSENT)]
    expect(0 < store.size(small) < store.size(large), "size does not grow with the value")
    expect(store.size(large) >= 1000, "size is less than what is sent")
    expect(store.size([*small, Check("dev/state", "v")]) > store.size(small), "size does not count a check")
    expect(store.size(large) <= store.limits.request, "a small write is above the request limit")


CHECKS: tuple[Callable[[Open], None], ...] = (
    missing_is_none,
    written_is_read,
    create_only,
    swap,
    unconditional,
    delete,
    listing,
    many_keys,
    bad_keys,
    bad_writes,
    value_limit,
    checks_guard,
    all_or_nothing,
    several_writes,
    several_at_a_time,
    one_winner,
    no_torn_reads,
    waiting,
    closing_ends_a_wait,
    size_bounds,
)
