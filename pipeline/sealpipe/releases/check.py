"""What a reader believes of a release. Pure: bytes, pins and the reader's identity in, a Release out.

No clock, no store, no file; nothing is kept but the last few good trust documents, by their bytes. The
rules run in this order, and a release that breaks one is refused with the word beside it. Nothing is
parsed before the rules above it held.

 1. at most 4 MiB                                                        [release-too-large]
 2. the magic of a release                                               [not-a-release]
 3. project and chain of roots read by lengths                           [malformed-release]
 4. the project is the one that the reader expects                       [foreign-project]
 5. a root of the chain is pinned                                        [foreign-root]
    and each later link is signed by the old and the new root            [bad-link]
 6. the other parts read by lengths, to the exact end                    [malformed-release]
 7. the newest root signed the trust document                            [unsigned-trust]
 8. the trust document is one                                            [malformed-json, malformed-trust]
 9. it is of the project in front                                        [foreign-trust]
10. its root is the newest of the chain                                  [foreign-root]
11. its version is not below the pin's, nor below the caller's lowest    [older-trust]
12. it knows the reader's environment                                    [unknown-environment]
13. publishers of that environment signed the payload, or break-glass keys  [untrusted-signature]
14. the payload is strict JSON of known form                             [malformed-payload, newer-format]
15. it names the embedded trust document by version and digest           [trust-mismatch]
16. its project is the one in front                                      [foreign-payload]
17. its environment and service are the reader's                         [foreign-unit]
18. its seq is below 2^48                                                [bad-order]
19. signed by break-glass keys alone, it records the reason              [unrecorded-break-glass]
20. the draft's bytes have the digest that the payload names             [altered-draft]
21. the draft is strict JSON of known form                               [malformed-draft]
22. its merge keys and sealed values fit (`drafts.check_draft`)          [bad-merge-key, no-place,
                                                    unlisted-secret, malformed-secret, misplaced-secret]
23. where the environment asks for approvals, enough approvers signed exactly this draft for this unit;
    waived only where break-glass keys signed and the reason is recorded  [not-approved]

At 5, 7, 13 and 23 a key counts once and at most 16 signatures are looked at: [repeated-signature]; a
listed key whose signature is not over these bytes: [bad-signature]; keys that are not listed are ignored.

Not checked here: the order against what the reader already has (`newer`), that a secret opens, and that
the content fits anybody's settings.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import lru_cache

from sealpipe.crypto import signing
from sealpipe.errors import Finding, TrustError
from sealpipe.frozen import NamedTuple
from sealpipe.released import SEQ_LIMIT, Order, Payload, Release, Unit
from sealpipe.releases.drafts import check_draft, draft_digest, draft_from_json
from sealpipe.releases.payloads import payload_from_json
from sealpipe.releases.wire import (
    MAGIC,
    RELEASE_LIMIT,
    Block,
    Cursor,
    Frames,
    approval_body,
    release_digest,
    split_release,
)
from sealpipe.trust import (
    BODY_LIMIT,
    EnvironmentTrust,
    Pin,
    Role,
    Root,
    Trust,
    Verify,
    chain_matches,
    check_names_root,
    check_root_signed,
    check_version,
    meets,
    signers,
    trust_from_json,
)


def check_release(
    raw: bytes,
    *,
    pins: Sequence[Pin],
    unit: Unit,
    project: str | None = None,
    min_trust: int = 0,
    verify: Verify = signing.verify,
) -> Release:
    """The release in these bytes, believed. Raises TrustError with the word of the first rule broken.

    `unit` is who reads. `min_trust` is the highest trust version that the reader has seen, where it
    remembers one. What is not checked stands at the top of this module.
    """
    frames, pin = _pinned_frames(raw, pins, project, verify)
    trust = _trust(frames, pin, min_trust, verify)
    environment = _environment(trust, unit.environment)
    signed = _publishers(trust, environment, frames, verify)
    payload = payload_from_json(frames.payload.body)
    _check_payload(payload, trust, frames.project, unit)
    broken_glass = _break_glass(trust, environment, signed, payload)
    if draft_digest(frames.draft) != payload.draft_digest:
        raise TrustError("altered-draft", "the content is not what the publisher signed")
    draft = draft_from_json(frames.draft)
    check_draft(draft)
    approved = _approvers(trust, environment, frames, payload, waived=broken_glass, verify=verify)
    return Release(
        raw=raw,
        digest=release_digest(frames.payload.body),
        payload=payload,
        draft=draft,
        trust_version=trust.version,
        publishers=_names(trust, signed),
        approvers=_names(trust, approved),
    )


# ---- rules 1 to 6


def _pinned_frames(
    raw: bytes, pins: Sequence[Pin], project: str | None, verify: Verify
) -> tuple[Frames, Pin]:
    if len(raw) > RELEASE_LIMIT:
        raise TrustError("release-too-large", "the release is larger than 4 MiB")
    if not raw.startswith(MAGIC):
        raise TrustError("not-a-release", "these bytes are not a release")
    cursor = Cursor(raw[len(MAGIC) :])
    found, chain = cursor.take(16).hex(), cursor.chain()
    if project is not None and found != project:
        raise TrustError("foreign-project", "the release belongs to another project")
    pin = chain_matches(found, chain, pins, verify)
    trust, payload = cursor.block(BODY_LIMIT), cursor.block()
    frames = Frames(found, chain, trust, payload, cursor.body(), cursor.pairs(least=0))
    cursor.end()
    return frames, pin


# ---- rules 7 to 12


def _trust(frames: Frames, pin: Pin, min_trust: int, verify: Verify) -> Trust:
    trust = _signed_trust(frames.chain.roots[-1], frames.trust, verify)
    if trust.project != frames.project:
        raise TrustError("foreign-trust", "the release's trust document belongs to another project")
    check_names_root(trust, frames.chain)
    check_version(trust, pin)
    if trust.version < min_trust:
        raise TrustError(
            "older-trust",
            f"the release's trust document is version {trust.version}; {min_trust} was already seen",
            why=["an old one would give revoked keys their rights back"],
        )
    return trust


# All heads of a store embed the same few documents, and a signature over the same bytes stays good.
@lru_cache(maxsize=8)
def _signed_trust(root: Root, block: Block, verify: Verify) -> Trust:
    check_root_signed(root, block.body, block.signatures, verify)
    return trust_from_json(block.body)


def _environment(trust: Trust, name: str) -> EnvironmentTrust:
    found = trust.environments.get(name)
    if found is None:
        raise TrustError("unknown-environment", f"the release's trust document knows no environment {name}")
    return found


# ---- rule 13


def _publishers(
    trust: Trust, environment: EnvironmentTrust, frames: Frames, verify: Verify
) -> Collection[bytes]:
    roles = (environment.publishers, environment.break_glass)
    signed = signers("RELEASE", frames.payload.body, frames.payload.signatures, _keys(trust, *roles), verify)
    if not any(meets(role, trust.keys, signed) for role in roles):
        raise TrustError(
            "untrusted-signature",
            "the release is not signed by a publisher of this environment",
            why=["the key was revoked, belongs to another environment, or somebody edited the store"],
        )
    return signed


# ---- rules 14 to 19


def _check_payload(payload: Payload, trust: Trust, project: str, unit: Unit) -> None:
    if (payload.order.trust, payload.trust_digest) != (trust.version, trust.digest):
        raise TrustError("trust-mismatch", "the release was signed under another trust document")
    if payload.project != project:
        raise TrustError("foreign-payload", "the release's payload belongs to another project")
    if payload.unit != unit:
        raise TrustError("foreign-unit", f"the release is for {payload.unit}, and {unit} reads it")
    if payload.order.seq >= SEQ_LIMIT:
        raise TrustError("bad-order", "the release's number is beyond the format's limit")


def _break_glass(
    trust: Trust, environment: EnvironmentTrust, signed: Collection[bytes], payload: Payload
) -> bool:
    recorded = payload.break_glass is not None
    if not recorded and not meets(environment.publishers, trust.keys, signed):
        raise TrustError(
            "unrecorded-break-glass",
            "the release is signed by a break-glass key and records no reason",
        )
    # A publisher's key must not be able to waive approvals by writing a reason.
    return recorded and meets(environment.break_glass, trust.keys, signed)


# ---- rule 23


def _approvers(
    trust: Trust,
    environment: EnvironmentTrust,
    frames: Frames,
    payload: Payload,
    *,
    waived: bool,
    verify: Verify,
) -> Collection[bytes]:
    role = environment.approvals
    body = approval_body(frames.project, payload.unit, payload.draft_digest)
    signed = signers("APPROVAL", body, frames.approvals, _keys(trust, role), verify)
    if not waived and not meets(role, trust.keys, signed):
        raise TrustError(
            "not-approved",
            f"the release has {len(signed)} of the {role.need} approvals that its environment asks for",
        )
    return signed


def _keys(trust: Trust, *roles: Role) -> set[bytes]:
    names = {name for role in roles for name in role.of}
    return {key for name in names if (key := trust.keys[name].sign) is not None}


def _names(trust: Trust, signed: Collection[bytes]) -> tuple[str, ...]:
    return tuple(sorted(name for name, key in trust.keys.items() if key.sign in signed))


# ---- which of two releases is newer


class Seen(NamedTuple):
    """What a reader remembers of the release it has."""

    order: Order
    digest: str
    trust_digest: str


def seen(release: Release) -> Seen:
    return Seen(release.order, release.digest, release.payload.trust_digest)


def newer(current: Seen | None, offered: Release) -> str:
    """What a reader does with a believed release: "load", "same", "older" or "equivocation".

    Equivocation is an alarm and never loaded: one order with two contents, or one trust version with two
    documents. `current` None is a reader that has nothing.
    """
    if current is None:
        return "load"
    if offered.digest == current.digest:
        return "same"
    if offered.order == current.order:
        return "equivocation"
    if offered.order.trust == current.order.trust and offered.payload.trust_digest != current.trust_digest:
        return "equivocation"
    return "load" if offered.order > current.order else "older"


# ---- for who reports on a store


class Broken(NamedTuple):
    """Bytes that no reader would accept, why, and what they say of themselves, unbelieved."""

    unit: Unit
    why: Finding
    claims: Payload | None


def inspect(
    raw: bytes,
    *,
    pins: Sequence[Pin],
    unit: Unit,
    project: str | None = None,
    min_trust: int = 0,
    verify: Verify = signing.verify,
) -> Release | Broken:
    """As `check_release`, with the first broken rule as a value: for `status` and `verify`. Never raises.

    `claims` are for a report only ("says it is #41 for dev/checkout"); nothing may be decided by them.
    """
    try:
        return check_release(raw, pins=pins, unit=unit, project=project, min_trust=min_trust, verify=verify)
    except TrustError as error:
        why = error.finding
    return Broken(unit, why, _claims(raw))


def _claims(raw: bytes) -> Payload | None:
    if len(raw) > RELEASE_LIMIT:
        return None
    try:
        return payload_from_json(split_release(raw).payload.body)
    except TrustError:
        return None


def still_listed(release: Release, trust: Trust, *, verify: Verify = signing.verify) -> bool:
    """Whether a key that signed this release is a publisher or break-glass key in `trust`, today's.

    A key is compared by itself and not by its name: `trust add NAME --replace` gives a name another key.
    """
    environment = trust.environments.get(release.unit.environment)
    if environment is None:
        return False
    allowed = _keys(trust, environment.publishers, environment.break_glass)
    payload = split_release(release.raw).payload
    return any(
        key in allowed and verify("RELEASE", payload.body, key, signature)
        for key, signature in payload.signatures
    )
