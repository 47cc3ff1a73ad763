"""ZooKeeper, `zk://HOST[:PORT],…/PATH` or `zk+tls://…`: one znode a key. Needs the extra `zookeeper`."""

from __future__ import annotations

import os
from importlib import import_module
from importlib.util import find_spec

from sealpipe.errors import UnsupportedError
from sealpipe.stores.base import Store
from sealpipe.stores.zk.place import parse_place


def open_url(url: str, *, base: str) -> tuple[Store, str]:  # noqa: ARG001
    """All keys are below the URL's path. Raises UsageError, UnsupportedError [missing-package]."""
    place = parse_place(url, os.environ)
    needed = ["kazoo", *(["puresasl"] if place.login.scheme == "sasl" else [])]
    missing = [name for name in needed if find_spec(name) is None]
    if missing:
        raise UnsupportedError(
            "missing-package",
            "a ZooKeeper store needs the package kazoo",
            hint=["pip install 'sealpipe[zookeeper]'"],
        )
    store: Store = import_module("sealpipe.stores.zk.store").ZkStore(place)
    return store, ""
