"""Eight real processes publish one service at once, two readers follow it, a collector takes away.

    python campaign/race.py [--releases N]       1,000 by default

Each publisher runs the product's own publish on a folder store and keeps what was acknowledged (on the other
stores: campaign/store_race.py). At the end:
the head has as many releases behind it as were acknowledged, the kept chain has no gap and no fork, a
reader never saw a lower order, two contents at one order, or a release that does not verify.
"""

from __future__ import annotations

import argparse
import multiprocessing
import sys
import tempfile
import time
from contextlib import suppress
from multiprocessing.queues import Queue
from multiprocessing.sharedctypes import Synchronized
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "pipeline"), str(ROOT / "tests")]
PUBLISHERS, READERS = 8, 2


class Figures(NamedTuple):
    """What a race came to."""

    releases: int
    conflicts: int
    reads: int
    collected: int
    errors: int  # a server that said that it cannot, and was asked again
    seconds: float


def publisher(url: str, number: int, wanted: int, ready: Any, done: Any, told: Queue[Any]) -> None:
    from publishing import A, content, make_batch, past
    from sealpipe.errors import UnavailableError
    from sealpipe.publishing.publish import publish
    from servers.places import opened

    store = opened(url)
    conflicts = errors = n = 0
    if number:
        ready.wait()
    while done.value < wanted:
        now = time.time_ns() // 1_000_000
        try:
            batch = make_batch(store, [content(A, {"by": number, "n": n})], now=now, batch=f"{number}-{n}")
            (receipt,) = publish(batch, store, "", fence=None, past=past(store))
        except UnavailableError:
            errors += 1
            continue
        if receipt.outcome in ("published", "already"):
            with done.get_lock():
                done.value += 1
            told.put(("acknowledged", receipt.digest))
            n += 1
            if number == 0 and n == 1:
                ready.wait()  # readers need a first release; then all begin at once
        elif receipt.outcome == "failed":
            errors += 1
        else:
            assert receipt.outcome == "conflict", receipt
            conflicts += 1
    told.put(("conflicts", conflicts))
    told.put(("errors", errors))


def reader(url: str, wanted: int, ready: Any, done: Any, told: Queue[Any]) -> None:
    from publishing import A, release
    from sealpipe.errors import UnavailableError
    from servers.places import opened

    store = opened(url)
    reads, errors, last = 0, 0, None
    ready.wait()
    while done.value < wanted:
        try:
            found = release(store, A)  # raises for what does not verify
        except UnavailableError:
            errors += 1
            continue
        reads += 1
        if last is not None:
            assert found.payload.order >= last.payload.order, "a reader went back"
            if found.payload.order == last.payload.order:
                assert found.digest == last.digest, "two contents at one order"
        last = found
    told.put(("reads", reads))
    told.put(("errors", errors))


def collector(url: str, keep: int, wanted: int, ready: Any, done: Any, told: Queue[Any]) -> None:
    from publishing import A
    from sealpipe.errors import UnavailableError
    from sealpipe.publishing.collect import collect
    from sealpipe.publishing.heads import needs
    from servers.places import opened

    store, count = opened(url), 0
    ready.wait()
    while done.value < wanted:
        now = time.time_ns() // 1_000_000
        with suppress(UnavailableError):
            count += collect(store, "", [A], needs=needs, now_ms=now, keep=keep, age_ms=200)
        time.sleep(0.05)
    told.put(("collected", count))


def race(url: str, wanted: int, *, keep: int = 30) -> Figures:
    """Run it on the store of this URL. Raises AssertionError when a promise is broken."""
    from publishing import READER, A, release
    from sealpipe.publishing.heads import archives, chain
    from servers.places import opened

    opened(url).close()  # imports once what every process needs
    processes = multiprocessing.get_context("fork")
    done: Synchronized[int] = processes.Value("i", 0)
    told: Queue[Any] = processes.Queue()
    started = time.monotonic()
    ready = processes.Barrier(PUBLISHERS + READERS + 1)
    publish = [
        processes.Process(target=publisher, args=(url, n, wanted, ready, done, told))
        for n in range(PUBLISHERS)
    ]
    others = [processes.Process(target=reader, args=(url, wanted, ready, done, told)) for _ in range(READERS)]
    others.append(processes.Process(target=collector, args=(url, keep, wanted, ready, done, told)))
    for process in (*publish, *others):
        process.start()
    rows = []
    while any(process.is_alive() for process in (*publish, *others)) or not told.empty():
        while not told.empty():
            rows.append(told.get())
        time.sleep(0.01)
        if any(process.exitcode for process in (*publish, *others)):
            ready.abort()  # one that died must not keep the others waiting
    assert [process.exitcode for process in (*publish, *others)] == [0] * (len(publish) + len(others))
    acknowledged = [value for kind, value in rows if kind == "acknowledged"]
    store = opened(url)
    newest = release(store, A)
    assert len(acknowledged) == len(set(acknowledged)) == newest.payload.number, "lost, or forked"
    kept = list(chain(store, "", newest, READER))
    assert [one.payload.number for one in kept] == [newest.payload.number - n for n in range(len(kept))]
    assert len(kept) >= min(keep, newest.payload.number)
    assert {one.digest for one in kept} <= set(acknowledged)
    assert {one.digest for one in archives(store, "", A, READER)} <= set(acknowledged), "a fork was archived"

    def total(kind: str) -> int:
        return sum(value for name, value in rows if name == kind)

    seconds = time.monotonic() - started
    counts = [total(kind) for kind in ("conflicts", "reads", "collected", "errors")]
    return Figures(len(acknowledged), *counts, seconds)


def shown(found: Figures) -> str:
    return (
        f"{found.releases} releases, {found.conflicts} conflicts, {found.reads} verified reads, "
        f"{found.collected} keys collected, {found.errors} errors, {found.seconds:.0f} s; "
        "nothing lost, no fork, no torn read"
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--releases", type=int, default=1_000)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="sealpipe-race-") as folder:
        found = race(f"file:{folder}", given.releases)
    print(f"race: {shown(found)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
