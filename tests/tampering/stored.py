"""Attacks on a store: the fence, archives, heads and their parts; and on what a service keeps.

A store writer can put any bytes anywhere in the store; some hold a key besides.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import publishing as shop
from sealpipe.client.source import Source
from sealpipe.client.start import start
from sealpipe.client.throwaway import throwaway, throwaway_release
from sealpipe.crypto.signing import sign
from sealpipe.errors import SealpipeError
from sealpipe.model import Broken, Head
from sealpipe.publishing.fence import State, claim, read_state, sign_state
from sealpipe.publishing.heads import archives
from sealpipe.publishing.verify import verify
from sealpipe.released import SEQ_LIMIT, Order, Unit
from sealpipe.releases.fetch import read_head
from sealpipe.releases.keys import archive_key, head_key, state_key
from sealpipe.releases.payloads import payload_bytes
from sealpipe.releases.wire import CHUNKS_MAGIC, encode_release, split_release
from sealpipe.stores.base import Put
from sealpipe.testing.memory import MemoryStore

from .attack import BELIEVED, NO_EFFECT, Attack, word

STORE = "write access to the store"
PUBLISHER = "a publisher's key"
REVOKED = "a publisher's key that was taken away"
A = shop.A
OURS, FOREIGN = "b" * 40, "d" * 40


def fence(state: State, by: str) -> str:
    """A state stands in the store; then the honest publisher of dev comes. What it is told."""
    store = MemoryStore()
    raw = sign_state(shop.PROJECT, "dev", state, shop.KEYS[by])
    store.write([Put(state_key("", "dev"), raw, None)])

    def ancestry(older: str, newer: str) -> bool | None:
        return None if FOREIGN in (older, newer) else older == newer

    def honest() -> None:
        claim(
            store, "", dict, State(OURS, "B1", "ci", "2026-05-04T00:00:00Z"), trust=shop.TRUST,
            environment="dev", key=shop.KEYS["ci"], ancestry=ancestry, enforced=True,
        )  # fmt: skip

    found = word(honest)
    entry = store.get(state_key("", "dev"))
    moved = entry is not None and read_state(entry.value, shop.TRUST, "dev") == State(
        OURS, "B1", "ci", "2026-05-04T00:00:00Z"
    )
    return NO_EFFECT if found == BELIEVED and moved else found


def jam(commit: str, by: str) -> Callable[[Path], str]:
    return lambda _: fence(State(commit, "B0", by, "2026-05-03T00:00:00Z"), by)


def planted_archive(name: Callable[[Any], str], raw: Callable[[Any], bytes]) -> Callable[[Path], str]:
    """An archive put there by hand: the history that `history` and `rollback` read must not have it."""

    def how(_: Path) -> str:
        store = MemoryStore()
        for n in (1, 2):
            shop.put(store, [shop.content(A, {"n": n})], now=shop.NOW + n)
        honest = [one.digest for one in archives(store, "", A, shop.READER)]
        head = shop.release(store, A)
        store.write([Put(name(head), raw(head), None)])
        after = [one.digest for one in archives(store, "", A, shop.READER)]
        words = [f.word for f in verify("dev", store, "", shop.READER).findings]
        return words[0] if words and sorted(set(after)) == sorted(honest) else BELIEVED

    return how


def at_the_bound() -> MemoryStore:
    store = MemoryStore()
    shop.put(store, [shop.content(A, {"n": 1})])
    head = shop.release(store, A)
    frames = split_release(head.raw)
    order = head.order._replace(seq=SEQ_LIMIT - 1)
    body = payload_bytes(replace(head.payload, order=order))
    raw = encode_release(
        shop.PROJECT, frames.chain, frames.trust.body, frames.trust.signatures, body,
        ((shop.KEYS["ci"].public, sign("RELEASE", body, shop.KEYS["ci"])),), frames.draft,
    )  # fmt: skip
    now = store.get(head_key("", A))
    assert now
    store.write([Put(head_key("", A), raw, now.version)])
    assert shop.release(store, A).order == order
    return store


def spent(_: Path) -> str:
    """A publisher's key puts the head at the last seq: nothing can follow under this trust version."""
    store = at_the_bound()
    return word(lambda: shop.put(store, [shop.content(A, {"n": 2})]))


