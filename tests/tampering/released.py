"""Attacks on the bytes of a release, as a service meets them.

A store writer can put any bytes anywhere in the store; some hold a key besides.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from release_builder import (
    PROJECT,
    UNIT,
    Recipe,
    both,
    having,
    key,
    link,
    pins,
    public_text,
    root,
)
from sealpipe.crypto.signing import sign
from sealpipe.released import SEQ_LIMIT, Unit
from sealpipe.releases.check import check_release
from sealpipe.releases.wire import encode_release, split_release
from sealpipe.roots import Pairs

from .attack import Attack, word

GOOD = Recipe()
STORE = "write access to the store"
PUBLISHER = "a publisher's key"
REVOKED = "a publisher's key that was taken away"
ROOT_KEY = "one root key of two"
Raw = Callable[[], bytes]


def offered(raw: Raw, unit: Unit = UNIT, **more: Any) -> Callable[[Path], str]:
    """What a service of production/checkout that is pinned to anna's root says of the bytes."""
    how: dict[str, Any] = {"pins": pins(), "project": PROJECT, **more}
    return lambda _: word(lambda: check_release(raw(), unit=unit, **how))


def made(**changes: Any) -> Raw:
    return GOOD.but(**changes).bytes


def mixed(
    trust: Recipe = GOOD, payload: Recipe = GOOD, draft: Recipe = GOOD, approvals: Recipe = GOOD
) -> Raw:
    """A release put together from parts of releases that are each good."""

    def raw() -> bytes:
        one, two = split_release(trust.bytes()), split_release(payload.bytes())
        three, four = split_release(draft.bytes()), split_release(approvals.bytes())
        return encode_release(
            PROJECT, one.chain, one.trust.body, one.trust.signatures,
            two.payload.body, two.payload.signatures, three.draft, four.approvals,
        )  # fmt: skip

    return raw


def signed_by(signatures: Callable[[bytes], Pairs]) -> Raw:
    """The good release with other signatures on its payload."""

    def raw() -> bytes:
        f = split_release(GOOD.bytes())
        return encode_release(
            PROJECT, f.chain, f.trust.body, f.trust.signatures,
            f.payload.body, signatures(f.payload.body), f.draft, f.approvals,
        )  # fmt: skip

    return raw


def of_kind(kind: str) -> Raw:
    ci = key("ci-production")
    return signed_by(lambda body: ((ci.public, sign(kind, body, ci)),))


def own_signer(**more: Any) -> Raw:
    mine = both(
        having("keys.mallory", {"sign": public_text("mallory")}),
        having("environments.production.publishers", ["mallory"]),
    )
    return made(trust=mine, payload_signers=("mallory",), **more)


OTHER_DRAFT = GOOD.but(draft=having("values.db.pool_max", 41))
OLDER = GOOD.but(trust=having("version", 6))
NEWER = GOOD.but(trust=having("version", 8))
TWO_OF = {"need": 2, "of": ["ci-production", "ci-staging"]}
APPROVERS = {"need": 2, "of": ["anna", "ben"]}
PAIR = root("anna", "ben", need=2)
TO_PAIR = having("root", {"need": 2, "of": ["anna", "ben"]})


def rooted(*links: Any, **more: Any) -> Raw:
    """The chain anna -> anna and ben, both needed."""
    return made(roots=(root("anna"), PAIR), links=links, trust=TO_PAIR, trust_signers=("anna", "ben"), **more)


def without_publisher(document: dict[str, Any]) -> None:
    document["version"] = 8
    document["environments"]["production"]["publishers"] = ["ci-staging"]


def deep(levels: int) -> Any:
    node: Any = {}
    for _ in range(levels):
        node = {"a": node}
    return node


def kept_signature() -> bytes:
    mine, honest = split_release(own_signer(trust_signers=("mallory",))()), split_release(GOOD.bytes())
    return encode_release(
        PROJECT, mine.chain, mine.trust.body, honest.trust.signatures,
        mine.payload.body, mine.payload.signatures, mine.draft, mine.approvals,
    )  # fmt: skip


