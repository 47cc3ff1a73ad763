"""Who is told after a swap: callbacks, one thread at a time each, and asynchronous iterators.

Everyone hears of the newest state, not of each step: a callback that takes long sees the changes that it
missed as one. One that raises or blocks holds up neither the swap nor the others.
"""

from __future__ import annotations

import asyncio
import inspect
import threading
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import suppress
from typing import Any, Generic, Protocol, TypeVar

from sealpipe.client.events import Event
from sealpipe.client.snapshot import Snapshot
from sealpipe.frozen import NamedTuple
from sealpipe.live.places import Place, changed_paths, published_change

S = TypeVar("S")


class Held(NamedTuple):
    """One generation in use."""

    settings: Any
    snapshot: Snapshot


class Change(NamedTuple, Generic[S]):
    """One generation after another. `paths` are the published paths that differ."""

    old: S
    new: S
    paths: tuple[str, ...]
    release: str  # "dev/checkout #42 (7c1e9a)"


class Subscriber(Protocol):
    def wake(self) -> bool:
        """Something changed. Returns at once; False when there is nobody to tell any more."""

    def reborn(self) -> bool:
        """In a forked child; False when this subscriber stays behind."""


def refuse_unfit(callback: Any, *, instead: str = "use `async for change in live.changes()`") -> None:
    """TypeError for what is no function, and for a coroutine function: nobody would await it."""
    if not callable(callback):
        raise TypeError(f"a function is called with what changed; this is of type {type(callback).__name__}")
    inner = callback if inspect.isroutine(callback) else getattr(callback, "__call__", callback)  # noqa: B004
    if inspect.iscoroutinefunction(callback) or inspect.iscoroutinefunction(inner):
        raise TypeError(f"an async function would never be awaited: {instead}")


class _Serial:
    """Runs `work` in a thread of its own when asked; asked again meanwhile, once more afterwards."""

    def __init__(self, work: Callable[[], None]) -> None:
        self._work = work
        self.reborn()

    def reborn(self) -> None:
        self._lock = threading.Lock()
        self._busy = False
        self._again = False

    def wake(self) -> None:
        with self._lock:
            if self._busy:
                self._again = True
                return
            self._busy = True
        try:
            threading.Thread(target=self._run, name="sealpipe callback", daemon=True).start()
        except RuntimeError:  # no more threads, or the interpreter is going away
            with self._lock:
                self._busy = False

    def _run(self) -> None:
        while True:
            self._work()
            with self._lock:
                if not self._again:
                    self._busy = False
                    return
                self._again = False


class Callback:
    """A function that is called with the old and the new value of a place."""

    def __init__(
        self,
        place: Place,
        function: Callable[[Any, Any], object],
        now: Callable[[], Held | None],
        tell: Callable[[str], None],
    ) -> None:
        self.function = function
        self._place, self._now, self._tell = place, now, tell
        self._last = now()
        self._serial = _Serial(self._run)

    def wake(self) -> bool:
        self._serial.wake()
        return True

    def reborn(self) -> bool:
        self._serial.reborn()
        return True

    def _run(self) -> None:
        before, held = self._last, self._now()
        self._last = held
        if before is None or held is None or before.settings is held.settings:
            return
        failed = ""
        try:
            if not published_change(before.snapshot.values, held.snapshot.values, self._place.path):
                return
            old, new = self._place.read(before.settings), self._place.read(held.settings)
            if old != new:
                self.function(old, new)
        except BaseException as error:  # noqa: BLE001  # never the reason that a thread dies loudly
            failed = type(error).__name__
        if failed:
            name = getattr(self.function, "__qualname__", type(self.function).__name__)
            self._tell(f"{name}, on a change of {self._place.name}, raised {failed}")


class Listener:
    """A function that is called with every event, in order."""

    def __init__(self, function: Callable[[Event], object]) -> None:
        self._function = function
        self._waiting: deque[Event] = deque(maxlen=1000)
        self._serial = _Serial(self._run)

    def tell(self, happened: Event) -> None:
        self._waiting.append(happened)
        self._serial.wake()

    def reborn(self) -> None:
        self._waiting.clear()
        self._serial.reborn()

    def _run(self) -> None:
        while self._waiting:
            with suppress(BaseException):  # telling of it would come back here
                self._function(self._waiting.popleft())


class Changes(Generic[S]):
    """`async for change in live.changes()`: the newest change, however many came meanwhile."""

    def __init__(self, now: Callable[[], Held | None], leave: Callable[[Changes[S]], None]) -> None:
        self._now, self._leave = now, leave
        self._loop = asyncio.get_running_loop()
        self._woken = asyncio.Event()
        self._last = now()
        self._ended = False

    def wake(self) -> bool:
        try:
            self._loop.call_soon_threadsafe(self._woken.set)
        except RuntimeError:  # the loop is closed
            return False
        return True

    def reborn(self) -> bool:
        return False  # the loop is the parent's

    def end(self) -> None:
        """No more changes come: the iteration ends."""
        self._ended = True
        self.wake()

    def __aiter__(self) -> AsyncIterator[Change[S]]:
        return self

    async def __anext__(self) -> Change[S]:
        while True:
            before, held = self._last, self._now()
            self._last = held
            if before is not None and held is not None and before.settings is not held.settings:
                return change_of(before, held)
            if self._ended:
                self._leave(self)
                raise StopAsyncIteration
            await self._woken.wait()
            self._woken.clear()

    async def aclose(self) -> None:
        self._leave(self)


def change_of(before: Held, after: Held) -> Change[Any]:
    release = after.snapshot.release
    return Change(
        before.settings,
        after.settings,
        tuple(changed_paths(before.snapshot.values, after.snapshot.values)),
        f"{release.unit} #{release.payload.number} ({release.short})",
    )
