"""Releases of a unit as they come, for commands: verified and opened, without pydantic."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Any

from sealpipe.client.events import Event
from sealpipe.client.feed import Feed
from sealpipe.client.snapshot import Snapshot
from sealpipe.client.source import Source
from sealpipe.errors import ConfigRefused, SealpipeError, SecretUnreadable, TrustError
from sealpipe.released import Release
from sealpipe.serving.handing import Handed, handed_release

Hand = Callable[[Snapshot], Handed]


class Ready:
    """One release made ready for a command."""

    def __init__(self, follower: Follower, handed: Handed, release: Release) -> None:
        self._follower, self._handed, self._release = follower, handed, release

    def commit(self) -> None:
        self._follower.handed, self._follower.release = self._handed, self._release

    def discard(self) -> None:
        """Nothing was made."""

    def after(self) -> None:
        self._follower.changed.set()


class Follower:
    """A feed's member that holds the newest release: `handed`. `changed` is set whenever it is another."""

    model = "run"
    stale_after = float("inf")

    def __init__(
        self, tell: Callable[[Event], None], check: Callable[[Handed], object] | None = None
    ) -> None:
        self.handed: Handed | None = None
        self.release: Release | None = None
        self.changed = threading.Event()
        self._check, self._tell = check, tell

    def prepare(self, snapshot: Snapshot) -> Ready:
        """Raises ConfigRefused for a release that cannot be handed over, such as one with equal names."""
        failed: SealpipeError | None = None
        try:
            handed = handed_release(snapshot.release, snapshot.values)
            if self._check is not None:
                self._check(handed)
        except SealpipeError as error:
            failed = error
        if failed is not None:
            found = failed.finding
            raise ConfigRefused(found.word, found.what, why=found.why, hint=found.hint)
        return Ready(self, handed, snapshot.release)

    def tell(self, happened: Event) -> None:
        self._tell(happened)


def follow(source: Source, follower: Follower, opens: Callable[[Release], Any] | None) -> Feed:
    """Start following: the follower has a release when this returns. Raises ConfigError's kinds.

    `opens` gives a release's values with an `Opened` for each secret; None takes the service's own key.
    Events go to the follower alone: a command prints what a person needs, once.
    """
    log = logging.getLogger("sealpipe")
    log.addHandler(logging.NullHandler())
    log.propagate = False
    feed = Feed(source, _opening(opens) if opens else None)
    feed.join(follower, watch=True)
    return feed


def _opening(opens: Callable[[Release], Any]) -> Callable[[Release], Snapshot]:
    def opened(release: Release) -> Snapshot:
        failed: TrustError | None = None
        values: Any = None
        try:
            values = opens(release)
        except TrustError as error:
            failed = error
        if failed is not None:
            found = failed.finding
            raise SecretUnreadable(found.word, found.what, path=found.path, why=found.why, hint=found.hint)
        return Snapshot(release, values, {})

    return opened
