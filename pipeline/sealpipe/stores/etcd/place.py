"""Where an `etcd:` URL and etcdctl's own variables lead."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from sealpipe.errors import UsageError
from sealpipe.frozen import NamedTuple
from sealpipe.stores.http import Tls

_HOSTS = re.compile(r"(?:(?:\[[0-9A-Fa-f:.]+\]|[\w.-]+)(?::\d{1,5})?(?:,|$))+")
_EXAMPLE = "etcd://127.0.0.1:2379/config"


class Place(NamedTuple):
    """The password is in `user`: never printed."""

    addresses: list[str]
    secure: bool
    tls: Tls
    user: tuple[str, str] | None
    prefix: str  # "" or ending with a slash

    def __repr__(self) -> str:
        return "Place()"


def parse_place(url: str, environ: Mapping[str, str]) -> Place:
    """Raises UsageError."""
    scheme, mark, rest = url.partition("://")
    hosts, slash, path = rest.partition("/")
    secure = scheme == "etcd+https"
    if mark and slash and not hosts:
        hosts, https = _endpoints(environ)
        secure = secure or https
    if not _HOSTS.fullmatch(hosts) or "?" in rest:
        raise UsageError(
            "bad-store-url", "an etcd URL is etcd://host[,host…]/prefix, without options", hint=[_EXAMPLE]
        )
    prefix = path.strip("/")
    return Place(
        addresses=[_with_port(host) for host in hosts.split(",") if host],
        secure=secure,
        tls=Tls(
            authorities=environ.get("ETCDCTL_CACERT", ""),
            certificate=environ.get("ETCDCTL_CERT", ""),
            key=environ.get("ETCDCTL_KEY", ""),
        ),
        user=_user(environ),
        prefix=f"{prefix}/" if prefix else "",
    )


def _with_port(host: str) -> str:
    return host if ":" in host.rpartition("]")[2] else f"{host}:2379"


def _endpoints(environ: Mapping[str, str]) -> tuple[str, bool]:
    """etcdctl's own variable for the servers, and whether it asks for TLS."""
    found = [one.strip() for one in environ.get("ETCDCTL_ENDPOINTS", "").split(",") if one.strip()]
    parts = [one.rpartition("://") for one in found or ["127.0.0.1:2379"]]
    hosts = ",".join(host.rstrip("/") for _, _, host in parts)
    schemes = {scheme or "http" for scheme, _, _ in parts}
    if len(schemes) != 1 or not schemes <= {"http", "https"} or not _HOSTS.fullmatch(hosts):
        # The variable may hold a password: it is not repeated.
        raise UsageError(
            "bad-store-url",
            "ETCDCTL_ENDPOINTS is no list of host:port, or of http:// or https:// addresses, all of one kind",
            hint=[f"name the servers in the URL: {_EXAMPLE}"],
        )
    return hosts, schemes == {"https"}


def _user(environ: Mapping[str, str]) -> tuple[str, str] | None:
    """ETCDCTL_USER is `name` or `name:password`; else the password is in ETCDCTL_PASSWORD, or in a file."""
    name, colon, password = environ.get("ETCDCTL_USER", "").partition(":")
    if not name:
        return None
    return name, password if colon else environ.get("ETCDCTL_PASSWORD", "") or _password(environ)


def _password(environ: Mapping[str, str]) -> str:
    file, problem = environ.get("SEALPIPE_ETCD_PASSWORD_FILE", ""), ""
    if not file:
        return ""
    try:
        return Path(file).read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, ValueError) as error:
        problem = getattr(error, "strerror", None) or "is no text"
    raise UsageError("bad-token-file", f"SEALPIPE_ETCD_PASSWORD_FILE={file}: {problem}")
