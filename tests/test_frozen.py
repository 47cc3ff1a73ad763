"""Frozen values are dataclasses to everybody, and cost an eighth."""

from __future__ import annotations

import copy
import dataclasses
import pickle
from typing import Any

import pytest

from sealpipe.frozen import field, frozen, replace


@frozen
class Point:
    """Two numbers."""

    x: int
    y: int = 0
    hidden: str = field(default="h", repr=False)
    made: list[int] = field(default_factory=list)

    @property
    def both(self) -> int:
        return self.x + self.y


@frozen
class Shown:
    x: int

    def __repr__(self) -> str:
        return "own"


def test_made_compared_hashed_shown() -> None:
    assert Point(1).both == 1
    assert Point(1, 2) == Point(y=2, x=1)
    assert Point(1) != Point(2)
    assert Point(1) != (1, 0, "h", [])
    assert hash(Shown(1)) == hash(Shown(1))
    assert repr(Point(1)) == "Point(x=1, y=0, made=[])"
    assert repr(Shown(1)) == "own"
    assert Point(1).made is not Point(1).made


@pytest.mark.parametrize("bad", [(), (1, 2, "h", [], 5)])
def test_arguments_are_checked(bad: tuple[Any, ...]) -> None:
    with pytest.raises(TypeError):
        Point(*bad)
    with pytest.raises(TypeError):
        Point(1, z=1)  # type: ignore[call-arg]


def test_closed_and_not_changed() -> None:
    point: Any = Point(1)
    for change in (
        lambda: setattr(point, "x", 2),
        lambda: setattr(point, "z", 2),
        lambda: delattr(point, "x"),
    ):
        with pytest.raises(AttributeError):
            change()
    assert not hasattr(point, "__dict__")


def test_to_the_standard_library_it_is_a_dataclass() -> None:
    point: Any = Point(1, made=[3])
    assert dataclasses.is_dataclass(point)
    assert [one.name for one in dataclasses.fields(point)] == ["x", "y", "hidden", "made"]
    assert [one.name for one in dataclasses.fields(point) if one.repr] == ["x", "y", "made"]
    assert dataclasses.replace(point, x=5) == replace(point, x=5) == Point(5, made=[3])
    assert dataclasses.asdict(point) == {"x": 1, "y": 0, "hidden": "h", "made": [3]}
    match point:
        case Point(x, y):
            assert (x, y) == (1, 0)


def test_replace_knows_the_fields() -> None:
    with pytest.raises(TypeError):
        replace(Point(1), z=1)


def test_copied_and_pickled() -> None:
    point = Point(1, made=[3])
    assert copy.copy(point) == copy.deepcopy(point) == pickle.loads(pickle.dumps(point)) == point  # noqa: S301
    assert copy.deepcopy(point).made is not point.made