ATTACKS = [
    Attack(
        "a foreign project's release",
        STORE,
        offered(made(project="00" * 16), pins=pins(project="00" * 16)),
        "foreign-project",
    ),
    Attack(
        "a foreign project with the same root keys, project not known",
        STORE,
        offered(made(project="00" * 16), project=None),
        "foreign-root",
    ),
    Attack("rubbish as head", STORE, offered(lambda: b"junk"), "not-a-release"),
    Attack("bytes after the end", STORE, offered(lambda: GOOD.bytes() + b"\0"), "malformed-release"),
    Attack("a release of 5 MiB", STORE, offered(lambda: GOOD.bytes() + bytes(5 << 20)), "release-too-large"),
    Attack(
        "the first half of a release",
        STORE,
        offered(lambda: GOOD.bytes()[: len(GOOD.bytes()) // 2]),
        "malformed-release",
    ),
    Attack(
        "another root in the release",
        STORE,
        offered(own_signer(roots=(root("mallory"),), trust_signers=("mallory",))),
        "foreign-root",
    ),
    Attack(
        "own signer added to the trust document",
        STORE,
        offered(own_signer(trust_signers=("mallory",))),
        "unsigned-trust",
    ),
    Attack("own signer added, root's signature kept", STORE, offered(kept_signature), "bad-signature"),
    Attack(
        "a root change signed by the old root only",
        ROOT_KEY,
        offered(rooted(link(root("anna"), PAIR, "anna"))),
        "bad-link",
    ),
    Attack(
        "a root change signed by the new root only",
        ROOT_KEY,
        offered(rooted(link(root("anna"), PAIR, "ben"))),
        "bad-link",
    ),
    Attack(
        "a root change of another project",
        ROOT_KEY,
        offered(rooted(link(root("anna"), PAIR, "anna", "ben", project="00" * 16))),
        "bad-signature",
    ),
    Attack(
        "one root key counted twice",
        ROOT_KEY,
        offered(rooted(link(root("anna"), PAIR, "anna", "anna"))),
        "repeated-signature",
    ),
    Attack(
        "a stranger's root appended",
        STORE,
        offered(
            made(
                roots=(root("anna"), root("mallory")),
                links=(link(root("anna"), root("mallory"), "mallory"),),
                trust=having("root", ["mallory"]),
                trust_signers=("mallory",),
            )
        ),
        "bad-link",
    ),
    Attack(
        "the old root goes on signing after a change",
        "the old root key",
        offered(rooted(link(root("anna"), PAIR, "anna", "ben")), pins=pins(PAIR), min_trust=8),
        "older-trust",
    ),
    Attack(
        "trust signed by the pinned root, not the newest",
        "the old root key",
        offered(
            made(roots=(root("anna"), PAIR), links=(link(root("anna"), PAIR, "anna", "ben"),), trust=TO_PAIR)
        ),
        "unsigned-trust",
    ),
    Attack(
        "trust document below the pin", REVOKED, offered(OLDER.bytes, pins=pins(min_version=7)), "older-trust"
    ),
    Attack("trust document below what was seen", REVOKED, offered(OLDER.bytes, min_trust=7), "older-trust"),
    Attack("old trust document under a new payload", REVOKED, offered(mixed(trust=OLDER)), "trust-mismatch"),
    Attack(
        "new trust document over a revoked publisher's payload",
        REVOKED,
        offered(mixed(trust=GOOD.but(trust=without_publisher))),
        "untrusted-signature",
    ),
    Attack(
        "another project's trust document",
        STORE,
        offered(made(trust=having("project", "00" * 16))),
        "foreign-trust",
    ),
    Attack(
        "an environment that trust does not list",
        PUBLISHER,
        offered(made(), Unit("preview", "checkout")),
        "unknown-environment",
    ),
    Attack(
        "another environment's publisher",
        "staging's publishing key",
        offered(made(payload_signers=("ci-staging",))),
        "untrusted-signature",
    ),
    Attack(
        "an approver signs as publisher",
        "the safe's key",
        offered(made(payload_signers=("safe",))),
        "untrusted-signature",
    ),
    Attack("an approval's signature as a release's", STORE, offered(of_kind("APPROVAL")), "bad-signature"),
    Attack("a trust signature as a release's", STORE, offered(of_kind("TRUST")), "bad-signature"),
    Attack("a keyring signature as a release's", STORE, offered(of_kind("KEYRING")), "bad-signature"),
    Attack("a state's signature as a release's", STORE, offered(of_kind("STATE")), "bad-signature"),
    Attack(
        "one publisher counted twice",
        PUBLISHER,
        offered(
            made(
                trust=having("environments.production.publishers", TWO_OF),
                payload_signers=("ci-production", "ci-production"),
            )
        ),
        "repeated-signature",
    ),
    Attack(
        "one publisher of the two needed",
        PUBLISHER,
        offered(made(trust=having("environments.production.publishers", TWO_OF))),
        "untrusted-signature",
    ),
    Attack(
        "a payload signed for another project",
        PUBLISHER,
        offered(made(late=having("project", "00" * 16))),
        "foreign-payload",
    ),
    Attack("another service's release", STORE, offered(made(), Unit("production", "mailer")), "foreign-unit"),
    Attack(
        "dev's release in production",
        "dev's publishing key",
        offered(made(late=having("environment", "dev"), payload_signers=("anna",))),
        "foreign-unit",
    ),
    Attack(
        "a seq beyond the format's bound",
        PUBLISHER,
        offered(made(late=having("seq", SEQ_LIMIT))),
        "bad-order",
    ),
    Attack(
        "a field that no reader knows", PUBLISHER, offered(made(late=having("epoch", 1))), "malformed-payload"
    ),
    Attack(
        "a later format that this reader may not use",
        PUBLISHER,
        offered(made(late=both(having("format", 2), having("min_format", 2)))),
        "newer-format",
    ),
    Attack(
        "true for the number 1", PUBLISHER, offered(made(late=having("number", True))), "malformed-payload"
    ),
    Attack(
        "a break-glass key without a reason",
        "a break-glass key",
        offered(made(payload_signers=("anna",))),
        "unrecorded-break-glass",
    ),
    Attack(
        "a publisher writes a reason to waive approvals",
        PUBLISHER,
        offered(made(approvers=(), late=having("break_glass", "urgent"))),
        "not-approved",
    ),
    Attack("no approval", PUBLISHER, offered(made(approvers=())), "not-approved"),
    Attack(
        "an approved digest with another draft", STORE, offered(mixed(draft=OTHER_DRAFT)), "altered-draft"
    ),
    Attack(
        "an approval of another draft",
        PUBLISHER,
        offered(mixed(payload=OTHER_DRAFT, draft=OTHER_DRAFT)),
        "bad-signature",
    ),
    Attack(
        "an approval of another service",
        PUBLISHER,
        offered(made(approved_unit=Unit("production", "mailer"))),
        "bad-signature",
    ),
    Attack(
        "one approver counted twice",
        PUBLISHER,
        offered(
            made(trust=having("environments.production.approvals", APPROVERS), approvers=("anna", "anna"))
        ),
        "repeated-signature",
    ),
    Attack(
        "an approval of who is no approver", PUBLISHER, offered(made(approvers=("safe",))), "not-approved"
    ),
    Attack(
        "a release's signature as an approval",
        PUBLISHER,
        offered(made(approvers=(), extra_approvals=((key("anna").public, bytes(64)),))),
        "bad-signature",
    ),
    Attack(
        "a draft with a field more", PUBLISHER, offered(made(draft=having("include", "x"))), "malformed-draft"
    ),
    Attack(
        "a draft nested beyond the bound",
        PUBLISHER,
        offered(lambda: GOOD.but(draft=having("values.deep", deep(80))).bytes()),
        "malformed-draft",
    ),
]
