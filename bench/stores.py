"""Rows on real servers: a release against keys one by one, a publish and a notice against the raw requests.

Runs where `make servers` has brought them; a server that is not there is named. Each peer is what a person
would write by hand over one warm connection.
"""

from __future__ import annotations

import base64
import json
import os
import statistics
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from measure import Row, Used

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "pipeline"), str(ROOT / "tests")]

KEYS = 10_000
BARS = {  # store -> at least: against one write a key, against its best batches
    "consul": ("x200", "x10"),
    "etcd": ("x50", "x5"),
    "zk": ("x50", ""),
    "weed": ("x100", ""),
}
_FEW = 100


def rows(scale: float) -> Iterator[Row]:
    """Every row of every server that is here."""
    from servers.places import served

    with served(tuple(BARS)) as places:
        for place in places:
            yield from of_place(place, max(_FEW, int(KEYS * scale)))


def of_place(place: Any, count: int) -> Iterator[Row]:
    _publish(place, {"warm": "up"})
    values = {f"key-{n:05}": f"value {n} of a benchmark" for n in range(count)}
    release = _timed(lambda: _publish(place, values))
    singly, batches = BARS[place.kind]
    by_hand = RAW[place.kind](place)
    name = f"{place.kind}: {count:,} keys as one release"
    yield Row(name, "a write a key", release, _timed(lambda: by_hand.singly(values)), "wall", singly)
    if by_hand.batch is not None:
        peer = _timed(lambda: by_hand.batches(values))
        yield Row(name, f"batches of {by_hand.batch}", release, peer, "wall", batches)
    ours, raw = _interleaved(_small(place), by_hand.small, 60)
    yield Row(f"{place.kind}: one small publish, median", "its raw requests", ours, raw, "wall", "<2")
    if by_hand.watch is not None:
        ours_p, raw_p = _notices(place, by_hand, 60)
        by_hand.close()
        for label, at in (("p50", 0.5), ("p99", 0.99)):
            yield Row(
                f"{place.kind}: written → `wait` has it, {label}",
                "a raw watch",
                _at(ours_p, at),
                _at(raw_p, at),
                "wall",
                "<2",
            )


def _used(seconds: float) -> Used:
    return Used(seconds * 1000, 0.0, 0.0)


def _at(found: list[float], share: float) -> Used:
    ordered = sorted(found)
    return _used(ordered[min(len(ordered) - 1, int(share * len(ordered)))])


def _timed(action: Callable[[], object]) -> Used:
    began = time.perf_counter()
    action()
    return _used(time.perf_counter() - began)


def _interleaved(ours: Callable[[], object], raw: Callable[[], object], runs: int) -> tuple[Used, Used]:
    for action in (ours, raw):
        action()
    mine, theirs = [], []
    for _ in range(runs):
        mine.append(_timed(ours).wall / 1000)
        theirs.append(_timed(raw).wall / 1000)
    return _used(statistics.median(mine)), _used(statistics.median(theirs))


def _publish(place: Any, values: dict[str, str]) -> None:
    from publishing import A, content, make_batch, past
    from sealpipe.publishing.publish import publish
    from servers.places import opened

    store = opened(place.url)
    now = time.time_ns() // 1_000_000
    batch = make_batch(store, [content(A, values)], now=now, batch="bench")
    (receipt,) = publish(batch, store, "", fence=None, past=past(store))
    if receipt.outcome != "published":
        raise SystemExit(f"{place.kind}: {receipt}")
    store.close()


def _small(place: Any) -> Callable[[], object]:
    """A publish over a store that is open, its release made and signed beforehand."""
    from publishing import A, content, make_batch, past
    from sealpipe.publishing.publish import publish
    from servers.places import opened

    store = opened(place.url)
    number = iter(range(10**6))

    def one() -> None:
        n = next(number)
        now = time.time_ns() // 1_000_000
        batch = make_batch(store, [content(A, {"n": n})], now=now, batch=f"small-{n}")
        (receipt,) = publish(batch, store, "", fence=None, past=past(store))
        assert receipt.outcome == "published", receipt

    return one


