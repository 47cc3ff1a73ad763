"""What a running service is told of its configuration: frozen events without a value in them."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from sealpipe.errors import ConfigError
from sealpipe.frozen import frozen
from sealpipe.released import Release, Unit

LEVELS: Final[Mapping[str, int]] = {
    "loaded": logging.INFO,  # the first release of this process
    "applied": logging.INFO,  # a newer one took its place
    "refused": logging.ERROR,  # offered, verified or not, and not taken: said once a release
    "alarm": logging.CRITICAL,  # two releases with one order: a publisher's key is in other hands
    "older": logging.WARNING,  # the store has offered an older release for a minute
    "retired": logging.WARNING,  # the unit is retired; what runs keeps running
    "unavailable": logging.WARNING,  # the store stopped answering: said once an outage
    "recovered": logging.INFO,
    "stale": logging.WARNING,  # nobody confirmed what runs for longer than `stale_after`
    "unknown": logging.WARNING,  # published keys that the settings do not have
    "overridden": logging.WARNING,  # published values that this process replaces
    "defaulted": logging.WARNING,  # a path that the release before carried has its default now
    "restart-required": logging.WARNING,  # a path marked x-restart changed
    "cache": logging.WARNING,  # the cache of last good releases was not written
    "callback-failed": logging.ERROR,
    "watcher-failed": logging.ERROR,  # an error that nothing foresaw; the watcher goes on
    "stopped": logging.INFO,
}
"""Every kind of event, and the level it is logged at."""


@frozen
class Event:
    """Something that happened to one unit's configuration. Names, paths and counts; never a value."""

    kind: str  # a key of LEVELS
    unit: Unit
    at: str  # RFC 3339, UTC
    text: str  # one line for people
    release: str = ""  # "dev/checkout #42 (7c1e9a)"
    digest: str = ""  # of the release, whole
    origin: str = ""  # "store", "mirror", "file", "variable", "memory" or "cache"
    word: str = ""  # of the error, as in docs/errors.md
    paths: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """The event as JSON takes it; empty fields are left out."""
        found: dict[str, Any] = {"kind": self.kind, "unit": str(self.unit), "at": self.at, "text": self.text}
        for name in ("release", "digest", "origin", "word"):
            if getattr(self, name):
                found[name] = getattr(self, name)
        if self.paths:
            found["paths"] = list(self.paths)
        return found


def event(
    kind: str,
    unit: Unit,
    text: str,
    *,
    release: Release | None = None,
    origin: str = "",
    error: ConfigError | None = None,
    paths: tuple[str, ...] = (),
) -> Event:
    """An event of now."""
    return Event(
        kind=kind,
        unit=unit,
        at=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        text=text,
        release=shown(release) if release else "",
        digest=release.digest if release else "",
        origin=origin,
        word=error.word if error else "",
        paths=paths,
    )


def shown(release: Release) -> str:
    """A release as people name it: `dev/checkout #42 (7c1e9a)`."""
    return f"{release.unit} #{release.payload.number} ({release.short})"


def log(happened: Event) -> None:
    """To the logger "sealpipe", with the event's fields as `sealpipe` beside the text."""
    logging.getLogger("sealpipe").log(
        LEVELS[happened.kind], "%s", happened.text, extra={"sealpipe": happened.as_dict()}
    )
