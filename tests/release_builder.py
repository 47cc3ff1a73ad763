"""Builds releases for tests, right ones and every kind of wrong one. Deterministic: keys come from names."""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from sealpipe.canonical import canonical, to_base64url
from sealpipe.crypto.keys import PrivateKey, SigningKey
from sealpipe.crypto.sealing import seal_with
from sealpipe.crypto.signing import sign
from sealpipe.paths import Member
from sealpipe.released import Unit
from sealpipe.releases.drafts import draft_digest
from sealpipe.releases.wire import approval_body, encode_release
from sealpipe.roots import Link, Pairs, Pin, Root, RootChain, link_body, parse_pins, pin_text
from sealpipe.tokens import place
from sealpipe.trust import trust_digest

PROJECT = "5b0c7a1e9f2d4c6688aa01d3e7f4b912"
UNIT = Unit("production", "checkout")
DEV = Unit("dev", "checkout")


def seed(name: str) -> bytes:
    return hashlib.blake2b(name.encode(), digest_size=32, person=b"test key").digest()


def key(name: str) -> SigningKey:
    return SigningKey(seed(name))


def document_key(name: str) -> PrivateKey:
    return PrivateKey(seed("document " + name))


def token(value: bytes, document: str, *path: str | Member, environment: str = "production") -> str:
    """A sealed string, the same at every run."""
    name = f"{environment}/{document}"
    at = place(environment, document, path)
    ephemeral = PrivateKey(seed(f"ephemeral {name}"))
    tail = hashlib.blake2b(at + value, digest_size=16).digest()
    return str(seal_with(value, "str", at, document_key(name).public, ephemeral=ephemeral, random=tail))


def root(*names: str, need: int = 1) -> Root:
    return Root(need, tuple(sorted(key(name).public for name in names)))


def link(old: Root, new: Root, *signers: str, project: str = PROJECT) -> Link:
    return Link(signed("ROOT", link_body(project, old, new), signers))


def signed(kind: str, body: bytes, names: Sequence[str]) -> Pairs:
    return tuple((key(name).public, sign(kind, body, key(name))) for name in names)


def public_text(name: str) -> str:
    return "ed25519:" + to_base64url(key(name).public)


def trust_document() -> dict[str, Any]:
    names = ("anna", "ben", "safe", "ci-production", "ci-staging")
    return {
        "format": 1,
        "project": PROJECT,
        "version": 7,
        "past": [],
        "root": ["anna"],
        "keys": {name: {"sign": public_text(name), "kind": "machine"} for name in names},
        "environments": {
            "dev": {"admins": ["anna"], "publishers": ["anna", "ben"]},
            "staging": {"admins": ["anna"], "publishers": ["ci-staging"]},
            "production": {
                "admins": ["anna"],
                "publishers": ["ci-production"],
                "break_glass": ["anna", "ben"],
                "approvals": {"need": 1, "of": ["anna", "ben"]},
                "protected": True,
                "branch": "main",
            },
        },
    }


def draft_document() -> dict[str, Any]:
    return {
        "values": {
            "db": {
                "host": "db.internal",
                "pool_max": 40,
                "password": token(b"hunter2 is no password", "checkout", "db", "password"),
            },
            "replicas": [
                {
                    "name": "eu",
                    "url": token(b"postgres://eu", "_all", "replicas", Member("name", "eu"), "url"),
                },
                {"name": "us", "url": "none"},
            ],
            "ratio": 0.5,
            "tags": ["a", "b"],
        },
        "sealed": {
            "/db/password": {"environment": "production", "document": "checkout"},
            "/replicas/0/url": {"environment": "production", "document": "_all"},
        },
        "merge_keys": {"/replicas": "name"},
        "locked": ["/db/host"],
        "stanzas": {
            "production/checkout": {"0123456789abcdef": {"fedcba9876543210": to_base64url(bytes(80))}}
        },
    }


