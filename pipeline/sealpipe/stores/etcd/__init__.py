"""Releases in etcd, over the JSON gateway of its v3 API.

    etcd://host:2379[,host2:2379…]/prefix                    etcd+https://…

One write is one transaction on mod_revisions. TLS files and the user come from etcdctl's variables.
"""

from __future__ import annotations

import os

from sealpipe.stores.base import Store
from sealpipe.stores.etcd.place import parse_place
from sealpipe.stores.etcd.store import EtcdStore
from sealpipe.stores.http import Http

__all__ = ["EtcdStore", "open_url"]


def open_url(url: str, *, base: str) -> tuple[Store, str]:  # noqa: ARG001  # as the registry calls it
    """The store and prefix of an `etcd:` URL. Raises UsageError; contacts nothing."""
    place = parse_place(url, os.environ)
    headers = {"Content-Type": "application/json"}
    http = Http(place.addresses, secure=place.secure, tls=place.tls, headers=headers)
    return EtcdStore(http, place.user), place.prefix
