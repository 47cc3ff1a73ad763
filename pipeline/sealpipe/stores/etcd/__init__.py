"""Releases in etcd, over the JSON gateway of its v3 API.

    etcd://host:2379[,host2:2379…]/prefix                    etcd+https://…

One write is one transaction on mod_revisions. TLS files and the user come from etcdctl's variables.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping

from sealpipe.errors import UsageError
from sealpipe.stores.base import Store
from sealpipe.stores.etcd.store import EtcdStore
from sealpipe.stores.http import Http, Tls

__all__ = ["EtcdStore", "open_url"]

_HOSTS = re.compile(r"(?:(?:\[[0-9A-Fa-f:.]+\]|[\w.-]+)(?::\d{1,5})?(?:,|$))+")


def open_url(url: str, *, base: str) -> tuple[Store, str]:  # noqa: ARG001  # as the registry calls it
    """The store and prefix of an `etcd:` URL. Raises UsageError; contacts nothing."""
    scheme, _, rest = url.partition("://")
    hosts, _, path = rest.partition("/")
    if not _HOSTS.fullmatch(hosts) or "?" in rest:
        raise UsageError(
            "bad-store-url",
            "an etcd URL is etcd://host[,host…]/prefix, without options",
            hint=["etcd://127.0.0.1:2379/config"],
        )
    environ = os.environ
    addresses = [_with_port(host) for host in hosts.split(",") if host]
    tls = Tls(
        authorities=environ.get("ETCDCTL_CACERT", ""),
        certificate=environ.get("ETCDCTL_CERT", ""),
        key=environ.get("ETCDCTL_KEY", ""),
    )
    http = Http(
        addresses, secure=scheme == "etcd+https", tls=tls, headers={"Content-Type": "application/json"}
    )
    prefix = path.strip("/")
    return EtcdStore(http, _user(environ)), f"{prefix}/" if prefix else ""


def _with_port(host: str) -> str:
    return host if ":" in host.rpartition("]")[2] else f"{host}:2379"


def _user(environ: Mapping[str, str]) -> tuple[str, str] | None:
    """ETCDCTL_USER is `name` or `name:password`; ETCDCTL_PASSWORD has the password then."""
    name, colon, password = environ.get("ETCDCTL_USER", "").partition(":")
    if not name:
        return None
    return name, password if colon else environ.get("ETCDCTL_PASSWORD", "")
