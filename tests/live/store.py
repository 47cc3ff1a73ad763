"""A store of one service that a test publishes to: real releases in a real folder."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from sealpipe import Source
from sealpipe.client.throwaway import throwaway, throwaway_release
from sealpipe.released import Unit
from sealpipe.releases.keys import head_key
from sealpipe.stores.base import Put
from sealpipe.stores.file import FileStore


class OneService:
    """Releases of `dev/orders` in a folder store, signed with keys of this test."""

    def __init__(self, folder: Path, cache: Path | None = None) -> None:
        self.unit = Unit("dev", "orders")
        self.keys = throwaway(self.unit)
        self.folder = folder
        self.cache = cache
        self.number = 0
        self.seq = time.time_ns() // 1_000_000

    @property
    def source(self) -> Source:
        return Source(
            url=f"file:{self.folder}",
            env="dev",
            service="orders",
            trust=self.keys.pin,
            key=self.keys.reader,
            cache=str(self.cache) if self.cache else "",
            wait=0.3,
        )

    def release(self, values: Mapping[str, Any], *, seq: int | None = None, **more: Any) -> bytes:
        self.number += 1
        self.seq += 1
        return throwaway_release(self.keys, values, number=self.number, seq=seq or self.seq, **more)

    def put(self, raw: bytes) -> None:
        store = FileStore(self.folder, poll=0.02)
        store.write([Put(head_key("", self.unit), raw, None)])

    def publish(self, values: Mapping[str, Any], **more: Any) -> bytes:
        raw = self.release(values, **more)
        self.put(raw)
        return raw


def until(true: Callable[[], object], seconds: float = 10.0) -> None:
    """Waits for something that another thread does."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.005)
