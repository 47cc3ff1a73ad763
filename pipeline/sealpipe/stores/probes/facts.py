"""One store: does it answer, what may these credentials do, does it keep its word, what does it say itself.

Writes nothing but a probe under a name of its own, which is removed; where the credentials may not write,
nothing at all.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import suppress

from sealpipe.errors import ConflictError, DeniedError, SealpipeError, StoreError
from sealpipe.frozen import NamedTuple
from sealpipe.stores.base import ABSENT, Delete, Fact, Put, Store
from sealpipe.stores.probes.clock import ahead
from sealpipe.stores.probes.policies import to_paste
from sealpipe.stores.registry import examine, open_store, scheme_of


class Asked(NamedTuple):
    """A store to look at, and as whom."""

    url: str
    base: str  # where a relative path starts
    folder: str  # below the store's prefix, where a probe may stand: "production/doctor/"
    publisher: bool  # whether who asks is meant to write there
    timeout: float = 5.0
    named: bool = False  # asked for by name: then no answer is what is wrong


def store_facts(asked: Asked) -> Iterator[Fact]:
    """Everything that can be said of a store from here. Raises nothing for what it finds wrong."""
    try:
        store, prefix = open_store(asked.url, base=asked.base)
    except SealpipeError as error:
        yield _failed(error, "problem")
        return
    try:
        yield from _facts(asked, store, prefix)
    finally:
        store.close()


def _facts(asked: Asked, store: Store, prefix: str) -> Iterator[Fact]:
    began = time.monotonic()
    try:
        store.get(f"{prefix}{asked.folder}nothing", fresh=True, timeout=asked.timeout)
    except DeniedError as error:
        # Who reads one service may be allowed its head and nothing beside it.
        yield _failed(error, "problem" if asked.publisher else "unknown")
        yield from _of_server(asked, store)
        return
    except StoreError as error:
        yield _no_answer(asked, error)
        return
    spent = 1000 * (time.monotonic() - began)
    limits = store.limits
    yield Fact(
        "ok",
        f"answers in {spent:.0f} ms · values up to {limits.value // 1024:,} KiB, "
        + (f"{limits.ops} operations in one request" if limits.transactional else "one key in a request"),
    )
    yield from _of_server(asked, store)
    yield from _rights(asked, store, prefix)


def _of_server(asked: Asked, store: Store) -> Iterator[Fact]:
    try:
        yield from examine(asked.url, store, base=asked.base, timeout=asked.timeout)
    except SealpipeError as error:
        yield _failed(error, "unknown")


def _no_answer(asked: Asked, error: StoreError) -> Fact:
    """Nobody has to reach every store from everywhere; but one that is asked for has to answer."""
    said = _failed(error, "problem" if asked.named else "unknown")
    where = "look at its address, whether it runs, and whether this machine may reach it"
    return said if said.hint else said._replace(hint=where)


def _failed(error: SealpipeError, mark: str) -> Fact:
    return Fact(mark, f"{error.finding.what} [{error.word}]", next(iter(error.finding.hint), ""))


# ---- rights and promises


def _rights(asked: Asked, store: Store, prefix: str) -> Iterator[Fact]:
    if scheme_of(asked.url) == "file" and not store.keys(prefix):
        return  # a look does not make the folder
    key = f"{prefix}{asked.folder}{secrets.token_hex(8)}"
    began = time.time()
    try:
        store.write([Put(key, b"probe", ABSENT)], timeout=asked.timeout)
    except DeniedError:
        yield _may_not(asked)
        return
    except StoreError as error:
        yield _failed(error, "problem" if asked.publisher else "unknown")
        return
    ended = time.time()
    try:
        yield _may(asked)
        yield from _clock(asked, store, key, (began + ended) / 2)
        yield from _promises(asked, store, key)
        yield from _outside(asked, store, prefix, key)
    except StoreError as error:
        yield _failed(error, "unknown")
    finally:
        with suppress(StoreError):
            store.write([Delete(key)], timeout=asked.timeout)
    yield from _left(asked, store, key)


def _clock(asked: Asked, store: Store, key: str, here: float) -> Iterator[Fact]:
    """Of a server that tells the time by what it writes alone."""
    written = getattr(store, "written", None)
    there = written(key, timeout=asked.timeout) if callable(written) else None
    if there is not None:
        yield ahead(there - here)


def _may_not(asked: Asked) -> Fact:
    if asked.publisher:
        what = "you are a publisher, and these credentials may not write there"
        return Fact("problem", what, to_paste(asked.url))
    return Fact("ok", "cannot write from here (by design: you are not a publisher)")


def _may(asked: Asked) -> Fact:
    if asked.publisher or scheme_of(asked.url) == "file":
        return Fact("ok", "may be written from here")
    what = "these credentials can write, and who only reads needs no more than reading"
    return Fact("warning", what, to_paste(asked.url))


def _promises(asked: Asked, store: Store, key: str) -> Iterator[Fact]:
    """Create, create again, swap, swap again with the version that is no more: as publishing relies on it."""

    def write(value: bytes, expect: str) -> Callable[[], None]:
        return lambda: store.write([Put(key, value, expect)], timeout=asked.timeout)

    def stands() -> tuple[bytes, str]:
        entry = store.get(key, fresh=True, timeout=asked.timeout)
        return (entry.value, entry.version) if entry else (b"", ABSENT)

    first = stands()
    kept = first[0] == b"probe" and _refuses(write(b"other", ABSENT)) and stands() == first
    swapped = kept and not _refuses(write(b"probe 2", first[1]))
    second = stands()
    moved = swapped and second[0] == b"probe 2" and second[1] != first[1]
    if moved and _refuses(write(b"probe 3", first[1])) and stands() == second:
        yield Fact("ok", "conditional writes hold (tried with a probe, removed)")
        return
    what = "overwrites what it was told to create or swap only (tried with a probe, removed)"
    yield Fact("problem", what, "two publishers could overwrite each other: use another store")


def _refuses(write: Callable[[], None]) -> bool:
    try:
        write()
    except ConflictError:
        return True
    return False


def _outside(asked: Asked, store: Store, prefix: str, key: str) -> Iterator[Fact]:
    """Whether the credentials reach beyond the prefix: by a swap that cannot be; nothing is written."""
    if not prefix:
        return
    entry = store.get(key, fresh=True, timeout=asked.timeout)
    if entry is None:
        return
    try:
        store.write(
            [Put(f"sealpipe-doctor-{secrets.token_hex(8)}", b"", entry.version)], timeout=asked.timeout
        )
    except DeniedError:
        yield Fact("ok", f"may write below {prefix} only")
    except ConflictError:
        yield Fact(
            "warning",
            f"may write outside of {prefix} as well",
            to_paste(asked.url),
        )
    except StoreError:
        return  # nothing was found out


def _left(asked: Asked, store: Store, key: str) -> Iterator[Fact]:
    try:
        gone = store.get(key, fresh=True, timeout=asked.timeout) is None
    except StoreError:
        gone = False
    if not gone:
        yield Fact(
            "warning", f"the probe {key} could not be removed", "publishers must be able to delete there"
        )
