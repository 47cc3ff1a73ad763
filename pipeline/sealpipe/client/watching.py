"""The thread that follows a unit's stores: the first one by its notice, the others when it is away."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable

from sealpipe.client.source import Source
from sealpipe.client.watch import SAFETY, Watch
from sealpipe.errors import ConfigError

READ = 3.0  # seconds that one read may take
_SHORTEST, _LONGEST = 0.1, 2.5  # seconds between two tries at a store that is away


class Watcher:
    """Ends only by `stop`: an error that nothing foresaw is told, and the next round comes."""

    def __init__(
        self,
        source: Source,
        take: Callable[[bytes, str, str], str],
        missed: Callable[[ConfigError, str], str],
        failed: Callable[[BaseException], None],
        tick: Callable[[], None],
    ) -> None:
        self._take, self._missed, self._failed, self._tick = take, missed, failed, tick
        self._stopping = threading.Event()
        self._watches = [Watch(url, source.unit, self._stopping) for url in source.urls]
        self._thread = threading.Thread(target=self._run, name=f"sealpipe {source.unit}", daemon=True)

    @property
    def alive(self) -> bool:
        return self._thread.is_alive()

    def start(self) -> None:
        self._thread.start()

    def stop(self, patience: float = 0.9) -> None:
        """Ends the thread. Returns within a second; what a store still holds up ends when it answers."""
        self._stopping.set()
        for watch in self._watches:
            watch.let_go()
        if threading.current_thread() is not self._thread:
            self._thread.join(timeout=patience)

    def abandon(self) -> None:
        """In a forked child, where the thread does not exist."""
        self._stopping = threading.Event()
        for watch in self._watches:
            watch.abandon()

    def _run(self) -> None:
        failures = 0
        while not self._stopping.is_set():
            followed = False
            try:
                followed = self._round()
                self._tick()
                failures = 0 if followed else failures + 1
                if followed:
                    self._watches[0].wait(SAFETY)
            except BaseException as error:  # noqa: BLE001  # a watcher that died silently would be the worst
                followed = False
                failures += 1
                self._failed(error)
            if not followed:
                pause = min(_LONGEST, _SHORTEST * 2 ** min(failures, 10))
                self._stopping.wait(pause * random.uniform(0.5, 1.0))  # noqa: S311  # spreads readers
        for watch in self._watches:
            watch.let_go()

    def _round(self) -> bool:
        """Ask in turn until one answers. Whether the first did, whose notice is then waited for."""
        for position, watch in enumerate(self._watches):
            failed: ConfigError | None = None
            try:
                fetched = watch.read(READ)
            except ConfigError as error:
                failed = error
            if self._stopping.is_set():
                return False
            if failed is not None:
                self._missed(failed, watch.url)
                continue
            origin = "mirror" if position and fetched.origin == "store" else fetched.origin
            self._take(fetched.raw, origin, watch.url)
            return position == 0
        return False
