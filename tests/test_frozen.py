"""Frozen values are dataclasses to everybody, and cost an eighth."""

from __future__ import annotations

import copy
import dataclasses
import pickle
import typing
from typing import Any

import pytest

from sealpipe.frozen import NamedTuple, field, frozen, replace


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


class Ours(NamedTuple):
    """Three fields."""

    a: int
    b: str = "b"
    c: tuple[int, ...] = ()

    @property
    def twice(self) -> int:
        return 2 * self.a

    def __str__(self) -> str:
        return f"<{self.a}>"

    @classmethod
    def empty(cls) -> Ours:
        return cls(0)


class Theirs(typing.NamedTuple):
    """Three fields."""

    a: int
    b: str = "b"
    c: tuple[int, ...] = ()

    @property
    def twice(self) -> int:
        return 2 * self.a

    def __str__(self) -> str:
        return f"<{self.a}>"

    @classmethod
    def empty(cls) -> Theirs:
        return cls(0)


class Below(Ours):
    """A class below a tuple with names."""

    __slots__ = ()


class Needs(NamedTuple):
    one: int
    two: int


def test_a_tuple_with_names_is_what_typing_makes_of_it() -> None:
    mine: Any
    theirs: Any
    for mine, theirs in ((Ours(1), Theirs(1)), (Ours(b="x", a=2, c=(3,)), Theirs(b="x", a=2, c=(3,)))):
        assert mine == theirs == tuple(mine)
        assert hash(mine) == hash(theirs)
        assert repr(mine) == repr(theirs).replace("Theirs", "Ours")
        assert str(mine) == str(theirs)
        assert mine.twice == theirs.twice
        assert mine._asdict() == theirs._asdict()
        assert mine._replace(a=9) == theirs._replace(a=9)
        assert type(mine._replace(a=9)) is Ours
        assert Ours._make(mine) == mine
        assert copy.copy(mine) == copy.deepcopy(mine) == mine
        assert pickle.loads(pickle.dumps(mine)) == mine  # noqa: S301
        assert type(pickle.loads(pickle.dumps(mine))) is Ours  # noqa: S301
        match mine:
            case Ours(a, b):
                assert (a, b) == (mine.a, mine.b)
    assert Ours.empty() == (0, "b", ())
    for name in ("_fields", "_field_defaults", "__match_args__", "__slots__", "__doc__"):
        assert getattr(Ours, name) == getattr(Theirs, name)
    assert typing.get_type_hints(Ours) == typing.get_type_hints(Theirs)
    assert (Ours.__name__, Ours.__module__, Ours.__bases__) == ("Ours", __name__, (tuple,))
    assert not hasattr(Ours(1), "__dict__")
    assert Below(1) == Below(1)._replace(a=1) == Ours(1)
    assert type(Below(1)._replace(a=2)) is Below


def test_a_tuple_with_names_refuses_what_typing_does() -> None:
    made: Any
    for made in (Ours, Theirs):
        for call in (
            lambda made=made: made(),
            lambda made=made: made(1, "", (), 4),
            lambda made=made: made(1, z=1),
            lambda made=made: made(1, a=1),
            lambda made=made: made._make([1]),
        ):
            with pytest.raises(TypeError):
                call()
        with pytest.raises((ValueError, TypeError)):
            made(1)._replace(z=1)
        with pytest.raises(AttributeError):
            made(1).a = 2
    assert Needs(1, 2)[1] == 2
    with pytest.raises(TypeError):
        type(NamedTuple)(
            "Bad", (NamedTuple,), {"__qualname__": "Bad", "__annotations__": {"a": int, "b": int}, "a": 1}
        )
