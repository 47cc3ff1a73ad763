"""Many live settings on one machine while their store is killed and comes back: none stops, all converge.

    python campaign/watchers.py [--on consul,etcd,…] [--watchers N] [--processes P] [--rounds R]

Every watcher has a connection and a thread of its own. In each round the server is killed under all of them
and stays away for two seconds; what comes back first is no release. From the acknowledgement of the publish
that follows, every watcher runs it within five seconds. Meanwhile each is ready and runs the last one.
"""

from __future__ import annotations

import argparse
import logging
import multiprocessing
import resource
import sys
import time
from collections import Counter
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "pipeline"), str(ROOT / "tests")]

from tests.live.test_on_stores import Orders, Shop  # noqa: E402

from sealpipe import Live, Source  # noqa: E402
from sealpipe.frozen import replace  # noqa: E402
from servers.places import Place, served  # noqa: E402

STORES = ("consul", "etcd", "zk")
WATCHERS = 1000
CONVERGED = 5.0
AWAY = 2.0
PATIENCE = 120.0


class Figures(NamedTuple):
    watchers: int
    calm: float  # seconds from an acknowledgement until all had it, nothing being wrong
    after: float  # the same after the worst of the restarts
    memory: float  # KiB of resident memory a watcher, its share of the interpreter not counted


class Group:
    """Watchers in one process, asked over a pipe."""

    def __init__(self, source: Source, count: int) -> None:
        context = multiprocessing.get_context("fork")
        self._mine, theirs = context.Pipe()
        self._process = context.Process(target=_serve, args=(source, count, theirs), daemon=True)
        self._process.start()
        theirs.close()

    def ask(self, what: str, *more: Any) -> None:
        self._mine.send((what, *more))

    def answer(self) -> Any:
        assert self._mine.poll(PATIENCE + 30), "a process of watchers does not answer"
        found = self._mine.recv()
        assert not isinstance(found, str), found
        return found

    def end(self) -> None:
        self.ask("end")
        self._process.join(30)
        assert self._process.exitcode == 0, f"a process of watchers ended with {self._process.exitcode}"


def _serve(source: Source, count: int, pipe: Connection) -> None:
    logging.getLogger("sealpipe").addHandler(logging.NullHandler())  # a thousand say the same
    before = _resident()
    # A source with a key of its own has a feed of its own.
    lives = [Live(Orders, source=replace(source, key=_finder(source))) for _ in range(count)]
    for live in lives:
        live.start()
    while True:
        what, *more = pipe.recv()
        if what == "end":
            for live in lives:
                live.stop()
            return
        if what == "memory":
            pipe.send((_resident() - before) / count)
        elif what == "state":
            values = Counter(live.current.db.pool_max for live in lives)
            pipe.send((sum(live.ready() for live in lives), values))
        else:
            pipe.send(_reached(lives, more[0]))


def _reached(lives: list[Live[Orders]], wanted: int) -> float | str:
    """When the last of them ran it, by a clock that all processes share."""
    end = time.monotonic() + PATIENCE
    left = lives
    while left:
        left = [live for live in left if live.current.db.pool_max != wanted]
        if time.monotonic() > end:
            return f"{len(left)} did not get it; one of them: {left[0].status.as_dict()}"
        time.sleep(0.005)
    return time.monotonic()


def _finder(source: Source) -> Callable[[], Any]:
    return lambda: source.key


def _resident() -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1])
    return 0


def campaign(
    place: Place, *, watchers: int, processes: int, rounds: int, within: float = CONVERGED
) -> Figures:
    """Raises AssertionError where one stops, runs something else, or is late."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    shop = Shop(place)
    shop.publish(1)
    source = replace(shop.source, wait=30.0)
    groups = [Group(source, watchers // processes) for _ in range(processes)]
    try:
        _all(groups, "reached", 1)
        calm = _published(groups, shop, 2)
        memory: list[float] = _each(groups, "memory")
        after = [_round(groups, shop, 3 + at, within) for at in range(rounds)]
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        for group in groups:
            group.end()
    return Figures(watchers, calm, max(after), sum(memory) / len(memory))


def _round(groups: list[Group], shop: Shop, number: int, within: float) -> float:
    server = shop.place.server
    server.kill()
    time.sleep(AWAY)
    for ready, values in _each(groups, "state"):
        assert ready == values.total(), "a service stopped while its store was away"
        assert set(values) == {number - 1}, values
    server.restart()
    shop.put(b"no release at all")
    took = _published(groups, shop, number)
    assert took <= within, f"{took:.1f} s until all had it"
    return took


def _published(groups: list[Group], shop: Shop, number: int) -> float:
    """Seconds from the acknowledgement until the last one had it."""
    shop.publish(number)
    acknowledged = time.monotonic()
    return max(0.0, _all(groups, "reached", number) - acknowledged)


def _each(groups: list[Group], *what: Any) -> list[Any]:
    for group in groups:
        group.ask(*what)
    return [group.answer() for group in groups]


def _all(groups: list[Group], *what: Any) -> float:
    found: list[float] = _each(groups, *what)
    return max(found)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--on", default=",".join(STORES))
    parser.add_argument("--watchers", type=int, default=WATCHERS)
    parser.add_argument("--processes", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    with served([name for name in given.on.split(",") if name]) as places:
        for place in places:
            found = campaign(place, watchers=given.watchers, processes=given.processes, rounds=given.rounds)
            print(
                f"watchers: {place.kind}: {found.watchers:,} in {given.processes} processes; all had a "
                f"publish after {found.calm:.2f} s, after {given.rounds} restarts {found.after:.2f} s "
                f"at the latest; {found.memory:.0f} KiB each",
                flush=True,
            )
    return 0


if __name__ == "__main__":
    sys.exit(main())
