"""The chain of roots, the links between them, and the pins that start it. Pure values and rules.

Signatures are checked through a `Verify` that the caller passes (`crypto.signing.verify`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable
from typing import Any

from sealpipe.canonical import labelled
from sealpipe.errors import TrustError, Where
from sealpipe.fields import Fields
from sealpipe.frozen import NamedTuple, frozen

Verify = Callable[[str, bytes, bytes, bytes], bool]
"""kind, body, public key, signature -> whether the signature is this key's."""
Pairs = tuple[tuple[bytes, bytes], ...]
"""(public key, signature), as in a release."""

SIGNATURE_LIMIT = 16
ROOT_LIMIT = 8
ROOTS_FILE = "trust/roots.yaml"
ALPHABET = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"  # bech32's: nothing that is read as something else

_PIN = re.compile(rf"st1-((?:[{ALPHABET}]{{4}}-){{12}}[{ALPHABET}]{{4}})(?:@([1-9][0-9]{{0,8}}))?")


class Root(NamedTuple):
    """Which keys sign the trust document, and how many of them."""

    need: int
    keys: tuple[bytes, ...]  # ascending


class Link(NamedTuple):
    """Signatures that carry trust from one root to the next."""

    signatures: Pairs


@frozen
class RootChain:
    """Roots, oldest first, and the links between them (one fewer)."""

    roots: tuple[Root, ...]
    links: tuple[Link, ...]


class Pin(NamedTuple):
    """A root known from outside the repository, and the lowest trust version to accept."""

    digest: bytes
    min_version: int
    text: str


def parse_roots(data: Any, file: str = ROOTS_FILE) -> tuple[str, RootChain]:
    """The project and chain of trust/roots.yaml. Raises TrustError [malformed-roots]; proves no link."""
    fields = Fields(data, "roots", file)
    fields.only(required=("format", "project", "roots", "links"))
    fields.format_one()
    roots: list[Root] = []
    for index, item in enumerate(fields.list("roots", ROOT_LIMIT)):
        entry = fields.inner(f"roots[{index}]", item)
        entry.only(required=("need", "keys"))
        keys = tuple(_listed_key(entry, text) for text in entry.list("keys", SIGNATURE_LIMIT))
        if not keys or list(keys) != sorted(set(keys)):
            raise entry.wrong("keys", "must be public keys in ascending order, each once")
        roots.append(Root(entry.number("need", 1, len(keys)), keys))
    links = [
        Link(_pairs(fields.inner(f"links[{index}]", item)))
        for index, item in enumerate(fields.list("links", ROOT_LIMIT - 1))
    ]
    if not roots or len(links) != len(roots) - 1:
        raise fields.wrong("links", "must be one fewer than the roots")
    return fields.project(), RootChain(tuple(roots), tuple(links))


def _listed_key(fields: Fields, text: Any) -> bytes:
    return fields.inner("keys", {"key": text}).public("key", "ed25519")


def _pairs(fields: Fields) -> Pairs:
    fields.only(required=("signatures",))
    found: list[tuple[bytes, bytes]] = []
    for item in fields.list("signatures", SIGNATURE_LIMIT):
        entry = fields.inner("signatures", item)
        entry.only(required=("key", "sig"))
        found.append((entry.public("key", "ed25519"), entry.raw("sig", 64)))
    return tuple(found)


def root_bytes(root: Root) -> bytes:
    """u8 need, u8 n, keys ascending: as in a pin and in a release."""
    return bytes([root.need, len(root.keys)]) + b"".join(root.keys)


def root_digest(project: str, root: Root) -> bytes:
    """What a pin carries: 32 bytes over project and root."""
    return labelled(32, "sealpipe.root.1", bytes.fromhex(project) + root_bytes(root))


def pin_text(project: str, root: Root, min_version: int = 0) -> str:
    """`st1-…`, with `@version` when a lowest version is given."""
    number = int.from_bytes(root_digest(project, root), "big") << 4
    chars = [ALPHABET[number >> shift & 31] for shift in range(255, -1, -5)]
    groups = ["".join(chars[at : at + 4]) for at in range(0, 52, 4)]
    return "-".join(["st1", *groups]) + (f"@{min_version}" if min_version else "")


