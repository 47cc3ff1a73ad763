"""Keys in etcd: reads, transactions and watches over the JSON gateway of its v3 API."""

from __future__ import annotations

import base64
import json
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sealpipe.errors import ConflictError, DeniedError, TooLargeError, UnsupportedError
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
from sealpipe.stores.etcd.answers import (
    NO_USER,
    entries,
    failure,
    json_of,
    ranges_of,
    revision,
    tells,
    told,
    versions_of,
)
from sealpipe.stores.http import Http, encoded_size

LIMITS = Limits(
    value=1024 * 1024,
    ops=128,
    request=1_900_000,  # of JSON: less than 1.43 MB as the server counts, which takes 1.5 MiB
    history=3,
    transactional=True,
)
_PAGE = 200  # keys of one page of a scan
_TOGETHER = 64  # keys that are asked for by name in one request
_EARLY = 0.05  # seconds before its time at which the end of a watch is a reason to read
_STALE = ("invalid auth token", "revision of auth store is old", "user name is empty")


class EtcdStore:
    """Versions are mod_revisions. Every read is linearizable, which on etcd costs little."""

    limits = LIMITS

    def __init__(self, http: Http, user: tuple[str, str] | None) -> None:
        self.http = http
        self._user = user
        self._token: str | None = None  # "": it was not asked for a user
        self._lock = threading.Lock()

    def __repr__(self) -> str:
        return "EtcdStore()"

    def size(self, ops: Sequence[Op]) -> int:
        return encoded_size(ops, _body)

    def get(self, key: str, *, fresh: bool = False, timeout: float = 10.0) -> Entry | None:  # noqa: ARG002
        check_key(key)
        return next(iter(self._range({"key": _text(key)}, timeout)[0]), None)

    def values(
        self,
        keys: Sequence[str],
        *,
        fresh: bool = False,  # noqa: ARG002  # it is, always
        timeout: float = 10.0,
    ) -> Iterator[bytes | None]:
        for key in keys:
            check_key(key)
        deadline = time.monotonic() + timeout
        for at in range(0, len(keys), _TOGETHER):
            page = keys[at : at + _TOGETHER]
            asked = [{"request_range": {"key": _text(key)}} for key in page]
            answer = self.call("/v3/kv/txn", {"success": asked}, max(0.001, deadline - time.monotonic()))
            found = {entry.key: entry.value for entry in entries(ranges_of(answer))}
            yield from map(found.get, page)

    def keys(self, prefix: str, *, timeout: float = 10.0) -> list[str]:
        return [*self.versions(prefix, timeout=timeout).versions]

    def versions(self, prefix: str, *, since: Listing | None = None, timeout: float = 30.0) -> Listing:
        check_prefix(prefix)
        ask = {"key": _text(prefix or "\0"), "range_end": _after(prefix), "keys_only": True}
        deadline = time.monotonic() + timeout
        if since is not None and since.mark.isdigit():
            answer = self.call("/v3/kv/range", {**ask, "min_mod_revision": int(since.mark) + 1}, timeout)
            found = {**since.versions, **versions_of(answer)}
            # It counts all keys, also those that it does not list: nothing was deleted.
            if str(answer.get("count", 0)) == str(len(found)):
                return Listing(found, str(revision(answer)))
        found, mark = {}, ""
        while True:
            left = max(0.001, deadline - time.monotonic())
            answer = self.call("/v3/kv/range", {**ask, "limit": 10_000}, left)
            page, mark = versions_of(answer), mark or str(revision(answer))
            found |= page
            if not answer.get("more") or not page:
                return Listing(found, mark)
            ask["key"] = _text([*page][-1] + "\0")

    def scan(self, prefix: str, *, timeout: float = 30.0) -> Iterator[Entry]:
        """Each page is read as of now: a revision that the first one fixed could be compacted meanwhile."""
        check_prefix(prefix)
        deadline = time.monotonic() + timeout
        at, end = prefix or "\0", _after(prefix)
        while True:
            left = max(0.001, deadline - time.monotonic())
            found, more = self._range({"key": _text(at), "range_end": end, "limit": _PAGE}, left)
            yield from found
            if not more or not found:
                return
            at = found[-1].key + "\0"

    def _range(self, ask: Mapping[str, Any], timeout: float) -> tuple[list[Entry], bool]:
        answer = self.call("/v3/kv/range", ask, timeout)
        return entries(answer.get("kvs", ())), bool(answer.get("more"))

    def write(self, ops: Sequence[Op], *, timeout: float = 10.0) -> None:
        answer = self.call("/v3/kv/txn", _checked(ops), timeout, writes=True)
        if not answer.get("succeeded"):
            keys = ", ".join(op.key for op in ops if op.expect is not None)
            raise ConflictError("conflict", f"{keys} is not what was expected; nothing was written")

    def wait(self, key: str, after: str, *, timeout: float) -> bool:
        check_key(key)
        deadline = time.monotonic() + timeout
        answer = self.call("/v3/kv/range", {"key": _text(key)}, min(10.0, max(timeout, 0.5)))
        entry = next(iter(entries(answer.get("kvs", ()))), None)
        if (entry.version if entry else ABSENT) != after:
            return True
        left = deadline - time.monotonic()
        if left <= 0:
            return False
        asked = {"create_request": {"key": _text(key), "start_revision": str(revision(answer) + 1)}}
        with self.http.lines(
            "POST", "/v3/watch", body=json.dumps(asked).encode(), headers=self._credentials(), timeout=left
        ) as lines:
            # An event, a cancelled watch (compaction, lost rights) or an end: all are reasons to read.
            ended = next((False for line in lines if tells(line)), True)
        return not ended or deadline - time.monotonic() > _EARLY

    def close(self) -> None:
        self.http.close()

    # ---- requests

    def call(
        self, path: str, ask: Mapping[str, Any] | bytes, timeout: float, *, writes: bool = False
    ) -> dict[str, Any]:
        """One request to the gateway, as the user that is configured. Raises StoreError's kinds."""
        body = ask if isinstance(ask, bytes) else json.dumps(ask).encode()
        deadline = time.monotonic() + timeout
        for attempt in range(2):
            left = max(0.001, deadline - time.monotonic())
            used = self._credentials(left)
            answer = self.http.send("POST", path, body=body, headers=used, timeout=left, writes=writes)
            if answer.status == 200:
                return json_of(answer, writes=writes)
            failed = failure(answer, writes=writes)
            # A token of before was refused before anything was applied: once more, with a new one.
            if attempt or self._user is None or not any(part in told(answer)[1] for part in _STALE):
                break
            with self._lock:
                if used.get("Authorization", "") == self._token:
                    self._token = None
        raise failed

    def _credentials(self, timeout: float = 10.0) -> dict[str, str]:
        if self._user is None:
            return {}
        with self._lock:
            if self._token is None:
                self._token = self._authenticated(*self._user, timeout)
            return {"Authorization": self._token} if self._token else {}

    def _authenticated(self, name: str, password: str, timeout: float) -> str:
        """A token, or "" where the server knows no users, as etcdctl takes it."""
        body = json.dumps({"name": name, "password": password}).encode()
        answer = self.http.send("POST", "/v3/auth/authenticate", body=body, timeout=timeout)
        if answer.status >= 500:
            raise failure(answer, writes=False)
        if answer.status != 200 and "authentication is not enabled" in told(answer)[1]:
            return ""
        token = json_of(answer, writes=False).get("token") if answer.status == 200 else None
        if not isinstance(token, str) or not token:
            raise DeniedError("store-denied", NO_USER[2], hint=NO_USER[3])
        return token


