"""`Live`: settings of a verified release, swapped for those of a newer one while the program runs."""

from __future__ import annotations

import asyncio
import threading
import weakref
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Generic, NoReturn, TypeVar, overload

from sealpipe.client.events import Event
from sealpipe.client.source import Source
from sealpipe.client.swap import forked
from sealpipe.live.derived import Derived, Recipe
from sealpipe.live.explain import Explanation, explain
from sealpipe.live.part import Part
from sealpipe.live.places import place_of
from sealpipe.live.status import Status
from sealpipe.live.subscribers import Callback, Changes, Listener, refuse_unfit

S = TypeVar("S")
T = TypeVar("T")
U = TypeVar("U")
F = TypeVar("F", bound=Callable[[Any, Any], object])


class Live(Generic[S]):
    """Follows what is published for a settings class.

        with Live(Settings) as live:
            live.current.db.pool_max

    Making one does no I/O. `start()`, or the first look at `current`, loads as `sealpipe.load` does and
    raises the same errors; then a thread follows the store. A newer release is verified, opened and
    validated aside, and swapped in by one assignment; whatever fails, `current` stays what it was. All
    `Live` objects of a service in one process take a release together or not at all.

    `init`, variables, the command line and dotenv files are read at the first load and kept. `on_event`
    is called with each `Event`, in order, in a thread of its own. `stale_after` seconds without word
    from any source are an event and a state, nothing else. In a forked child the object goes on by
    itself; a spawned one makes its own.
    """

    __slots__ = ("__weakref__", "_lock", "_part", "current")
    _part: Part
    _lock: threading.RLock
    current: S
    """The settings: a plain attribute, read as fast as any. Frozen; hold it for as long as one answer
    shall be consistent, not for ever."""

    def __init__(
        self,
        cls: type[S],
        /,
        *,
        source: Source | None = None,
        init: Mapping[str, Any] | None = None,
        on_event: Callable[[Event], object] | None = None,
        stale_after: float = 3600.0,
    ) -> None:
        mine = weakref.ref(self)

        def put(settings: Any) -> None:
            live = mine()
            if live is not None:
                object.__setattr__(live, "current", settings)
                object.__setattr__(live, "__class__", Live)

        part = Part(cls, source, init or {}, put, stale_after)
        object.__setattr__(self, "_part", part)
        object.__setattr__(self, "_lock", threading.RLock())
        _lives.add(self)
        weakref.finalize(self, part.stop).atexit = False
        if on_event is not None:
            self.on_event(on_event)

    def __new__(cls, *_: Any, **__: Any) -> Live[S]:
        # A class with __getattr__ reads every attribute at twice the price: it is one only until it loads.
        return object.__new__(_Unloaded)

    # ---- reading

    def get(self) -> S:
        """`current`, for dependency injection: `Depends(live.get)`."""
        return self.current

    def refresh(self, timeout: float = 3.0) -> str:
        """Look at the store now: "applied", "unchanged", "refused" or "unavailable".

        Before anything is loaded it loads, and raises as `start` does. Afterwards it never raises.
        """
        part = self._part
        if part.held is None or part.feed is None:
            self.start()
            return "applied"
        return part.feed.refresh(timeout)

    def ready(self) -> bool:
        """Whether a verified release is in use and followed: also while the store is away. Does no I/O."""
        part = self._part
        return part.held is not None and not part.stopped and part.feed is not None and part.feed.watching

    @property
    def status(self) -> Status:
        """How it is doing, without a value."""
        return self._part.status()

    def explain(self, path: str) -> Explanation:
        """Where the value at `path` comes from; never the value. ValueError for a path that is none."""
        current = self.current
        return explain(self._part, path, current)

    # ---- running

    def start(self) -> Live[S]:
        """Load, and follow the store until `stop`. Raises ConfigError's kinds. Does nothing when it runs."""
        with self._lock:
            part = self._part
            if part.held is None or part.stopped or part.feed is None or not part.feed.watching:
                part.start()
        return self

    def stop(self) -> None:
        """No longer follow; `current` stays. Returns within a second. May be started again."""
        with self._lock:
            self._part.stop()

    def __enter__(self) -> Live[S]:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    async def __aenter__(self) -> Live[S]:
        await asyncio.to_thread(self.start)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await asyncio.to_thread(self.stop)

    # ---- listening

    @overload
    def on_change(self, what: str) -> Callable[[F], F]: ...
    @overload
    def on_change(
        self, what: Callable[[S], T]
    ) -> Callable[[Callable[[T, T], object]], Callable[[T, T], object]]: ...
    @overload
    def on_change(self, what: str, function: F) -> F: ...
    @overload
    def on_change(
        self, what: Callable[[S], T], function: Callable[[T, T], object]
    ) -> Callable[[T, T], object]: ...
    def on_change(self, what: Any, function: Any = None) -> Any:
        """Call `function(old, new)` when what is published at a place changes; also as a decorator.

        `what` is a dotted path, or a function of the settings. Calls come after the swap, in a thread of
        the callback's own and never two at once; changes that come meanwhile are one. An error in it is
        an event. ValueError for a path that the class does not have, TypeError for an async function.
        """
        part = self._part
        place = place_of(part.cls, what)

        def subscribe(callback: Any) -> Any:
            refuse_unfit(callback)
            part.subscribers.append(Callback(place, callback, lambda: part.held, part.say_failed))
            return callback

        return subscribe if function is None else subscribe(function)

    def on_event(self, function: Callable[[Event], object]) -> Callable[[Event], object]:
        """Call `function(event)` for every event, in order, in a thread of its own."""
        refuse_unfit(function)
        self._part.listeners.append(Listener(function))
        return function

    def changes(self) -> Changes[S]:
        """`async for change in live.changes()`: the newest change each time. Needs a running loop."""
        part = self._part
        found: Changes[S] = Changes(lambda: part.held, self._unsubscribe)
        part.subscribers.append(found)
        return found

    def _unsubscribe(self, one: Any) -> None:
        if one in self._part.subscribers:
            self._part.subscribers.remove(one)

    def derive(
        self,
        select: Callable[[S], U],
        make: Callable[[U], T],
        *,
        close: Callable[[T], object] | None = None,
        grace: float = 30.0,
    ) -> Derived[T]:
        """An object made of a part of the settings: a pool, an engine, a client. `.current` is the object.

        It is made anew, before the swap, when `select(settings)` is another: a `make` that raises refuses
        the release. The old one is given to `close` after `grace` seconds. In a forked child it is made
        again when it is first asked for; the parent's is left alone. TypeError for an async function.
        """
        for function in (select, make, *([close] if close is not None else ())):
            refuse_unfit(function, instead="a plain function can hand it to your loop")
        derived = Derived(
            Recipe(select, make), close=close, grace=grace, load=self.get, tell=self._part.say_failed
        )
        self._part.derived.append(derived)
        return derived

    def __setattr__(self, name: str, value: Any) -> NoReturn:
        raise AttributeError(f"{name} is set by what is published; in tests: sealpipe.testing.override")

    def __repr__(self) -> str:
        return f"Live({self._part.cls.__name__}, {self._part.status().state})"

    def __reduce_ex__(self, _: Any) -> NoReturn:
        raise TypeError("a live object does not leave the process; make one there")


class _Unloaded(Live[Any]):
    """A `Live` that has loaded nothing yet: the first look at `current` does."""

    __slots__ = ()

    def __getattr__(self, name: str) -> Any:
        # Reached only while the slot is empty.
        if name != "current":
            raise AttributeError(f"'Live' object has no attribute {name!r}")
        self.start()
        return object.__getattribute__(self, "current")


_lives: weakref.WeakSet[Live[Any]] = weakref.WeakSet()


def _reborn() -> None:
    for live in list(_lives):
        object.__setattr__(live, "_lock", threading.RLock())


forked.append(_reborn)


def part_of(live: Live[Any]) -> Part:
    """For `sealpipe.testing`."""
    return live._part  # noqa: SLF001
