"""Live settings on three nodes that lose their leader, and behind a network that says nothing."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from tests.live.store import until
from tests.live.test_on_stores import Orders, Shop

from sealpipe import Live
from sealpipe.errors import ConfigUnavailable
from sealpipe.frozen import replace
from servers.fixtures import need
from servers.places import CLUSTERS, PLACES, Place, place_on
from servers.proxy import Proxy

CONVERGED = 5.0


class Everywhere(Shop):
    """Reads and writes by way of other addresses than the place's own."""

    def __init__(self, place: Place, address: str) -> None:
        super().__init__(place)
        self.address = address

    @property
    def source(self) -> Any:
        return replace(super().source, url=self.place.at(self.address))


def put_anywhere(shop: Shop, cluster: Any, raw: bytes) -> None:
    """Acknowledged by whichever node takes it."""
    end = time.monotonic() + 60
    while True:
        try:
            leader = cluster.leader(timeout=5)
            other = Shop(shop.place._replace(server=leader))
            other.put(raw)
        except Exception:  # noqa: BLE001  # an election is under way
            assert time.monotonic() < end
        else:
            return


@pytest.mark.parametrize("kind", CLUSTERS)
def test_the_leader_is_lost(kind: str, server_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    need(PLACES[kind].program)
    cluster = CLUSTERS[kind](server_folder)
    try:
        for name, value in cluster.nodes[0].environ.items():
            monkeypatch.setenv(name, value)
        shop = Everywhere(place_on(kind, cluster.leader()), ",".join(cluster.addresses))
        put_anywhere(shop, cluster, shop.made(20))
        with Live(Orders, source=shop.source) as live:
            assert live.current.db.pool_max == 20
            for wanted in (21, 22):
                leader = cluster.leader()
                leader.kill()
                assert live.current.db.pool_max == wanted - 1
                assert live.ready()
                put_anywhere(shop, cluster, shop.made(wanted))
                until(lambda wanted=wanted: live.current.db.pool_max == wanted, CONVERGED * 3)  # type: ignore[misc]
                assert live.ready()
                cluster.heal()
            until(lambda: live.status.state == "live", 30)
    finally:
        cluster.kill()


@pytest.mark.parametrize("place", ["consul", "etcd", "zk"], indirect=True)
def test_a_network_that_says_nothing(place: Place, tmp_path: Path) -> None:
    """Connections stand and no answer comes: a start is bounded, what runs goes on, a stop is quick."""
    proxy = Proxy(place.server.address)
    try:
        shop = Everywhere(place, proxy.address)
        shop.publish(20)
        source = replace(shop.source, cache=str(tmp_path / "cache"))
        with Live(Orders, source=source) as live:
            assert live.current.db.pool_max == 20
            proxy.swallow()
            began = time.monotonic()
            assert live.refresh(timeout=0.5) == "unavailable"
            assert time.monotonic() - began < 8
            assert live.current.db.pool_max == 20
            assert live.ready()

            began = time.monotonic()
            with pytest.raises(ConfigUnavailable):
                Live(Orders, source=replace(shop.source, wait=0.5)).start()
            assert time.monotonic() - began < 12
            with Live(Orders, source=replace(source, wait=0.5, key=lambda: shop.keys.reader)) as second:
                assert second.status.origin == "cache"
                began = time.monotonic()
            assert time.monotonic() - began < 3

            proxy.heal()
            shop.publish(21)
            until(lambda: live.current.db.pool_max == 21, CONVERGED * 4)
            until(lambda: live.status.state == "live", 20)
    finally:
        proxy.close()
