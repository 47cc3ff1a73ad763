"""A reader waits while its server restarts, stops for a while, or forgets: the next publish arrives.

    python campaign/restarts.py [--on consul,etcd,…] [--times N]

    restart    the only server is killed and comes back with its data
    pause      it stands still for longer than the reader's connection has patience
    cut        the reader's connection is swallowed by the network, then reset
    compact    etcd compacts away every revision that the reader could continue from
    restore    Consul is put back to a snapshot: indexes and the head go back
    session    the reader's ZooKeeper session is gone when the connection comes back

From the acknowledgement of a publish made afterwards, the reader has it within five seconds, and it never
takes an older release for a newer one.
"""

from __future__ import annotations

import argparse
import base64
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "pipeline"), str(ROOT / "tests")]

import urllib3  # noqa: E402
from campaign.store_faults import Attempt  # noqa: E402

from publishing import READER, A  # noqa: E402
from sealpipe.errors import SealpipeError  # noqa: E402
from sealpipe.model import Head  # noqa: E402
from sealpipe.publishing.heads import head  # noqa: E402
from sealpipe.released import Release  # noqa: E402
from sealpipe.releases.check import Seen, newer  # noqa: E402
from sealpipe.releases.keys import head_key  # noqa: E402
from servers.etcd import call  # noqa: E402
from servers.places import Place, opened, served  # noqa: E402
from servers.proxy import Proxy  # noqa: E402

ARRIVES = 5.0
EVENTS: dict[str, tuple[str, ...]] = {
    "consul": ("restart", "pause", "cut", "restore"),
    "etcd": ("restart", "pause", "cut", "compact"),
    "etcd-old": ("restart", "compact"),
    "zk": ("restart", "pause", "cut", "session"),
    "weed": ("restart", "pause", "cut"),
    "moto": ("pause", "cut"),  # it keeps everything in memory
}
PAUSE = 1.5
SESSION = 25.0  # seconds after which no server remembers a session of ours


class Waiting:
    """A reader in a thread: waits, reads, keeps what is newer."""

    def __init__(self, url: str) -> None:
        self.url, self.stopped = url, False
        self.release: Release | None = None
        self.problem = ""
        self.waits = 0
        self._thread = threading.Thread(target=self._follow, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self.stopped = True
        self._thread.join(40)
        assert not self._thread.is_alive(), "the reader did not come back"

    def _follow(self) -> None:
        store, version = opened(self.url), ""
        while not self.stopped:
            try:
                found = head(store, "", A, READER, timeout=2.0)
                if isinstance(found, Head):
                    version = found.version
                    self._take(found.release)
                self.waits += 1
                store.wait(head_key("", A), version, timeout=30.0)
            except SealpipeError:
                time.sleep(0.05)
            except Exception as error:  # noqa: BLE001 - told by the campaign's own thread
                self.problem = repr(error)
                return
        with suppress(SealpipeError):
            store.close()

    def _take(self, offered: Release) -> None:
        kept = self.release
        seen = None if kept is None else Seen(kept.order, kept.digest, kept.payload.trust_digest)
        verdict = newer(seen, offered)
        if verdict == "load":
            self.release = offered
        elif verdict == "equivocation":
            self.problem = "two contents at one order"

    def has(self, digest: str, timeout: float, what: str) -> float:
        """Until the reader has this release. How long it took."""
        started = time.monotonic()
        while self.release is None or self.release.digest != digest:
            assert not self.problem, (what, self.problem)
            assert time.monotonic() < started + timeout, f"{what}: the publish did not arrive"
            time.sleep(0.005)
        return time.monotonic() - started


class Course:
    def __init__(self, place: Place) -> None:
        self.place, self.number = place, 0
        self.proxy = Proxy(place.server.address)
        self.reader: Waiting | None = None

    def close(self) -> None:
        if self.reader is not None:
            self.proxy.heal()
            self.reader.stopped = True
            self.publish()  # wakes it
            self.reader.stop()
        self.proxy.close()

    def publish(self) -> str:
        """By a publisher of its own, directly. The digest of what was acknowledged."""
        self.number += 1
        store = opened(self.place.url)
        deadline = time.monotonic() + 30
        while True:
            attempt = Attempt()
            attempt.run(store, "", self.number)
            if attempt.outcome in ("published", "already") and attempt.batch:
                store.close()
                return attempt.batch.releases[0].release.digest
            assert time.monotonic() < deadline, attempt.outcome
            time.sleep(0.05)

    def trial(self, event: str) -> float:
        """One event under the waiting reader; how long the next publish took to arrive."""
        if self.reader is None:
            first = self.publish()
            self.reader = Waiting(self.place.at(self.proxy.address))
            self.reader.has(first, 20.0, f"{event}: before")
        else:
            self.reader.has(self.publish(), 20.0, f"{event}: before")
        time.sleep(0.2)  # it waits again
        _DO[event](self)
        return self.reader.has(self.publish(), ARRIVES, event)


def _restart(course: Course) -> None:
    course.place.server.restart()


def _pause(course: Course) -> None:
    course.place.server.pause()
    time.sleep(PAUSE)
    course.place.server.resume()


def _cut(course: Course, seconds: float = PAUSE) -> None:
    course.proxy.swallow()
    time.sleep(seconds)
    course.proxy.heal()


def _compact(course: Course) -> None:
    server = course.place.server
    for _ in range(3):
        call(server, "/v3/kv/put", {"key": base64.b64encode(b"elsewhere").decode(), "value": "MQ=="})
    said = call(server, "/v3/maintenance/status", {})
    header = said["header"]
    assert isinstance(header, dict)
    course.proxy.swallow()  # the reader has to begin its watch again
    call(server, "/v3/kv/compaction", {"revision": header["revision"], "physical": True})
    course.proxy.heal()


def _restore(course: Course) -> None:
    url = f"{course.place.server.url}/v1/snapshot"
    saved = urllib3.request("GET", url, retries=False, timeout=10.0)
    assert saved.status == 200, saved.data
    assert course.reader is not None
    course.reader.has(course.publish(), 20.0, "restore: before")
    course.reader.has(course.publish(), 20.0, "restore: before")
    done = urllib3.request("PUT", url, body=saved.data, retries=False, timeout=30.0)
    assert done.status == 200, done.data


def _session(course: Course) -> None:
    _cut(course, SESSION)


_DO: dict[str, Callable[[Course], None]] = {
    "restart": _restart,
    "pause": _pause,
    "cut": _cut,
    "compact": _compact,
    "restore": _restore,
    "session": _session,
}


def campaign(place: Place, *, times: int = 1, leave_out: tuple[str, ...] = ()) -> dict[str, float]:
    """The slowest arrival after each kind of event. Raises AssertionError."""
    course = Course(place)
    try:
        return {
            event: max(course.trial(event) for _ in range(1 if event == "session" else times))
            for event in EVENTS[place.kind]
            if event not in leave_out
        }
    finally:
        course.close()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--on", default="")
    parser.add_argument("--times", type=int, default=5)
    given = parser.parse_args()
    with served([name for name in given.on.split(",") if name]) as places:
        for place in places:
            started = time.monotonic()
            found = campaign(place, times=given.times)
            told = ", ".join(f"{event} {seconds:.2f} s" for event, seconds in found.items())
            seconds = time.monotonic() - started
            print(f"restarts: {place.kind}: slowest arrival after {told}; {seconds:.0f} s", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
