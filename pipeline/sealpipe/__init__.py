"""Configuration from a pull request to a running service.

    from sealpipe import PublishedSettings, Live, load

Names are imported when first used: reading the version costs nothing.
"""

from __future__ import annotations

from sealpipe.version import VERSION

TYPE_CHECKING = False  # type checkers know the name; importing typing would double the start
if TYPE_CHECKING:
    from typing import Any

    from sealpipe.client.events import Event
    from sealpipe.client.source import Source
    from sealpipe.live.derived import Derived
    from sealpipe.live.live import Live
    from sealpipe.live.status import Status
    from sealpipe.live.subscribers import Change
    from sealpipe.settings.base import PublishedConfigDict, PublishedSettings
    from sealpipe.settings.load import load, load_or_exit
    from sealpipe.settings.source import PublishedConfigSource

__version__ = VERSION
__all__ = [
    "Change",
    "Derived",
    "Event",
    "Live",
    "PublishedConfigDict",
    "PublishedConfigSource",
    "PublishedSettings",
    "Source",
    "Status",
    "__version__",
    "load",
    "load_or_exit",
]

_HOMES = {
    "Change": "sealpipe.live.subscribers",
    "Derived": "sealpipe.live.derived",
    "Event": "sealpipe.client.events",
    "Live": "sealpipe.live.live",
    "PublishedConfigDict": "sealpipe.settings.base",
    "PublishedConfigSource": "sealpipe.settings.source",
    "PublishedSettings": "sealpipe.settings.base",
    "Source": "sealpipe.client.source",
    "Status": "sealpipe.live.status",
    "load": "sealpipe.settings.load",
    "load_or_exit": "sealpipe.settings.load",
}


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    found = getattr(import_module(home), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted(__all__)
