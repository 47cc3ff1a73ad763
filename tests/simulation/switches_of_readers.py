"""The rules of reading taken out one by one, as in `switches`."""

from __future__ import annotations

from typing import Any

from sealpipe.client import start as starting
from sealpipe.crypto import signing
from sealpipe.errors import ConfigError
from sealpipe.releases import fetch as fetching
from simulation.switches import Patches


def takes_older() -> Patches:
    return [("sealpipe.client.start.refuse_older", lambda *_: None)]


def takes_twin() -> Patches:
    real = starting.newer

    def newer(current: Any, offered: Any) -> str:
        found = real(current, offered)
        return "load" if found == "equivocation" else found

    return [("sealpipe.client.start.newer", newer)]


def believes_anybody() -> Patches:
    from sealpipe.releases.check import check_release

    def check(raw: bytes, *, pins: Any, unit: Any) -> Any:
        # A signature is not looked at; that one by a listed key is there is.
        return check_release(
            raw,
            pins=pins,
            unit=unit,
            verify=lambda kind, *rest: kind == "RELEASE" or signing.verify(kind, *rest),
        )

    return [("sealpipe.client.start.check_release", check)]


def reads_once() -> Patches:
    def once(self: Any) -> Any:
        try:
            return self.from_store(self.source.urls[0], 3.0)
        except ConfigError as error:
            self.refused.append(error)
            return None

    # The start asks the stores again as well: both are taken out.
    return [
        ("sealpipe.releases.fetch.TRIES", 1),
        ("sealpipe.client.start._Start.from_stores", once),
    ]


def _fails_at_lag() -> Patches:
    """A part that a lagging copy does not have yet is taken for missing, every time."""

    class Lagging:
        def __init__(self, inner: Any) -> None:
            self.inner = inner

        def get(self, key: str, *, fresh: bool = False, timeout: float = 10.0) -> Any:
            return self.inner.get(key, fresh=False, timeout=timeout)

    real = fetching._assemble
    return [
        ("sealpipe.releases.fetch._assemble", lambda store, *rest: real(Lagging(store), *rest)),
    ]