def payload_document() -> dict[str, Any]:
    return {
        "format": 1,
        "min_format": 1,
        "project": PROJECT,
        "environment": "production",
        "service": "checkout",
        "trust": {"version": 7, "digest": ""},
        "seq": 1_790_000_000_000,
        "number": 42,
        "prev": "aa" * 32,
        "rid": "0123456789abcdef" * 2,
        "batch": "01JD8XK3ZQ5V7M2N4P6R8S0T1W",
        "created_at": "2026-11-25T02:29:34Z",
        "git": {"commit": "9c" * 20, "tree": "1f" * 20, "dirty": False},
        "tool": "sealpipe 0.1.0",
        "draft_digest": "",
        "schema_digest": "bb" * 32,
        "keyring_versions": {"production": 12},
        "origins": {"/db/host": "environments/production/checkout.yaml:3"},
    }


Edit = Callable[[dict[str, Any]], None]


def _nothing(_: dict[str, Any]) -> None:
    pass


@dataclass(frozen=True)
class Recipe:
    """A right release; `but` changes one thing. An edit runs before digests are put in, `late` after."""

    project: str = PROJECT
    roots: tuple[Root, ...] = (root("anna"),)
    links: tuple[Link, ...] = ()
    trust: Edit = _nothing
    trust_signers: tuple[str, ...] = ("anna",)
    payload: Edit = _nothing
    late: Edit = _nothing
    payload_signers: tuple[str, ...] = ("ci-production",)
    draft: Edit = _nothing
    draft_after: Edit = _nothing  # what is shipped, after its digest was taken
    approvers: tuple[str, ...] = ("anna",)
    approved_unit: Unit = UNIT
    extra_approvals: Pairs = field(default=())

    def but(self, **changes: Any) -> Recipe:
        return replace(self, **changes)

    def trust_body(self) -> bytes:
        document = trust_document()
        self.trust(document)
        return canonical(document)

    def draft_data(self) -> bytes:
        document = draft_document()
        self.draft(document)
        return canonical(document)

    def payload_body(self) -> bytes:
        document = payload_document()
        self.payload(document)
        body = self.trust_body()
        document["draft_digest"] = draft_digest(self.draft_data())
        document["trust"] = {"version": trust_version(body), "digest": trust_digest(body)}
        self.late(document)
        return canonical(document)

    def bytes(self) -> bytes:
        trust, payload, draft = self.trust_body(), self.payload_body(), self.draft_data()
        approval = approval_body(self.project, self.approved_unit, draft_digest(draft))
        shipped = draft_document()
        self.draft(shipped)
        self.draft_after(shipped)
        return encode_release(
            self.project,
            RootChain(self.roots, self.links),
            trust,
            signed("TRUST", trust, self.trust_signers),
            payload,
            signed("RELEASE", payload, self.payload_signers),
            canonical(shipped),
            signed("APPROVAL", approval, self.approvers) + self.extra_approvals,
        )


def trust_version(body: bytes) -> int:
    import json

    return int(json.loads(body)["version"])


def pins(*roots: Root, project: str = PROJECT, min_version: int = 0) -> tuple[Pin, ...]:
    return parse_pins(",".join(pin_text(project, one, min_version) for one in roots or (root("anna"),)))


def without(path: str) -> Edit:
    """An edit that removes a field, `a.b` style."""

    def edit(document: dict[str, Any]) -> None:
        *parents, last = path.split(".")
        node = document
        for name in parents:
            node = node[name]
        del node[last]

    return edit


def having(path: str, value: Any) -> Edit:
    """An edit that sets a field, `a.b` style; digits are list indices."""

    def edit(document: dict[str, Any]) -> None:
        *parents, last = path.split(".")
        node: Any = document
        for name in parents:
            node = node[int(name)] if isinstance(node, list) else node[name]
        node[int(last) if isinstance(node, list) else last] = copy.deepcopy(value)

    return edit


def both(*edits: Edit) -> Edit:
    def edit(document: dict[str, Any]) -> None:
        for one in edits:
            one(document)

    return edit
