"""The contract of stores as a class: whoever writes a store subclasses it and runs pytest."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sealpipe.stores.base import Store
from sealpipe.testing.store_contract import CHECKS


class StoreContract:
    """Every rule of `sealpipe.stores.base.Store` as a test method.

    class TestMyStore(StoreContract):
        def store(self):
            return MyStore(self.place)

    `store()` opens the same place for every call within one test, empty at the first. A new instance
    of the class is made for each test, as pytest does.
    """

    def store(self) -> Store:
        """A client of the place under test."""
        raise NotImplementedError("a subclass opens its store here")


def _method(check: Callable[[Callable[[], Store]], None]) -> Callable[[Any], None]:
    def test(self: StoreContract) -> None:
        check(self.store)

    test.__name__ = f"test_{check.__name__}"
    test.__doc__ = check.__doc__
    return test


for _check in CHECKS:
    setattr(StoreContract, f"test_{_check.__name__}", _method(_check))
