"""Where a `consul:` URL and Consul's own variables lead."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from urllib.parse import parse_qs

from sealpipe.errors import UsageError
from sealpipe.frozen import NamedTuple
from sealpipe.stores.http import Tls

OPS = 128  # since Consul 1.14; 64 before
_TRUE = {"1", "t", "T", "true", "True", "TRUE"}


class Place(NamedTuple):
    """The token is in `headers`: never printed."""

    addresses: list[str]
    secure: bool
    tls: Tls
    headers: Mapping[str, str]
    names: Mapping[str, str]  # namespace, partition, datacenter, as a query
    ops: int
    prefix: str  # "" or ending with a slash

    def __repr__(self) -> str:
        return "Place()"


def parse_place(url: str, environ: Mapping[str, str]) -> Place:
    """Raises UsageError."""
    scheme, _, rest = url.partition("://")
    where, _, query = rest.partition("?")
    hosts, _, path = where.partition("/")
    options = parse_qs(query)
    unknown = set(options) - {"dc", "ops"}
    if unknown or not rest:
        what = f"has no option {min(unknown)}" if unknown else "is consul://host/prefix"
        raise UsageError("bad-store-url", f"a Consul URL {what}", hint=["consul://127.0.0.1:8500/config"])
    # As Consul's tools do: TLS that was asked for anywhere is not taken back elsewhere.
    secure = scheme == "consul+https" or environ.get("CONSUL_HTTP_SSL", "") in _TRUE
    if not hosts:
        hosts, https = _address(environ)
        secure = secure or https
    names = {
        "ns": environ.get("CONSUL_NAMESPACE", ""),
        "partition": environ.get("CONSUL_PARTITION", ""),
        "dc": options.get("dc", [""])[0],
    }
    token = _token(environ)
    prefix = path.strip("/")
    port = 8501 if scheme == "consul+https" else 8500
    return Place(
        addresses=[_with_port(host, port) for host in hosts.split(",") if host],
        secure=secure,
        tls=Tls(
            authorities=environ.get("CONSUL_CACERT", "") or environ.get("CONSUL_CAPATH", ""),
            certificate=environ.get("CONSUL_CLIENT_CERT", ""),
            key=environ.get("CONSUL_CLIENT_KEY", ""),
            server_name=environ.get("CONSUL_TLS_SERVER_NAME", ""),
        ),
        headers={"X-Consul-Token": token} if token else {},
        names={name: value for name, value in names.items() if value},
        ops=_ops(options.get("ops", [str(OPS)])[0]),
        prefix=f"{prefix}/" if prefix else "",
    )


def _with_port(host: str, port: int) -> str:
    return host if ":" in host.rpartition("]")[2] else f"{host}:{port}"


def _ops(text: str) -> int:
    # Three: a check of the fence, a head, its archive.
    if text.isascii() and text.isdigit() and len(text) < 4 and 3 <= int(text) <= OPS:
        return int(text)
    raise UsageError("bad-store-url", f"`ops` in a Consul URL is a number from 3 to {OPS}")


def _address(environ: Mapping[str, str]) -> tuple[str, bool]:
    """Consul's own variable for the agent, and whether it asks for TLS."""
    found = environ.get("CONSUL_HTTP_ADDR", "").strip() or "127.0.0.1:8500"
    scheme, mark, host = found.partition("://")
    if not mark:
        scheme, host = "http", found
    host = host.rstrip("/")
    if scheme not in ("http", "https") or not host or "@" in host:
        # The variable may hold a password: it is not repeated.
        raise UsageError(
            "bad-store-url",
            "CONSUL_HTTP_ADDR is no host:port, http:// or https:// address without a user",
            hint=["name the host in the URL: consul://127.0.0.1:8500/config"],
        )
    return host, scheme == "https"


def _token(environ: Mapping[str, str]) -> str:
    file = environ.get("CONSUL_HTTP_TOKEN_FILE", "")
    token, source, problem = environ.get("CONSUL_HTTP_TOKEN", "").strip(), "CONSUL_HTTP_TOKEN", ""
    if file and not token:
        source = f"CONSUL_HTTP_TOKEN_FILE={file}"
        try:
            token = Path(file).read_text(encoding="utf-8").strip()
        except (OSError, ValueError) as error:
            problem = getattr(error, "strerror", None) or "is no text"
    if not problem and not (token.isascii() and token.isprintable()):
        problem = "holds what no token does"
    if problem:
        raise UsageError("bad-token-file", f"{source}: {problem}")
    return token
