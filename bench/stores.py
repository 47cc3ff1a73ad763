"""Rows on real servers: a release against keys one by one, a publish and a notice against the raw requests,
whole commands and starts of services.

Runs where `make servers` has brought them; a server that is not there is named. Ours and the peer's samples
take turns, over connections that are open; a figure is the median of at least five.
"""

from __future__ import annotations

import re
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import programs
from by_hand import RAW, one_notice
from measure import Candidate, Row, Used, measure

import repositories
from repositories import Bench

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "pipeline"), str(ROOT / "tests")]

KEYS = 10_000
BARS = {  # store -> at least: against one write a key, against its best batches
    "consul": ("x200", "x10"),
    "etcd": ("x50", "x5"),
    "zk": ("x50", ""),
    "weed": ("x100", ""),
}
STARTS = {"consul": "+40 ms", "etcd": "+40 ms", "zk": "+60 ms", "weed": "+ ms"}
NEEDS = {"zk": "kazoo", "weed": "boto3"}
SAMPLES = 5
SMALL = 60
NOTICES = 200
_FEW = 100


def rows(scale: float, kinds: Sequence[str] = tuple(BARS), runs: int = SAMPLES) -> Iterator[Row]:
    """Keys, small publishes and notices on every server that is here."""
    from servers.places import served

    with served(tuple(kinds)) as places:
        for place in places:
            yield from many_keys(place, max(_FEW, int(KEYS * scale)), max(runs, SAMPLES))
            yield from small_publishes(place)
            if RAW[place.kind].notice is not None:
                yield from notices(place)


# ---- ten thousand keys


def many_keys(place: Any, count: int, samples: int) -> Iterator[Row]:
    values = {f"key-{n:05}": f"value {n} of a benchmark" for n in range(count)}
    few = dict([*values.items()][:_FEW])
    for one in _ways(place, few):
        one()
    singly, batches = BARS[place.kind]
    found = _in_turn(lambda: _ways(place, values), samples)
    size = RAW[place.kind].batch
    name = f"{place.kind}: {count:,} keys as one release"
    yield Row(name, "a write a key", found[0], found[1], "wall", singly)
    if size is not None:
        yield Row(name, f"batches of {size}", found[0], found[2], "wall", batches)


def _ways(place: Any, values: dict[str, str]) -> Iterator[Callable[[], object]]:
    """A publish, and the same keys by hand, each in an empty place; given out as its turn comes."""
    publisher = Publisher(_beside(place).url)
    publisher.publish({"warm": "up"})
    yield lambda: publisher.publish(values)
    publisher.store.close()
    raw = RAW[place.kind](_beside(place), 0)
    yield lambda: raw.singly(values)
    raw.close()
    if raw.batch is not None:
        raw = RAW[place.kind](_beside(place), 0)
        yield lambda: raw.batches(values)
        raw.close()


def _beside(place: Any) -> Any:
    from servers.places import place_on

    return place_on(place.kind, place.server)


class Publisher:
    """What `publish` does once a unit is planned, over a store that is open: the fence and the heads read,
    the release made, signed and stored, the head read back as a reader does."""

    def __init__(self, url: str) -> None:
        from sealpipe.stores.base import Put
        from servers.places import opened

        self.store, self.count = opened(url), 0
        self.store.write([Put("dev/state", b"the fence", None)])

    def publish(self, values: dict[str, Any]) -> int:
        """How many bytes the release has."""
        from publishing import READER, A, content, make_batch, past
        from sealpipe.flows.deliver import read_back
        from sealpipe.flows.targets import Target
        from sealpipe.publishing.publish import StateCheck, publish

        state = self.store.get("dev/state", fresh=True)
        assert state is not None
        self.count += 1
        now = time.time_ns() // 1_000_000
        batch = make_batch(self.store, [content(A, values)], now=now, batch=f"bench-{self.count}")
        fence = StateCheck("dev", state.version)
        receipts = publish(batch, self.store, "", fence=fence, past=past(self.store))
        reader = READER.having(signed.release for signed in batch.releases)
        _, problems = read_back(batch, receipts, Target("", self.store, ""), reader)
        if [receipt.outcome for receipt in receipts] != ["published"] or problems:
            raise SystemExit(f"not published: {receipts} {problems}")
        return len(batch.releases[0].release.raw)


# ---- small publishes and notices


def small_publishes(place: Any) -> Iterator[Row]:
    publisher = Publisher(_beside(place).url)
    size = publisher.publish({"n": 0})
    by_hand = RAW[place.kind](_beside(place), size)
    number = iter(range(1, 10**6))

    def both() -> Iterator[Callable[[], object]]:
        yield lambda: publisher.publish({"n": next(number)})
        yield by_hand.small

    for one in both():
        one()
    ours, raw = _in_turn(both, SMALL)
    publisher.store.close()
    by_hand.close()
    yield Row(f"{place.kind}: one small publish", "its raw requests", ours, raw, "wall", "<2")