def _notices(place: Any, by_hand: Any, runs: int) -> tuple[list[float], list[float]]:
    from sealpipe.stores.base import Put
    from servers.places import opened

    writer, reader = opened(place.url), opened(place.url)
    mine: list[float] = []
    for number in range(runs):
        writer.write([Put("dev/heads/notice", b"%d" % number, None)])
        entry = reader.get("dev/heads/notice", fresh=True)
        assert entry is not None
        seen: list[float] = []

        def wait(version: str = entry.version, seen: list[float] = seen) -> None:
            while not reader.wait("dev/heads/notice", version, timeout=10):
                pass
            seen.append(time.perf_counter())

        thread = threading.Thread(target=wait)
        thread.start()
        time.sleep(0.05)
        began = time.perf_counter()
        writer.write([Put("dev/heads/notice", b"%d!" % number, None)])
        thread.join()
        mine.append(seen[0] - began)
    return mine, by_hand.watch(runs)


class Consul:
    """Consul's HTTP API by hand."""

    batch: int | None = 64

    def __init__(self, place: Any) -> None:
        import urllib3

        self.pool = urllib3.HTTPConnectionPool(*_split(place.server.address), maxsize=4, retries=False)
        self.prefix = f"raw-{place.prefix}/"

    def close(self) -> None:
        self.pool.close()

    def put(self, key: str, value: bytes) -> None:
        done = self.pool.urlopen("PUT", f"/v1/kv/{self.prefix}{key}", body=value)
        assert done.status == 200, done.data

    def singly(self, values: dict[str, str]) -> None:
        for key, value in values.items():
            self.put(key, value.encode())

    def txn(self, ops: list[dict[str, Any]]) -> None:
        done = self.pool.urlopen("PUT", "/v1/txn", body=json.dumps([{"KV": op} for op in ops]).encode())
        assert done.status == 200, done.data

    def batches(self, values: dict[str, str]) -> None:
        items = [(key, base64.b64encode(value.encode()).decode()) for key, value in values.items()]
        for at in range(0, len(items), 64):
            page = items[at : at + 64]
            self.txn([{"Verb": "set", "Key": self.prefix + k, "Value": v} for k, v in page])

    def small(self) -> None:
        value = base64.b64encode(os.urandom(1200)).decode()
        self.pool.urlopen("GET", f"/v1/kv/{self.prefix}head?consistent")
        keys = ("head", f"archive/{time.time_ns()}")
        self.txn([{"Verb": "set", "Key": self.prefix + key, "Value": value} for key in keys])
        self.pool.urlopen("GET", f"/v1/kv/{self.prefix}head?consistent")

    def watch(self, runs: int) -> list[float]:
        found = []
        for number in range(runs):
            self.put("notice", b"%d" % number)
            index = self.pool.urlopen("GET", f"/v1/kv/{self.prefix}notice").headers["x-consul-index"]
            seen: list[float] = []

            def wait(index: str = index, seen: list[float] = seen) -> None:
                self.pool.urlopen("GET", f"/v1/kv/{self.prefix}notice?index={index}&wait=10s")
                seen.append(time.perf_counter())

            found.append(_one_notice(wait, seen, lambda number=number: self.put("notice", b"%d!" % number)))  # type: ignore[misc]
        return found


class Etcd:
    """etcd's JSON gateway by hand."""

    batch: int | None = 128

    def __init__(self, place: Any) -> None:
        import urllib3

        self.pool = urllib3.HTTPConnectionPool(*_split(place.server.address), maxsize=4, retries=False)
        self.prefix = f"raw-{place.prefix}/"

    def close(self) -> None:
        self.pool.close()

    def _b(self, text: str | bytes) -> str:
        return base64.b64encode(text.encode() if isinstance(text, str) else text).decode()

    def call(self, path: str, body: dict[str, Any], **more: Any) -> Any:
        done = self.pool.urlopen("POST", path, body=json.dumps(body).encode(), **more)
        assert done.status == 200, done.data
        return done

    def put(self, key: str, value: bytes) -> None:
        self.call("/v3/kv/put", {"key": self._b(self.prefix + key), "value": self._b(value)})

    def singly(self, values: dict[str, str]) -> None:
        for key, value in values.items():
            self.put(key, value.encode())

    def batches(self, values: dict[str, str]) -> None:
        items = [
            {"request_put": {"key": self._b(self.prefix + k), "value": self._b(v)}} for k, v in values.items()
        ]
        for at in range(0, len(items), 128):
            self.call("/v3/kv/txn", {"success": items[at : at + 128]})

    def small(self) -> None:
        head, value = {"key": self._b(self.prefix + "head")}, self._b(os.urandom(1200))
        self.call("/v3/kv/range", head)
        archive = {"key": self._b(f"{self.prefix}archive/{time.time_ns()}"), "value": value}
        puts = [{"request_put": {**head, "value": value}}, {"request_put": archive}]
        self.call("/v3/kv/txn", {"success": puts})
        self.call("/v3/kv/range", head)

    def watch(self, runs: int) -> list[float]:
        found = []
        for number in range(runs):
            self.put("notice", b"%d" % number)
            seen: list[float] = []

            def wait(seen: list[float] = seen) -> None:
                ask = {"create_request": {"key": self._b(self.prefix + "notice")}}
                done = self.call("/v3/watch", ask, preload_content=False)
                while b'"events"' not in done.read1(65536):
                    pass
                seen.append(time.perf_counter())
                done.close()

            found.append(_one_notice(wait, seen, lambda number=number: self.put("notice", b"%d!" % number)))  # type: ignore[misc]
        return found


