"""Releases in Consul's key-value store, over its HTTP API.

    consul://host:8500[,host2:8500…]/prefix[?dc=NAME]        consul+https://…

One write is one `/v1/txn`. Credentials and TLS come from the variables that Consul's own tools read.
"""

from __future__ import annotations

import base64
import json
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, quote

from sealpipe.errors import (
    ConflictError,
    DeniedError,
    MalformedError,
    OutcomeUnknownError,
    StoreError,
    TooLargeError,
    UnavailableError,
    UnsupportedError,
    UsageError,
)
from sealpipe.stores.base import (
    ABSENT,
    Check,
    Entry,
    Limits,
    Op,
    Put,
    Store,
    check_key,
    check_prefix,
)
from sealpipe.stores.http import Answer, Http, Tls

BODY = 512 * 1024  # bytes of a transaction's JSON, and of a value
LIMITS = Limits(value=380 * 1024, ops=128, request=BODY, history=3, transactional=True)
_PAGE = 64  # keys of one page of a scan: servers before 1.18 take no more operations
_WAIT = 55.0  # seconds that the server holds a question open
_SLACK = 5.0  # what it adds to spread its answers, and the way


def open_url(url: str, *, base: str) -> tuple[Store, str]:  # noqa: ARG001  # as the registry calls it
    """The store and prefix of a `consul:` URL. Raises UsageError; contacts nothing."""
    scheme, _, rest = url.partition("://")
    where, _, query = rest.partition("?")
    hosts, _, path = where.partition("/")
    options = parse_qs(query)
    unknown = set(options) - {"dc"}
    if unknown or not rest:
        raise UsageError(
            "bad-store-url",
            f"a Consul URL has no option {min(unknown)}"
            if unknown
            else "a Consul URL is consul://host/prefix",
            hint=["consul://127.0.0.1:8500/config"],
        )
    secure = scheme == "consul+https"
    environ = os.environ
    addresses = [_with_port(host, secure=secure) for host in (hosts or _address(environ)).split(",") if host]
    tls = Tls(
        authorities=environ.get("CONSUL_CACERT", ""),
        certificate=environ.get("CONSUL_CLIENT_CERT", ""),
        key=environ.get("CONSUL_CLIENT_KEY", ""),
        server_name=environ.get("CONSUL_TLS_SERVER_NAME", ""),
    )
    headers = {"X-Consul-Token": token} if (token := _token(environ)) else {}
    http = Http(addresses, secure=secure, tls=tls, headers=headers)
    names = {"ns": environ.get("CONSUL_NAMESPACE", ""), "partition": environ.get("CONSUL_PARTITION", "")}
    names["dc"] = options.get("dc", [""])[0]
    prefix = path.strip("/")
    return ConsulStore(http, {k: v for k, v in names.items() if v}), f"{prefix}/" if prefix else ""


def _with_port(host: str, *, secure: bool) -> str:
    host = host.strip()
    return host if ":" in host.rpartition("]")[2] else f"{host}:{8501 if secure else 8500}"


def _address(environ: Mapping[str, str]) -> str:
    return environ.get("CONSUL_HTTP_ADDR", "127.0.0.1:8500").rpartition("//")[2]


def _token(environ: Mapping[str, str]) -> str:
    file = environ.get("CONSUL_HTTP_TOKEN_FILE", "")
    if not file or environ.get("CONSUL_HTTP_TOKEN"):
        return environ.get("CONSUL_HTTP_TOKEN", "").strip()
    problem = ""
    try:
        return Path(file).read_text(encoding="utf-8").strip()
    except (OSError, ValueError) as error:
        problem = getattr(error, "strerror", None) or "is no text"
    raise UsageError("bad-token-file", f"CONSUL_HTTP_TOKEN_FILE={file}: {problem}")


