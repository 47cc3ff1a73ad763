"""Objects made of settings, such as pools and engines: made before the swap, closed after a grace."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from sealpipe.client.snapshot import Snapshot
from sealpipe.errors import ConfigRefused
from sealpipe.frozen import NamedTuple

T = TypeVar("T")
_NOTHING: Any = object()


class Made(NamedTuple):
    """What a derived object will be after the swap; `new` when it was made for it."""

    derived: Derived[Any]
    selected: Any
    value: Any
    new: bool


class Recipe(NamedTuple, Generic[T]):
    """What an object is made of, and how."""

    select: Callable[[Any], Any]
    make: Callable[[Any], T]


class Derived(Generic[T]):
    """`.current` is the object for the settings that run. Made by `Live.derive`."""

    __slots__ = (
        "__weakref__",
        "_close",
        "_grace",
        "_load",
        "_lock",
        "_recipe",
        "_selected",
        "_tell",
        "current",
    )
    current: T

    def __init__(
        self,
        recipe: Recipe[T],
        *,
        close: Callable[[T], object] | None,
        grace: float,
        load: Callable[[], Any],
        tell: Callable[[str], None],
    ) -> None:
        self._recipe, self._close, self._grace = recipe, close, grace
        self._load, self._tell = load, tell
        self._selected: Any = _NOTHING
        self._lock = threading.RLock()

    def __getattr__(self, name: str) -> Any:
        # Reached only while the slot is empty: before the first release, or in a forked child.
        if name != "current":
            raise AttributeError(name)
        settings = self._load()
        with self._lock:
            try:
                return object.__getattribute__(self, "current")
            except AttributeError:
                self.put(self.prepare(settings, None))
        return object.__getattribute__(self, "current")

    def prepare(self, settings: Any, snapshot: Snapshot | None) -> Made:
        """Make the object for these settings, unless what it is made of is the same. ConfigRefused."""
        failed = ""
        try:
            selected = self._recipe.select(settings)
            if self._selected is not _NOTHING and selected == self._selected:
                return Made(self, selected, None, False)
            value = self._recipe.make(selected)
        except Exception as error:  # noqa: BLE001  # a factory may raise anything, with values in its text
            failed = type(error).__name__
        if failed:
            make = self._recipe.make
            name = getattr(make, "__qualname__", type(make).__name__)
            of = f" for {snapshot.release.unit} #{snapshot.release.payload.number}" if snapshot else ""
            raise ConfigRefused("derive-failed", f"{name} raised {failed}{of}")
        return Made(self, selected, value, True)

    def put(self, made: Made) -> None:
        """Assignments only: part of the swap."""
        if made.new:
            self._selected = made.selected
            self.current = made.value

    def standing(self) -> Any:
        """The object that is there, or None."""
        try:
            return object.__getattribute__(self, "current")
        except AttributeError:
            return None

    def let_go(self, old: Any) -> None:
        """Close an object that nothing gets any more, once the grace is over. Runs in a thread of its own."""
        if old is None or self._close is None:
            return
        timer = threading.Timer(self._grace, self.close_now, (old,))
        timer.daemon = True
        timer.start()

    def close_now(self, old: Any) -> None:
        try:
            if self._close is not None:
                self._close(old)
        except Exception as error:  # noqa: BLE001  # its message may hold values
            name = getattr(self._close, "__qualname__", type(self._close).__name__)
            self._tell(f"{name} raised {type(error).__name__}")

    def reborn(self) -> None:
        """In a forked child: the parent's connections are not ours to use, nor to close."""
        self._lock = threading.RLock()
        self._selected = _NOTHING
        if self.standing() is not None:
            del self.current