def freed(_: Path) -> str:
    """And a new trust version, which takes that key away, goes on with the clock's."""
    store = at_the_bound()
    newer = shop.make_trust(2)
    shop.put(store, [shop.content(A, {"n": 2})], trust=newer)
    return NO_EFFECT if shop.release(store, A).order == Order(2, shop.NOW) else BELIEVED


def below_head(_: Path) -> str:
    """An old clone, whose trust.yaml lists a key that was revoked, publishes."""
    store = MemoryStore()
    shop.put(store, [shop.content(A, {"n": 1})], trust=shop.make_trust(2))
    return word(lambda: shop.put(store, [shop.content(A, {"n": 2})], trust=shop.make_trust(1)))


def foreign_head(_: Path) -> str:
    store = MemoryStore()
    keys = throwaway(A)
    store.write([Put(head_key("", A), throwaway_release(keys, {"n": 1}), None)])
    return word(lambda: shop.put(store, [shop.content(A, {"n": 2})]))


def located(**fields: Any) -> Callable[[Path], str]:
    """A head that points to chunks in a way that would cost the reader."""

    def how(_: Path) -> str:
        from sealpipe.canonical import canonical

        data = {"trust": 1, "seq": 1, "rid": "0" * 32, "chunks": 2, "size": 200_000, "digest": "0" * 64}
        store = MemoryStore()
        store.write([Put(head_key("", A), CHUNKS_MAGIC + canonical({**data, **fields}), None)])
        return word(lambda: read_head(store, "", A, timeout=9))

    return how


def swapped_heads(_: Path) -> str:
    store = MemoryStore()
    shop.put(store, [shop.content(A, {"n": 1}), shop.content(shop.B, {"n": 2})])
    entry = store.get(head_key("", shop.B))
    mine = store.get(head_key("", A))
    assert entry
    assert mine
    store.write([Put(head_key("", A), entry.value, mine.version)])
    found = shop.look(store)[A]
    return found.word if isinstance(found, Broken) else BELIEVED


def restored_head(_: Path) -> str:
    """A backup of the head put back; publishing goes on above what readers have seen."""
    store = MemoryStore()
    shop.put(store, [shop.content(A, {"n": 1})], now=shop.NOW)
    saved = store.get(head_key("", A))
    shop.put(store, [shop.content(A, {"n": 2})], now=shop.NOW + 1)
    now = store.get(head_key("", A))
    assert saved
    assert now
    store.write([Put(head_key("", A), saved.value, now.version)])
    shop.put(store, [shop.content(A, {"n": 3})], now=shop.NOW + 2)
    assert isinstance(shop.look(store)[A], Head)
    return verify("dev", store, "", shop.READER).findings[0].word


def renamed_archive(head: Any) -> str:
    return archive_key("", A, head.order._replace(seq=head.order.seq + 9), head.digest)


# ---- the service

ORDERS = Unit("dev", "orders")


def served(*acts: Callable[[Path, Any], None]) -> Callable[[Path], str]:
    """A service started once on #2, with a cache; then the acts; then it starts again. What it says."""

    def how(folder: Path) -> str:
        keys = throwaway(ORDERS)
        head = folder / "store/dev/heads/orders"
        head.parent.mkdir(parents=True)
        head.write_bytes(throwaway_release(keys, {"n": 2}, seq=2, number=2))
        source = Source(
            url=f"file:{folder}/store", env="dev", service="orders", trust=keys.pin, key=keys.reader,
            wait=0.1, cache=str(folder / "cache"),
        )  # fmt: skip
        start(source, "model", lambda snapshot: snapshot.values["n"])
        for act in acts:
            act(folder, keys)
        try:
            found = start(source, "model", lambda snapshot: snapshot.values["n"])
        except SealpipeError as error:
            return error.word
        assert found.value == 2
        return found.refused[0].word if found.refused else BELIEVED

    return how