class ConsulStore:
    """Versions are ModifyIndexes. Reads that must be fresh are `consistent`; all others are default ones."""

    limits = LIMITS

    def __init__(self, http: Http, names: Mapping[str, str]) -> None:
        self.http = http
        self._names = names

    def size(self, ops: Sequence[Op]) -> int:
        return len(_body(ops))

    def get(self, key: str, *, fresh: bool = False, timeout: float = 10.0) -> Entry | None:
        check_key(key)
        answer = self._read(f"/v1/kv/{quote(key)}", {"consistent": ""} if fresh else {}, timeout)
        if answer.status == 404:
            return None
        return next(iter(_entries(_json(answer))), None)

    def keys(self, prefix: str, *, timeout: float = 10.0) -> list[str]:
        check_prefix(prefix)
        answer = self._read(f"/v1/kv/{quote(prefix)}", {"keys": "", "consistent": ""}, timeout)
        if answer.status == 404:
            return []
        found = _json(answer)
        if not isinstance(found, list) or not all(isinstance(key, str) for key in found):
            raise _malformed()
        return sorted(key for key in found if key.startswith(prefix) and not key.endswith("/"))

    def scan(self, prefix: str, *, timeout: float = 30.0) -> Iterator[Entry]:
        deadline = time.monotonic() + timeout
        names = self.keys(prefix, timeout=timeout)
        size = _PAGE
        at = 0
        while at < len(names):
            page = names[at : at + size]
            left = max(0.001, deadline - time.monotonic())
            answer = self._page(page, left)
            if answer.status == 413 and size > 1:
                size = max(1, size // 4)  # their values together are more than a server answers
                continue
            self._refuse(answer)
            found = {entry.key: entry for entry in _results(_json(answer))}
            yield from (found[name] for name in page if name in found)
            at += len(page)

    def _page(self, names: Sequence[str], timeout: float) -> Answer:
        ops = [{"KV": {"Verb": "get-or-empty", "Key": name}} for name in names]
        return self.http.send(
            "PUT",
            "/v1/txn",
            query={**self._names, "consistent": ""},
            body=json.dumps(ops).encode(),
            timeout=timeout,
        )

    def write(self, ops: Sequence[Op], *, timeout: float = 10.0) -> None:
        body = _checked(ops)
        answer = self.http.send("PUT", "/v1/txn", query=self._names, body=body, timeout=timeout, writes=True)
        if answer.status == 409:
            raise _conflict(_json(answer), ops)
        self._refuse(answer, writes=True)
        found = _json(answer)
        if not isinstance(found, dict) or found.get("Errors"):
            raise OutcomeUnknownError("outcome-unknown", "Consul answered a write with something else")

    def wait(self, key: str, after: str, *, timeout: float) -> bool:
        check_key(key)
        deadline = time.monotonic() + timeout
        entry_index, index = self._look(key, 0, max(0.5, min(10.0, timeout)))
        while entry_index == after:
            left = deadline - time.monotonic()
            if left <= 0:
                return False
            entry_index, found = self._look(key, index, min(left, _WAIT))
            # An index that went back, as after a restore, means nothing any more: begin anew.
            index = 0 if found < index else max(found, 1)
        return True

    def _look(self, key: str, index: int, hold: float) -> tuple[str, int]:
        """The key's version and Consul's index; with an `index`, held until it is another."""
        query = {"index": str(index), "wait": f"{max(1, int(hold * 1000))}ms"} if index else {}
        late = hold + hold / 16 + min(_SLACK, 1.0 + hold)
        answer = self._read(f"/v1/kv/{quote(key)}", query, late if index else hold, held=bool(index))
        text = answer.headers.get("x-consul-index", "")
        if not text.isdigit():
            raise _malformed()
        entry = None if answer.status == 404 else next(iter(_entries(_json(answer))), None)
        return entry.version if entry else ABSENT, int(text)

    def close(self) -> None:
        self.http.close()

    def _read(self, path: str, query: Mapping[str, str], timeout: float, *, held: bool = False) -> Answer:
        answer = self.http.send("GET", path, query={**self._names, **query}, timeout=timeout, held=held)
        if answer.status != 404:
            self._refuse(answer)
        return answer

    def _refuse(self, answer: Answer, *, writes: bool = False) -> None:
        if answer.status != 200:
            raise _failure(answer, writes=writes)


# ---- bytes


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


def _index(version: str) -> int:
    # A version of another store fits no key here; 0 would mean "create".
    return int(version) if version.isdigit() and 0 < int(version) < 2**63 else 2**63 - 1


def _checked(ops: Sequence[Op]) -> bytes:
    keys = [op.key for op in ops]
    for key in keys:
        check_key(key)
    if not ops or len(set(keys)) != len(keys):
        raise UnsupportedError("bad-write", "a write has operations, and a key stands in it once")
    if any(not isinstance(op, Put | Check) and op.expect == ABSENT for op in ops):
        raise UnsupportedError("bad-write", "a delete cannot expect that the key is absent")
    if any(isinstance(op, Put) and len(op.value) > LIMITS.value for op in ops):
        raise TooLargeError("value-too-large", f"a value is larger than {LIMITS.value} bytes")
    if sum(len(_verbs(op)) for op in ops) > LIMITS.ops:
        raise TooLargeError("write-too-large", f"a write holds more than {LIMITS.ops} operations")
    body = _body(ops)
    if len(body) > LIMITS.request:
        raise TooLargeError("write-too-large", f"a write is larger than {LIMITS.request} bytes")
    return body


def _json(answer: Answer) -> Any:
    try:
        return json.loads(answer.body)
    except ValueError:
        malformed = True
    if malformed:
        raise _malformed()
    return None


def _entries(found: Any) -> list[Entry]:
    try:
        return [
            Entry(
                one["Key"], base64.b64decode(one["Value"] or "", validate=True), str(int(one["ModifyIndex"]))
            )
            for one in found
        ]
    except (TypeError, KeyError, ValueError):
        malformed = True
    if malformed:
        raise _malformed()
    return []


def _bytes(text: str | None) -> bytes:
    return base64.b64decode(text or "", validate=True)


def _results(found: Any) -> list[Entry]:
    try:
        rows = [one["KV"] for one in found["Results"] or ()]
        return _entries([row for row in rows if row["ModifyIndex"]])
    except (TypeError, KeyError):
        malformed = True
    if malformed:
        raise _malformed()
    return []


# ---- failures


def _malformed() -> MalformedError:
    return MalformedError("store-malformed", "Consul answered something that no Consul should")


def _conflict(found: Any, ops: Sequence[Op]) -> StoreError:
    """409 is a transaction that was not applied: an expectation, or a right that is missing."""
    errors = found.get("Errors") if isinstance(found, dict) else None
    texts = [str(error.get("What", "")) for error in errors or () if isinstance(error, dict)]
    if any("Permission denied" in text or "ACL" in text for text in texts):
        return _denied()
    at = errors[0].get("OpIndex") if errors and isinstance(errors[0], dict) else None
    spread = [op for op in ops for _ in _verbs(op)]
    key = spread[at].key if isinstance(at, int) and 0 <= at < len(spread) else ops[0].key
    return ConflictError("conflict", f"{key} is not what was expected; nothing was written")


def _denied() -> DeniedError:
    return DeniedError(
        "store-denied",
        "Consul refused: the token does not exist, or lacks key:write or key:read below the prefix",
        hint=["a policy to paste is in docs/guides/consul.md"],
    )


def _failure(answer: Answer, *, writes: bool) -> StoreError:
    text = answer.body[:400].decode("utf-8", "replace")
    if answer.status in (401, 403):
        return _denied()
    if answer.status in _MEANT:
        kind, word, what = _MEANT[answer.status]
        return kind(word, what)
    if "No cluster leader" in text or "No path to datacenter" in text:
        return UnavailableError("store-unavailable", "Consul has no leader at the moment")
    if writes and answer.status >= 500:
        return OutcomeUnknownError(
            "outcome-unknown", f"Consul answered {answer.status}: whether the write was applied is not known"
        )
    return UnavailableError("store-unavailable", f"Consul answered {answer.status}")


_MEANT: dict[int, tuple[type[StoreError], str, str]] = {
    400: (UnsupportedError, "bad-key", "Consul did not take the request: a key or option that it refuses"),
    413: (TooLargeError, "write-too-large", "Consul takes no request of this size or so many operations"),
    429: (UnavailableError, "store-unavailable", "Consul asks for fewer requests"),
}
