"""A publisher killed at each of its requests, before the server sees it and before the reply, on each store.

    python campaign/store_death.py [--on consul,etcd,…] [--times N] [--sample N]

The publisher is a process of its own: scan, sign, fence, upload, flip, collect. Ten times at each point,
with a small release and with one in chunks. Then: the head is whole and verifies; it is what was
acknowledged last or what the dead one was about to acknowledge; and the next publish goes through, with what
was head before it in its past.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import sys
import time
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "pipeline"), str(ROOT / "tests")]

from campaign.store_faults import Attempt  # noqa: E402

from publishing import READER, A  # noqa: E402
from sealpipe.model import Head  # noqa: E402
from sealpipe.publishing.collect import collect  # noqa: E402
from sealpipe.publishing.heads import archives, head, needs  # noqa: E402
from sealpipe.released import Release  # noqa: E402
from servers.places import Place, opened, served  # noqa: E402
from servers.proxy import KILLS, Fault, Proxy  # noqa: E402

DIED = -signal.SIGKILL


class Victim:
    """A place, and publishers on it that die."""

    def __init__(self, place: Place, text: str) -> None:
        self.text, self.number = text, 0
        self.proxy = Proxy(place.server.address)
        self.by_proxy = place.at(self.proxy.address)
        self.direct = opened(place.url)
        assert self.publish(None) == 0

    def close(self) -> None:
        self.direct.close()
        self.proxy.close()

    def publish(self, fault: Fault | None) -> int:
        """One publisher by way of the proxy; its exit code, 0 when it acknowledged."""
        self.number += 1
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            code = 70
            try:
                os.read(reading, 1)
                code = self._work()
            finally:
                os._exit(code)
        self.proxy.kill = lambda: os.kill(child, signal.SIGKILL)
        self.proxy.arm(fault)
        os.write(writing, b"1")
        os.close(reading)
        os.close(writing)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        self.proxy.heal()
        return code

    def _work(self) -> int:
        store = opened(self.by_proxy)
        attempt = Attempt()
        attempt.run(store, self.text, self.number)
        if attempt.outcome != "published":
            print(f"store_death: {attempt.outcome}", file=sys.stderr)
            return 1
        collect(store, "", [A], needs=needs, now_ms=time.time_ns() // 1_000_000, keep=3, age_ms=100)
        store.close()
        return 0

    def present(self) -> Release:
        found = head(self.direct, "", A, READER)
        assert isinstance(found, Head), found
        return found.release

    def trial(self, fault: Fault) -> str:
        """One death. What the head is after it: old, new, or it came too late for the acknowledgement."""
        before = self.present()
        code = self.publish(fault)
        assert code in (0, DIED), (fault, code)
        after = self.present()
        context = (fault, code, before.payload.number, after.payload.number)
        if code == 0:
            assert not self.proxy.hit, context
            assert after.payload.number == before.payload.number + 1, context
            return "not reached"
        if after.digest != before.digest:
            assert after.payload.prev == before.digest, ("neither old nor new", context)
            assert after.draft.values["n"] == self.number, ("somebody else's", context)
        assert self.publish(None) == 0, ("the next publish", context)
        healed = self.present()
        assert healed.payload.prev == after.digest, ("what was head is not in the past", context)
        assert after.digest in {one.digest for one in archives(self.direct, "", A, READER)}, context
        return "old" if after.digest == before.digest else "new"


def campaign(place: Place, *, times: int = 1, sample: int = 0, seed: int = 1, text: str = "") -> Counter[str]:
    """Outcomes of deaths at every point, or at `sample` of them. Raises AssertionError."""
    victim = Victim(place, text)
    try:
        assert victim.publish(None) == 0
        requests = victim.proxy.requests
        points = [Fault(kind, at) for kind in KILLS for at in range(1, requests + 1)] * times
        if sample:
            points = random.Random(seed).sample(points, sample)  # noqa: S311 - it can be repeated
        found = Counter(requests=requests)
        for fault in points:
            found[victim.trial(fault)] += 1
    finally:
        victim.close()
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--on", default="")
    parser.add_argument("--times", type=int, default=10)
    parser.add_argument("--sample", type=int, default=0)
    given = parser.parse_args()
    long = random.Random(1).randbytes(100_000).hex()  # noqa: S311 - its release is stored in chunks
    with served([name for name in given.on.split(",") if name]) as places:
        for place in places:
            for what, text in (("small", ""), ("in chunks", long)):
                started = time.monotonic()
                own = place._replace(prefix=f"{place.prefix}{what[:2]}")
                found = campaign(own, times=given.times, sample=given.sample, text=text)
                trials = sum(found.values()) - found["requests"]
                print(
                    f"store_death: {place.kind}, {what}: {found['requests']} requests, {trials} deaths: "
                    f"old {found['old']}, new {found['new']}, not reached {found['not reached']}; "
                    f"{time.monotonic() - started:.0f} s",
                    flush=True,
                )
    return 0


if __name__ == "__main__":
    sys.exit(main())
