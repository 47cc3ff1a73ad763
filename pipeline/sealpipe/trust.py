"""Who may sign what: the trust document and its rules. Pure; the chain of roots is in `roots`.

Signatures are checked through a `Verify` that the caller passes (`crypto.signing.verify`).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from sealpipe.canonical import canonical, labelled, strict_json
from sealpipe.errors import TrustError, Where
from sealpipe.fields import Fields
from sealpipe.frozen import NamedTuple, field, frozen
from sealpipe.roots import (
    ALPHABET,
    ROOT_LIMIT,
    ROOTS_FILE,
    SIGNATURE_LIMIT,
    Link,
    Pairs,
    Pin,
    Root,
    RootChain,
    Verify,
    chain_matches,
    check_link,
    link_body,
    parse_pins,
    parse_roots,
    pin_text,
    root_bytes,
    root_digest,
    signers,
)

__all__ = [
    "BODY_LIMIT",
    "KINDS",
    "NOBODY",
    "NONE_NEEDED",
    "ROOTS_FILE",
    "ROOT_LIMIT",
    "SIGNATURE_LIMIT",
    "TRUST_FILE",
    "EnvironmentTrust",
    "Link",
    "Pairs",
    "Pin",
    "Role",
    "Root",
    "RootChain",
    "Trust",
    "TrustKey",
    "Verify",
    "chain_for",
    "chain_matches",
    "check_link",
    "check_names_root",
    "check_root_signed",
    "check_signed",
    "check_version",
    "link_body",
    "meets",
    "named_pairs",
    "parse_pins",
    "parse_roots",
    "parse_trust",
    "pin_text",
    "root_bytes",
    "root_digest",
    "root_of",
    "signers",
    "signers_of",
    "trust_digest",
    "trust_from_json",
]

BODY_LIMIT = 64 * 1024
TRUST_FILE = "trust/trust.yaml"
KINDS = ("person", "machine", "recovery")


class Role(NamedTuple):
    """`need` signatures of distinct keys among the named ones. Need 0 is no demand at all."""

    need: int
    of: tuple[str, ...]


NOBODY = Role(1, ())
NONE_NEEDED = Role(0, ())


class TrustKey(NamedTuple):
    """An entry of the registry."""

    name: str
    sign: bytes | None  # Ed25519
    read: str | None  # age1…
    kind: str  # person, machine or recovery
    since: str
    note: str


class EnvironmentTrust(NamedTuple):
    """Whose signature counts in one environment."""

    admins: Role  # sign the keyring
    publishers: Role  # sign releases
    break_glass: Role  # counts only in a release that records it
    approvals: Role  # need 0: none asked for
    protected: bool
    branch: str


@frozen
class Trust:
    """trust.yaml as a value. `body` is what is signed; parsing proves no signature."""

    project: str  # 32 hex digits
    version: int
    past: tuple[str, ...]
    root: Role
    keys: Mapping[str, TrustKey]
    environments: Mapping[str, EnvironmentTrust]
    body: bytes = field(repr=False)
    digest: str
    signatures: tuple[tuple[str, bytes], ...] = field(repr=False)  # (name, signature) as in the file


# ---- reading


def parse_trust(data: Any, file: str = TRUST_FILE) -> Trust:
    """Raises TrustError [malformed-trust]. Checks form and names; no signature, no pin, no version."""
    fields = Fields(data, "trust", file)
    fields.only(
        required=("format", "project", "version", "root", "keys", "environments"),
        optional=("past", "signatures"),
    )
    unsigned = {key: value for key, value in fields.data.items() if key != "signatures"}
    try:
        body = canonical(unsigned)
    except ValueError:
        body = b""
    if not body or len(body) > BODY_LIMIT:
        raise fields.wrong("", f"must be plain data of at most {BODY_LIMIT // 1024} KiB")
    return _trust(fields, body, fields.signatures())


def trust_from_json(body: bytes, where: str = "the release's trust document") -> Trust:
    """The trust document that a release embeds, whose signatures stand beside it and were checked."""
    fields = Fields(strict_json(body, what="trust document"), "trust", where)
    fields.only(required=("format", "project", "version", "root", "keys", "environments"), optional=("past",))
    return _trust(fields, body, ())


def trust_digest(body: bytes) -> str:
    """Hex digest of a trust document's canonical bytes; what `past` and payloads name."""
    return labelled(32, "sealpipe.trust.1", body).hex()


def _trust(fields: Fields, body: bytes, signatures: tuple[tuple[str, bytes], ...]) -> Trust:
    fields.format_one()
    keys = {name: _key(fields, name, entry) for name, entry in fields.items("keys")}
    _refuse_repeated(fields, keys)
    signers = {name for name, key in keys.items() if key.sign is not None}
    root = _role(fields, "root", signers, NOBODY)
    if not root.of:
        raise fields.wrong("root", "must name at least one key")
    environments = {
        name: _environment(fields.inner(f"environments.{name}", entry), signers)
        for name, entry in fields.items("environments")
    }
    return Trust(
        project=fields.project(),
        version=fields.number("version", 1),
        past=fields.past(),
        root=root,
        keys=keys,
        environments=environments,
        body=body,
        digest=trust_digest(body),
        signatures=signatures,
    )


