"""When to look again: the store's own notice where it has one, a look at a file, or nothing but time.

A notice is only ever a reason to read: what is read is verified as always.
"""

from __future__ import annotations

import os
import random
import threading
import time
from contextlib import suppress

from sealpipe.client.fetch import CARRIERS, Fetched, away_or_wrong, fetch, from_head, held, held_away
from sealpipe.client.source import shown_url
from sealpipe.errors import SealpipeError, UnavailableError
from sealpipe.released import Unit
from sealpipe.stores.base import ABSENT, Store

SAFETY = 60.0  # seconds after which a store is read again although it gave no notice
_FILE_POLL = 0.25
_HELD_POLL = 0.01
_PAUSE = 0.1  # between two reads that found the same, whatever the store says


class Watch:
    """One URL of one unit, with its connection. For one thread; `close` may be called from any other."""

    def __init__(self, url: str, unit: Unit, stopping: threading.Event) -> None:
        self.url = url
        self.unit = unit
        self._stopping = stopping
        self._scheme = url.partition(":")[0]
        self._store: Store | None = None
        self._prefix = ""
        self._mark_read: object = None  # what the last read saw
        self._mark_waited: object = None

    def read(self, timeout: float) -> Fetched:
        """The release that is there now. Raises ConfigError's kinds, as `client.fetch` does."""
        if self._scheme in CARRIERS:
            self._mark_read = self._look()
            return fetch(self.url, self.unit, timeout=timeout)
        from sealpipe.releases.fetch import read_head
        from sealpipe.releases.keys import head_key
        from sealpipe.stores.registry import open_store

        failed: SealpipeError | None = None
        head = None
        try:
            if self._store is None:
                self._store, self._prefix = open_store(self.url, base=os.getcwd())  # noqa: PTH109
            head = read_head(self._store, self._prefix, self.unit, timeout=timeout)
        except SealpipeError as error:
            failed = error
        if failed is not None:
            if not isinstance(failed, UnavailableError):  # a store that is away connects again by itself
                self.let_go()
            raise away_or_wrong(failed, self.url, self.unit)
        self._mark_read = (head_key(self._prefix, self.unit), head.version if head else ABSENT)
        return Fetched(from_head(head, self.url, self.unit), "store")

    def wait(self, limit: float = SAFETY) -> None:
        """Until something may have changed since the last read, `limit` seconds passed, or the stop came."""
        limit *= random.uniform(0.8, 1.0)  # noqa: S311  # spreads readers, keeps no secret
        mark, again = self._mark_read, self._mark_read == self._mark_waited
        self._mark_waited = mark
        if self._scheme in CARRIERS:
            self._poll(mark, limit)
            return
        store = self._store
        if store is None or not isinstance(mark, tuple):
            self._stopping.wait(limit)
            return
        began = time.monotonic()
        failed = False
        try:
            store.wait(mark[0], mark[1], timeout=limit)
        except UnavailableError:  # as `read` bears it: a store that is away connects again by itself
            pass
        except Exception:  # noqa: BLE001  # closed from another thread: whatever its client makes of it
            failed = True
        if failed:
            self.let_go()
        if again and time.monotonic() - began < _PAUSE:
            self._stopping.wait(_PAUSE)  # a store that gives notice of nothing

    def _poll(self, mark: object, limit: float) -> None:
        until = time.monotonic() + limit
        pause = _HELD_POLL if self._scheme == "held" else _FILE_POLL
        while not self._stopping.is_set() and self._look() == mark:
            left = until - time.monotonic()
            if left <= 0:
                return
            self._stopping.wait(min(pause, left))

    def _look(self) -> object:
        rest = self.url.partition(":")[2]
        if self._scheme == "held":
            return id(held.get(rest)), rest in held_away
        if self._scheme == "release":
            with suppress(OSError):
                found = os.stat(rest)  # noqa: PTH116  # follows the links of a mounted volume
                return found.st_dev, found.st_ino, found.st_mtime_ns, found.st_size
        return None

    def let_go(self) -> None:
        """Close the connection; the next read opens another."""
        store, self._store = self._store, None
        if store is not None:
            with suppress(Exception):
                store.close()

    def abandon(self) -> None:
        """Forget the connection without a word on it: it belongs to the process that forked this one."""
        self._store = None

    def __repr__(self) -> str:
        return f"Watch({str(self.unit)!r}, {shown_url(self.url)!r})"
