"""Rows of a running service: reading a setting, publish to swapped object, memory of many objects."""

from __future__ import annotations

import resource
import statistics
import sys
import tempfile
import time
import timeit
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from measure import Row, Used

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "pipeline"), str(ROOT / "tests"), str(ROOT)]
STORES = ("consul", "etcd", "zk")


def rows(scale: float) -> Iterator[Row]:
    """Every row; those on servers where they are here."""
    yield from reading()
    yield from memory(max(50, int(1000 * scale)))
    from servers.places import served

    with served(STORES) as places:
        for place in places:
            yield from swapping(place, max(20, int(100 * scale)))


def _settings() -> Any:
    from pydantic import BaseModel

    from sealpipe import PublishedConfigDict, PublishedSettings

    class Db(BaseModel):
        pool_max: int

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
    other = _dynaconf(number // 10)
    if other is not None:
        yield Row(work, "dynaconf", _ms(mine), _ms(other * 10), "wall", "x15")


def _dynaconf(number: int) -> float | None:
    try:
        from dynaconf import Dynaconf
    except ImportError:
        return None
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "settings.json")
        file.write_text('{"db": {"pool_max": 5}}')
        settings = Dynaconf(settings_files=[str(file)])
        return min(timeit.repeat("s.db.pool_max", globals={"s": settings}, number=number, repeat=3))


def _ms(seconds: float) -> Used:
    return Used(seconds * 1000, 0.0, 0.0)


def memory(count: int) -> Iterator[Row]:
    """Resident memory and descriptors of many objects that follow a folder store, each of its own service."""
    from tests.live.store import OneService

    from sealpipe import Live

    cls = _settings()
    with tempfile.TemporaryDirectory() as folder:
        shops = [OneService(Path(folder, f"s{n}")) for n in range(count)]
        for shop in shops:
            shop.publish({"db": {"pool_max": 5}})
        Live(cls, source=shops[0].source).start().stop()
        before, files = _resident(), _descriptors()
        lives = [Live(cls, source=shop.source).start() for shop in shops]
        time.sleep(2)
        first = _resident()
        time.sleep(20)
        later = _resident()
        print(
            f"<!-- {count} objects: {(first - before) / count:.0f} KiB each, "
            f"{_descriptors() - files} descriptors more, {later - first:+} KiB in 20 s of idling -->"
        )
        for live in lives:
            live.stop()
    each = Used((first - before) / count, 0.0, first / 1024)
    yield Row(f"{count:,} live objects, KiB each", "–", each, None, "wall", "")


def _resident() -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1])
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def _descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def swapping(place: Any, runs: int) -> Iterator[Row]:
    """From the moment a head is written to the moment `live.current` is the new object."""
    from tests.live.test_on_stores import Shop

    from sealpipe import Live
    from stores import RAW, _at

    shop = Shop(place)
    shop.put(shop.made(1))
    found = []
    with Live(_settings(), source=shop.source) as live:
        live.current  # noqa: B018
        for number in range(2, runs + 2):
            raw = shop.made(number)
            time.sleep(0.05)
            began = time.perf_counter()
            shop.put(raw)
            while live.current.db.pool_max != number:
                time.sleep(0.0002)
            found.append(time.perf_counter() - began)
    by_hand = RAW[place.kind](place)
    raw_found = by_hand.watch(runs)
    by_hand.close()
    name = f"{place.kind}: published → swapped"
    yield Row(f"{name}, p50", "a raw watch", _at(found, 0.5), _at(raw_found, 0.5), "wall", "<3")
    yield Row(f"{name}, p99", "–", _at(found, 0.99), None, "wall", "50 ms")
