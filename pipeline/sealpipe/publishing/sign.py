"""Planned units and their heads into signed releases, each checked as a reader would before it leaves."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from sealpipe.crypto.keys import SigningKey
from sealpipe.crypto.signing import sign as signature
from sealpipe.errors import RefusedError, TrustError
from sealpipe.frozen import NamedTuple
from sealpipe.model import Batch, Broken, Commit, Drafted, Head, SignedRelease, UnitPlan
from sealpipe.released import SEQ_LIMIT, Order, Payload, Release, Unit
from sealpipe.releases.check import check_release
from sealpipe.releases.payloads import payload_json
from sealpipe.releases.wire import encode_release, split_release
from sealpipe.stages.draft import tombstone
from sealpipe.trust import Pairs, Pin, RootChain, Trust, named_pairs
from sealpipe.version import VERSION

_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


class Content(NamedTuple):
    """What one release is to say, and where it came from."""

    unit: Unit
    data: bytes  # canonical draft
    draft_digest: str
    schema_digest: str
    keyring_versions: Mapping[str, int]
    origins: Mapping[str, str]
    git: Mapping[str, Any] | None
    hold: Mapping[str, Any] | None = None
    rollback_of: str | None = None
    retired: Mapping[str, Any] | None = None
    approvals: Pairs = ()


class Signing(NamedTuple):
    """Who signs, for which project and trust document, and when. `now_ms` is Unix time."""

    environment: str
    trust: Trust
    chain: RootChain
    pins: Sequence[Pin]
    key: SigningKey
    now_ms: int
    batch: str
    break_glass: str | None = None
    new_rid: Callable[[], str] = lambda: secrets.token_hex(16)


def sign(contents: Sequence[Content], heads: Mapping[Unit, Head | Broken], how: Signing) -> Batch:
    """Releases in the order given, above their heads, ready to be stored.

    Raises RefusedError [newer-trust] where a head was signed under a newer trust document than ours,
    TrustError when a reader with the same pins would not accept a result: not a publisher, approvals
    missing, a trust document that is not signed. Does not check that a draft was validated.
    """
    return Batch(
        how.batch,
        how.environment,
        tuple(_signed(content, heads.get(content.unit), how) for content in contents),
    )


def _signed(content: Content, head: Head | Broken | None, how: Signing) -> SignedRelease:
    base = head.newest if isinstance(head, Broken) else head.release if head else None
    payload = Payload(
        project=how.trust.project,
        unit=content.unit,
        order=next_order(content.unit, base.order if base else None, how.trust.version, how.now_ms),
        trust_digest=how.trust.digest,
        number=base.payload.number + 1 if base else 1,
        prev=base.digest if base else "",
        rid=how.new_rid(),
        batch=how.batch,
        created_at=timestamp(how.now_ms),
        git=content.git,
        tool=f"sealpipe {VERSION}",
        draft_digest=content.draft_digest,
        schema_digest=content.schema_digest,
        keyring_versions=content.keyring_versions,
        origins=content.origins,
        hold=content.hold,
        rollback_of=content.rollback_of,
        break_glass=how.break_glass,
        retired=content.retired,
    )
    raw = _bytes(payload, content, how)
    try:
        release = check_release(raw, pins=how.pins, unit=content.unit, project=how.trust.project)
    except TrustError as error:
        if error.word != "malformed-payload":
            raise
        problem = str(error)
    else:
        return SignedRelease(release, base, head.version if head else "", repairs=isinstance(head, Broken))
    raise _unfit(content.unit, problem)


def _bytes(payload: Payload, content: Content, how: Signing) -> bytes:
    problem = ""
    try:
        body = payload_json(payload)
        return encode_release(
            how.trust.project,
            how.chain,
            how.trust.body,
            named_pairs(how.trust.keys, how.trust.signatures),
            body,
            ((how.key.public, signature("RELEASE", body, how.key)),),
            content.data,
            content.approvals,
        )
    except ValueError as error:
        problem = str(error)
    raise _unfit(content.unit, problem)


def _unfit(unit: Unit, problem: str) -> RefusedError:
    return RefusedError("unfit-release", f"{unit} does not fit into a release: {problem}")


def next_order(unit: Unit, base: Order | None, trust: int, now_ms: int) -> Order:
    """The order of the release after `base`. Carries time, so it also stands above what readers hold of a
    store that was lost or restored. Under a higher trust version a stolen key's huge seq counts no more.
    """
    if base is not None and base.trust > trust:
        raise RefusedError(
            "newer-trust",
            f"{unit} is published under trust version {base.trust}; this repository has {trust}",
            why=["readers refuse anything older, and a revoked key might count again"],
            hint=["git pull, then repeat the command"],
        )
    seq = max(base.seq + 1, now_ms) if base is not None and base.trust == trust else now_ms
    if not 0 <= seq < SEQ_LIMIT:
        raise RefusedError(
            "sequence-spent",
            f"{unit}: no higher sequence number is left under trust version {trust}",
            why=["the head's own was made up by whoever signed it"],
            hint=["take that key away, which starts a new version: sealpipe trust remove NAME"],
        )
    return Order(trust, seq)


# ---- contents


def content_of(planned: UnitPlan, commit: Commit, approvals: Pairs = ()) -> Content:
    """What a planned unit's release says. Raises ValueError for one that is not to be written."""
    unit = planned.unit
    if planned.action == "retire":
        return of_drafted(
            tombstone(unit), git_of(commit), approvals, retired={"successor": planned.successor}
        )
    if planned.action == "resign" and planned.drafted is None and isinstance(planned.base, Release):
        return of_release(planned.base, approvals)
    if planned.writes and planned.drafted is not None:
        return of_drafted(planned.drafted, git_of(commit), approvals)
    raise ValueError(f"{unit} is not to be written")