# ---- bytes


def _text(key: str) -> str:
    return base64.b64encode(key.encode("ascii")).decode("ascii")


def _after(prefix: str) -> str:
    """The end of the range of keys with a prefix; every key where there is none."""
    if not prefix:
        return base64.b64encode(b"\0").decode("ascii")
    raw = prefix.encode("ascii")
    return base64.b64encode(raw[:-1] + bytes([raw[-1] + 1])).decode("ascii")


def _body(ops: Sequence[Op]) -> bytes:
    compare = [
        {"target": "MOD", "key": _text(op.key), "result": "EQUAL", "mod_revision": _number(op.expect)}
        for op in ops
        if op.expect is not None
    ]
    success = b",".join(_change(op) for op in ops if not isinstance(op, Check))
    return b'{"compare":%b,"success":[%b]}' % (json.dumps(compare, separators=(",", ":")).encode(), success)


def _change(op: Put | Delete) -> bytes:
    # By hand: JSON's encoder would look through every value for what base64 never has.
    key = base64.b64encode(op.key.encode("ascii"))
    if isinstance(op, Put):
        return b'{"request_put":{"key":"%b","value":"%b"}}' % (key, base64.b64encode(op.value))
    return b'{"request_delete_range":{"key":"%b"}}' % key


def _number(version: str) -> str:
    """A mod_revision as JSON carries it; 0 is a key that is absent, and no key has the highest one."""
    if version == ABSENT:
        return "0"
    return version if version.isdigit() and 0 < int(version) < 2**63 else str(2**63 - 1)


def _checked(ops: Sequence[Op]) -> bytes:
    """The body of a write that keeps the limits."""
    check_ops(ops, LIMITS.value)
    if not ops:
        raise UnsupportedError("bad-write", "a write has operations")
    body = _body(ops) if len(ops) <= LIMITS.ops else b""
    if not body or len(body) > LIMITS.request:
        raise TooLargeError(
            "write-too-large", f"a write holds more than {LIMITS.ops} operations or {LIMITS.request} bytes"
        )
    return body
