"""What a person would write by hand for each store, over one warm connection: the peers of `stores.py`.

`small` is what one publish needs by its protocol and nothing more: the fence and the heads read, the head
swapped, its archive made, the head read back.
"""

from __future__ import annotations

import base64
import json
import os
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from typing import Any


class _OverHttp(ABC):
    """One warm connection pool, and the keys that a publish and a watch need."""

    batch: int | None = 128

    def __init__(self, place: Any, size: int) -> None:
        import urllib3

        self.pool = urllib3.HTTPConnectionPool(*_split(place.server.address), maxsize=4, retries=False)
        self.prefix, self.size = f"raw-{place.prefix}/", size
        for name in ("state", "heads/a", "notice"):
            self.put(name, b"first")

    def close(self) -> None:
        self.pool.close()

    @abstractmethod
    def put(self, key: str, value: bytes) -> None: ...

    def singly(self, values: Mapping[str, str]) -> None:
        for key, value in values.items():
            self.put(key, value.encode())


class Consul(_OverHttp):
    """Consul's HTTP API."""

    def put(self, key: str, value: bytes) -> None:
        done = self.pool.urlopen("PUT", f"/v1/kv/{self.prefix}{key}", body=value)
        assert done.status == 200, done.data

    def read(self, key: str, more: str = "") -> Any:
        done = self.pool.urlopen("GET", f"/v1/kv/{self.prefix}{key}?consistent{more}")
        assert done.status == 200, done.data
        return json.loads(done.data)[0]

    def txn(self, ops: list[dict[str, Any]]) -> None:
        done = self.pool.urlopen("PUT", "/v1/txn", body=json.dumps([{"KV": op} for op in ops]).encode())
        assert done.status == 200, done.data

    def batches(self, values: Mapping[str, str]) -> None:
        for page in _pages(values, self.batch or 1):
            self.txn([{"Verb": "set", "Key": self.prefix + k, "Value": _b(v)} for k, v in page])

    def small(self) -> None:
        state, head = self.read("state"), self.read("heads/", "&recurse")
        value = _b(os.urandom(self.size))
        archive = f"{self.prefix}archive/{time.time_ns()}"
        self.txn(
            [
                {"Verb": "check-index", "Key": state["Key"], "Index": state["ModifyIndex"]},
                {"Verb": "cas", "Key": head["Key"], "Value": value, "Index": head["ModifyIndex"]},
                {"Verb": "cas", "Key": archive, "Value": value, "Index": 0},
            ]
        )
        self.read("heads/a")

    def notice(self, number: int) -> float:
        index = self.pool.urlopen("GET", f"/v1/kv/{self.prefix}notice").headers["x-consul-index"]

        def wait() -> None:
            self.pool.urlopen("GET", f"/v1/kv/{self.prefix}notice?index={index}&wait=10s")

        return one_notice(wait, lambda: self.put("notice", b"%d" % number))


class Etcd(_OverHttp):
    """etcd's JSON gateway."""

    def call(self, path: str, body: Mapping[str, Any], **more: Any) -> Any:
        done = self.pool.urlopen("POST", path, body=json.dumps(body).encode(), **more)
        assert done.status == 200, done.data
        return done

    def put(self, key: str, value: bytes) -> None:
        self.call("/v3/kv/put", {"key": _b(self.prefix + key), "value": _b(value)})

    def read(self, key: str, **more: str) -> Any:
        return json.loads(self.call("/v3/kv/range", {"key": _b(self.prefix + key), **more}).data)["kvs"][0]

    def batches(self, values: Mapping[str, str]) -> None:
        for page in _pages(values, self.batch or 1):
            puts = [{"request_put": {"key": _b(self.prefix + k), "value": _b(v)}} for k, v in page]
            self.call("/v3/kv/txn", {"success": puts})

    def small(self) -> None:
        state, head = self.read("state"), self.read("heads/", range_end=_b(f"{self.prefix}heads0"))
        archive, value = _b(f"{self.prefix}archive/{time.time_ns()}"), _b(os.urandom(self.size))
        revisions = [
            (state["key"], state["mod_revision"]),
            (head["key"], head["mod_revision"]),
            (archive, "0"),
        ]
        asked = [
            {"target": "MOD", "result": "EQUAL", "key": key, "mod_revision": revision}
            for key, revision in revisions
        ]
        puts = [{"request_put": {"key": key, "value": value}} for key in (head["key"], archive)]
        done = json.loads(self.call("/v3/kv/txn", {"compare": asked, "success": puts}).data)
        assert done["succeeded"]
        self.read("heads/a")

    def notice(self, number: int) -> float:
        def wait() -> None:
            ask = {"create_request": {"key": _b(self.prefix + "notice")}}
            done = self.call("/v3/watch", ask, preload_content=False)
            while b'"events"' not in done.read1(65536):
                pass
            done.close()

        return one_notice(wait, lambda: self.put("notice", b"%d" % number))


