"""Releases in etcd, over the JSON gateway of its v3 API.

    etcd://host:2379[,host2:2379…]/prefix                    etcd+https://…

One write is one transaction on mod_revisions. TLS files and the user come from etcdctl's variables.
"""

from __future__ import annotations

import base64
import json
import os
import re
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sealpipe.errors import (
    ConflictError,
    DeniedError,
    FullError,
    MalformedError,
    OutcomeUnknownError,
    StoreError,
    TooLargeError,
    UnavailableError,
    UnsupportedError,
    UsageError,
)
from sealpipe.frozen import NamedTuple
from sealpipe.stores.base import (
    ABSENT,
    Check,
    Entry,
    Limits,
    Listing,
    Op,
    Put,
    Store,
    check_key,
    check_prefix,
)
from sealpipe.stores.http import Answer, Http, Tls, encoded_size

LIMITS = Limits(
    value=1024 * 1024,
    ops=128,
    request=1_900_000,  # of JSON: less than 1.43 MB as the server counts, which takes 1.5 MiB
    history=3,
    transactional=True,
)
_HOSTS = re.compile(r"(?:(?:\[[0-9A-Fa-f:.]+\]|[\w.-]+)(?::\d{1,5})?(?:,|$))+")
_PAGE = 200  # keys of one page of a scan
_EARLY = 0.05  # seconds before its time at which the end of a watch is a reason to read
_STALE = ("invalid auth token", "revision of auth store is old", "user name is empty")
_CUT = (408, 409, 499)  # given up or cancelled on the way: what was sent may have been applied


def open_url(url: str, *, base: str) -> tuple[Store, str]:  # noqa: ARG001  # as the registry calls it
    """The store and prefix of an `etcd:` URL. Raises UsageError; contacts nothing."""
    scheme, _, rest = url.partition("://")
    hosts, _, path = rest.partition("/")
    if not _HOSTS.fullmatch(hosts) or "?" in rest:
        raise UsageError(
            "bad-store-url",
            "an etcd URL is etcd://host[,host…]/prefix, without options",
            hint=["etcd://127.0.0.1:2379/config"],
        )
    environ = os.environ
    addresses = [_with_port(host) for host in hosts.split(",") if host]
    tls = Tls(
        authorities=environ.get("ETCDCTL_CACERT", ""),
        certificate=environ.get("ETCDCTL_CERT", ""),
        key=environ.get("ETCDCTL_KEY", ""),
    )
    http = Http(
        addresses, secure=scheme == "etcd+https", tls=tls, headers={"Content-Type": "application/json"}
    )
    prefix = path.strip("/")
    return EtcdStore(http, _user(environ)), f"{prefix}/" if prefix else ""


def _with_port(host: str) -> str:
    return host if ":" in host.rpartition("]")[2] else f"{host}:2379"