def notices(place: Any) -> Iterator[Row]:
    from sealpipe.stores.base import Put
    from servers.places import opened

    there = _beside(place)
    writer, reader, by_hand = opened(there.url), opened(there.url), RAW[place.kind](there, 0)
    writer.write([Put("dev/heads/notice", b"first", None)])

    def ours(number: int) -> float:
        entry = reader.get("dev/heads/notice", fresh=True)
        assert entry is not None

        def wait() -> None:
            while not reader.wait("dev/heads/notice", entry.version, timeout=10):
                pass

        return one_notice(wait, lambda: writer.write([Put("dev/heads/notice", b"%d" % number, None)]))

    found = [(ours(number), by_hand.notice(number)) for number in range(NOTICES)][1:]
    for one in (writer, reader, by_hand):
        one.close()
    mine, raw = ([pair[at] for pair in found] for at in (0, 1))
    for label, at in (("p50", 0.5), ("p99", 0.99)):
        name = f"{place.kind}: written → `wait` has it, {label} of {len(found)}"
        yield Row(name, "a raw watch", _at(mine, at), _at(raw, at), "wall", "<2")


def _used(seconds: float) -> Used:
    return Used(seconds * 1000, 0.0, 0.0)


def _at(found: list[float], share: float) -> Used:
    ordered = sorted(found)
    return _used(ordered[min(len(ordered) - 1, int(share * len(ordered)))])


def _in_turn(ways: Callable[[], Iterator[Callable[[], object]]], samples: int) -> list[Used]:
    """The median of each way, each measured once in every round."""
    rounds = []
    for _ in range(samples):
        figures = []
        for action in ways():
            began = time.perf_counter()
            action()
            figures.append(time.perf_counter() - began)
        rounds.append(figures)
    return [_used(statistics.median(column)) for column in zip(*rounds, strict=True)]


# ---- whole processes


def loads(bench: Bench, runs: int, kinds: Sequence[str] = tuple(STARTS)) -> Iterator[Row]:
    """A service's start from each store, beside the same values in a JSON file."""
    values = repositories.values()
    mine, plain = bench.folder / "published.py", bench.folder / "json_file.py"
    mine.write_text(programs.published(values))
    plain.write_text(programs.json_file(values))
    for place in _usable(bench, kinds):
        environ = {**bench.environ, **place.environ}
        before, bench.environ = bench.environ, environ
        repository, told = repositories.published_service(bench, place.kind, place.url)
        bench.environ = before
        ours, peer = measure(
            [
                Candidate("load", [bench.python, str(mine)], repository, {**environ, **told}),
                Candidate("JSON file", [bench.python, str(plain)], repository, environ),
            ],
            max(runs, SAMPLES) * 3,
        )
        name = f"`load`, signature and five secrets, `{place.url.partition(':')[0]}:`"
        yield Row(name, "JSON file source", ours, peer, "wall", STARTS[place.kind])


def ships(
    bench: Bench, runs: int, count: int, bar: str, kinds: Sequence[str] = tuple(STARTS)
) -> Iterator[Row]:
    """`publish` of one changed unit among many, beside a repository with that unit alone."""
    for place in _usable(bench, kinds):
        before, bench.environ = bench.environ, {**bench.environ, **place.environ}
        candidates = [_changing(bench, _beside(place), number) for number in (count, 1)]
        ours, alone = measure(candidates, max(runs, SAMPLES))
        bench.environ = before
        name = f"{place.kind}: `publish` of 1 changed unit among {count:,}"
        yield Row(name, "a repository of one unit", ours, alone, "wall", bar)


def _changing(bench: Bench, place: Any, count: int) -> Candidate:
    """A repository whose units are all published; ahead of each run a commit changes a value of one unit."""
    repository = repositories.plain_services(bench, f"{place.kind}-{count}", count)
    repositories.publish_to(repository, place.url)
    repositories.git(bench, repository, "init", "--quiet", "--initial-branch=main")
    repositories.commit(bench, repository)
    bench.sealpipe(repository, "publish", "dev", "--yes")
    file = repository / "environments" / "dev" / "service-0000.yaml"
    number = iter(range(10**6))

    def change() -> None:
        file.write_text(re.sub(r'field_0: ".*"', f'field_0: "another {next(number)}"', file.read_text()))
        repositories.commit(bench, repository)

    script = str(Path(bench.python).parent / "sealpipe")
    return Candidate("publish", [script, "publish", "dev", "--yes"], repository, bench.environ, change)


def _usable(bench: Bench, kinds: Sequence[str]) -> Iterator[Any]:
    """A place on each server; where the measured Python has no client for it, that is said."""
    from servers.places import served

    with served(tuple(kinds)) as places:
        for place in places:
            package = NEEDS.get(place.kind, "urllib3")
            done = subprocess.run([bench.python, "-c", f"import {package}"], check=False, capture_output=True)
            if done.returncode:
                print(f"{place.kind}: left out: {bench.python} has no {package}", file=sys.stderr)
                continue
            yield place
