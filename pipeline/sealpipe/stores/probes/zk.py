"""ZooKeeper: version and its known holes, as `srvr` tells them, and to whom what we make will belong."""

from __future__ import annotations

import os
import re
import socket
import time
from collections.abc import Iterator

from sealpipe.stores.base import Fact, Store
from sealpipe.stores.probes.local import open_mark
from sealpipe.stores.probes.policies import to_paste
from sealpipe.stores.probes.versions import Hole, holes
from sealpipe.stores.zk.place import parse_place

HOLES = (
    Hole(
        "CVE-2024-23944", "a watcher learns the names of nodes that it may not read", ((3, 8, 4), (3, 9, 2))
    ),
    Hole("CVE-2023-44981", "a stranger may join a quorum that uses SASL", ((3, 7, 2), (3, 8, 3), (3, 9, 1))),
)
LIMIT = 64 * 1024


def examine(url: str, store: Store, *, base: str, timeout: float) -> Iterator[Fact]:  # noqa: ARG001
    """Facts about the servers of a `zk:` URL. By TLS the four letter words are not asked."""
    place = parse_place(url, os.environ)
    said = "" if place.tls else _srvr(place.hosts, timeout)
    found = re.search(r"Zookeeper version: (\S+?)(?:-|,|\s)", said)
    mode = re.search(r"Mode: (\w+)", said)
    if found:
        count = f", {len(place.hosts)} hosts named" if len(place.hosts) > 1 else ""
        yield Fact("ok", f"ZooKeeper {found[1]}{f', {mode[1]}' if mode else ''}{count}")
        yield from holes("ZooKeeper", found[1], HOLES)
    else:
        yield Fact("unknown", "its version is not told (the word srvr is not allowed, or TLS is used)")
    if not place.creator:
        what = "what is made here belongs to anyone: whoever reaches it may read and write"
        yield Fact(open_mark(url), what, f"name an identity and ?acl=creator; {to_paste(url)}")


def _srvr(hosts: tuple[str, ...], timeout: float) -> str:
    """The answer of the first host that gives one."""
    deadline = time.monotonic() + timeout
    for host in hosts:
        name, _, port = host.rpartition(":")
        left = deadline - time.monotonic()
        if left <= 0:
            break
        try:
            with socket.create_connection(
                (name.strip("[]"), int(port)), timeout=min(left, 2.0)
            ) as connection:
                connection.sendall(b"srvr")
                return _all(connection)
        except (OSError, ValueError):
            continue
    return ""


def _all(connection: socket.socket) -> str:
    reply = b""
    while len(reply) < LIMIT and (part := connection.recv(4096)):
        reply += part
    return reply.decode("ascii", "replace")
