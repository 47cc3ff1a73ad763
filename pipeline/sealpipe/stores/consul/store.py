"""Keys in Consul: reads, writes, and questions that are held open."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import quote

from sealpipe.errors import TooLargeError, UnavailableError, UnsupportedError
from sealpipe.stores.base import (
    ABSENT,
    Check,
    Delete,
    Entry,
    Limits,
    Listing,
    Op,
    Put,
    check_key,
    check_ops,
    check_prefix,
)
from sealpipe.stores.consul.answers import (
    conflict,
    entries,
    index_of,
    keys_of,
    malformed,
    not_applied,
    parsed,
    refused,
    results,
    unknown,
    versions_of,
)
from sealpipe.stores.consul.place import OPS
from sealpipe.stores.http import Answer, Http, encoded_size

BODY = 512 * 1024  # bytes of a transaction's JSON, and of a value
LIMITS = Limits(value=380 * 1024, ops=OPS, request=BODY, history=3, transactional=True)
_PAGE = 128  # keys of one page of a scan; a server before 1.14 refuses so many, and is asked for fewer
_WAIT = 55.0  # seconds that the server holds a question open
_SOON = 1.0  # the same, once it has answered without news
_SLACK = 5.0  # what it adds to spread its answers, and the way
_PAUSE = 0.1  # seconds between two answers without news: some servers and proxies hold nothing open


class ConsulStore:
    """Versions are ModifyIndexes. Reads that must be fresh are `consistent`; all others are default ones."""

    at_once = 4  # what comes together is written to the servers' disks together

    def __init__(self, http: Http, names: Mapping[str, str], *, ops: int = OPS) -> None:
        self.http = http
        self.limits = LIMITS._replace(ops=ops)
        self._names = names
        self._open: set[str] = set()  # places whose keys may be read

    def size(self, ops: Sequence[Op]) -> int:
        return encoded_size(ops, _body)

    def get(self, key: str, *, fresh: bool = False, timeout: float = 10.0) -> Entry | None:
        check_key(key)
        return self._entry(key, self._read(key, {"consistent": ""} if fresh else {}, timeout))

    def values(
        self, keys: Sequence[str], *, fresh: bool = False, timeout: float = 10.0
    ) -> Iterator[bytes | None]:
        """Each as it is, without base64 and JSON."""
        deadline = time.monotonic() + timeout
        query = {"raw": "", **({"consistent": ""} if fresh else {})}
        for key in keys:
            check_key(key)
            answer = self._read(key, query, max(0.001, deadline - time.monotonic()))
            yield None if answer.status == 404 else answer.body

    def keys(self, prefix: str, *, timeout: float = 10.0) -> list[str]:
        check_prefix(prefix)
        return keys_of(self._listed(prefix, timeout), prefix)

    def _listed(self, prefix: str, timeout: float) -> Answer:
        deadline = time.monotonic() + timeout
        answer = self._read(prefix, {"keys": "", "consistent": ""}, timeout)
        if answer.headers.get("x-consul-default-acl-policy") == "deny":
            self._may_list(prefix, max(0.001, deadline - time.monotonic()))
        return answer

    def versions(self, prefix: str, *, since: Listing | None = None, timeout: float = 30.0) -> Listing:
        check_prefix(prefix)
        deadline = time.monotonic() + timeout
        answer = self._listed(prefix, timeout)
        names, mark = keys_of(answer, prefix), str(index_of(answer))
        # The index of a prefix is that of its last change, whatever else changes in this Consul.
        if since is not None and since.mark == mark and names == sorted(since.versions):
            return since
        found: dict[str, str] = {}
        for _, answer in self._pages(names, deadline):
            found |= versions_of(answer)
        return Listing(found, mark)

    def _may_list(self, prefix: str, timeout: float) -> None:
        """A list is silent of what a token may not read; asked for by name it is refused. Once a place."""
        if prefix and not prefix.startswith(tuple(self._open)):
            self._read(prefix, {}, timeout)
            self._open.add(prefix.rstrip("/").rpartition("/")[0] + "/")

    def scan(self, prefix: str, *, timeout: float = 30.0) -> Iterator[Entry]:
        deadline = time.monotonic() + timeout
        for page, answer in self._pages(self.keys(prefix, timeout=timeout), deadline):
            found = {entry.key: entry for entry in results(answer)}
            yield from (found[name] for name in page if name in found)

    def _pages(self, names: Sequence[str], deadline: float) -> Iterator[tuple[Sequence[str], Any]]:
        """Some of the keys, and the JSON of a transaction that reads them."""
        size = min(_PAGE, self.limits.ops)
        at = 0
        while at < len(names):
            page = names[at : at + size]
            answer = self._page(page, max(0.001, deadline - time.monotonic()))
            if answer.status == 413 and size > 1:
                size = max(1, size // 4)  # their values together are more than a server answers
                continue
            if answer.status != 200:
                raise refused(answer)
            yield page, parsed(answer)
            at += len(page)

    def _page(self, names: Sequence[str], timeout: float) -> Answer:
        ops = [{"KV": {"Verb": "get-or-empty", "Key": name}} for name in names]
        query = {**self._names, "consistent": ""}
        return self.http.send("PUT", "/v1/txn", query=query, body=json.dumps(ops).encode(), timeout=timeout)

    def write(self, ops: Sequence[Op], *, timeout: float = 10.0) -> None:
        self._check(ops)
        if len(ops) == 1 and isinstance(ops[0], Put):
            self._put(ops[0], timeout)
            return
        body = _body(ops)
        if len(body) > LIMITS.request:
            raise TooLargeError("write-too-large", f"a write is larger than {LIMITS.request} bytes")
        answer = self.http.send("PUT", "/v1/txn", query=self._names, body=body, timeout=timeout, writes=True)
        if answer.status == 409:
            raise not_applied(answer, [op.key for op in ops for _ in range(_places(op))])
        if answer.status != 200:
            raise refused(answer, writes=True)
        try:
            done = json.loads(answer.body)
        except (ValueError, RecursionError):
            done = None
        if not isinstance(done, dict) or done.get("Errors"):
            raise unknown("a write with something else")

    def _put(self, op: Put, timeout: float) -> None:
        """One key as it is: without base64 and JSON, 128 KiB take half the time."""
        index = "" if op.expect is None else "0" if op.expect == ABSENT else str(_index(op.expect))
        answer = self.http.send(
            "PUT",
            f"/v1/kv/{quote(op.key)}",
            query={**self._names, **({"cas": index} if index else {})},
            body=op.value,
            timeout=timeout,
            writes=True,
        )
        if answer.status != 200:
            raise refused(answer, writes=True)
        said = answer.body.strip()
        if said == b"false" and index:
            raise conflict(op.key)
        if said != b"true":
            raise unknown("a write with something else")

    def wait(self, key: str, after: str, *, timeout: float) -> bool:
        check_key(key)
        deadline = time.monotonic() + timeout
        version, index = self._look(key, 0, max(0.5, min(10.0, timeout)))
        longest = _WAIT
        while version == after:
            began = time.monotonic()
            if began >= deadline:
                return False
            hold = min(deadline - began, longest)
            version, found = self._look(key, index, hold)
            # An index that went back, as after a restore, means nothing any more: begin anew.
            index = 0 if found < index else max(found, 1)
            took = time.monotonic() - began
            # A restore wakes who waits before it can be seen, and holds who asks for the old index again.
            longest = _SOON if took < hold else min(longest * 2, _WAIT)
            if version == after and took < _PAUSE:
                time.sleep(_PAUSE)
        return True

    def _look(self, key: str, index: int, hold: float) -> tuple[str, int]:
        """The key's version and Consul's index; with an `index`, held until it is another."""
        query = {"index": str(index), "wait": f"{max(1, int(hold * 1000))}ms"} if index else {}
        late = hold + hold / 16 + min(_SLACK, 1.0 + hold)
        answer = self._read(key, query, late if index else hold, held=bool(index))
        entry = self._entry(key, answer)
        return entry.version if entry else ABSENT, index_of(answer)

    def close(self) -> None:
        self.http.close()

    def _read(self, path: str, query: Mapping[str, str], timeout: float, *, held: bool = False) -> Answer:
        query = {**self._names, **query}
        answer = self.http.send("GET", f"/v1/kv/{quote(path)}", query=query, timeout=timeout, held=held)
        if answer.status == 404 and "x-consul-index" not in answer.headers:
            raise UnavailableError("store-unavailable", "what answers knows no keys: it is no Consul")
        if answer.status not in (200, 404):
            raise refused(answer)
        return answer

    def _entry(self, key: str, answer: Answer) -> Entry | None:
        found = [] if answer.status == 404 else entries(parsed(answer))
        if answer.status == 200 and [entry.key for entry in found] != [key]:
            raise malformed()
        return found[0] if found else None

    def _check(self, ops: Sequence[Op]) -> None:
        """Whether it is a write that Consul takes, but for its size."""
        check_ops(ops, LIMITS.value)
        if not ops:
            raise UnsupportedError("bad-write", "a write has operations")
        if sum(map(_places, ops)) > self.limits.ops:
            raise TooLargeError("write-too-large", f"a write holds more than {self.limits.ops} operations")


def _body(ops: Sequence[Op]) -> bytes:
    return json.dumps([{"KV": one} for op in ops for one in _verbs(op)], separators=(",", ":")).encode()


def _verbs(op: Op) -> list[dict[str, Any]]:
    if isinstance(op, Check):
        if op.expect == ABSENT:
            return [{"Verb": "check-not-exists", "Key": op.key}]
        return [{"Verb": "check-index", "Key": op.key, "Index": _index(op.expect)}]
    if isinstance(op, Put):
        value = base64.b64encode(op.value).decode("ascii")
        if op.expect is None:
            return [{"Verb": "set", "Key": op.key, "Value": value}]
        index = 0 if op.expect == ABSENT else _index(op.expect)
        return [{"Verb": "cas", "Key": op.key, "Value": value, "Index": index}]
    if op.expect is None:
        return [{"Verb": "delete", "Key": op.key}]
    # delete-cas of a key that is gone succeeds: the check makes it a conflict.
    return [
        {"Verb": "check-index", "Key": op.key, "Index": _index(op.expect)},
        {"Verb": "delete-cas", "Key": op.key, "Index": _index(op.expect)},
    ]


def _places(op: Op) -> int:
    """How many operations of a transaction it takes."""
    return 2 if isinstance(op, Delete) and op.expect is not None else 1


def _index(version: str) -> int:
    # A version of another store fits no key here; 0 would mean "create".
    return int(version) if version.isdigit() and 0 < int(version) < 2**63 else 2**63 - 1
