"""The leader of three nodes killed and paused, twenty times, under a publisher and a reader.

    python campaign/leaders.py [--on consul,etcd,zk] [--rounds N]

The publisher goes on without a pause. Each round takes the leader away, by SIGKILL and by SIGSTOP in turns,
until the two others have a leader again: from then on the publisher has an acknowledgement and the reader
sees it within five seconds. Then the node comes back. Nothing that was acknowledged is missing from the past
of the head, and the reader never goes back.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "pipeline"), str(ROOT / "tests")]

from campaign.store_faults import Attempt  # noqa: E402

from publishing import READER, A  # noqa: E402
from sealpipe.errors import SealpipeError  # noqa: E402
from sealpipe.model import Head  # noqa: E402
from sealpipe.publishing.collect import collect  # noqa: E402
from sealpipe.publishing.heads import chain, head, needs  # noqa: E402
from sealpipe.releases.keys import head_key  # noqa: E402
from sealpipe.stores.base import Store  # noqa: E402
from servers import programs  # noqa: E402
from servers.places import CLUSTERS, PLACES, opened, place_on  # noqa: E402
from servers.processes import Cluster, Running  # noqa: E402

CONVERGED = 5.0
CALM = 0.05  # seconds between two publishes


class Figures(NamedTuple):
    rounds: int
    acknowledged: int
    failed: int  # publishes that ended in an error, a conflict or unknown
    seen: int
    slowest: float  # seconds from recovery to acknowledged and seen


class Actors:
    """A publisher and a reader, as threads, each with one client all the time."""

    def __init__(self, url: str) -> None:
        self.url, self.stopped = url, False
        self.publishing = threading.Lock()  # held for one publish
        self.acknowledged: list[tuple[float, int, str]] = []  # when begun, number, digest
        self.seen: list[tuple[float, int]] = []
        self.failed = 0
        self.problems: list[str] = []
        self._threads = [
            threading.Thread(target=self._guarded, args=(work,), daemon=True)
            for work in (self._publish, self._read)
        ]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self.stopped = True
        for thread in self._threads:
            thread.join(60)
            assert not thread.is_alive(), "an actor did not come back"

    def _guarded(self, work: Callable[[Store], None]) -> None:
        store = opened(self.url)
        while not self.stopped and not self.problems:
            try:
                work(store)
            except SealpipeError:
                time.sleep(CALM)
            except Exception as error:  # noqa: BLE001 - told by the campaign's own thread
                self.problems.append(repr(error))
        store.close()

    def _publish(self, store: Store) -> None:
        with self.publishing:
            begun = time.monotonic()
            attempt = Attempt()
            attempt.run(_Hurried(store), "", int(begun * 1000))
            if attempt.outcome in ("published", "already", "overtaken") and attempt.batch:
                release = attempt.batch.releases[0].release
                self.acknowledged.append((begun, release.payload.number, release.digest))
            else:
                self.failed += 1
        time.sleep(CALM)

    def _read(self, store: Store) -> None:
        found = head(store, "", A, READER, timeout=2.0)
        if isinstance(found, Head):
            number = found.release.payload.number
            if self.seen and number < self.seen[-1][1]:
                self.problems.append(f"the reader went back from {self.seen[-1][1]} to {number}")
            self.seen.append((time.monotonic(), number))
            store.wait(head_key("", A), found.version, timeout=1.0)


class _Hurried:
    """A publisher that waits two seconds for each call."""

    def __init__(self, store: Store) -> None:
        self._store, self.limits = store, store.limits
        self.size = store.size

    def __getattr__(self, name: str) -> object:
        method = getattr(self._store, name)

        def hurried(*given: object, timeout: float = 2.0, **named: object) -> object:
            return method(*given, timeout=min(timeout, 2.0), **named)

        return hurried


def _until(reached: Callable[[], bool], actors: Actors, what: str) -> None:
    deadline = time.monotonic() + CONVERGED
    while not reached():
        assert not actors.problems, actors.problems
        assert time.monotonic() < deadline, what
        time.sleep(0.005)


def _converged(actors: Actors, what: str) -> float:
    """Until something that was begun now is acknowledged and seen. How long it took."""
    since = time.monotonic()
    _until(lambda: bool(actors.acknowledged) and actors.acknowledged[-1][0] >= since, actors, what)
    number = actors.acknowledged[-1][1]
    _until(lambda: bool(actors.seen) and actors.seen[-1][1] >= number, actors, f"{what}: not seen")
    return time.monotonic() - since


def _others_lead(cluster: Cluster, lost: Running) -> None:
    """Until one of the two that are left leads and both answer."""
    rest = Cluster(tuple(node for node in cluster.nodes if node is not lost))
    rest.leader()
    for node in rest.nodes:
        node.wait_ready()


def _nothing_lost(url: str, actors: Actors, checked: int) -> int:
    """Everything acknowledged since the first `checked` is in the past of the head."""
    known = [*actors.acknowledged]
    store = opened(url)
    found = head(store, "", A, READER)
    assert isinstance(found, Head), found
    oldest = min((number for _, number, _ in known[checked:]), default=found.release.payload.number)
    past: set[str] = set()
    for release in chain(store, "", found.release, READER):
        past.add(release.digest)
        if release.payload.number <= oldest:
            break
    collect(store, "", [A], needs=needs, now_ms=time.time_ns() // 1_000_000, keep=20, age_ms=0)
    store.close()
    lost = [number for _, number, digest in known[checked:] if digest not in past]
    assert not lost, f"acknowledged and gone: {lost}"
    return len(known)


def campaign(kind: str, cluster: Cluster, rounds: int) -> Figures:
    """Raises AssertionError when a promise is broken."""
    place = place_on(kind, cluster.nodes[0])
    url = place.at(",".join(cluster.addresses))
    actors = Actors(url)
    slowest, checked = 0.0, 0
    try:
        _converged(actors, "before the first round")
        for number in range(rounds):
            leader = cluster.leader()
            _converged(actors, f"round {number}, before")
            action = "pause" if number % 2 else "kill"
            getattr(leader, action)()
            _others_lead(cluster, leader)
            slowest = max(slowest, _converged(actors, f"round {number}, {action}"))
            with actors.publishing:
                checked = _nothing_lost(url, actors, checked)
            cluster.heal()
            _converged(actors, f"round {number}, back")
    finally:
        actors.stop()
    _nothing_lost(url, actors, checked)
    assert not actors.problems, actors.problems
    return Figures(rounds, len(actors.acknowledged), actors.failed, len(actors.seen), slowest)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--on", default=",".join(CLUSTERS))
    parser.add_argument("--rounds", type=int, default=20)
    given = parser.parse_args()
    for kind in given.on.split(","):
        program = PLACES[kind].program
        if programs.find(program) is None:
            print(f"leaders: {kind}: left out: {programs.hint(program)}", file=sys.stderr)
            continue
        started = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="sealpipe-leaders-") as folder:
            cluster = CLUSTERS[kind](Path(folder))
            try:
                found = campaign(kind, cluster, given.rounds)
            finally:
                cluster.kill()
        print(
            f"leaders: {kind}: {found.rounds} leaders lost, {found.acknowledged} publishes acknowledged and "
            f"kept, {found.failed} not, {found.seen} reads; at most {found.slowest:.1f} s from recovery; "
            f"{time.monotonic() - started:.0f} s",
            flush=True,
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
