"""Releases in Consul's key-value store, over its HTTP API.

    consul://host:8500[,host2:8500…]/prefix[?dc=NAME]        consul+https://…

One write is one request. Credentials and TLS come from the variables that Consul's own tools read.
"""

from __future__ import annotations

import os

from sealpipe.stores.base import Store
from sealpipe.stores.consul.place import parse_place
from sealpipe.stores.consul.store import ConsulStore
from sealpipe.stores.http import Http

__all__ = ["ConsulStore", "open_url"]


def open_url(url: str, *, base: str) -> tuple[Store, str]:  # noqa: ARG001  # as the registry calls it
    """The store and prefix of a `consul:` URL. Raises UsageError; contacts nothing."""
    place = parse_place(url, os.environ)
    http = Http(place.addresses, secure=place.secure, tls=place.tls, headers=place.headers)
    return ConsulStore(http, place.names, ops=place.ops), place.prefix
