"""Watchers that only wait: nothing piles up, however often they look. The long form is `bench/live.py`."""

from __future__ import annotations

import gc
import threading
import time
import tracemalloc
from pathlib import Path
from typing import Any

import pytest
from tests.live.store import OneService, until
from tests.live.test_on_stores import Orders, Shop

from sealpipe import Live
from sealpipe.client import watching
from sealpipe.client.watch import Watch
from sealpipe.frozen import replace
from sealpipe.testing import sealed
from servers.places import Place

ROUNDS = 150
EACH = 400  # bytes; a connection that stays has 3,000 of buffers


def idle(sources: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """They look again four times a second instead of once a minute, some hundred times."""
    monkeypatch.setattr(watching, "SAFETY", 0.25)
    reads = [0]
    right = Watch.read

    def counted(self: Watch, timeout: float) -> Any:
        reads[0] += 1
        return right(self, timeout)

    monkeypatch.setattr(Watch, "read", counted)
    lives = [Live(Orders, source=source).start() for source in sources]
    try:
        tracemalloc.start()
        try:
            sizes = []
            for _ in range(3):  # in the first, what was there before takes its place in the count
                began = reads[0]
                until(lambda began=began: reads[0] > began + ROUNDS, 60)  # type: ignore[misc]
                gc.collect()
                sizes.append(tracemalloc.get_traced_memory()[0])
                if len(sizes) == 1:
                    before, threads = descriptors(), threading.active_count()
        finally:
            tracemalloc.stop()
        grown = sizes[-1] - sizes[0]
        assert grown < 2 * ROUNDS * EACH, f"{sizes} bytes"
        assert threading.active_count() <= threads + len(lives)
        until(lambda: descriptors() <= before + len(lives), 10)  # one may be between two connections
        assert all(live.ready() and live.status.state == "live" for live in lives)
    finally:
        for live in lives:
            live.stop()


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_on_a_folder(cached_shop: OneService, monkeypatch: pytest.MonkeyPatch) -> None:
    cached_shop.publish({"db": {"password": sealed("hunter2"), "pool_max": 5}})
    keys = [lambda: cached_shop.keys.reader for _ in range(10)]
    idle([replace(cached_shop.source, key=key) for key in keys], monkeypatch)


@pytest.mark.parametrize("place", ["consul", "etcd", "zk"], indirect=True)
def test_on_a_server(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    shop = Shop(place)
    shop.publish(5)
    keys = [lambda: shop.keys.reader for _ in range(10)]
    began = time.monotonic()
    idle([replace(shop.source, key=key) for key in keys], monkeypatch)
    assert time.monotonic() - began < 120
