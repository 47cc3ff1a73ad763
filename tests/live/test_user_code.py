"""Code of the service's author in the middle of a refresh: validators with side effects, callbacks that come
back, refreshes while the process ends."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from pydantic import field_validator, model_validator
from tests.live.orders import Db, Orders, values
from tests.live.store import OneService, until

from sealpipe import Event, Live
from sealpipe.live.live import part_of

# ---- validators


def test_a_validator_runs_once_a_release_and_object(shop: OneService) -> None:
    """Whatever it does besides is done as often as there are releases: not at each look at the store."""
    ran: list[int] = []

    class Counting(Orders):
        @field_validator("db")
        @classmethod
        def count(cls, db: Db) -> Db:
            ran.append(db.pool_max)
            return db

    shop.publish(values(1))
    with Live(Counting, source=shop.source) as live:
        for _ in range(5):
            live.refresh()
        assert ran == [1]
        shop.publish(values(2))
        until(lambda: live.current.db.pool_max == 2)
        live.status.as_dict()
        live.explain("db.pool_max")
        assert ran == [1, 2]


def test_a_validator_that_changes_what_it_is_given(shop: OneService) -> None:
    """Its changes are in its own object: no other class of the service has them, and no later release."""

    class Greedy(Orders):
        @model_validator(mode="before")
        @classmethod
        def clear(cls, data: dict[str, Any]) -> dict[str, Any]:
            data["db"]["pool_max"] += 1000
            data["db"].setdefault("more", []).append("x")
            return data

    shop.publish(values(1))
    with Live(Greedy, source=shop.source) as greedy, Live(Orders, source=shop.source) as plain:
        for number in (2, 3):
            shop.publish(values(number))
            until(lambda number=number: plain.current.db.pool_max == number)  # type: ignore[misc]
            assert greedy.current.db.pool_max == 1000 + number
        assert part_of(greedy).held.snapshot.values["db"]["pool_max"] == 3  # type: ignore[union-attr]


def test_a_validator_that_looks_at_the_object_that_is_being_built_for(shop: OneService) -> None:
    lives: list[Live[Any]] = []
    seen: list[int] = []

    class Looking(Orders):
        @model_validator(mode="after")
        def look(self) -> Looking:
            for live in lives:
                seen.append(live.current.db.pool_max)
                live.status.as_dict()
                live.on_change("db.pool_max", lambda old, new: None)
            return self

    shop.publish(values(1))
    with Live(Looking, source=shop.source) as live:
        lives.append(live)
        shop.publish(values(2))
        until(lambda: live.current.db.pool_max == 2)
        assert seen[0] == 1  # what runs, until the swap


def test_a_validator_that_stops_the_object(shop: OneService) -> None:
    lives: list[Live[Any]] = []

    class Stopping(Orders):
        @model_validator(mode="after")
        def end(self) -> Stopping:
            for live in lives:
                live.stop()
            return self

    shop.publish(values(1))
    live = Live(Stopping, source=shop.source).start()
    lives.append(live)
    shop.publish(values(2))
    until(lambda: live.status.state == "stopped")
    lives.clear()
    assert live.current.db.pool_max in (1, 2)
    live.start()
    until(lambda: live.current.db.pool_max == 2)
    live.stop()


def test_a_validator_that_takes_long_holds_up_no_reader(shop: OneService) -> None:
    go, inside = threading.Event(), threading.Event()

    class Slow(Orders):
        @field_validator("db")
        @classmethod
        def wait(cls, db: Db) -> Db:
            if db.pool_max == 2:
                inside.set()
                assert go.wait(20)
            return db

    shop.publish(values(1))
    with Live(Slow, source=shop.source) as live:
        shop.publish(values(2))
        assert inside.wait(10)
        began = time.monotonic()
        assert live.current.db.pool_max == 1
        assert live.ready()
        assert live.refresh(timeout=0.2) == "unavailable"
        assert live.status.state == "live"
        assert time.monotonic() - began < 10
        go.set()
        until(lambda: live.current.db.pool_max == 2)


# ---- callbacks


def test_a_callback_that_subscribes_derives_and_reads(shop: OneService) -> None:
    seen: list[Any] = []
    shop.publish(values(1))
    with Live(Orders, source=shop.source) as live:

        @live.on_change("db.pool_max")
        def again(old: int, new: int) -> None:
            live.on_change("db.pool_max", lambda old, new: seen.append(("inner", old, new)))
            pool = live.derive(lambda s: s.db.pool_max, lambda n: [n])
            seen.append(("outer", new, live.current.db.pool_max, pool.current))
            live.refresh()

        shop.publish(values(2))
        until(lambda: len(seen) == 1)
        assert seen == [("outer", 2, 2, [2])]
        shop.publish(values(3))
        until(lambda: ("inner", 2, 3) in seen)


def test_a_factory_that_asks_for_a_refresh(shop: OneService) -> None:
    shop.publish(values(1))
    with Live(Orders, source=shop.source) as live:
        pool = live.derive(lambda s: s.db.pool_max, lambda n: (n, live.refresh(), live.current.db.pool_max))
        assert pool.current[0] == 1
        shop.publish(values(2))
        until(lambda: pool.current[0] == 2)
        assert pool.current == (2, "unchanged", 1)  # made before the swap


def test_an_event_listener_that_raises_and_refreshes(shop: OneService) -> None:
    heard: list[str] = []
    shop.publish(values(1))

    def listen(event: Event) -> None:
        heard.append(event.kind)
        live.refresh()
        raise KeyError(event.text)

    live = Live(Orders, source=shop.source, on_event=listen)
    with live:
        shop.publish(values(2))
        until(lambda: heard.count("applied") == 1)
        shop.publish(values(3))
        until(lambda: heard.count("applied") == 2)


# ---- the end


def test_refreshes_while_it_is_stopped_and_started(shop: OneService) -> None:
    shop.publish(values(1))
    stop = threading.Event()
    said: set[str] = set()
    problems: list[BaseException] = []
    live = Live(Orders, source=shop.source).start()

    def refresh() -> None:
        while not stop.is_set():
            try:
                said.add(live.refresh(timeout=5))
            except BaseException as error:  # noqa: BLE001
                problems.append(error)

    threads = [threading.Thread(target=refresh) for _ in range(3)]
    for thread in threads:
        thread.start()
    for number in range(2, 12):
        live.stop()
        assert live.status.state == "stopped"
        shop.publish(values(number))
        live.start()
    until(lambda: live.current.db.pool_max == 11)
    stop.set()
    for thread in threads:
        thread.join(10)
    live.stop()
    assert not problems
    assert said <= {"applied", "unchanged"}


ENDING = """
import atexit, logging, sys, threading
logging.basicConfig(level="DEBUG")
from sealpipe import Live, PublishedSettings
class Any(PublishedSettings):
    model_config = {"extra": "allow", "service": "orders"}