class ZooKeeper:
    """kazoo."""

    batch: int | None = 128

    def __init__(self, place: Any, size: int) -> None:
        from kazoo.client import KazooClient

        self.client = KazooClient(hosts=place.server.address)
        self.client.start()
        self.root, self.size = f"/raw-{place.prefix}", size
        for name in ("state", "heads/a", "archive", "notice"):
            self.client.create(f"{self.root}/{name}", b"first", makepath=True)

    def close(self) -> None:
        self.client.stop()
        self.client.close()

    def singly(self, values: Mapping[str, str]) -> None:
        for key, value in values.items():
            self.client.create(f"{self.root}/{key}", value.encode())

    def batches(self, values: Mapping[str, str]) -> None:
        for page in _pages(values, self.batch or 1):
            change = self.client.transaction()
            for key, value in page:
                change.create(f"{self.root}/b{key}", value.encode())
            change.commit()

    def small(self) -> None:
        self.client.sync(f"{self.root}/state")
        _, state = self.client.get(f"{self.root}/state")
        (name,) = self.client.get_children(f"{self.root}/heads")
        head, value = f"{self.root}/heads/{name}", os.urandom(self.size)
        _, now = self.client.get(head)
        change = self.client.transaction()
        change.check(f"{self.root}/state", state.version)
        change.set_data(head, value, now.version)
        change.create(f"{self.root}/archive/{time.time_ns()}", value)
        assert not any(isinstance(one, Exception) for one in change.commit())
        self.client.sync(head)
        self.client.get(head)

    def notice(self, number: int) -> float:
        happened = threading.Event()
        self.client.get(f"{self.root}/notice", watch=lambda _: happened.set())

        def wait() -> None:
            assert happened.wait(10)

        return one_notice(wait, lambda: self.client.set(f"{self.root}/notice", b"%d" % number))


class S3:
    """boto3. It has no batches and gives no notice."""

    batch: int | None = None
    notice: Callable[[int], float] | None = None

    def __init__(self, place: Any, size: int) -> None:
        import boto3

        self.client = boto3.client("s3", endpoint_url=f"http://{place.server.address}")
        self.bucket = place.url.partition("://")[2].partition("/")[0]
        self.prefix, self.size = f"raw-{place.prefix}/", size
        for name in ("state", "heads/a", "archive/0"):
            self.put(name, b"first")

    def close(self) -> None:
        self.client.close()

    def put(self, key: str, value: bytes, **more: str) -> None:
        self.client.put_object(Bucket=self.bucket, Key=self.prefix + key, Body=value, **more)

    def read(self, key: str) -> str:
        answer = self.client.get_object(Bucket=self.bucket, Key=self.prefix + key)
        answer["Body"].read()
        return str(answer["ETag"])

    def singly(self, values: Mapping[str, str]) -> None:
        for key, value in values.items():
            self.put(key, value.encode())

    def small(self) -> None:
        value = os.urandom(self.size)
        self.read("state")
        self.client.list_objects_v2(Bucket=self.bucket, Prefix=f"{self.prefix}heads/")
        tag = self.read("heads/a")
        self.read("archive/0")  # that of the release before, which its publisher may not have made
        self.put("heads/a", value, IfMatch=tag)
        self.put(f"archive/{time.time_ns()}", value, IfNoneMatch="*")
        self.read("state")  # nothing holds it still meanwhile
        self.read("heads/a")


RAW: dict[str, type[Any]] = {"consul": Consul, "etcd": Etcd, "zk": ZooKeeper, "weed": S3}


def one_notice(wait: Callable[[], None], change: Callable[[], object]) -> float:
    """Seconds from before a change until who waits for it is told."""
    seen: list[float] = []

    def told() -> None:
        wait()
        seen.append(time.perf_counter())

    thread = threading.Thread(target=told)
    thread.start()
    time.sleep(0.05)
    began = time.perf_counter()
    change()
    thread.join()
    return seen[0] - began


def _pages(values: Mapping[str, str], size: int) -> Iterator[list[tuple[str, str]]]:
    items = [*values.items()]
    for at in range(0, len(items), size):
        yield items[at : at + size]


def _b(text: str | bytes) -> str:
    return base64.b64encode(text.encode() if isinstance(text, str) else text).decode()


def _split(address: str) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    return host, int(port)
