"""How often a validator looks at one place: recursive choices can double it at each level of a document."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from functools import cached_property
from typing import Any

from sealpipe.paths import Concrete
from sealpipe.schemas.walk import TREE_LIMIT, Walk, applying, below

PLACE_LIMIT = 500  # subschemas tried at one place; 10,000 such places take a second
SPOT_LIMIT = 2 * TREE_LIMIT


class Costs:
    """Counted with sums, so in time that does not double. Kept with a schema, asked for each document."""

    def __init__(self, walk: Walk) -> None:
        self._walk = walk
        self._inside: dict[int, Counter[int]] = {}
        self._nodes: dict[int, Mapping[str, Any]] = {}

    def too_costly(self, values: Any) -> Concrete | None:
        """A place that would be looked at too often, or None."""
        with suppress(RecursionError):  # references within references, thousands of them
            if not self._repeats:
                return None
            start = self._all([self._walk.schema])
            return next(
                (path for path, looks in self._places(values, (), start) if looks > PLACE_LIMIT), None
            )
        return ()

    def _places(self, value: Any, path: Concrete, here: Counter[int]) -> Iterator[tuple[Concrete, int]]:
        yield path, here.total()
        entries: Iterable[tuple[str | int, Any]] = value.items() if isinstance(value, dict) else ()
        for key, inner in enumerate(value) if isinstance(value, list) else entries:
            there: Counter[int] = Counter()
            for node, looks in here.items():
                for found, times in self._all(applying(self._nodes[node], key)).items():
                    there[found] += looks * times
            if there:
                yield from self._places(inner, (*path, key), there)

    def _all(self, nodes: Iterable[Any]) -> Counter[int]:
        """How often each subschema applies to a place to which these apply."""
        return sum((self._in_place(node) for node in nodes if isinstance(node, Mapping)), Counter())

    def _in_place(self, start: Mapping[str, Any]) -> Counter[int]:
        if id(start) not in self._inside:
            self._nodes[id(start)] = start
            # Met within itself it would never end.
            self._inside[id(start)] = Counter({id(start): PLACE_LIMIT + 1})
            self._inside[id(start)] = self._all(self._walk.in_place(start)) + Counter([id(start)])
        return self._inside[id(start)]

    @cached_property
    def _repeats(self) -> bool:
        """Whether a document could make it look at one place with one subschema twice; rather yes than no."""
        return not self._walk.is_tree and self._may_repeat()

    def _may_repeat(self) -> bool:
        seen: set[frozenset[int]] = set()
        waiting: list[list[Any]] = [[self._walk.schema]]
        while waiting and len(seen) < SPOT_LIMIT:
            here = self._all(waiting.pop())
            if any(times > 1 for times in here.values()):
                return True
            if frozenset(here) not in seen:
                seen.add(frozenset(here))
                steps: defaultdict[str, list[Any]] = defaultdict(list)
                for node in map(self._nodes.__getitem__, here):
                    for step, inner in below(node):
                        steps[step if step in node.get("properties", ()) else ""].append(inner)
                loose = steps.pop("", [])
                waiting += [loose, *([*loose, *named] for named in steps.values())]
        return bool(waiting)