def parse_pins(text: str) -> tuple[Pin, ...]:
    """Pins separated by commas, as in SEALPIPE_TRUST. Raises TrustError [malformed-pin]."""
    found: list[Pin] = []
    for part in (part.strip() for part in text.split(",")):
        match = _PIN.fullmatch(part)
        number = 0
        for char in (match[1] if match else "").replace("-", ""):
            number = number << 5 | ALPHABET.index(char)
        if match is None or number & 15:
            raise TrustError(
                "malformed-pin",
                "SEALPIPE_TRUST is not a trust pin (st1- and 13 groups of 4 characters, then @version)",
                hint=["sealpipe trust show"],
            )
        found.append(Pin((number >> 4).to_bytes(32, "big"), int(match[2] or 0), part))
    return tuple(found)


def link_body(project: str, old: Root, new: Root) -> bytes:
    """What a link's signatures (KIND ROOT) cover."""
    return root_digest(project, old) + root_digest(project, new)


def chain_matches(project: str, chain: RootChain, pins: Collection[Pin], verify: Verify) -> Pin:
    """The pin that one of the chain's roots matches, every later link being good.

    Raises TrustError [foreign-root] when no root matches, [bad-link] for a link that does not carry.
    Does not check a trust version: `check_version` does.
    """
    matched = -1
    found: Pin | None = None
    for index, root in enumerate(chain.roots):
        digest = root_digest(project, root)
        for pin in pins:
            if pin.digest == digest and (index > matched or found is None or pin.min_version > found[1]):
                matched, found = index, pin
    if found is None:
        raise TrustError(
            "foreign-root",
            "the root keys are not the ones pinned here",
            why=["either this is another project, or somebody replaced who signs trust.yaml"],
            hint=["compare with an admin: sealpipe trust show"],
        )
    if len(chain.roots) > ROOT_LIMIT or len(chain.links) != len(chain.roots) - 1:
        raise TrustError("bad-link", "the chain of roots is not one")
    for index in range(matched, len(chain.links)):
        check_link(project, chain.roots[index], chain.roots[index + 1], chain.links[index], verify)
    return found


def check_link(project: str, old: Root, new: Root, link: Link, verify: Verify) -> None:
    """Raises TrustError [bad-link] unless both roots' needs are met by distinct keys."""
    signed = signers("ROOT", link_body(project, old, new), link.signatures, {*old.keys, *new.keys}, verify)
    for root, which in ((old, "old"), (new, "new")):
        have = len(signed & set(root.keys))
        if have < root.need:
            raise TrustError(
                "bad-link",
                f"the change of root has {have} of the {root.need} signatures that the {which} root needs",
                where=Where(ROOTS_FILE),
                hint=["sealpipe trust sign"],
            )


def signers(
    kind: str,
    body: bytes,
    signatures: Iterable[tuple[bytes, bytes]],
    allowed: Collection[bytes],
    verify: Verify,
) -> frozenset[bytes]:
    """The distinct allowed keys that signed; unknown keys are ignored.

    Raises TrustError: [repeated-signature] for a key that stands twice, [bad-signature] for an allowed
    key whose signature is not over these bytes, [too-many-signatures] beyond 16.
    """
    pairs = tuple(signatures)
    if len(pairs) > SIGNATURE_LIMIT:
        raise TrustError("too-many-signatures", f"there are more than {SIGNATURE_LIMIT} signatures")
    if len({public for public, _ in pairs}) != len(pairs):
        raise TrustError(
            "repeated-signature",
            "a key signed twice: each key counts once",
            hint=["git log -p -- trust/     shows who wrote it"],
        )
    found = set()
    for public, signature in pairs:
        if public in allowed:
            if not verify(kind, body, public, signature):
                raise TrustError("bad-signature", "a signature is not over these bytes")
            found.add(public)
    return frozenset(found)
