"""etcd: version and its known holes, members, alarms, room, clock, and whether users are asked for."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from sealpipe.errors import StoreError
from sealpipe.stores.base import Fact, Store
from sealpipe.stores.etcd import EtcdStore
from sealpipe.stores.probes.clock import clock
from sealpipe.stores.probes.local import open_mark
from sealpipe.stores.probes.policies import to_paste
from sealpipe.stores.probes.versions import Hole, holes

HOLES = (
    Hole(
        "fixed in 3.5.3",
        "a member that is killed may keep other data than the rest",
        ((3, 5, 3),),
        "problem",
    ),
    Hole(
        "GHSA-xg4h-6gfc-h4m8",
        "who may read one key is told of changes of all keys behind it",
        ((3, 5, 33), (3, 6, 14), (3, 7, 1)),
    ),
    Hole(
        "CVE-2026-33343", "a transaction inside of another one passes users' rights", ((3, 5, 28), (3, 6, 9))
    ),
)
QUOTA = 2 * 1024**3  # without --quota-backend-bytes
FULL = 0.8


def examine(url: str, store: Store, *, base: str, timeout: float) -> Iterator[Fact]:  # noqa: ARG001  # base
    """Facts about the server of an `etcd:` URL."""
    if not isinstance(store, EtcdStore):
        return
    answer = store.http.send("GET", "/version", timeout=timeout)
    version = _version(answer.body) if answer.status == 200 else ""
    members = _asked(store, "/v3/cluster/member/list", timeout).get("members", [])
    count = f", {len(members)} member{'' if len(members) == 1 else 's'}" if members else ""
    yield Fact("ok", f"etcd {version or 'of an unknown version'}{count}")
    yield from (fact for fact in holes("etcd", version, HOLES) if not _never_had(fact, version))
    yield from clock(answer.headers)
    yield from _health(_asked(store, "/v3/maintenance/status", timeout))
    users = _asked(store, "/v3/auth/status", timeout)
    if users and not users.get("enabled"):
        what = "users are off: whoever reaches it may read and write (readers notice what is not signed)"
        yield Fact(open_mark(url), what, to_paste(url))


def _never_had(fact: Fact, version: str) -> bool:
    # The line 3.4 kept its data together; the fault came with 3.5.0.
    return "fixed in 3.5.3" in fact.text and version.startswith("3.4.")


def _health(status: dict[str, Any]) -> Iterator[Fact]:
    for error in status.get("errors") or ():
        hint = "etcdctl alarm list; then compact, defrag, and etcdctl alarm disarm"
        yield Fact("problem", f"the server raises an alarm: {str(error)[:80]}", hint)
    size = _number(status.get("dbSize"))
    quota = _number(status.get("dbSizeQuota")) or QUOTA
    if size > FULL * quota:
        what = (
            f"its database has {size // 1024**2:,} of {quota // 1024**2:,} MiB; when full it takes no writes"
        )
        yield Fact("warning", what, "switch on auto-compaction, then etcdctl defrag")
    if status and not _number(status.get("leader")):
        yield Fact("problem", "it has no leader", "etcdctl endpoint status --cluster")


def _asked(store: EtcdStore, path: str, timeout: float) -> dict[str, Any]:
    """An answer, empty where we may not ask."""
    try:
        return store.call(path, {}, timeout)
    except StoreError:
        return {}


def _number(value: object) -> int:
    text = str(value or "")
    return int(text) if text.isdigit() else 0


def _version(body: bytes) -> str:
    try:
        found = json.loads(body)
    except ValueError:
        return ""
    return str(found.get("etcdserver", ""))[:40] if isinstance(found, dict) else ""
