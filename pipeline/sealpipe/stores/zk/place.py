"""Where a ZooKeeper store is and as whom it is used: its URL and the process's environment, as one value.

    zk://zk1:2181,zk2:2181/shop?read=sasl:orders&write=sasl:ops
    zk+tls://zk1.example.org:2281/shop

SEALPIPE_ZK_AUTH[_FILE]     digest:USER:PASSWORD or sasl:USER:PASSWORD
SEALPIPE_ZK_CACERT          with zk+tls: the authority to trust, instead of the system's
SEALPIPE_ZK_CERT, _KEY      with zk+tls: files of a client certificate and its key
SEALPIPE_ZK_READ, _WRITE    as `read=` and `write=`, separated by whitespace
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import unquote

from sealpipe.errors import UnsupportedError, UsageError
from sealpipe.frozen import NamedTuple, field, frozen
from sealpipe.stores.base import check_key

PORT = 2181
_HOST = re.compile(r"(?:[A-Za-z0-9_.-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?")
_ID = re.compile(r"(?:sasl|digest|x509|ip|world|auth):.+")
_EXAMPLE = "zk://zk1:2181,zk2:2181/shop"
_FILE_LIMIT = 4096


@frozen
class Login:
    scheme: str  # digest, sasl, or "" for nobody
    credential: str = field(repr=False)  # USER:PASSWORD


class Place(NamedTuple):
    hosts: tuple[str, ...]  # host:port
    root: str  # "/shop", the znode that all keys are below; "" for the top
    tls: bool
    authority: str  # file, "" for the system's
    certificate: str  # file, "" for none
    key: str
    login: Login
    creator: bool  # created znodes belong to who creates them; else to anyone
    read: tuple[str, ...]  # scheme:id that may read what is created
    write: tuple[str, ...]  # scheme:id that may also write it


def parse_place(url: str, environ: Mapping[str, str]) -> Place:
    """Raises UsageError [bad-store-url, bad-store-login]. Opens no file but that of SEALPIPE_ZK_AUTH_FILE."""
    scheme, _, rest = url.partition("://")
    address, _, query = rest.partition("?")
    authority, _, path = address.partition("/")
    hosts = tuple(authority.split(","))
    if not all(_HOST.fullmatch(host) for host in hosts):
        raise _bad_url("its hosts are no list of HOST:PORT")
    root = path.strip("/")
    _check_root(root)
    asked = _options(query)
    tls = scheme == "zk+tls"
    names = [environ.get(f"SEALPIPE_ZK_{name}", "") if tls else "" for name in ("CACERT", "CERT", "KEY")]
    login = _login(environ)
    acl = asked["acl"][-1] if asked["acl"] else ""
    known = bool(login.scheme or names[1])
    if acl not in ("", "open", "creator") or (acl == "creator" and not known):
        raise _bad_url(
            "acl= is open, or creator where SEALPIPE_ZK_AUTH or a client certificate says who it is"
        )
    read, write = (
        tuple(asked[name] + environ.get(f"SEALPIPE_ZK_{name.upper()}", "").split())
        for name in ("read", "write")
    )
    if not all(_ID.fullmatch(one) for one in (*read, *write)):
        raise _bad_url("read= and write= name an identity as ZooKeeper writes it, SCHEME:ID")
    return Place(
        hosts=tuple(host if re.search(r":[0-9]+\Z", host) else f"{host}:{PORT}" for host in hosts),
        root=f"/{root}" if root else "",
        tls=tls,
        authority=names[0],
        certificate=names[1],
        key=names[2],
        login=login,
        creator=acl == "creator" or (known and acl == ""),
        read=read,
        write=write,
    )


def _check_root(root: str) -> None:
    problem = False
    try:
        if root:
            check_key(root)
    except UnsupportedError:
        problem = True
    if problem or root.split("/", maxsplit=1)[0] == "zookeeper":
        raise _bad_url("its path is none that keys can be below")


def _options(query: str) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {"acl": [], "read": [], "write": []}
    for part in filter(None, query.split("&")):
        name, _, value = part.partition("=")  # a digest holds `+` and `=`, which here are themselves
        if name not in found or not value:
            raise _bad_url("its options are acl=, read= and write=")
        found[name].append(unquote(value))
    return found


def _login(environ: Mapping[str, str]) -> Login:
    text, source = environ.get("SEALPIPE_ZK_AUTH", ""), "SEALPIPE_ZK_AUTH"
    file = environ.get("SEALPIPE_ZK_AUTH_FILE", "")
    if not text and file:
        source = "SEALPIPE_ZK_AUTH_FILE"
        problem = ""
        try:
            with Path(file).open("rb") as opened:
                text = opened.read(_FILE_LIMIT).decode(errors="replace")
        except OSError as error:
            problem = error.strerror or "cannot be read"
        if problem:
            raise UsageError("bad-store-login", f"{source}: {file}: {problem}")
    text = text.strip()
    if not text:
        return Login("", "")
    scheme, _, credential = text.partition(":")
    user, _, password = credential.partition(":")
    if scheme not in ("digest", "sasl") or not user or not password:
        raise UsageError(
            "bad-store-login",
            f"{source} does not say who we are to ZooKeeper",
            hint=["digest:USER:PASSWORD or sasl:USER:PASSWORD"],
        )
    return Login(scheme, credential)


def _bad_url(what: str) -> UsageError:
    return UsageError(
        "bad-store-url", f"the URL of a ZooKeeper store: {what}", hint=[f"for example {_EXAMPLE}"]
    )
