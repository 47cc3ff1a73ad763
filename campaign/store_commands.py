"""The whole command `sealpipe publish` killed at each of its requests, on each store.

    python campaign/store_commands.py [--on consul,etcd,…] [--sample N]

As campaign/store_death.py, with everything that the command does around the protocol: planning against the
store, the fence, collection, the read-back. After each death: `verify` finds nothing wrong, the store has
what was published before or what the dead command was publishing, and the same command goes through.
"""

from __future__ import annotations

import argparse
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "pipeline"), str(ROOT / "tests")]

from campaign.death import Trial  # noqa: E402

from servers.places import Place, served  # noqa: E402
from servers.proxy import KILLS, Fault, Proxy  # noqa: E402

DIED = -signal.SIGKILL
PATH = "db.pool_max"


class Shop(Trial):
    """A repository that publishes to a place by way of a proxy."""

    def __init__(self, folder: Path, place: Place) -> None:
        super().__init__(folder)
        self._credentials: Mapping[str, str] = dict(place.environ)
        self.proxy = Proxy(place.server.address)
        for needed in (self.root, folder / "home", self.memory, self.temporary):
            needed.mkdir(parents=True, mode=0o700)
        subprocess.run(["git", "init", "-q", "-b", "main", "--template=", str(self.root)], check=True)
        self.ok("init")
        project = self.root / "sealpipe.yaml"
        text, count = re.subn(
            r"publish_to: \S+?([,}\s])",
            rf'publish_to: "{place.at(self.proxy.address)}"\1',
            project.read_text(),
        )
        assert count, "no place to publish to"
        project.write_text(text)
        self.ok("add", "service", "checkout", "--in", "dev")
        self.ok("set", "dev/checkout", PATH, "1")
        self.ok("publish", "dev")

    def environ(self) -> dict[str, str]:
        return {**super().environ(), **self._credentials}

    def publish(self, fault: Fault | None) -> tuple[int, str]:
        """Exit code and output of one `publish dev`."""
        reading, writing = os.pipe()
        with tempfile.TemporaryFile() as output:
            child = os.fork()
            if child == 0:
                code = 70
                try:
                    os.read(reading, 1)
                    for descriptor in (1, 2):
                        os.dup2(output.fileno(), descriptor)
                    code = self._command(("publish", "dev"), 0)
                except BaseException:  # noqa: BLE001 - shown, and the fork ends
                    os.write(2, traceback.format_exc().encode())
                finally:
                    os._exit(code)
            self.proxy.kill = lambda: os.kill(child, signal.SIGKILL)
            self.proxy.arm(fault)
            os.write(writing, b"1")
            os.close(reading)
            os.close(writing)
            code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
            self.proxy.heal()
            output.seek(0)
            return code, output.read().decode()

    def published(self, words: Sequence[str] = ("plan", "dev")) -> str:
        """What a plan says of the published value: `old → new`, or nothing where it is the new."""
        code, said = self.inside((*words, "--exit-code"))
        return "" if code == 0 else said

    def trial(self, number: int, fault: Fault) -> str:
        self.ok("set", "dev/checkout", PATH, str(number))
        code, said = self.publish(fault)
        context = (fault, code, said[-600:])
        assert code in (0, DIED), context
        assert "Traceback" not in said, context
        checked, found = self.inside(("verify", "dev"))
        left = self.published()
        wrong = set(re.findall(r"error\[([a-z-]+)\]", found))
        assert checked == 0 or (left and wrong == {"differs-from-git"}), ("verify", found, context)
        assert not left or (str(number - 1) in left and str(number) in left), ("neither", left, context)
        assert code == DIED or not left, ("it said that it was done", left, context)
        code_after, said_after = self.publish(None)
        assert code_after == 0, ("the next command", said_after, context)
        assert not self.published(), context
        return "not reached" if code == 0 else "old" if left else "new"


def campaign(place: Place, folder: Path, *, sample: int = 0) -> Counter[str]:
    """Outcomes of deaths at every request, or at `sample` of them. Raises AssertionError."""
    shop = Shop(folder, place)
    try:
        number = 1000
        shop.ok("set", "dev/checkout", PATH, str(number))
        assert shop.publish(None)[0] == 0
        requests = shop.proxy.requests
        points = [Fault(kind, at) for kind in KILLS for at in range(1, requests + 1)]
        if sample:
            points = random.Random(1).sample(points, sample)  # noqa: S311 - it can be repeated
        found = Counter(requests=requests)
        for fault in points:
            number += 1
            found[shop.trial(number, fault)] += 1
    finally:
        shop.proxy.close()
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--on", default="")
    parser.add_argument("--sample", type=int, default=0)
    given = parser.parse_args()
    with served([name for name in given.on.split(",") if name]) as places:
        for place in places:
            started = time.monotonic()
            with tempfile.TemporaryDirectory(prefix="sealpipe-commands-") as folder:
                found = campaign(place, Path(folder) / "shop", sample=given.sample)
            trials = sum(found.values()) - found["requests"]
            print(
                f"store_commands: {place.kind}: {found['requests']} requests, {trials} deaths: "
                f"old {found['old']}, new {found['new']}, not reached {found['not reached']}; "
                f"{time.monotonic() - started:.0f} s",
                flush=True,
            )
    return 0


if __name__ == "__main__":
    sys.exit(main())
