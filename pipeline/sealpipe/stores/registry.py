"""Which store a URL names: a literal table, each module imported when its scheme is used."""

from __future__ import annotations

import re
from importlib import import_module
from typing import Protocol, cast
from urllib.parse import parse_qsl

from sealpipe.errors import UnsupportedError, UsageError
from sealpipe.stores.base import Fact, Store, check_prefix

STORES: dict[str, str] = {
    "consul": "sealpipe.stores.consul",
    "consul+https": "sealpipe.stores.consul",
    "etcd": "sealpipe.stores.etcd",
    "etcd+https": "sealpipe.stores.etcd",
    "file": "sealpipe.stores.file",
    "zk": "sealpipe.stores.zk",
    "zk+tls": "sealpipe.stores.zk",
    "s3": "sealpipe.stores.s3",
}

PROBES: dict[str, str] = {
    "consul": "sealpipe.stores.probes.consul",
    "consul+https": "sealpipe.stores.probes.consul",
    "etcd": "sealpipe.stores.probes.etcd",
    "etcd+https": "sealpipe.stores.probes.etcd",
    "file": "sealpipe.stores.probes.file",
    "s3": "sealpipe.stores.probes.s3",
    "zk": "sealpipe.stores.probes.zk",
    "zk+tls": "sealpipe.stores.probes.zk",
}
"""Modules with the `examine` of our own stores: what only `doctor` needs stands beside the store."""

ENTRY_POINTS = "sealpipe.stores"
"""Other packages name a scheme and a module here: `myscheme = "my_package.my_store"`."""

_SCHEME = re.compile(r"([a-z][a-z0-9+.-]*):")
_SECRET_FIELDS = {"token", "password", "passwd", "secret", "key", "access_key", "secret_key", "credentials"}


class StoreModule(Protocol):
    """What a store's module offers: `open_url`, which checks the URL and connects to nothing yet."""

    def open_url(self, url: str, *, base: str) -> tuple[Store, str]:
        """The store and the prefix of its keys ("" or ending with a slash). Raises UsageError."""


def open_store(url: str, *, base: str) -> tuple[Store, str]:
    """The store that `url` names, and the prefix of its keys there ("" or ending with a slash).

    `base` is the folder that a relative `file:` path starts from: the repository's root. Raises
    UsageError for a URL that is none or holds a secret, UnsupportedError [unknown-store] for a scheme
    that nothing installed knows. Does not contact the store.
    """
    scheme = scheme_of(url)
    _refuse_secrets(url)
    store, prefix = _module(scheme).open_url(url, base=base)
    check_prefix(prefix)
    return store, prefix


def examine(url: str, store: Store, *, base: str, timeout: float = 10.0) -> list[Fact]:
    """What the store's module finds out about its server; nothing where it offers no `examine`.

    Raises StoreError's kinds.
    """
    scheme = scheme_of(url)
    name = PROBES.get(scheme)
    module: object = import_module(name) if name is not None else _module(scheme)
    look = getattr(module, "examine", None)
    return list(look(url, store, base=base, timeout=timeout)) if callable(look) else []


def scheme_of(url: str) -> str:
    """The scheme, without the colon. Raises UsageError [bad-store-url]; never repeats the URL."""
    match = _SCHEME.match(url)
    if match is None or not url.isprintable() or len(url) > 2048:
        raise UsageError(
            "bad-store-url",
            "a store URL starts with its scheme",
            hint=["for example file:.sealpipe/store"],
        )
    return match[1]


def known_schemes() -> list[str]:
    """Every scheme that `open_store` takes on this machine, sorted."""
    from importlib.metadata import entry_points

    return sorted({*STORES, *(point.name for point in entry_points(group=ENTRY_POINTS))})


def _module(scheme: str) -> StoreModule:
    name = STORES.get(scheme)
    if name is not None:
        return cast("StoreModule", import_module(name))
    from importlib.metadata import entry_points  # costs as much as all the rest of opening a store

    for point in entry_points(group=ENTRY_POINTS, name=scheme):
        return cast("StoreModule", point.load())
    raise UnsupportedError(
        "unknown-store",
        f"nothing installed here knows stores of the scheme {scheme}:",
        why=[f"known: {', '.join(name + ':' for name in known_schemes())}"],
        hint=[f"install a package that offers {scheme} under the entry point group {ENTRY_POINTS}"],
    )


def _refuse_secrets(url: str) -> None:
    # A URL is printed, logged and kept in git; credentials come from the environment of the process.
    _, _, rest = url.partition(":")
    authority = re.split(r"[/?#]", rest[2:], maxsplit=1)[0] if rest.startswith("//") else ""
    _, _, query = rest.partition("?")
    named = {name.casefold().replace("-", "_") for name, _ in parse_qsl(query, keep_blank_values=True)}
    if "@" in authority or named & _SECRET_FIELDS:
        raise UsageError(
            "secret-in-url",
            "a store URL holds a user, password or token",
            why=["the URL is written into files, plans and logs"],
            hint=["take it out of the URL; the store reads it from its own environment variables"],
        )
