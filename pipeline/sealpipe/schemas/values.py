"""A document walked beside its schema's spots: what is plain, what is locked, what the engine may see."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from sealpipe.paths import Concrete
from sealpipe.schemas.walk import Spot, json_type
from sealpipe.tokens import looks_sealed

NAMED_DEPTH, NAMED_LIMIT = 8, 20_000
_FITTING = re.compile(r"ENC\[NACL1,type:[a-z]+,data:[A-Za-z0-9_-]+\]\Z")
_LIKELY = {"integer": "int", "number": "float", "boolean": "bool", "object": "object", "array": "array"}


def plaintext(value: Any, spot: Spot, path: Concrete = ()) -> Iterator[Concrete]:
    """Paths of values that stand unsealed where any branch of the schema says secret."""
    if not spot.holds_secret:
        return
    if spot.secret is not None and _refused(value, spot.secret):
        yield path
        return
    if isinstance(value, Mapping):
        for key, inner in spot.holding(value):
            yield from plaintext(value[key], inner, (*path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from plaintext(item, spot.step(index), (*path, index))


def _refused(value: Any, secret: frozenset[str]) -> bool:
    """Whether `value` is plaintext where a sealed value belongs; of a map, only where maps are sealed."""
    if value is None or looks_sealed(value):
        return False
    if isinstance(value, Mapping):
        return "object" in secret
    if isinstance(value, list):
        return "array" in secret
    return True


def stand_in(value: Any, spot: Spot) -> Any:
    """`value` with a token wherever a secret stands, sealed or not: all that the engine ever sees."""
    if not spot.holds_secret:
        return value
    if spot.secret is not None:
        if looks_sealed(value):
            # A type that no branch takes is said by who checks tokens; here it must not hide other faults.
            return (
                value if _FITTING.match(value) and _type(value) in spot.secret else _token(value, spot.secret)
            )
        if _refused(value, spot.secret):
            return _token(value, spot.secret)
    if isinstance(value, Mapping):
        changed = {key: stand_in(value[key], inner) for key, inner in spot.holding(value)}
        return {**value, **changed} if any(new is not value[key] for key, new in changed.items()) else value
    return _items(value, spot, stand_in) if isinstance(value, list) else value


def _token(value: Any, secret: frozenset[str]) -> str:
    likely = _LIKELY.get(json_type(value), "str")
    return f"ENC[NACL1,type:{likely if likely in secret else min(secret, default='str')},data:AA]"


def _type(token: str) -> str:
    return token.partition("type:")[2].partition(",")[0]


def without_deleted(value: Any, spot: Spot) -> Any:
    """`value` without the `$delete` elements of keyed lists and the nulls at places that the schema knows."""
    if isinstance(value, Mapping):
        inside = ((key, inner, spot.step(key)) for key, inner in value.items())
        return {
            key: without_deleted(inner, at) for key, inner, at in inside if inner is not None or not at.known
        }
    if not isinstance(value, list):
        return value
    keyed = spot.annotation("x-merge-key") is not None
    kept = [item for item in value if not (keyed and isinstance(item, Mapping) and "$delete" in item)]
    return _items(kept, spot, without_deleted)


def _items(value: list[Any], spot: Spot, change: Callable[[Any, Spot], Any]) -> list[Any]:
    return [change(inner, spot.step(index)) for index, inner in enumerate(value)]


def locked(value: Any, spot: Spot, path: Concrete = ()) -> Iterator[Concrete]:
    """Paths in `value` that the schema calls `x-locked`; nothing below one is named again."""
    if spot.annotation("x-locked") is True:
        yield path
        return
    for step, inner in _inside(value):
        yield from locked(inner, spot.step(step), (*path, step))


def _inside(value: Any) -> Iterator[tuple[str | int, Any]]:
    if isinstance(value, Mapping):
        yield from value.items()
    elif isinstance(value, list):
        yield from enumerate(value)


def named(spot: Spot) -> Iterator[tuple[tuple[str, ...], Spot]]:
    """Every path that the schema spells out; of a recursive one the first round, of a huge one the first."""
    return itertools.islice(_named((spot,), ()), NAMED_LIMIT)


def _named(above: tuple[Spot, ...], path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Spot]]:
    for key in above[-1].names() if len(path) < NAMED_DEPTH else ():
        inner = above[-1].step(key)
        yield (*path, key), inner
        if inner not in above:
            yield from _named((*above, inner), (*path, key))


def at(values: Any, path: Concrete) -> Any:
    """What stands at `path`, or None where nothing does."""
    node = values
    for step in path:
        try:
            node = node[step]
        except (KeyError, IndexError, TypeError):
            return None
    return node


def leaves(value: Any) -> int:
    """How many scalars, empty maps and empty lists a document has."""
    if isinstance(value, Mapping) and value:
        return sum(leaves(inner) for inner in value.values())
    if isinstance(value, list) and value:
        return sum(leaves(inner) for inner in value)
    return 1
