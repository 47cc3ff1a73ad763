"""Configuration from a pull request to a running service.

    from sealpipe import PublishedSettings, load

Names are imported when first used: reading the version costs nothing.
"""

from __future__ import annotations

from sealpipe.version import VERSION

TYPE_CHECKING = False  # type checkers know the name; importing typing would double the start
if TYPE_CHECKING:
    from typing import Any

    from sealpipe.client.source import Source
    from sealpipe.settings.base import PublishedConfigDict, PublishedSettings
    from sealpipe.settings.load import load, load_or_exit
    from sealpipe.settings.source import PublishedConfigSource

__version__ = VERSION
__all__ = [
    "PublishedConfigDict",
    "PublishedConfigSource",
    "PublishedSettings",
    "Source",
    "__version__",
    "load",
    "load_or_exit",
]

_HOMES = {
    "PublishedConfigDict": "sealpipe.settings.base",
    "PublishedConfigSource": "sealpipe.settings.source",
    "PublishedSettings": "sealpipe.settings.base",
    "Source": "sealpipe.client.source",
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
