"""Helpers shipped to users: published settings, a store in memory, the store contract."""

from __future__ import annotations

from sealpipe.testing.contract import StoreContract
from sealpipe.testing.published import Published, override, publish_for_session, published, sealed

__all__ = ["Published", "StoreContract", "override", "publish_for_session", "published", "sealed"]
