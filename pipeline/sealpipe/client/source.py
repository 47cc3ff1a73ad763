"""Where a service finds its configuration: the `SEALPIPE_*` variables as one frozen value."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NoReturn

from sealpipe.errors import ConfigError
from sealpipe.frozen import field, frozen, replace
from sealpipe.released import Unit

if TYPE_CHECKING:
    from sealpipe.crypto.keys import PrivateKey

_NAME = re.compile(r"[a-z0-9](?:[a-z0-9_-]*[a-z0-9])?")
_USERINFO = re.compile(r"(?<=//)[^/@\s]*@")
_KEY_NAMES = ("SEALPIPE_KEY", "SEALPIPE_KEY_FILE", "SEALPIPE_KEY_CMD")

# Service -> source, innermost last; filled only inside `sealpipe.testing.published`.
_installed: list[Mapping[str, Source]] = []


@frozen
class Source:
    """Bootstrap of one unit. Making one reads nothing but variables; keys and stores are opened by `load`.

    `url` holds one store or several: whitespace separates fallbacks, commas the endpoints of one store;
    `release:FILE` and `env:VAR` carry a signed release without a store. `trust` is the pin that `connect`
    prints. `key` is the service's own key: the key itself, its text, or a function that finds it.
    `cache` is a folder for the last good releases; without one a start needs the store.
    """

    url: str = ""
    env: str = ""
    service: str = ""
    trust: str = ""
    key: PrivateKey | str | Callable[[], PrivateKey | None] | None = field(default=None)
    cache: str = ""
    wait: float = 3.0

    @classmethod
    def from_env(cls, **changes: Any) -> Source:
        """The source that `SEALPIPE_*` describe; `changes` win over variables. Checks nothing yet."""
        given = {name: value for name, value in changes.items() if value is not None}
        installed = _from_installed(given.get("service", ""))
        if installed is not None:
            return replace(installed, **given)
        environ = os.environ
        found: dict[str, Any] = {
            name: environ.get(f"SEALPIPE_{name.upper()}", "").strip()
            for name in ("url", "env", "service", "trust", "cache")
        }
        found["cache"] = os.path.expanduser(found["cache"])  # noqa: PTH111  # "" stays ""
        found["key"] = KeyFinder(tuple((name, environ[name]) for name in _KEY_NAMES if name in environ))
        return cls(**(found | given))

    @property
    def unit(self) -> Unit:
        return Unit(self.env, self.service)

    @property
    def urls(self) -> tuple[str, ...]:
        """The stores in the order they are asked."""
        return tuple(self.url.split())

    def checked(self) -> Source:
        """This source. ConfigError [bootstrap] names every variable that is missing or malformed."""
        missing = [
            f"SEALPIPE_{name.upper()}"
            for name in ("url", "env", "service", "trust")
            if not getattr(self, name)
        ]
        if missing:
            raise ConfigError(
                "bootstrap",
                f"{' and '.join(missing)} {'is' if len(missing) == 1 else 'are'} not set",
                why=["a service finds its configuration by SEALPIPE_URL, _ENV, _SERVICE and _TRUST"],
                hint=[f"sealpipe connect {self.env or 'ENV'}/{self.service or 'SERVICE'}"],
            )
        for name in ("env", "service"):
            if not _NAME.fullmatch(getattr(self, name)):
                raise ConfigError(
                    "bootstrap",
                    f"SEALPIPE_{name.upper()} is not a name (a-z, 0-9, - and _ inside)",
                )
        return self

    def find_key(self) -> PrivateKey | None:
        """The service's key, or None. Reads SEALPIPE_KEY_FILE or runs SEALPIPE_KEY_CMD here and only here."""
        if isinstance(self.key, str):
            from sealpipe.crypto.keys import parse_private_key

            return parse_private_key(self.key)
        return self.key() if callable(self.key) else self.key

    def __repr__(self) -> str:
        return (
            f"Source({str(self.unit)!r}, url={shown_url(self.url)!r}, cache={self.cache!r}, wait={self.wait})"
        )

    def __reduce_ex__(self, _: Any) -> NoReturn:
        raise TypeError("a source can hold a key and does not leave the process")


def shown_url(url: str) -> str:
    """The URL as it may stand in a message: without user information."""
    return _USERINFO.sub("", url)


def variable_prefix(service: str) -> str:
    """`CHECKOUT__` for `checkout`: what the variables that override a service's settings begin with.

    ConfigError [service-name] for a name that would hold the delimiter: `a__b` could be `a`'s key `b`.
    """
    prefix = service.upper().replace("-", "_")
    if "__" in prefix:
        raise ConfigError(
            "service-name",
            f"the service name {service!r} cannot be told apart in variable names",
            why=["`-` becomes `_`, and `__` separates the keys of a setting"],
        )
    return prefix + "__"


def _from_installed(service: str) -> Source | None:
    for sources in reversed(_installed):
        if service in sources:
            return sources[service]
        if not service and len(sources) == 1:
            return next(iter(sources.values()))
    return None


@frozen
class KeyFinder:
    """Finds the key that SEALPIPE_KEY, _KEY_FILE or _KEY_CMD names; equal where the variables are."""

    named: tuple[tuple[str, str], ...] = field(repr=False)

    def __call__(self) -> PrivateKey | None:
        from sealpipe.keysource import find_private_key

        return find_private_key(dict(self.named))


@contextmanager
def installed(sources: Mapping[str, Source]) -> Iterator[None]:
    """Inside, `Source.from_env` of these services gives these sources, in every thread. For tests."""
    _installed.append(sources)
    try:
        yield
    finally:
        _installed.remove(sources)
