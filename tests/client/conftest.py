"""A unit's releases in a real folder store, signed by keys that the test holds."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from sealpipe.client.source import Source
from sealpipe.client.throwaway import Throwaway, throwaway, throwaway_release
from sealpipe.released import Order, Unit
from sealpipe.releases.keys import chunk_key, head_key
from sealpipe.releases.wire import head_value
from sealpipe.stores.base import Put
from sealpipe.stores.file import FileStore

UNIT = Unit("dev", "orders")


class Shop:
    """One unit's store, publisher and reader."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.keys: Throwaway = throwaway(UNIT)
        self.seq = 1_000_000

    @property
    def store(self) -> Path:
        return self.folder / "store"

    def source(self, **changes: Any) -> Source:
        given = {
            "url": f"file:{self.store}",
            "env": UNIT.environment,
            "service": UNIT.service,
            "trust": self.keys.pin,
            "key": self.keys.reader,
            "wait": 0.2,
        }
        return Source(**(given | changes))

    def environ(self, **changes: str) -> dict[str, str]:
        given = {
            "SEALPIPE_URL": f"file:{self.store}",
            "SEALPIPE_ENV": UNIT.environment,
            "SEALPIPE_SERVICE": UNIT.service,
            "SEALPIPE_TRUST": self.keys.pin,
            "SEALPIPE_KEY": self.keys.key_text,
        }
        return given | changes

    def release(self, values: Mapping[str, Any], **extras: Any) -> bytes:
        self.seq += 1
        return throwaway_release(
            self.keys, values, **{"seq": self.seq, "number": self.seq - 1_000_000, **extras}
        )

    def publish(self, values: Mapping[str, Any], *, store: Path | None = None, **extras: Any) -> bytes:
        raw = self.release(values, **extras)
        self.put(raw, store=store)
        return raw

    def put(self, raw: bytes, *, store: Path | None = None) -> None:
        rid = "0" * 31 + "1"
        order = Order(1, self.seq)
        value, chunks = head_value(raw, order, rid, "0" * 64)
        files = FileStore(store or self.store)
        for index, chunk in enumerate(chunks):
            files.write([Put(chunk_key("", UNIT, order, rid, index), chunk, None)])
        files.write([Put(head_key("", UNIT), value, None)])


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(tmp_path)
