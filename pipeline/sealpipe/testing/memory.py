"""A store in memory for tests, with the semantics of the transactional ones."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence

from sealpipe.errors import ConflictError, TooLargeError, UnsupportedError
from sealpipe.stores.base import (
    ABSENT,
    Check,
    Delete,
    Entry,
    Limits,
    Op,
    Put,
    check_key,
    check_ops,
    check_prefix,
)

LIMITS = Limits(value=512 * 1024, ops=128, request=512 * 1024, history=3, transactional=True)

Hook = Callable[[Sequence[Op]], None]


class MemoryStore:
    """Share one object between publishers and readers of a test; safe between threads.

    `before_write` and `after_write` may raise a StoreError: before, nothing is applied; after, the
    change stands and the caller does not learn of it.
    """

    def __init__(self, limits: Limits = LIMITS) -> None:
        self.limits = limits
        self.before_write: Hook | None = None
        self.after_write: Hook | None = None
        self._entries: dict[str, Entry] = {}
        self._revision = 0
        self._closes = 0
        self._changed = threading.Condition()

    def size(self, ops: Sequence[Op]) -> int:
        return sum(len(op.key) + (len(op.value) if isinstance(op, Put) else 0) for op in ops)

    def get(self, key: str, *, fresh: bool = False, timeout: float = 10.0) -> Entry | None:  # noqa: ARG002
        check_key(key)
        with self._changed:
            return self._entries.get(key)

    def keys(self, prefix: str, *, timeout: float = 10.0) -> list[str]:  # noqa: ARG002
        check_prefix(prefix)
        with self._changed:
            return sorted(key for key in self._entries if key.startswith(prefix))

    def scan(self, prefix: str, *, timeout: float = 30.0) -> Iterator[Entry]:
        for key in self.keys(prefix, timeout=timeout):
            entry = self.get(key)
            if entry is not None:
                yield entry

    def write(self, ops: Sequence[Op], *, timeout: float = 10.0) -> None:  # noqa: ARG002
        self._refuse(ops)
        if self.before_write is not None:
            self.before_write(ops)
        with self._changed:
            for op in ops:
                found = self._entries.get(op.key)
                if op.expect is not None and op.expect != (found.version if found else ABSENT):
                    raise ConflictError("conflict", f"{op.key} is not what was expected; nothing was written")
            for op in ops:
                self._apply(op)
            self._changed.notify_all()
        if self.after_write is not None:
            self.after_write(ops)

    def wait(self, key: str, after: str, *, timeout: float) -> bool:
        check_key(key)

        def differs() -> bool:
            found = self._entries.get(key)
            return (found.version if found else ABSENT) != after

        with self._changed:
            closes = self._closes
            self._changed.wait_for(lambda: self._closes != closes or differs(), timeout)
            return differs()

    def close(self) -> None:
        """Ends a `wait`. The content stays: another publisher or reader of the test may still use it."""
        with self._changed:
            self._closes += 1
            self._changed.notify_all()

    def _refuse(self, ops: Sequence[Op]) -> None:
        check_ops(ops, self.limits.value)
        changes = [op for op in ops if not isinstance(op, Check)]
        if not self.limits.transactional and len(changes) > 1:
            raise UnsupportedError("bad-write", "this store changes one key in a write")
        if len(ops) > self.limits.ops or self.size(ops) > self.limits.request:
            raise TooLargeError("write-too-large", "a write exceeds the store's limits")

    def _apply(self, op: Op) -> None:
        if isinstance(op, Put):
            self._revision += 1
            self._entries[op.key] = Entry(op.key, op.value, str(self._revision))
        elif isinstance(op, Delete):
            self._entries.pop(op.key, None)
