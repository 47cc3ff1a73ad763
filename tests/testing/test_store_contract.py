"""The contract's own test: stores with one fault each, which it must find, also under python -O."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from sealpipe.errors import ConflictError, OutcomeUnknownError, StoreError, UnavailableError
from sealpipe.stores.base import ABSENT, Check, Delete, Entry, Put
from sealpipe.testing import store_contract
from sealpipe.testing.memory import MemoryStore
from sealpipe.testing.store_contract import CHECKS


class CreateOverwrites(MemoryStore):
    def write(self, ops, *, timeout=10.0):
        create = [isinstance(op, Put) and op.expect == ABSENT for op in ops]
        super().write([op._replace(expect=None) if new else op for op, new in zip(ops, create, strict=True)])


class SwapIgnoresVersion(MemoryStore):
    def write(self, ops, *, timeout=10.0):
        super().write([op._replace(expect=None) if isinstance(op, Put) and op.expect else op for op in ops])


class DeleteIgnoresVersion(MemoryStore):
    def write(self, ops, *, timeout=10.0):
        super().write([Delete(op.key) if isinstance(op, Delete) and op.expect else op for op in ops])


class ChecksNothing(MemoryStore):
    def write(self, ops, *, timeout=10.0):
        super().write([op for op in ops if not isinstance(op, Check)] or ops)


class HalfAWrite(MemoryStore):
    def write(self, ops, *, timeout=10.0):
        for op in ops:
            super().write([op])


class GreedyDelete(MemoryStore):
    def write(self, ops, *, timeout=10.0):
        folders = {op.key[: op.key.rindex("/") + 1] for op in ops if isinstance(op, Delete)}
        more = {key for folder in folders for key in self.keys(folder)} - {op.key for op in ops}
        super().write([*ops, *(Delete(key) for key in more)])


class GreedyPrefix(MemoryStore):
    def keys(self, prefix, *, timeout=10.0):
        super().keys(prefix)
        return [key for key in super().keys("") if key.startswith(prefix.rstrip("/"))]


class Unsorted(MemoryStore):
    def keys(self, prefix, *, timeout=10.0):
        return super().keys(prefix)[::-1]


class PageOf100(MemoryStore):
    def keys(self, prefix, *, timeout=10.0):
        return super().keys(prefix)[:100]


class TextOnly(MemoryStore):
    def get(self, key, *, fresh=False, timeout=10.0):
        found = super().get(key)
        return found and found._replace(value=found.value.decode("utf-8", "replace").encode())


class VersionsStayTheSame(MemoryStore):
    def get(self, key, *, fresh=False, timeout=10.0):
        found = super().get(key)
        return found and found._replace(version="1")


class Torn(MemoryStore):
    def write(self, ops, *, timeout=10.0):
        for op in ops:
            if isinstance(op, Put) and op.expect is None:
                self._entries[op.key] = Entry(op.key, op.value[: len(op.value) // 2], "torn")
                time.sleep(0.005)
        super().write(ops)


class StaleReads(MemoryStore):
    def get(self, key, *, fresh=False, timeout=10.0):
        found = super().get(key)
        before = self.__dict__.setdefault("old", {})
        shown = before.get(key, found)
        before[key] = found
        return shown


class AnyKey(MemoryStore):
    def write(self, ops, *, timeout=10.0):
        with self._changed:
            for op in ops:
                self._apply(op)


class NoLimit(MemoryStore):
    def write(self, ops, *, timeout=10.0):
        self.limits, kept = self.limits._replace(value=1 << 40, request=1 << 40), self.limits
        try:
            super().write(ops)
        finally:
            self.limits = kept


class WrongKind(MemoryStore):
    def write(self, ops, *, timeout=10.0):
        try:
            super().write(ops)
        except ConflictError:
            raise UnavailableError("x", "x") from None


class RetriesInside(MemoryStore):
    """The automatic retry of a swap whose first answer was lost: applied, and reported as a conflict."""

    def write(self, ops, *, timeout=10.0):
        super().write(ops)
        if any(op.expect for op in ops if isinstance(op, Put)):
            super().write(ops)


class NeverWakes(MemoryStore):
    def wait(self, key, after, *, timeout):
        time.sleep(min(timeout, 0.05))
        return False


class Oversleeps(MemoryStore):
    def wait(self, key, after, *, timeout):
        time.sleep(0.2)  # 20 seconds of the quick clock
        return True


class CountsKeysOnly(MemoryStore):
    def size(self, ops):
        return sum(len(op.key) for op in ops)


FAULTS = [
    CreateOverwrites, SwapIgnoresVersion, DeleteIgnoresVersion, ChecksNothing, HalfAWrite, GreedyDelete,
    GreedyPrefix, Unsorted, PageOf100, TextOnly, VersionsStayTheSame, Torn, StaleReads, AnyKey, NoLimit,
    WrongKind, RetriesInside, NeverWakes, Oversleeps, CountsKeysOnly,
]  # fmt: skip
SLOW = {"waiting", "one_winner", "no_torn_reads"}


def failing(kind):
    for check in sorted(CHECKS, key=lambda check: check.__name__ in SLOW):
        store = kind()
        try:
            check(lambda store=store: store)
        except Exception:  # noqa: BLE001 - a faulty store may make a check fall over in any way
            return check.__name__
    return ""


@pytest.mark.parametrize("kind", FAULTS, ids=lambda kind: kind.__name__)
def test_a_faulty_store_is_found(kind, monkeypatch):
    if kind in (NeverWakes, Oversleeps):
        monkeypatch.setattr(store_contract.time, "monotonic", quick_clock())
    assert failing(kind)


def quick_clock():
    """Time runs a hundred times faster: a wait that never wakes need not be sat out."""
    real, start = time.monotonic, time.monotonic()
    return lambda: start + (real() - start) * 100


def test_the_contract_holds_without_assertions():
    code = (
        "from sealpipe.testing.memory import MemoryStore\n"
        "from sealpipe.testing.store_contract import create_only\n"
        "class Bad(MemoryStore):\n"
        "    def write(self, ops, *, timeout=10.0):\n"
        "        super().write([op._replace(expect=None) for op in ops])\n"
        "store = Bad()\n"
        "try: create_only(lambda: store)\n"
        "except AssertionError as error: print(error)"
    )
    command = [sys.executable, "-O", "-c", code]
    root = Path(__file__).parents[2] / "pipeline"
    done = subprocess.run(command, capture_output=True, text=True, cwd=root, check=True)
    assert done.stdout == "create over a key: no ConflictError\n"


def test_the_contract_needs_no_test_runner():
    code = "import sys, sealpipe.testing.store_contract; print('pytest' in sys.modules)"
    command = [sys.executable, "-c", code]
    root = Path(__file__).parents[2] / "pipeline"
    assert subprocess.run(command, capture_output=True, text=True, cwd=root, check=True).stdout == "False\n"


# ---- hooks of the store in memory


def test_hooks_lose_the_request_or_its_answer():
    store = MemoryStore()

    def lose(ops):
        raise OutcomeUnknownError("outcome-unknown", "lost")

    store.before_write = lose
    with pytest.raises(StoreError):
        store.write([Put("dev/state", b"1", ABSENT)])
    assert store.get("dev/state") is None
    store.before_write, store.after_write = None, lose
    with pytest.raises(StoreError):
        store.write([Put("dev/state", b"1", ABSENT)])
    assert store.get("dev/state").value == b"1"


def test_versions_never_come_back():
    store = MemoryStore()
    store.write([Put("dev/state", b"1", ABSENT)])
    first = store.get("dev/state").version
    store.write([Delete("dev/state")])
    store.write([Put("dev/state", b"1", ABSENT)])
    assert store.get("dev/state").version != first


def test_waiting_ends_with_the_change():
    store = MemoryStore()
    threading.Timer(0.05, lambda: store.write([Put("dev/state", b"1", ABSENT)])).start()
    started = time.monotonic()
    assert store.wait("dev/state", ABSENT, timeout=10)
    assert time.monotonic() - started < 5
