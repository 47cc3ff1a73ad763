"""An empty place in a real store: what every test and campaign that runs on all stores is given.

A new store adds one line to PLACES and all of them run on it.
"""

from __future__ import annotations

import os
import secrets
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from sealpipe.stores.base import Entry, Op, Store, at_once, values_of
from sealpipe.stores.registry import open_store
from servers import programs
from servers.consul import start_consul, start_consul_cluster
from servers.etcd import start_etcd, start_etcd_cluster
from servers.processes import Cluster, Running
from servers.s3 import BUCKET, start_moto, start_weed
from servers.zookeeper import start_zookeeper, start_zookeeper_cluster


class Kind(NamedTuple):
    """A store on one kind of server: the fixture that has it, the program, the start, the URL of a place."""

    fixture: str
    program: str
    start: Callable[[Path], Running]
    url: str  # of {address}, {base} and {prefix}, which ends without a slash


_S3 = f"s3://{BUCKET}/{{prefix}}?endpoint=http://{{address}}&poll=0.5"  # its readers look again and again
PLACES = {
    "consul": Kind("consul", "consul", start_consul, "consul://{address}/{prefix}"),
    "etcd": Kind("etcd", "etcd", start_etcd, "etcd://{address}/{prefix}"),
    "etcd-old": Kind(
        "etcd_old", "etcd-old", lambda folder: start_etcd(folder, old=True), "etcd://{address}/{prefix}"
    ),
    "zk": Kind("zookeeper", "zookeeper", start_zookeeper, "zk://{address}/{prefix}"),
    "weed": Kind("weed", "weed", start_weed, _S3),
    "moto": Kind("moto", "moto_server", start_moto, _S3),
}

PROMISED = ("consul", "etcd", "zk", "weed")
"""Where the short forms of campaigns run; the contract runs everywhere."""

CLUSTERS: dict[str, Callable[[Path], Cluster]] = {
    "consul": start_consul_cluster,
    "etcd": start_etcd_cluster,
    "zk": start_zookeeper_cluster,
}
"""Stores that have several nodes, of which one leads."""


class Place(NamedTuple):
    """A prefix of its own on a server, and what a client's environment needs."""

    kind: str
    server: Running
    prefix: str  # ends without a slash

    @property
    def url(self) -> str:
        return self.at(self.server.address)

    @property
    def environ(self) -> Mapping[str, str]:
        return self.server.environ

    def at(self, address: str) -> str:
        """Its URL by way of another address: a proxy's, or those of several nodes."""
        return PLACES[self.kind].url.format(address=address, prefix=self.prefix)


def place_on(kind: str, server: Running) -> Place:
    """A new place."""
    return Place(kind, server, f"t{secrets.token_hex(6)}")


def opened(url: str) -> Store:
    """The store of a URL, with the URL's prefix before every key that it is given."""
    store, prefix = open_store(url, base="/")
    return Below(store, prefix) if prefix else store


class Below:
    """All keys of a store below a prefix."""

    def __init__(self, store: Store, prefix: str) -> None:
        self.inner, self.prefix, self.limits = store, prefix, store.limits

    def _own(self, ops: Sequence[Op]) -> list[Op]:
        return [op._replace(key=self.prefix + op.key) for op in ops]

    def size(self, ops: Sequence[Op]) -> int:
        return self.inner.size(self._own(ops))

    def get(self, key: str, *, fresh: bool = False, timeout: float = 10.0) -> Entry | None:
        entry = self.inner.get(self.prefix + key, fresh=fresh, timeout=timeout)
        return entry and entry._replace(key=entry.key.removeprefix(self.prefix))

    def keys(self, prefix: str, *, timeout: float = 10.0) -> list[str]:
        found = self.inner.keys(self.prefix + prefix, timeout=timeout)
        return [key.removeprefix(self.prefix) for key in found]

    def scan(self, prefix: str, *, timeout: float = 30.0) -> Iterator[Entry]:
        for entry in self.inner.scan(self.prefix + prefix, timeout=timeout):
            yield entry._replace(key=entry.key.removeprefix(self.prefix))

    def write(self, ops: Sequence[Op], *, timeout: float = 10.0) -> None:
        self.inner.write(self._own(ops), timeout=timeout)

    def wait(self, key: str, after: str, *, timeout: float) -> bool:
        return self.inner.wait(self.prefix + key, after, timeout=timeout)

    @property
    def at_once(self) -> int:
        return at_once(self.inner)

    def values(
        self, keys: Sequence[str], *, fresh: bool = False, timeout: float = 10.0
    ) -> Iterator[bytes | None]:
        return values_of(self.inner, [self.prefix + key for key in keys], fresh=fresh, timeout=timeout)

    def close(self) -> None:
        self.inner.close()


@contextmanager
def served(names: Sequence[str] = ()) -> Iterator[Iterator[Place]]:
    """An empty place on a server of each kind, one after the other, for a campaign; each started and ended.

    Its credentials are in the environment while it is the turn of its kind.
    """
    with tempfile.TemporaryDirectory(prefix="sealpipe-servers-") as folder:
        yield _each(Path(folder), names or [*PLACES])


def _each(folder: Path, names: Sequence[str]) -> Iterator[Place]:
    for name in names:
        kind = PLACES[name]
        if programs.find(kind.program) is None:
            print(f"{name}: left out: {programs.hint(kind.program)}", file=sys.stderr)
            continue
        server = kind.start(folder / name)
        before = {key: os.environ.get(key) for key in server.environ}
        os.environ.update(server.environ)
        try:
            yield place_on(name, server)
        finally:
            server.kill()
            for key, value in before.items():
                if value is None:
                    del os.environ[key]
                else:
                    os.environ[key] = value