def puts(raw: Callable[[Any], bytes]) -> Callable[[Path, Any], None]:
    return lambda folder, keys: _write(folder / "store/dev/heads/orders", raw(keys))


def caches(raw: Callable[[Any], bytes]) -> Callable[[Path, Any], None]:
    """Every cached generation replaced."""

    def act(folder: Path, keys: Any) -> None:
        for file in (folder / "cache").rglob("*.release"):
            file.write_bytes(raw(keys))

    return act


def _write(file: Path, data: bytes) -> None:
    file.write_bytes(data)


def away(folder: Path, _: Any) -> None:
    (folder / "store").rename(folder / "gone")


def emptied(folder: Path, _: Any) -> None:
    (folder / "store/dev/heads/orders").unlink()


def release(n: int, seq: int) -> Callable[[Any], bytes]:
    return lambda keys: throwaway_release(keys, {"n": n}, seq=seq, number=seq)


def another_projects(_: Any) -> bytes:
    return throwaway_release(throwaway(ORDERS), {"n": 9}, seq=9)


ATTACKS = [
    Attack("a fence jammed with a foreign commit by a store writer", STORE, jam(FOREIGN, "old"), NO_EFFECT),
    Attack(
        "a fence jammed by a listed key that does not publish there",
        "another environment's key",
        jam(FOREIGN, "ben"),
        NO_EFFECT,
    ),
    Attack(
        "a fence jammed with a foreign commit by a publisher",
        PUBLISHER,
        jam(FOREIGN, "anna"),
        "unknown-commit",
    ),
    Attack("a fence moved to another line of history", PUBLISHER, jam("e" * 40, "anna"), "older-commit"),
    Attack(
        "an archive of rubbish planted",
        STORE,
        planted_archive(renamed_archive, lambda _: b"junk"),
        "not-a-release",
    ),
    Attack(
        "an archive planted under another name",
        STORE,
        planted_archive(renamed_archive, lambda head: head.raw),
        "misnamed-archive",
    ),
    Attack(
        "an archive of another project planted",
        STORE,
        planted_archive(renamed_archive, lambda _: throwaway_release(throwaway(A), {"n": 7})),
        "foreign-project",
    ),
    Attack("a seq near its bound", PUBLISHER, spent, "sequence-spent"),
    Attack("a seq near its bound, and the key taken away", REVOKED, freed, NO_EFFECT),
    Attack("an old clone publishes under older trust", REVOKED, below_head, "newer-trust"),
    Attack("a foreign project's head in our place", STORE, foreign_head, "foreign-project"),
    Attack("another service's head in our place", STORE, swapped_heads, "foreign-unit"),
    Attack("an old head put back", STORE, restored_head, "forked-history"),
    Attack("a locator of a million chunks", STORE, located(chunks=10**6), "malformed-locator"),
    Attack("a locator whose size and chunks differ", STORE, located(chunks=3), "malformed-locator"),
    Attack("a locator that leaves the store", STORE, located(rid="../../../etc/passwd"), "malformed-locator"),
    Attack("a locator of nothing", STORE, located(), "incomplete-head"),
    Attack("an older release put back before a service", STORE, served(puts(release(1, 1))), "older-release"),
    Attack("two releases of one order", PUBLISHER, served(puts(release(3, 2))), "two-releases"),
    Attack("a stranger's release before a service", STORE, served(puts(another_projects)), "foreign-root"),
    Attack("the store emptied", STORE, served(emptied), "no-release"),
    Attack(
        "a cached generation replaced by another project's",
        "the cache's folder",
        served(away, caches(another_projects)),
        "foreign-root",
    ),
    Attack(
        "a cached generation replaced by rubbish",
        "the cache's folder",
        served(away, caches(lambda _: b"junk")),
        "not-a-release",
    ),
]
