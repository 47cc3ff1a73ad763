"""ZooKeeper: version and its known holes, as `srvr` tells them, and to whom what we make will belong."""

from __future__ import annotations

import os
import re
import socket
import ssl
import time
from collections.abc import Iterator
from contextlib import suppress

from sealpipe.stores.base import Fact, Store
from sealpipe.stores.probes.local import open_mark
from sealpipe.stores.probes.policies import to_paste
from sealpipe.stores.probes.versions import Hole, holes
from sealpipe.stores.zk.place import Place, parse_place

HOLES = (
    Hole(
        "CVE-2024-23944", "a watcher learns the names of nodes that it may not read", ((3, 8, 4), (3, 9, 2))
    ),
    Hole("CVE-2023-44981", "a stranger may join a quorum that uses SASL", ((3, 7, 2), (3, 8, 3), (3, 9, 1))),
)
LIMIT = 64 * 1024


def examine(url: str, store: Store, *, base: str, timeout: float) -> Iterator[Fact]:  # noqa: ARG001
    """Facts about the servers of a `zk:` URL. Their clock is told by the probe's znode alone."""
    place = parse_place(url, os.environ)
    said = _srvr(place, timeout)
    found = re.search(r"Zookeeper version: (\S+?)(?:-|,|\s)", said)
    mode = re.search(r"Mode: (\w+)", said)
    if found:
        count = f", {len(place.hosts)} hosts named" if len(place.hosts) > 1 else ""
        yield Fact("ok", f"ZooKeeper {found[1]}{f', {mode[1]}' if mode else ''}{count}")
        yield from holes("ZooKeeper", found[1], HOLES)
    else:
        yield Fact("unknown", "its version is not told (the word srvr is not allowed)")
    if not place.creator:
        what = "what is made here belongs to anyone: whoever reaches it may read and write"
        yield Fact(open_mark(url), what, f"name an identity and ?acl=creator; {to_paste(url)}")


def _srvr(place: Place, timeout: float) -> str:
    """The answer of the first host that gives one, which it does over TLS as well."""
    from sealpipe.stores.zk.handler import tls_context  # needs kazoo, which is there when a store was opened

    context = tls_context(place) if place.tls else None
    deadline = time.monotonic() + timeout
    for host in place.hosts:
        name, _, port = host.rpartition(":")
        name = name.strip("[]")
        left = deadline - time.monotonic()
        if left <= 0:
            break
        try:
            with socket.create_connection((name, int(port)), timeout=min(left, 2.0)) as connection:
                if context is None:
                    return _said(connection, deadline)
                with context.wrap_socket(connection, server_hostname=name) as secure:
                    return _said(secure, deadline)
        except (OSError, ValueError):
            continue
    return ""


def _said(connection: socket.socket, deadline: float) -> str:
    connection.sendall(b"srvr")
    reply = b""
    # Over TLS a server may close without saying so first, which is no harm after all of the answer.
    with suppress(ssl.SSLError):
        while len(reply) < LIMIT and time.monotonic() < deadline and (part := connection.recv(4096)):
            reply += part
    return reply.decode("ascii", "replace")
