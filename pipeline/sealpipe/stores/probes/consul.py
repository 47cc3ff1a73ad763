"""Consul: version and servers, clock, and who may read without a token."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from sealpipe.errors import StoreError
from sealpipe.stores.base import Fact, Store
from sealpipe.stores.consul import ConsulStore
from sealpipe.stores.http import Answer
from sealpipe.stores.probes.clock import clock
from sealpipe.stores.probes.local import open_mark
from sealpipe.stores.probes.policies import to_paste
from sealpipe.stores.registry import open_store


def examine(url: str, store: Store, *, base: str, timeout: float) -> Iterator[Fact]:
    """Facts about the server of a `consul:` URL."""
    if not isinstance(store, ConsulStore):
        return
    again, prefix = open_store(url, base=base)
    again.close()
    peers = store.http.send("GET", "/v1/status/peers", timeout=timeout)
    servers = _json(peers)
    me = _json(store.http.send("GET", "/v1/agent/self", timeout=timeout))
    version = str(me.get("Config", {}).get("Version", "")) if isinstance(me, dict) else ""
    count = len(servers) if isinstance(servers, list) else 0
    name = f"Consul {version}".rstrip()
    yield Fact("ok", f"{name}, {count} server{'' if count == 1 else 's'}")
    if count == 2:
        yield Fact("warning", "two servers stand still when either is away", "run one, three or five")
    yield from clock(peers.headers)
    yield from _open(url, store, prefix, timeout)


def _open(url: str, store: ConsulStore, prefix: str, timeout: float) -> Iterator[Fact]:
    """Whether anybody may read, or write, without a token."""
    nobody = {"X-Consul-Token": ""}
    acl = store.http.send("GET", "/v1/acl/token/self", headers=nobody, timeout=timeout)
    if acl.status == 401 and b"ACL support disabled" in acl.body:
        what = "ACLs are off: whoever reaches it may read and write (readers notice what is not signed)"
        yield Fact(open_mark(url), what, f"turn them on where others reach it; {to_paste(url)}")
        return
    seen: Answer | None = None
    try:
        seen = store.http.send("GET", f"/v1/kv/{prefix}", query={"keys": ""}, headers=nobody, timeout=timeout)
    except StoreError:
        return
    if seen.status == 200:
        yield Fact(
            "warning", f"anyone without a token can read the keys below {prefix or 'the root'}", to_paste(url)
        )
    else:
        yield Fact("ok", "nothing is shown without a token")


def _json(answer: Answer) -> Any:
    try:
        return json.loads(answer.body) if answer.status == 200 else None
    except ValueError:
        return None