def of_drafted(
    new: Drafted,
    git: Mapping[str, Any] | None,
    approvals: Pairs = (),
    *,
    hold: Mapping[str, Any] | None = None,
    rollback_of: str | None = None,
    retired: Mapping[str, Any] | None = None,
) -> Content:
    """A draft as the content of a release."""
    return Content(
        unit=new.unit,
        data=new.data,
        draft_digest=new.digest,
        schema_digest=new.schema_digest,
        keyring_versions=new.keyring_versions,
        origins=new.origins,
        git=git,
        hold=hold,
        rollback_of=rollback_of,
        retired=retired,
        approvals=approvals,
    )


def of_release(release: Release, approvals: Pairs = ()) -> Content:
    """What a release says, to be signed again: the same draft bytes, commit, hold and origin."""
    payload = release.payload
    return Content(
        unit=release.unit,
        data=split_release(release.raw).draft,
        draft_digest=payload.draft_digest,
        schema_digest=payload.schema_digest,
        keyring_versions=payload.keyring_versions,
        origins=payload.origins,
        git=payload.git,
        hold=payload.hold,
        rollback_of=payload.rollback_of,
        retired=payload.retired,
        approvals=approvals,
    )


def git_of(commit: Commit) -> Mapping[str, Any] | None:
    """A commit as a payload has it; None outside git."""
    if not commit.commit:
        return None
    return {"commit": commit.commit, "tree": commit.tree, "dirty": commit.dirty}


def timestamp(now_ms: int) -> str:
    """RFC 3339 in UTC, to the second."""
    return datetime.fromtimestamp(now_ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def batch_id(now_ms: int, random: bytes | None = None) -> str:
    """26 characters that sort by time; the first eight name a batch well enough for people."""
    bits = (now_ms << 80) | int.from_bytes(random or secrets.token_bytes(10), "big")
    return "".join(_CROCKFORD[bits >> shift & 31] for shift in range(125, -1, -5))
