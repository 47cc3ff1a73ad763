"""`Live` on every kind of real store: a start, a swap, a refusal, an outage and what comes after it."""

from __future__ import annotations

import secrets
import time
from typing import Any

import pytest
from tests.live.orders import Orders, values
from tests.live.store import until

from sealpipe import Live, Source
from sealpipe.client.throwaway import throwaway, throwaway_release
from sealpipe.errors import StoreError
from sealpipe.released import Unit
from sealpipe.releases.keys import head_key
from sealpipe.releases.wire import CHUNK
from sealpipe.stores.base import Put
from sealpipe.stores.registry import open_store
from servers.consul import start_consul
from servers.etcd import start_etcd
from servers.fixtures import need
from servers.places import Place, place_on
from servers.processes import Running
from servers.zookeeper import start_zookeeper


class Shop:
    """Releases of `dev/orders` in a place of a real store."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.unit = Unit("dev", "orders")
        self.keys = throwaway(self.unit)
        self.seq = time.time_ns() // 1_000_000

    @property
    def source(self) -> Source:
        given = {"env": "dev", "service": "orders", "trust": self.keys.pin, "key": self.keys.reader}
        return Source(url=self.place.url, wait=5.0, **given)  # type: ignore[arg-type]

    def made(self, pool_max: Any) -> bytes:
        self.seq += 1
        raw = throwaway_release(self.keys, values(pool_max), seq=self.seq)
        assert len(raw) < CHUNK
        return raw

    def publish(self, pool_max: Any) -> None:
        self.put(self.made(pool_max))

    def put(self, raw: bytes) -> None:
        end = time.monotonic() + 60
        while True:
            store, prefix = open_store(self.place.url, base="/")
            try:
                store.write([Put(head_key(prefix, self.unit), raw, None)])
            except StoreError:
                assert time.monotonic() < end
                time.sleep(0.1)
            else:
                return
            finally:
                store.close()


def test_swaps_and_refusals(place: Place) -> None:
    shop = Shop(place)
    shop.publish(20)
    with Live(Orders, source=shop.source) as live:
        assert live.current.db.pool_max == 20
        assert live.status.origin == "store"
        for wanted in (21, 22, 23):
            shop.publish(wanted)
            until(lambda wanted=wanted: live.current.db.pool_max == wanted, 40)  # type: ignore[misc]
        shop.publish("many")
        until(lambda: live.status.state == "refusing", 40)
        assert live.current.db.pool_max == 23
        shop.publish(24)
        until(lambda: live.current.db.pool_max == 24, 40)
        began = time.monotonic()
    assert time.monotonic() - began < 1.0


STARTS = {"consul": start_consul, "etcd": start_etcd, "zk": start_zookeeper}
PROGRAMS = {"zk": "zookeeper"}


@pytest.mark.parametrize("kind", STARTS)
def test_a_server_that_restarts(kind: str, server_folder: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    need(PROGRAMS.get(kind, kind))
    server: Running = STARTS[kind](server_folder)
    try:
        for name, value in server.environ.items():
            monkeypatch.setenv(name, value)
        shop = Shop(place_on(kind, server)._replace(prefix=f"t{secrets.token_hex(4)}"))
        shop.publish(20)
        lives = [Live(Orders, source=shop.source).start() for _ in range(3)]
        server.kill()
        until(lambda: lives[0].status.state == "cached", 60)
        assert all(live.current.db.pool_max == 20 and live.ready() for live in lives)
        server.restart()
        shop.publish(21)
        recovered = time.monotonic()
        until(lambda: all(live.current.db.pool_max == 21 for live in lives), 60)
        assert time.monotonic() - recovered < 20.0  # 5 s on an idle machine: campaign/restarts.py
        assert lives[0].status.state == "live"
        for live in lives:
            live.stop()
    finally:
        server.kill()