def _user(environ: Mapping[str, str]) -> tuple[str, str] | None:
    """ETCDCTL_USER is `name` or `name:password`; ETCDCTL_PASSWORD has the password then."""
    name, colon, password = environ.get("ETCDCTL_USER", "").partition(":")
    if not name:
        return None
    return name, password if colon else environ.get("ETCDCTL_PASSWORD", "")


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

    def keys(self, prefix: str, *, timeout: float = 10.0) -> list[str]:
        return [*self.versions(prefix, timeout=timeout).versions]

    def versions(self, prefix: str, *, since: Listing | None = None, timeout: float = 30.0) -> Listing:
        check_prefix(prefix)
        ask = {"key": _text(prefix or "\0"), "range_end": _after(prefix), "keys_only": True}
        deadline = time.monotonic() + timeout
        if since is not None and since.mark.isdigit():
            answer = self.call("/v3/kv/range", {**ask, "min_mod_revision": int(since.mark) + 1}, timeout)
            found = {**since.versions, **_versions(answer)}
            # It counts all keys, also those that it does not list: nothing was deleted.
            if str(answer.get("count", 0)) == str(len(found)):
                return Listing(found, str(_revision(answer)))
        found, mark = {}, ""
        while True:
            left = max(0.001, deadline - time.monotonic())
            answer = self.call("/v3/kv/range", {**ask, "limit": 10_000}, left)
            page, mark = _versions(answer), mark or str(_revision(answer))
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
        return _entries(answer.get("kvs", ())), bool(answer.get("more"))

    def write(self, ops: Sequence[Op], *, timeout: float = 10.0) -> None:
        answer = self.call("/v3/kv/txn", _checked(ops), timeout, writes=True)
        if not answer.get("succeeded"):
            keys = ", ".join(op.key for op in ops if op.expect is not None)
            raise ConflictError("conflict", f"{keys} is not what was expected; nothing was written")

    def wait(self, key: str, after: str, *, timeout: float) -> bool:
        check_key(key)
        deadline = time.monotonic() + timeout
        answer = self.call("/v3/kv/range", {"key": _text(key)}, min(10.0, max(timeout, 0.5)))
        entry = next(iter(_entries(answer.get("kvs", ()))), None)
        if (entry.version if entry else ABSENT) != after:
            return True
        left = deadline - time.monotonic()
        if left <= 0:
            return False
        asked = {"create_request": {"key": _text(key), "start_revision": str(_revision(answer) + 1)}}
        with self.http.lines(
            "POST", "/v3/watch", body=json.dumps(asked).encode(), headers=self._credentials(), timeout=left
        ) as lines:
            # An event, a cancelled watch (compaction, lost rights) or an end: all are reasons to read.
            ended = next((False for line in lines if _tells(line)), True)
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
                return _json(answer, writes=writes)
            failed = _failure(answer, writes=writes)
            # A token of before was refused before anything was applied: once more, with a new one.
            if attempt or self._user is None or not any(part in _told(answer)[1] for part in _STALE):
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
            raise _failure(answer, writes=False)
        if answer.status != 200 and "authentication is not enabled" in _told(answer)[1]:
            return ""
        token = _json(answer, writes=False).get("token") if answer.status == 200 else None
        if not isinstance(token, str) or not token:
            raise DeniedError("store-denied", _NO_USER[2], hint=_NO_USER[3])
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
    success: list[dict[str, Any]] = []
    for op in ops:
        if isinstance(op, Put):
            value = base64.b64encode(op.value).decode("ascii")
            success.append({"request_put": {"key": _text(op.key), "value": value}})
        elif not isinstance(op, Check):
            success.append({"request_delete_range": {"key": _text(op.key)}})
    return json.dumps({"compare": compare, "success": success}, separators=(",", ":")).encode()


def _number(version: str) -> str:
    """A mod_revision as JSON carries it; 0 is a key that is absent, and no key has the highest one."""
    if version == ABSENT:
        return "0"
    return version if version.isdigit() and 0 < int(version) < 2**63 else str(2**63 - 1)


def _checked(ops: Sequence[Op]) -> bytes:
    """The body of a write that keeps the limits."""
    keys = [op.key for op in ops]
    for key in keys:
        check_key(key)
    if not ops or len(set(keys)) != len(keys):
        raise UnsupportedError("bad-write", "a write has operations, and a key stands in it once")
    if any(not isinstance(op, Put | Check) and op.expect == ABSENT for op in ops):
        raise UnsupportedError("bad-write", "a delete cannot expect that the key is absent")
    if any(isinstance(op, Put) and len(op.value) > LIMITS.value for op in ops):
        raise TooLargeError("value-too-large", f"a value is larger than {LIMITS.value} bytes")
    body = _body(ops) if len(ops) <= LIMITS.ops else b""
    if not body or len(body) > LIMITS.request:
        raise TooLargeError(
            "write-too-large", f"a write holds more than {LIMITS.ops} operations or {LIMITS.request} bytes"
        )
    return body


