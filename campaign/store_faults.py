"""Each fault of the network at each request of a publish and of a read, on each store.

    python campaign/store_faults.py [--on consul,etcd,…] [--sample N] [--seed N]

A publisher (scan, fence, upload, flip, read back) or a reader goes to a real server by way of a proxy that
does one wrong thing at its n-th request (`tests/servers/proxy.py`). Then: every call came back in time, with
a typed error if with any; once the fault is gone a fresh look agrees with the receipt (published: it is
there; anything else but unknown: it is not, and it does not come later); and the next publish goes through.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "pipeline"), str(ROOT / "tests")]

from publishing import KEYS, READER, TRUST, A, Around, content, make_batch, past  # noqa: E402
from sealpipe.errors import SealpipeError, StoreError  # noqa: E402
from sealpipe.model import Batch, Head  # noqa: E402
from sealpipe.publishing.collect import collect  # noqa: E402
from sealpipe.publishing.fence import State, claim  # noqa: E402
from sealpipe.publishing.heads import head, needs  # noqa: E402
from sealpipe.publishing.publish import StateCheck, publish  # noqa: E402
from sealpipe.stores.base import Entry, Op, Store  # noqa: E402
from servers.places import Place, opened, served  # noqa: E402
from servers.proxy import KINDS, Fault, Proxy  # noqa: E402

PATIENCE = 0.7  # seconds that a client waits for one call
SLACK = 3.0  # what a call may take on top, on a loaded machine
LATE = 1.0  # seconds after which a request arrives whose client has given up


class Timed(Around):
    """Clients that wait for PATIENCE. Raises AssertionError for a call that takes longer, or that ends
    in anything but an answer or a StoreError."""

    def _call(self, name: str, action: Callable[[], Any]) -> Any:
        started = time.monotonic()
        try:
            return action()
        except StoreError:
            raise
        except Exception as error:
            raise AssertionError(f"{name} ended in {error!r}") from error
        finally:
            took = time.monotonic() - started
            assert took < PATIENCE + SLACK, f"{name} took {took:.1f} s"

    def get(self, key: str, *, fresh: bool = False, timeout: float = 10.0) -> Entry | None:
        found: Entry | None = self._call(
            "get", lambda: self.inner.get(key, fresh=fresh, timeout=min(timeout, PATIENCE))
        )
        return found

    def keys(self, prefix: str, *, timeout: float = 10.0) -> list[str]:
        found: list[str] = self._call("keys", lambda: self.inner.keys(prefix, timeout=min(timeout, PATIENCE)))
        return found

    def scan(self, prefix: str, *, timeout: float = 30.0) -> Iterator[Entry]:
        found: list[Entry] = self._call(
            "scan", lambda: list(self.inner.scan(prefix, timeout=min(timeout, PATIENCE)))
        )
        return iter(found)

    def write(self, ops: Sequence[Op], *, timeout: float = 10.0) -> None:
        self._call("write", lambda: self.inner.write(ops, timeout=min(timeout, PATIENCE)))

    def wait(self, key: str, after: str, *, timeout: float) -> bool:
        found: bool = self._call("wait", lambda: self.inner.wait(key, after, timeout=min(timeout, PATIENCE)))
        return found


class Attempt:
    """What a publisher did: the batch that it signed, if it came so far, and how its unit ended."""

    def __init__(self) -> None:
        self.batch: Batch | None = None
        self.outcome = "failed"

    def run(self, store: Store, value: str, number: int) -> None:
        try:
            name, values = f"B{number}", {"n": number, "text": value}
            batch = make_batch(store, [content(A, values)], now=_now(), batch=name)
            state = State(f"{number:040x}", name, "ci", "2026-01-01T00:00:00Z")
            fence = claim(
                store,
                "",
                dict,
                state,
                trust=TRUST,
                environment="dev",
                key=KEYS["ci"],
                ancestry=lambda _older, _newer: True,
                enforced=False,
            )
            self.batch = batch
            (receipt,) = publish(batch, store, "", fence=StateCheck("dev", fence.version), past=past(store))
            self.outcome = receipt.outcome
        except SealpipeError as error:
            self.outcome = f"failed: {error.word}"


def _now() -> int:
    return time.time_ns() // 1_000_000


class Course:
    """One place, seen directly and by way of a proxy."""

    def __init__(self, place: Place, text: str = "") -> None:
        self.text, self.number = text, 0
        self.proxy = Proxy(place.server.address)
        self.direct = opened(place.url)
        self.by_proxy = place.at(self.proxy.address)
        self.same_connection = place.kind == "zk"
        self._go_on()

    def close(self) -> None:
        self.direct.close()
        self.proxy.close()

    def _go_on(self) -> str:
        """A publish without a fault. Its digest."""
        self.number += 1
        done = Attempt()
        done.run(self.direct, self.text, self.number)
        assert done.outcome == "published", ("the next publish", done.outcome)
        collect(self.direct, "", [A], needs=needs, now_ms=_now(), keep=3, age_ms=0)  # servers are small
        return self._present()

    def _present(self) -> str:
        found = head(self.direct, "", A, READER)
        assert isinstance(found, Head), ("the head", found)
        return found.release.digest

    def requests(self, action: Callable[[Store], object]) -> int:
        """How many requests it takes without a fault."""
        self.proxy.arm(None)
        store = opened(self.by_proxy)
        action(Timed(store))
        store.close()
        return self.proxy.requests

    def publish(self, store: Store) -> Attempt:
        self.number += 1
        attempt = Attempt()
        attempt.run(store, self.text, self.number)
        return attempt

    def publish_through(self, fault: Fault) -> str:
        """One publish with this fault; how it ended. Raises AssertionError."""
        before = self._present()
        self.proxy.arm(fault)
        store = opened(self.by_proxy)
        try:
            attempt = self.publish(Timed(store))
        finally:
            hit = self.proxy.hit
            self.proxy.heal()
            store.close()
        if fault.kind == "late" and attempt.outcome != "unknown":
            time.sleep(LATE + 0.2)  # what is on its way has arrived
        now = self._present()
        context = (fault, attempt.outcome)
        ours = attempt.batch.releases[0].release.digest if attempt.batch else ""
        if attempt.outcome in ("published", "already", "overtaken"):
            assert now == ours, ("it is not there", context)
        elif attempt.outcome == "unknown":
            assert now in (ours, before), ("somebody else's is there", context)
        else:
            assert now == before, ("it is there, or another", context)
        if not hit:
            slow = attempt.outcome in ("failed: store-slow", "unknown")  # the machine has much else to do
            assert slow or attempt.outcome == "published", ("no fault, and it failed", context)
            return "not reached"
        self._go_on()
        return attempt.outcome.partition(":")[0]

    def read(self, store: Store, timeout: float = 4 * PATIENCE) -> str:
        try:
            found = head(store, "", A, READER, timeout=timeout)
            store.wait("dev/heads/a", found.version if found else "", timeout=0.1)
        except SealpipeError:
            return "error"
        return found.release.digest if isinstance(found, Head) else "broken" if found else "none"

    def read_through(self, fault: Fault) -> str:
        """One read with this fault; how it ended. Raises AssertionError."""
        right = self._present()
        self.proxy.arm(fault)
        store = opened(self.by_proxy)
        try:
            found = self.read(Timed(store))
        finally:
            hit = self.proxy.hit
            self.proxy.heal()
        # A turned bit can make any key of an answer another one. TLS is against that, not the reader.
        allowed = (right, "error", "broken", "none") if fault.kind == "corrupt" else (right, "error")
        assert found in allowed, (fault, found)
        healed = self.read(Timed(store)) if not store_is_worn(fault) else right
        store.close()
        assert healed in (right, "error"), ("after the fault", fault, healed)
        fresh = opened(self.by_proxy)
        again = self.read(fresh, 20.0)
        assert again == right, ("a fresh client after the fault", fault, again)
        fresh.close()
        return "not reached" if not hit else "read" if found == right else found


def store_is_worn(fault: Fault) -> bool:
    """After turned bits the same client may be left with a half-read answer; a fresh one is asked."""
    return fault.kind == "corrupt"


def faults(requests: int, course: Course, seed: int, kinds: Sequence[str]) -> list[Fault]:
    """Each of these kinds at every request."""
    found = []
    for kind in kinds:
        for at in range(1, requests + 1):
            seconds = LATE if kind == "late" else 0.2
            found.append(Fault(kind, at, seconds, seed + at, course.same_connection))
    return found


def campaign(
    place: Place, *, sample: int = 0, seed: int = 1, text: str = "", kinds: Sequence[str] = KINDS
) -> dict[str, Counter[str]]:
    """Outcomes of all trials on one store, or of `sample` a kind of fault. Raises AssertionError."""
    chance = random.Random(seed)  # noqa: S311 - a sample that can be repeated
    course = Course(place, text)
    table: dict[str, Counter[str]] = {}
    try:
        for name, dry, trial in (
            ("publish", course.publish, course.publish_through),
            ("read", course.read, course.read_through),
        ):
            requests = course.requests(dry)
            every = faults(requests, course, seed, kinds)
            if sample:
                every = [
                    one
                    for kind in kinds
                    for one in chance.sample([f for f in every if f.kind == kind], min(sample, requests))
                ]
            outcomes = table[name] = Counter(requests=requests)
            for fault in every:
                outcomes[trial(fault)] += 1
    finally:
        course.close()
    return table


def shown(table: dict[str, Counter[str]]) -> str:
    rows = []
    for name, outcomes in table.items():
        trials = sum(outcomes.values()) - outcomes["requests"]
        counts = ", ".join(f"{kind} {n}" for kind, n in sorted(outcomes.items()) if kind != "requests")
        rows.append(f"{name}: {outcomes['requests']} requests, {trials} trials: {counts}")
    return "; ".join(rows)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--on", default="")
    parser.add_argument("--sample", type=int, default=0, help="faults of each kind; all when 0")
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    chance = random.Random(given.seed)  # noqa: S311 - a text that can be repeated
    long = chance.randbytes(100_000).hex()  # its release is stored in chunks
    with served([name for name in given.on.split(",") if name]) as places:
        for place in places:
            for what, text in (("small", ""), ("in chunks", long)):
                started = time.monotonic()
                own = place._replace(prefix=f"{place.prefix}{what[:2]}")
                table = campaign(own, sample=given.sample, seed=given.seed, text=text)
                print(
                    f"store_faults: {place.kind}, {what}: {shown(table)}; {time.monotonic() - started:.0f} s"
                )
    return 0


if __name__ == "__main__":
    sys.exit(main())
