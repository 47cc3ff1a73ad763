"""What was made of a schema, kept while the program runs: equal files are read as one object."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Generic, TypeVar

T = TypeVar("T")
LIMIT = 512


class Kept(Generic[T]):
    """Results by the very schemas, not by equal ones: in Python 1 equals true. Nobody changes a schema."""

    def __init__(self) -> None:
        # The schemas are held on to, so that an id means one of them and no later one.
        self._made: dict[object, tuple[tuple[Mapping[str, Any], ...], T]] = {}

    def get(self, schemas: tuple[Mapping[str, Any], ...], beside: object, make: Callable[[], T]) -> T:
        """`make()`, or what it gave for the same schemas and an equal `beside`. An error is not kept."""
        key = (beside, *map(id, schemas))
        found = self._made.get(key)
        if found is None:
            if len(self._made) >= LIMIT:
                self._made.clear()
            found = self._made[key] = (schemas, make())
        return found[1]