class ZooKeeper:
    """kazoo by hand."""

    batch: int | None = 128

    def __init__(self, place: Any) -> None:
        from kazoo.client import KazooClient

        self.client = KazooClient(hosts=place.server.address)
        self.client.start()
        self.root = f"/raw-{place.prefix}"
        self.client.ensure_path(self.root)
        self.client.create(f"{self.root}/head", b"")
        self.client.create(f"{self.root}/archive", b"")

    def close(self) -> None:
        self.client.stop()
        self.client.close()

    def singly(self, values: dict[str, str]) -> None:
        for key, value in values.items():
            self.client.create(f"{self.root}/{key}", value.encode())

    def batches(self, values: dict[str, str]) -> None:
        items = [*values.items()]
        for at in range(0, len(items), 128):
            change = self.client.transaction()
            for key, value in items[at : at + 128]:
                change.create(f"{self.root}/b{key}", value.encode())
            change.commit()

    def small(self) -> None:
        value = os.urandom(1200)
        self.client.get(f"{self.root}/head")
        change = self.client.transaction()
        change.set_data(f"{self.root}/head", value)
        change.create(f"{self.root}/archive/{time.time_ns()}", value)
        change.commit()
        self.client.get(f"{self.root}/head")

    def watch(self, runs: int) -> list[float]:
        found = []
        for number in range(runs):
            happened = threading.Event()
            self.client.get(f"{self.root}/head", watch=lambda _, happened=happened: happened.set())
            seen: list[float] = []

            def wait(happened: threading.Event = happened, seen: list[float] = seen) -> None:
                happened.wait(10)
                seen.append(time.perf_counter())

            found.append(
                _one_notice(
                    wait, seen, lambda number=number: self.client.set(f"{self.root}/head", b"%d" % number)
                )  # type: ignore[misc]
            )
        return found


class S3:
    """boto3 by hand."""

    batch = None
    watch = None

    def __init__(self, place: Any) -> None:
        import boto3

        endpoint = f"http://{place.server.address}"
        self.client = boto3.client("s3", endpoint_url=endpoint)
        self.bucket = place.url.partition("://")[2].partition("/")[0]
        self.prefix = f"raw-{place.prefix}/"

    def put(self, key: str, value: bytes) -> None:
        self.client.put_object(Bucket=self.bucket, Key=self.prefix + key, Body=value)

    def singly(self, values: dict[str, str]) -> None:
        for key, value in values.items():
            self.put(key, value.encode())

    def small(self) -> None:
        value = os.urandom(1200)
        self.put("head", value)
        self.client.get_object(Bucket=self.bucket, Key=self.prefix + "head")["Body"].read()
        self.put(f"archive/{time.time_ns()}", value)
        self.put(f"archive/{time.time_ns()}", value)
        self.client.get_object(Bucket=self.bucket, Key=self.prefix + "head")["Body"].read()


RAW: dict[str, Callable[[Any], Any]] = {"consul": Consul, "etcd": Etcd, "zk": ZooKeeper, "weed": S3}


def _split(address: str) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    return host, int(port)


def _one_notice(wait: Callable[[], None], seen: list[float], change: Callable[[], object]) -> float:
    thread = threading.Thread(target=wait)
    thread.start()
    time.sleep(0.05)
    began = time.perf_counter()
    change()
    thread.join()
    return seen[0] - began
