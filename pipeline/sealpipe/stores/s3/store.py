"""Keys as objects of a bucket, below the URL's path.

A version is an ETag: equal bytes have an equal one, so a swap does not tell that a value was changed and
changed back. Heads and states never repeat, because each release has its own number.
"""

from __future__ import annotations

import datetime
import random
import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from sealpipe.errors import (
    ConflictError,
    DeniedError,
    MalformedError,
    UnavailableError,
    UnsupportedError,
)
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
    is_key,
)
from sealpipe.stores.s3 import conditions
from sealpipe.stores.s3.calls import WORKERS, Calls
from sealpipe.stores.s3.place import Place

VALUE_LIMIT = 4 * 1024 * 1024
LIMITS = Limits(value=VALUE_LIMIT, ops=1, request=VALUE_LIMIT + 64 * 1024, history=20, transactional=False)
_AHEAD = 4 * WORKERS  # values fetched before they are asked for
_LOCKED = ("releases", "chunks")  # what must stay: archives, and the parts of large ones


class S3Store:
    """Safe between threads and after a fork."""

    limits = LIMITS
    at_once = 4

    def __init__(self, place: Place) -> None:
        self._place = place
        self._calls = Calls(place)
        self._closed = threading.Event()

    # ---- reading

    def get(self, key: str, *, fresh: bool = False, timeout: float = 10.0) -> Entry | None:  # noqa: ARG002
        # S3 is strongly consistent: every read is fresh.
        check_key(key)
        deadline = time.monotonic() + timeout
        answer = self._calls.send("get_object", timeout, Key=self._place.root + key)
        if answer is None:
            return None
        return Entry(key, self._calls.body(answer, deadline, VALUE_LIMIT), _etag(answer))

    def keys(self, prefix: str, *, timeout: float = 10.0) -> list[str]:
        check_prefix(prefix)
        return sorted(self.versions(prefix, timeout=timeout).versions)

    def versions(
        self,
        prefix: str,
        *,
        since: Listing | None = None,  # noqa: ARG002  # a listing knows no time
        timeout: float = 30.0,
    ) -> Listing:
        check_prefix(prefix)
        return Listing(dict(self._listed(prefix, time.monotonic() + timeout)))

    def scan(self, prefix: str, *, timeout: float = 30.0) -> Iterator[Entry]:
        deadline = time.monotonic() + timeout
        keys = self.keys(prefix, timeout=timeout)
        with ThreadPoolExecutor(WORKERS, thread_name_prefix="sealpipe-s3") as pool:
            coming: deque[Future[Entry | None]] = deque()
            for index in range(len(keys) + _AHEAD):
                if index < len(keys):
                    coming.append(pool.submit(self._get_by, keys[index], deadline))
                if (len(coming) >= _AHEAD or index >= len(keys)) and coming:
                    entry = coming.popleft().result()
                    if entry is not None:  # deleted since it was listed
                        yield entry

    def _get_by(self, key: str, deadline: float) -> Entry | None:
        return self.get(key, timeout=_left(deadline))

    def _listed(self, prefix: str, deadline: float) -> Iterator[tuple[str, str]]:
        start = len(self._place.root)
        more: dict[str, Any] = {}
        while True:
            page = self._calls.send(
                "list_objects_v2", _left(deadline), Prefix=self._place.root + prefix, **more
            )
            for one in (page or {}).get("Contents", ()):
                key = str(one["Key"])[start:]
                if is_key(key):
                    yield key, str(one.get("ETag", ""))
            if not page or not page.get("IsTruncated"):
                return
            more = {"ContinuationToken": page["NextContinuationToken"]}

    # ---- writing

    def size(self, ops: Sequence[Op]) -> int:
        return sum(512 + len(op.key) + (len(op.value) if isinstance(op, Put) else 0) for op in ops)

    def write(self, ops: Sequence[Op], *, timeout: float = 10.0) -> None:
        """One request, sent once; the first of a process tries out what the endpoint promises."""
        op = _one(ops)
        if op is None:
            return
        deadline = time.monotonic() + timeout
        conditional = isinstance(op, Delete) and op.expect is not None
        conditions.require(self._calls, op.key, timeout, deletes=conditional)
        if isinstance(op, Delete) and self._locks(op.key):
            self._refuse_locked(op, _left(deadline))
        parameters: dict[str, Any] = {"Key": self._place.root + op.key}
        if op.expect == ABSENT:
            parameters["IfNoneMatch"] = "*"
        elif op.expect is not None:
            parameters["IfMatch"] = op.expect
        if isinstance(op, Put):
            parameters |= {"Body": op.value, **self._protection(op.key)}
        operation = "put_object" if isinstance(op, Put) else "delete_object"
        missing = conflict = False
        try:
            missing = self._calls.send(operation, _left(deadline), **parameters) is None
        except ConflictError:
            conflict = True
        if conflict or (missing and op.expect is not None):
            raise ConflictError("conflict", f"{op.key} is not what was expected; nothing was written")

    def _protection(self, key: str) -> dict[str, Any]:
        found: dict[str, Any] = {}
        if self._place.sse:
            found["ServerSideEncryption"] = self._place.sse
        if self._place.kms_key:
            found["SSEKMSKeyId"] = self._place.kms_key
        if self._locks(key):
            until = _now() + datetime.timedelta(days=self._place.lock_days)
            found |= {"ObjectLockMode": self._place.lock, "ObjectLockRetainUntilDate": until}
            found["ChecksumAlgorithm"] = "CRC32"  # S3 asks for one with a lock
        return found

    def _locks(self, key: str) -> bool:
        return bool(self._place.lock) and key.split("/")[1:2] != [] and key.split("/")[1] in _LOCKED

    def _refuse_locked(self, op: Delete, timeout: float) -> None:
        """A delete would only hide what stays; DeniedError [object-locked] says that it is there."""
        found = self._calls.send("head_object", timeout, Key=self._place.root + op.key)
        if not found or op.expect not in (None, _etag(found)):
            return  # nothing there to delete, as S3 will say itself
        # Not everybody is told of a lock; when it was written, everybody is.
        written = found.get("LastModified")
        until = found.get("ObjectLockRetainUntilDate") or (
            written and written + datetime.timedelta(days=self._place.lock_days)
        )
        if until and until > _now():
            raise DeniedError(
                "object-locked", f"{op.key} is locked until {until:%Y-%m-%d %H:%M} UTC; nothing was deleted"
            )

    # ---- waiting

    def wait(self, key: str, after: str, *, timeout: float) -> bool:
        """Looks again every `poll` seconds or so: S3 gives notice of nothing."""
        check_key(key)
        deadline = time.monotonic() + timeout
        while not self._closed.is_set():
            if self._differs(key, after, min(10.0, max(deadline - time.monotonic(), 1.0))):
                return True
            left = deadline - time.monotonic()
            pause = self._place.poll * random.uniform(0.8, 1.2)  # noqa: S311  # spreads readers
            if left <= 0 or self._closed.wait(min(pause, left)):
                return False
        return False

    def _differs(self, key: str, after: str, timeout: float) -> bool:
        # An expectation that is no ETag is no header either.
        known = {"IfNoneMatch": after} if after.startswith('"') else {}
        answer = self._calls.send("get_object", timeout, Key=self._place.root + key, **known)
        if answer is None:
            return after != ABSENT
        if not answer:
            return False
        answer["Body"].close()
        return _etag(answer) != after

    def close(self) -> None:
        """Ends a `wait` between two looks; one that is under way ends with its answer or time limit."""
        self._closed.set()
        self._calls.close()


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)


def _one(ops: Sequence[Op]) -> Put | Delete | None:
    check_ops(ops, VALUE_LIMIT)
    if len(ops) > 1 or any(isinstance(op, Check) for op in ops):
        raise UnsupportedError("bad-write", "an S3 store changes one key in a write, and checks no other")
    return ops[0] if ops and not isinstance(ops[0], Check) else None


def _etag(answer: dict[str, Any]) -> str:
    found = str(answer.get("ETag", ""))
    if not found:
        raise MalformedError("store-malformed", "an object of the store has no ETag")
    return found


def _left(deadline: float) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise UnavailableError("store-slow", "the store did not answer in time")
    return left