live = Live(Any).start()
live.on_change(lambda s: s, lambda old, new: live.refresh())
def refresh():
    while True:
        live.refresh()
for _ in range(3):
    threading.Thread(target=refresh, daemon=True).start()
atexit.register(lambda: print(live.refresh(), live.current.db["pool"]))
atexit.register(live.stop)
%s
"""


@pytest.mark.parametrize("end", ["pass", "sys.exit(0)", "live.stop()", "del live.__class__.nothing"])
def test_refreshes_while_the_process_ends(end: str, shop: OneService, tmp_path: Path) -> None:
    """It ends at once, whatever is under way, and says nothing of it."""
    shop.publish({"db": {"pool": 1}})
    program = tmp_path / "service.py"
    program.write_text(ENDING % end)
    environ = {
        **os.environ,
        "SEALPIPE_URL": f"file:{shop.folder}",
        "SEALPIPE_ENV": "dev",
        "SEALPIPE_TRUST": shop.keys.pin,
        "SEALPIPE_KEY": shop.keys.key_text,
    }
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, program], env=environ, capture_output=True, text=True, timeout=60, check=False
    )
    raises = "del" in end
    assert done.returncode == raises
    assert done.stdout == "unchanged 1\n"
    assert done.stderr.count("Traceback") == raises
    assert "Fatal" not in done.stderr
    assert time.monotonic() - began < 30


def test_what_ends_a_program_in_a_validator_is_a_refusal(shop: OneService) -> None:
    class Ending(Orders):
        @model_validator(mode="after")
        def end(self) -> Ending:
            if self.db.pool_max == 2:
                sys.exit(self.db.password.get_secret_value())
            return self

    shop.publish(values(1))
    with Live(Ending, source=shop.source) as live:
        shop.publish(values(2))
        until(lambda: live.status.state == "refusing")
        assert "canary" not in live.status.error
        shop.publish(values(3))
        until(lambda: live.current.db.pool_max == 3)
