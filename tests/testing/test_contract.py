"""The contract as a class: a good store passes it, and one that breaks a rule does not."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from sealpipe.errors import ConflictError, StoreError
from sealpipe.stores.base import ABSENT, Delete, Entry, Op, Put
from sealpipe.testing import StoreContract
from sealpipe.testing.memory import MemoryStore
from sealpipe.testing.store_contract import CHECKS


class TestMemory(StoreContract):
    def store(self) -> MemoryStore:
        if not hasattr(self, "place"):
            self.place = MemoryStore()
        return self.place


def test_every_check_is_a_method() -> None:
    assert {f"test_{check.__name__}" for check in CHECKS} <= set(dir(StoreContract))


class Bent(MemoryStore):
    """A store to break one rule of."""


class NoCreateOnly(Bent):
    def write(self, ops: Sequence[Op], *, timeout: float = 10.0) -> None:
        free = [op._replace(expect=None) if isinstance(op, Put) and op.expect == ABSENT else op for op in ops]
        super().write(free, timeout=timeout)


class NoSwap(Bent):
    def write(self, ops: Sequence[Op], *, timeout: float = 10.0) -> None:
        free = [op._replace(expect=None) if isinstance(op, Put) and op.expect else op for op in ops]
        super().write(free, timeout=timeout)


class HalfAWrite(Bent):
    def write(self, ops: Sequence[Op], *, timeout: float = 10.0) -> None:
        for op in ops:
            super().write([op], timeout=timeout)


class Retries(Bent):
    def write(self, ops: Sequence[Op], *, timeout: float = 10.0) -> None:
        try:
            super().write(ops, timeout=timeout)
        except ConflictError:
            super().write([op._replace(expect=None) for op in ops if isinstance(op, Put)], timeout=timeout)


class GreedyPrefix(Bent):
    def keys(self, prefix: str, *, timeout: float = 10.0) -> list[str]:
        return sorted(key for key in self._entries if key.startswith(prefix.rstrip("/")))


class Unsorted(Bent):
    def scan(self, prefix: str, *, timeout: float = 30.0) -> Iterator[Entry]:
        yield from reversed(list(super().scan(prefix, timeout=timeout)))


class VersionsComeBack(Bent):
    def get(self, key: str, *, fresh: bool = False, timeout: float = 10.0) -> Entry | None:
        found = super().get(key, fresh=fresh, timeout=timeout)
        return found and found._replace(version="1")


class DeletesNothing(Bent):
    def write(self, ops: Sequence[Op], *, timeout: float = 10.0) -> None:
        kept = [op for op in ops if not isinstance(op, Delete)]
        if kept:
            super().write(kept, timeout=timeout)


class Deaf(Bent):
    def wait(self, key: str, after: str, *, timeout: float) -> bool:
        return False


class Sleeps(Bent):
    def wait(self, key: str, after: str, *, timeout: float) -> bool:
        import time

        time.sleep(timeout)
        return False


class TakesAnyKey(Bent):
    def get(self, key: str, *, fresh: bool = False, timeout: float = 10.0) -> Entry | None:
        return self._entries.get(key)


class SizeIsNothing(Bent):
    def size(self, ops: Sequence[Op]) -> int:
        return 1


class AlwaysThere(Bent):
    def get(self, key: str, *, fresh: bool = False, timeout: float = 10.0) -> Entry | None:
        return super().get(key, fresh=fresh, timeout=timeout) or Entry(key, b"", "0")


@pytest.mark.parametrize("kind", Bent.__subclasses__(), ids=lambda kind: kind.__name__)
def test_a_broken_store_is_found(kind: type[Any]) -> None:
    with pytest.raises((AssertionError, StoreError)):
        _hold_against(kind)


def _hold_against(kind: type[Any]) -> None:
    for check in CHECKS:
        store = kind()
        check(lambda store=store: store)  # type: ignore[misc]