def _key(fields: Fields, name: str, data: Any) -> TrustKey:
    entry = fields.inner(f"keys.{name}", data)
    entry.only(required=(), optional=("sign", "read", "kind", "since", "note"))
    sign = entry.public("sign", "ed25519") if "sign" in entry.data else None
    read = entry.text("read") if "read" in entry.data else None
    if read is not None and not re.fullmatch(rf"age1[{ALPHABET}]{{58}}", read):
        raise entry.wrong("read", "must be an age1… public key")
    if sign is None and read is None:
        raise entry.wrong("", "has neither `sign` nor `read`")
    kind = entry.text("kind", "person" if read else "recovery")
    if kind not in KINDS:
        raise entry.wrong("kind", f"must be one of {', '.join(KINDS)}")
    return TrustKey(name, sign, read, kind, entry.text("since", ""), entry.text("note", ""))


def _refuse_repeated(fields: Fields, keys: Mapping[str, TrustKey]) -> None:
    seen: dict[object, str] = {}
    for name, key in keys.items():
        for half in (key.sign, key.read):
            if half is None:
                continue
            if half in seen:
                raise fields.wrong(f"keys.{name}", f"is the same key as {seen[half]}")
            seen[half] = name


def _environment(fields: Fields, signers: Collection[str]) -> EnvironmentTrust:
    fields.only(
        required=(),
        optional=("admins", "publishers", "break_glass", "approvals", "protected", "branch"),
    )
    return EnvironmentTrust(
        admins=_role(fields, "admins", signers, NOBODY),
        publishers=_role(fields, "publishers", signers, NOBODY),
        break_glass=_role(fields, "break_glass", signers, NOBODY),
        approvals=_role(fields, "approvals", signers, NONE_NEEDED),
        protected=fields.flag("protected"),
        branch=fields.text("branch", "main"),
    )


def _role(fields: Fields, field: str, signers: Collection[str], absent: Role) -> Role:
    if field not in fields.data:
        return absent
    data = fields.data[field]
    if isinstance(data, list):
        need, of = (1 if data else absent.need), data
    else:
        entry = fields.inner(field, data)
        entry.only(required=("need", "of"))
        of = entry.list("of", SIGNATURE_LIMIT)
        need = entry.number("need", 1, max(1, len(of)))
    names = tuple(fields.name(name) for name in of)
    if len(names) > SIGNATURE_LIMIT or len(set(names)) != len(names):
        raise fields.wrong(field, f"must be at most {SIGNATURE_LIMIT} names, each once")
    for name in names:
        if name not in signers:
            raise fields.wrong(field, f"names {name}, which `keys` does not list with a signing key")
    return Role(need, names)


# ---- signatures


def root_of(trust: Trust) -> Root:
    """The root that trust.yaml's `root` resolves to."""
    keys = sorted(key for name in trust.root.of if (key := trust.keys[name].sign) is not None)
    return Root(trust.root.need, tuple(keys))


def chain_for(trust: Trust, chain: RootChain | None) -> RootChain:
    """The chain of trust/roots.yaml where there is one; else the one root of trust.yaml."""
    return chain or RootChain((root_of(trust),), ())


def meets(role: Role, keys: Mapping[str, TrustKey], signed_by: Collection[bytes]) -> bool:
    """Whether distinct keys of the role's names, as many as it needs, are among `signed_by`."""
    return len({keys[name].sign for name in role.of if name in keys} & set(signed_by)) >= role.need


def named_pairs(keys: Mapping[str, TrustKey], signatures: Iterable[tuple[str, bytes]]) -> Pairs:
    """(public key, signature) of a file's signatures; a name that the registry lacks is left out."""
    return tuple(
        (key.sign, signature)
        for name, signature in signatures
        if (key := keys.get(name)) is not None and key.sign is not None
    )


def check_root_signed(root: Root, body: bytes, signatures: Pairs, verify: Verify) -> None:
    """Raises TrustError [unsigned-trust] unless `root` signed these bytes. Parses nothing."""
    signed = signers("TRUST", body, signatures, root.keys, verify)
    if len(signed) < root.need:
        raise TrustError(
            "unsigned-trust",
            f"the trust document has {len(signed)} of the {root.need} root signatures that it needs",
            where=Where(TRUST_FILE),
            why=["it was edited by hand, by somebody who is not root, or waits for a second signature"],
            hint=["sealpipe trust sign"],
        )


def check_names_root(trust: Trust, chain: RootChain) -> None:
    """Raises TrustError [foreign-root] unless trust's `root` is exactly the chain's newest root."""
    if root_of(trust) != chain.roots[-1]:
        raise TrustError(
            "foreign-root",
            "the root that trust.yaml names is not the newest of the signed chain of roots",
            where=Where(TRUST_FILE),
            hint=["sealpipe trust show"],
        )


def check_signed(trust: Trust, chain: RootChain, verify: Verify) -> None:
    """Raises TrustError unless the chain's newest root is trust's own and signed it.

    Does not check that the chain is pinned (`chain_matches`), nor any version.
    """
    check_names_root(trust, chain)
    check_root_signed(chain.roots[-1], trust.body, named_pairs(trust.keys, trust.signatures), verify)


def signers_of(trust: Trust, verify: Verify) -> list[str]:
    """Names of root's keys whose signature on the document is good, as far as it goes."""
    return [
        name
        for name, signature in trust.signatures
        if name in trust.root.of
        and (key := trust.keys[name].sign) is not None
        and verify("TRUST", trust.body, key, signature)
    ]


def check_version(trust: Trust, pin: Pin) -> None:
    """Raises TrustError [older-trust] below the pin's lowest version."""
    if trust.version < pin.min_version:
        raise TrustError(
            "older-trust",
            f"the trust document is version {trust.version}; {pin.min_version} was already seen",
            where=Where(TRUST_FILE),
            why=["an old one would give revoked keys their rights back"],
        )