def _json(answer: Answer, *, writes: bool) -> dict[str, Any]:
    found: Any = None
    try:
        found = json.loads(answer.body)
    except ValueError:
        found = None
    if not isinstance(found, dict) or (writes and "header" not in found):
        if writes:
            raise OutcomeUnknownError("outcome-unknown", "etcd answered a write with something else")
        raise _malformed()
    return found


def _entries(rows: Any) -> list[Entry]:
    try:
        return [
            Entry(
                base64.b64decode(row["key"], validate=True).decode("ascii"),
                base64.b64decode(row.get("value", ""), validate=True),
                str(int(row["mod_revision"])),
            )
            for row in rows
        ]
    except (TypeError, KeyError, ValueError, AttributeError):
        malformed = True
    if malformed:
        raise _malformed()
    return []


def _versions(answer: Mapping[str, Any]) -> dict[str, str]:
    return {entry.key: entry.version for entry in _entries(answer.get("kvs", ()))}


def _revision(answer: Mapping[str, Any]) -> int:
    try:
        return int(answer["header"]["revision"])
    except (TypeError, KeyError, ValueError):
        malformed = True
    if malformed:
        raise _malformed()
    return 0


def _tells(line: bytes) -> bool:
    """Whether a line of a watch says more than that it has begun."""
    try:
        found = json.loads(line)["result"]
        return bool(found.get("events") or found.get("canceled"))
    except (ValueError, TypeError, KeyError, AttributeError):
        return True


# ---- failures


def _malformed() -> MalformedError:
    return MalformedError("store-malformed", "etcd answered something that no etcd should")


_NO_USER = (
    DeniedError,
    "store-denied",
    "etcd does not know the user, or its password is another",
    ("ETCDCTL_USER=NAME and ETCDCTL_PASSWORD, or ETCDCTL_USER=NAME:PASSWORD",),
)


def _told(answer: Answer) -> tuple[int, str]:
    """gRPC's code and message of an answer that is no success."""
    try:
        found = json.loads(answer.body)
        return int(found.get("code", 0)), str(found.get("message", "") or found.get("error", ""))
    except (ValueError, TypeError, AttributeError):
        return 0, ""


class _Meaning(NamedTuple):
    """What an answer means that has one of these texts or this code."""

    texts: tuple[str, ...]
    code: int
    kind: type[StoreError]
    word: str
    what: str
    hint: tuple[str, ...] = ()


_MEANINGS = (
    _Meaning(
        ("permission denied", "user name is empty"),
        7,
        DeniedError,
        "store-denied",
        "etcd refused: no user is given, or its role has no right to read, or to write, below the prefix",
        ("roles to paste are in docs/guides/etcd.md",),
    ),
    _Meaning(("invalid auth token",), 16, *_NO_USER),
    _Meaning(
        ("space exceeded",),
        -1,
        FullError,
        "store-full",
        "etcd's database is at its quota and takes no writes",
        ("etcdctl compact REVISION, then: etcdctl defrag && etcdctl alarm disarm",),
    ),
    _Meaning(
        ("too large", "larger than max", "too many operations"),
        -1,
        TooLargeError,
        "write-too-large",
        "etcd takes no request of this size or so many operations",
    ),
    _Meaning(("no leader",), 14, UnavailableError, "store-unavailable", "etcd has no leader at the moment"),
)


def _failure(answer: Answer, *, writes: bool) -> StoreError:
    code, text = _told(answer)
    for one in _MEANINGS:
        if code == one.code or any(part in text for part in one.texts):
            # Asked of a member whose leader was lost on the way, the write may still be applied.
            if writes and one.kind is UnavailableError and "no leader" not in text:
                break
            return one.kind(one.word, one.what, hint=one.hint)
    if answer.status == 404:
        return UnsupportedError(
            "no-gateway", "etcd does not offer its JSON gateway", why=["--enable-grpc-gateway=false is set"]
        )
    if writes and (answer.status >= 500 or answer.status in _CUT):
        return OutcomeUnknownError(
            "outcome-unknown", f"etcd answered {answer.status}: whether the write was applied is not known"
        )
    return UnavailableError("store-unavailable", f"etcd answered {answer.status}")
