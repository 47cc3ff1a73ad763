"""`memory:NAME` as a store URL: transactional stores that live as long as the test process."""

from __future__ import annotations

from sealpipe.stores.base import Store
from sealpipe.testing.memory import MemoryStore

STORES: dict[str, Store] = {}


def open_url(url: str, *, base: str) -> tuple[Store, str]:
    """`memory:NAME/PREFIX`; the same name is the same store."""
    name, _, prefix = url.removeprefix("memory:").partition("/")
    return STORES.setdefault(name, MemoryStore()), f"{prefix}/" if prefix else ""
