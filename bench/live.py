"""Rows of a running service: reading a setting, publish to swapped object, memory of many objects."""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
import timeit
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from by_hand import RAW, one_notice
from live_peers import starts
from measure import HEAD, Row, Used, line
from peers import python_with

from repositories import Bench

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "pipeline"), str(ROOT / "tests"), str(ROOT)]
STORES = ("consul", "etcd", "zk")
_TUNABLES = "GLIBC_TUNABLES"


def rows(bench: Bench, runs: int, scale: float) -> Iterator[Row]:
    """Every row; those on servers where they are here. Idling for ten minutes is `python bench/live.py`."""
    yield from reading()
    yield from starts(bench, runs)
    yield from memory(max(50, int(1000 * scale)), seconds=20)
    from servers.places import served

    with served(STORES) as places:
        for place in places:
            yield from swapping(place, max(60, int(200 * scale)))


def _settings() -> Any:
    from pydantic import BaseModel, SecretStr

    from sealpipe import PublishedConfigDict, PublishedSettings

    class Db(BaseModel):
        pool_max: int
        password: SecretStr | None = None

    class Orders(PublishedSettings):
        model_config = PublishedConfigDict(service="orders")
        db: Db

    return Orders


def reading() -> Iterator[Row]:
    from sealpipe import Live
    from sealpipe.testing import published

    number = 1_000_000
    with published(orders={"db": {"pool_max": 5}}), Live(_settings()) as live:
        pairs = [
            (
                timeit.timeit("live.current.db.pool_max", globals={"live": live}, number=number),
                timeit.timeit("settings.db.pool_max", globals={"settings": live.current}, number=number),
            )
            for _ in range(5)
        ]
    mine, plain = (statistics.median(column) for column in zip(*pairs, strict=True))
    work = "a million reads of `live.current.db.pool_max`"
    yield Row(work, "`settings.db.pool_max` of the same object", _ms(mine), _ms(plain), "wall", "<2")
    python = python_with("dynaconf")
    if python is not None:
        yield Row(work, "dynaconf", _ms(mine), _ms(_dynaconf(python, number // 10) * 10), "wall", "x15")


_DYNACONF = """\
import sys, timeit
from dynaconf import Dynaconf
settings = Dynaconf(settings_files=[sys.argv[1]])
assert settings.db.pool_max == 5
print(min(timeit.repeat("s.db.pool_max", globals={"s": settings}, number=int(sys.argv[2]), repeat=3)))
"""


def _dynaconf(python: str, number: int) -> float:
    """Seconds of its best run: ours is a median."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "settings.json")
        file.write_text('{"db": {"pool_max": 5}}')
        words = [python, "-c", _DYNACONF, str(file), str(number)]
        return float(subprocess.run(words, capture_output=True, check=True, cwd=folder).stdout)


def _ms(seconds: float) -> Used:
    return Used(seconds * 1000, 0.0, 0.0)


def memory(count: int, *, seconds: int, kind: str = "") -> Iterator[Row]:
    """Resident memory and descriptors of many objects, each with a connection and a thread of its own, when
    all have started and after they idled for `seconds`: on a folder, or on a server of that kind."""
    from sealpipe import Live

    cls, where = _settings(), kind or "a folder"
    with _sources(count, kind) as sources:
        Live(cls, source=next(sources)).start().stop()
        before, files = _resident(), _descriptors()
        lives = [Live(cls, source=source).start() for source in sources]
        time.sleep(5)
        first, opened, began = _resident(), _descriptors(), time.process_time()
        seen = [first]
        for _ in range(max(1, seconds // 10)):
            time.sleep(min(10, seconds))
            seen.append(_resident())
        busy = (time.process_time() - began) / seconds * 100
        last = _descriptors()
        assert all(live.ready() for live in lives)
        for live in lives:
            live.stop()
    each = Used((first - before) / count, 0.0, first / 1024)
    grown = _ms((seen[-1] - first) / 1000)
    name = f"{count:,} live objects on {where}"
    idle = f"{name}, {seconds} s idle"
    yield Row(f"{name}: KiB each, not ms", "–", each, None, "wall", "")
    yield Row(f"{idle}: KiB more, all of them", "–", grown, None, "wall", "1024 ms")
    yield Row(f"{idle}: descriptors more", "–", _ms((last - opened) / 1000), None, "wall", "0 ms")
    print(
        f"<!-- {name}: {each.wall:.0f} KiB and {(opened - files) / count:.2f} descriptors each; after "
        f"{seconds} s {seen[-1] - first:+} KiB (at most {max(seen) - first:+}) and "
        f"{last - opened:+} descriptors in all; {busy:.1f} % of a core; KiB more, minute by minute: "
        f"{', '.join(str(one - first) for one in seen[6::6]) or 'none'} -->"
    )


@contextmanager
def _sources(count: int, kind: str) -> Iterator[Iterator[Any]]:
    """One source to begin with, and `count` that share nothing."""
    from tests.live.store import OneService
    from tests.live.test_on_stores import Shop

    from sealpipe.frozen import replace
    from servers.places import served

    if kind:
        most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
        with served((kind,)) as places:
            for place in places:
                shop = Shop(place)
                shop.publish(5)
                source, found = shop.source, shop.keys.reader
                keys = [partial(lambda key: key, found) for _ in range(count + 1)]  # each has its own feed
                yield (replace(source, key=key) for key in keys)
        return
    with tempfile.TemporaryDirectory() as folder:
        shops = [OneService(Path(folder, f"s{n}")) for n in range(count + 1)]
        for one in shops:
            one.publish({"db": {"pool_max": 5}})
        yield (one.source for one in shops)


def _resident() -> int:
    """KiB."""
    for row in Path("/proc/self/status").read_text().splitlines():
        if row.startswith("VmRSS"):
            return int(row.split()[1])
    raise SystemExit("no VmRSS in /proc/self/status")


def _descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def swapping(place: Any, runs: int) -> Iterator[Row]:
    """From the moment before a head is written until a waiting reader has it: `live.current` is the new
    object, or a raw watch by hand returned. In turns, each written by its own warm client."""
    from tests.live.test_on_stores import Shop

    from sealpipe import Live
    from sealpipe.releases.keys import head_key
    from sealpipe.stores.base import Put
    from sealpipe.stores.registry import open_store
    from stores import _at

    shop = Shop(place)
    shop.put(shop.made(1))
    by_hand = RAW[place.kind](place, 0)
    writer, prefix = open_store(place.url, base="/")
    key = head_key(prefix, shop.unit)
    mine: list[float] = []
    raw: list[float] = []
    with Live(_settings(), source=shop.source) as live:
        live.current  # noqa: B018
        for number in range(2, runs + 3):
            release = shop.made(number)

            def swapped(number: int = number) -> None:
                while live.current.db.pool_max != number:
                    time.sleep(0.0002)

            def write(release: bytes = release) -> None:
                writer.write([Put(key, release, None)])

            mine.append(one_notice(swapped, write))
            raw.append(by_hand.notice(number))
    writer.close()
    by_hand.close()
    del mine[0], raw[0]
    name = f"{place.kind}: published → swapped"
    yield Row(f"{name}, p50 of {len(mine)}", "a raw watch", _at(mine, 0.5), _at(raw, 0.5), "wall", "<3")
    yield Row(f"{name}, p99 of {len(mine)}", "a raw watch", _at(mine, 0.99), _at(raw, 0.99), "wall", "50 ms")


def main() -> None:
    parser = argparse.ArgumentParser(
        description="Live objects that only wait: their memory stays what it is."
    )
    parser.add_argument("--objects", type=int, default=1000)
    parser.add_argument("--idle", type=int, default=600, metavar="SECONDS")
    parser.add_argument("--on", choices=STORES, default="", help="instead of a folder")
    parser.add_argument(
        "--no-thread-caches",
        action="store_true",
        help="without what glibc keeps, thread by thread, of freed memory: the rest is ours",
    )
    given = parser.parse_args()
    if given.no_thread_caches and _TUNABLES not in os.environ:
        os.environ[_TUNABLES] = "glibc.malloc.tcache_count=0"  # read when a program starts
        os.execv(sys.executable, [sys.executable, *sys.argv])  # noqa: S606
    print(HEAD)
    for row in memory(given.objects, seconds=given.idle, kind=given.on):
        print(line(row), flush=True)


if __name__ == "__main__":
    main()
