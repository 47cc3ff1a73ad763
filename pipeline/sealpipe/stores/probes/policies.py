"""The least that publishers and services need in a store, to be pasted by whoever runs it.

The pages of the stores show the same texts, and tests try those on real servers.
"""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Callable, Sequence

from sealpipe.errors import UnsupportedError
from sealpipe.frozen import NamedTuple
from sealpipe.stores.registry import open_store, scheme_of

PUBLISHER, SERVICE, SERVER = "its publisher", "the service", "whoever runs the servers"
_ANY_READER = "sasl:orders"


class Policy(NamedTuple):
    """`environment` and `service` are "" where they make no difference."""

    url: str
    environment: str
    service: str
    who: str  # whom it is for
    text: str  # to paste, with a line end
    note: str = ""  # what it leaves to be done


def to_paste(url: str) -> str:
    """A hint to the policies of a store."""
    if _kind(url) not in _MADE:
        return "give them the rights that the store's guide names"
    return f"policy to paste: sealpipe doctor --policy {shlex.quote(url)}"


def policies(url: str, environment: str, services: Sequence[str], *, base: str) -> list[Policy]:
    """That of the publisher of an environment, then those of its services. Contacts nothing.

    Raises UnsupportedError [no-policy] for a store whose rights are not its own, UsageError for a URL that
    is none.
    """
    kind = _kind(url)
    made = _MADE.get(kind)
    if made is None:
        raise UnsupportedError(
            "no-policy",
            f"there is no policy to paste for a store of the scheme {kind}:",
            why=["a folder's rights are the file system's: publishers write there, services read"]
            if kind == "file"
            else [],
        )
    return made(url, environment, services, base)


def _kind(url: str) -> str:
    return scheme_of(url).partition("+")[0]


def _prefix(url: str, base: str) -> str:
    store, prefix = open_store(url, base=base)
    store.close()
    return prefix


def _consul(url: str, environment: str, services: Sequence[str], base: str) -> list[Policy]:
    prefix = f"{_prefix(url, base)}{environment}/"
    found = [Policy(url, environment, "", PUBLISHER, _rule("key_prefix", prefix, "write"))]
    for service in services:
        head = _rule("key", f"{prefix}heads/{service}", "read")
        parts = _rule("key_prefix", f"{prefix}chunks/{service}/", "read")
        found.append(Policy(url, environment, service, SERVICE, head + parts))
    return found


def _rule(kind: str, name: str, right: str) -> str:
    return f'{kind} "{name}" {{\n  policy = "{right}"\n}}\n'


def _etcd(url: str, environment: str, services: Sequence[str], base: str) -> list[Policy]:
    prefix = f"{_prefix(url, base)}{environment}/"
    role = prefix.strip("/").replace("/", "-")
    may = "etcdctl role grant-permission"
    text = f"etcdctl role add {role}-publisher\n{may} --prefix=true {role}-publisher readwrite {prefix}\n"
    found = [Policy(url, environment, "", PUBLISHER, text)]
    for service in services:
        own = f"{role}-{service}"
        text = (
            f"etcdctl role add {own}\n"
            f"{may} {own} read {prefix}heads/{service}\n"
            f"{may} --prefix=true {own} read {prefix}chunks/{service}/\n"
        )
        found.append(Policy(url, environment, service, SERVICE, text))
    return found


def _zk(url: str, environment: str, services: Sequence[str], base: str) -> list[Policy]:  # noqa: ARG001
    """Rights are given to znodes as they are made, so it is one text, by whoever runs the servers."""
    from sealpipe.stores.zk.place import parse_place

    place = parse_place(url, os.environ)
    parts = [part for part in place.root.split("/") if part]
    made = "".join(f"create /{'/'.join(parts[: at + 1])}\n" for at in range(len(parts)))
    readers = ",".join(f"{one}:r" for one in place.read or (_ANY_READER,))
    login = place.login.credential.partition(":")[0] if place.login.scheme == "sasl" else "ci"
    text = f"{made}setAcl {place.root or '/'} sasl:{login}:cdrw,{readers}\n"
    note = "" if place.read else f"name its readers in the URL: ?read={_ANY_READER}"
    return [Policy(url, "", "", SERVER, text, note)]


def _s3(url: str, environment: str, services: Sequence[str], base: str) -> list[Policy]:  # noqa: ARG001
    from sealpipe.stores.s3.place import parse_place

    place = parse_place(url)
    bucket = f"arn:aws:s3:::{place.bucket}"
    keys = f"{bucket}/{place.root}{environment}/"
    actions = ["s3:GetObject", "s3:PutObject", "s3:DeleteObject"]
    actions += ["s3:PutObjectRetention"] if place.lock else []
    kms = place.sse.startswith("aws:kms")
    listing, objects = _allow("s3:ListBucket", bucket), _allow(actions, f"{keys}*")
    note = "add kms:GenerateDataKey and kms:Decrypt for the key" if kms else ""
    found = [Policy(url, environment, "", PUBLISHER, _statements(listing, objects), note)]
    for service in services:
        readable = _allow("s3:GetObject", [f"{keys}heads/{service}", f"{keys}chunks/{service}/*"])
        note = "add kms:Decrypt for the key" if kms else ""
        found.append(Policy(url, environment, service, SERVICE, _statements(readable), note))
    return found


def _allow(action: str | list[str], resource: str | list[str]) -> dict[str, object]:
    return {"Effect": "Allow", "Action": action, "Resource": resource}


def _statements(*statements: dict[str, object]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": statements}, indent=2) + "\n"


_MADE: dict[str, Callable[[str, str, Sequence[str], str], list[Policy]]] = {
    "consul": _consul,
    "etcd": _etcd,
    "zk": _zk,
    "s3": _s3,
}
