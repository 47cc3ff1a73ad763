"""How a live configuration is doing, without a value in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from sealpipe.frozen import frozen


@frozen
class Status:
    """A picture of one moment. Ages are seconds.

    `state`: "new" (nothing loaded yet), "live" (follows the store), "cached" (the store does not answer,
    what runs is the last good release), "refusing" (something was offered and not taken), "stale"
    (unconfirmed for too long) or "stopped" (nobody follows: stopped, or the watcher is gone).
    """

    state: str
    unit: str
    release: str = ""  # "dev/checkout #42 (7c1e9a)"
    digest: str = ""
    order: str = ""
    commit: str = ""  # of the configuration's repository
    published_at: str = ""
    origin: str = ""  # "store", "mirror", "file", "variable", "memory" or "cache"
    confirmed_ago: float | None = None  # since a source last said that nothing newer is there
    swaps: int = 0  # releases that took another's place in this process
    refusals: int = 0  # in a row
    unknown: tuple[str, ...] = ()  # published, not in the class
    defaulted: tuple[str, ...] = ()  # in the class, not published
    overridden: Mapping[str, str] | None = None  # path -> who replaces the published value
    restart_required: tuple[str, ...] = ()  # changed since the start, and marked x-restart
    error_word: str = ""  # of the last refusal or failure, until it is over
    error: str = ""

    def as_dict(self) -> dict[str, Any]:
        """As JSON takes it."""
        found = asdict(self)
        return {key: list(value) if isinstance(value, tuple) else value for key, value in found.items()}
