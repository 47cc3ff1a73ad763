"""What a store, a disk, a clock or a stranger can do to a running service: nothing but be told of."""

from __future__ import annotations

import random
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest
from tests.live.orders import Orders, values
from tests.live.store import OneService, until

from sealpipe import Event, Live
from sealpipe.client.throwaway import throwaway_release
from sealpipe.errors import ConfigError
from sealpipe.live.live import part_of
from sealpipe.released import Unit
from sealpipe.testing import sealed


def test_garbage_in_the_head(shop: OneService) -> None:
    good = shop.publish(values())
    stranger = OneService(shop.folder)
    stranger.number, stranger.seq = 5, shop.seq + 1000
    garbage = [
        b"",
        b"\0" * 4096,
        b"{}",
        good[:-1],
        good[: len(good) // 2],
        good + b"x",
        random.Random(7).randbytes(2000),  # noqa: S311
        stranger.release(values(666)),
        throwaway_release(replace(shop.keys, unit=Unit("dev", "mailer")), values(667), seq=shop.seq + 900),
        throwaway_release(
            replace(shop.keys, unit=Unit("production", "orders")), values(668), seq=shop.seq + 901
        ),
        shop.release({"db": "nothing"}),
    ]
    events: list[Event] = []
    with Live(Orders, source=shop.source, on_event=events.append) as live:
        for junk in garbage:
            shop.put(junk)
            assert live.refresh() in ("refused", "unchanged")
            assert live.current.db.pool_max == 20
            assert live.ready()
        shop.publish(values(21))
        until(lambda: live.current.db.pool_max == 21)
    assert "hunter2-canary" not in str(events)


def test_a_head_that_comes_back_to_what_runs_is_no_refusal_any_more(shop: OneService) -> None:
    good = shop.publish(values())
    with Live(Orders, source=shop.source) as live:
        shop.put(b"junk")
        until(lambda: live.status.state == "refusing")
        shop.put(good)
        until(lambda: live.status.state == "live")
        assert (live.status.refusals, live.status.error_word) == (0, "")


def test_a_release_from_the_future_is_outrun_by_a_newer_trust(shop: OneService) -> None:
    """A stolen key signs the highest number there is: what is published under a newer trust version wins."""
    shop.publish(values())
    with Live(Orders, source=shop.source) as live:
        shop.publish(values(666), seq=(1 << 48) - 1)
        until(lambda: live.current.db.pool_max == 666)
        shop.publish(values(21))
        assert live.refresh() == "unchanged"
        body = shop.keys.trust_body.replace(b'"version":1', b'"version":2')
        shop.keys = replace(shop.keys, trust_body=body, trust_version=2)
        shop.publish(values(23))
        until(lambda: live.current.db.pool_max == 23)
        assert live.status.state == "live"


def test_a_cache_that_is_damaged_anywhere_is_never_run(cached_shop: OneService) -> None:
    """Every 7th byte of every file of the cache, flipped; the store is away."""
    shop = cached_shop
    shop.publish(values())
    with Live(Orders, source=shop.source):
        pass
    shop.folder.rename(shop.folder.with_name("away"))
    assert shop.cache is not None
    files = [path for path in shop.cache.rglob("*") if path.is_file() and path.stat().st_size]
    assert len(files) >= 2
    tried = 0
    source = replace(shop.source, wait=0.01)
    for path in files:
        whole = path.read_bytes()
        for at in range(0, len(whole), 7):
            path.write_bytes(whole[:at] + bytes([whole[at] ^ 0x20]) + whole[at + 1 :])
            tried += 1
            live = Live(Orders, source=source)
            try:
                live.start()
            except ConfigError as error:
                assert error.exit_code in (75, 78)  # noqa: PT017
            else:
                assert live.current.db.pool_max == 20
                live.stop()
            path.write_bytes(whole)
    assert tried > 200


def test_a_cache_that_cannot_be_written_is_told(shop: OneService, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    events: list[Event] = []
    shop.publish(values())
    source = replace(shop.source, cache=str(tmp_path / "file" / "cache"))
    with Live(Orders, source=source, on_event=events.append) as live:
        shop.publish(values(21))
        until(lambda: live.current.db.pool_max == 21)
        until(lambda: "cache" in [event.kind for event in events])


@pytest.mark.parametrize("years", [-10, 10])
def test_a_clock_that_is_wrong(cached_shop: OneService, monkeypatch: pytest.MonkeyPatch, years: int) -> None:
    right = time.time
    monkeypatch.setattr(time, "time", lambda: right() + years * 31_557_600)
    cached_shop.publish(values())
    with Live(Orders, source=cached_shop.source) as live:
        cached_shop.publish(values(21))
        until(lambda: live.current.db.pool_max == 21)
        assert live.status.state == "live"


def test_a_store_that_comes_and_goes(shop: OneService) -> None:
    events: list[Event] = []
    shop.publish(values())
    away = shop.folder.with_name("away")
    with Live(Orders, source=shop.source, on_event=events.append) as live:
        for wanted in range(30, 35):
            shop.folder.rename(away)
            live.refresh()
            away.rename(shop.folder)
            shop.publish(values(wanted))
            until(lambda wanted=wanted: live.current.db.pool_max == wanted)  # type: ignore[misc]
            assert live.ready()


def test_a_watcher_meets_what_nobody_foresaw_and_goes_on(
    shop: OneService, monkeypatch: pytest.MonkeyPatch
) -> None:
    events: list[Event] = []
    shop.publish(values())
    with Live(Orders, source=shop.source, on_event=events.append) as live:
        feed = part_of(live).feed
        assert feed is not None
        watcher = feed._watcher
        assert watcher is not None
        right = watcher._take
        watcher._take = lambda *_: 1 / 0  # type: ignore[assignment,return-value]
        shop.publish(values(21))
        until(lambda: "watcher-failed" in [event.kind for event in events])
        watcher._take = right
        until(lambda: live.current.db.pool_max == 21)
        assert live.ready()


def test_a_dead_watcher_is_never_shown_as_live(shop: OneService) -> None:
    shop.publish(values())
    with Live(Orders, source=shop.source) as live:
        feed = part_of(live).feed
        assert feed is not None
        assert feed._watcher is not None
        feed._watcher.stop()
        assert live.status.state == "stopped"
        assert not live.ready()
        live.start()
        assert live.ready()


def test_readers_see_one_generation_whole(shop: OneService) -> None:
    """Two fields of one generation never come from two."""
    shop.publish({"db": {"password": sealed("0"), "pool_max": 0}})
    torn: list[tuple[str, int]] = []
    stop = threading.Event()
    with Live(Orders, source=shop.source) as live:

        def read() -> None:
            while not stop.is_set():
                db = live.current.db
                seen = db.password.get_secret_value(), db.pool_max
                if seen[0] != str(seen[1]):
                    torn.append(seen)

        readers = [threading.Thread(target=read) for _ in range(3)]
        for reader in readers:
            reader.start()
        for number in range(1, 40):
            shop.publish({"db": {"password": sealed(str(number)), "pool_max": number}})
            live.refresh()
        stop.set()
        for reader in readers:
            reader.join()
        assert live.current.db.pool_max == 39
    assert not torn


def test_two_hundred_services_of_one_process(tmp_path: Path) -> None:
    shops = [OneService(tmp_path / f"store-{number}") for number in range(200)]
    lives = []
    for shop in shops:
        shop.publish(values())
        lives.append(Live(Orders, source=shop.source).start())
    for shop in shops:
        shop.publish(values(21))
    until(lambda: all(live.current.db.pool_max == 21 for live in lives), 30)
    began = time.monotonic()
    for live in lives:
        live.stop()
    assert time.monotonic() - began < 60
    until(lambda: not [one for one in threading.enumerate() if one.name.startswith("sealpipe dev/orders")])
