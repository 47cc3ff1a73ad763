"""What leaves `sign` is what a reader accepts; everything else is an error here and not at the reader."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from publishing import KEYS, NOW, PINS, PROJECT, A, content, make_draft, make_trust, signing
from sealpipe.crypto.signing import sign as signature
from sealpipe.errors import RefusedError, TrustError
from sealpipe.model import Broken, Commit, Head, UnitPlan
from sealpipe.publishing.sign import batch_id, content_of, of_release, sign, timestamp
from sealpipe.released import Release, Unit
from sealpipe.releases.wire import approval_body

PRODUCTION = Unit("production", "a")
ROLES: Mapping[str, Any] = {
    "production": {
        "publishers": ["ci"],
        "break_glass": ["anna"],
        "approvals": {"need": 1, "of": ["anna", "ben"]},
        "protected": True,
    }
}


def one(values: Mapping[str, Any] | None = None, **more: Any) -> Release:
    found = content(more.pop("unit", A), values or {"n": 1}, **more.pop("content", {}))
    heads = more.pop("heads", {})
    return sign([found], heads, signing(**more)).releases[0].release


def approved(draft_digest: str, by: str, unit: Unit = PRODUCTION) -> tuple[tuple[bytes, bytes], ...]:
    return ((KEYS[by].public, signature("APPROVAL", approval_body(PROJECT, unit, draft_digest), KEYS[by])),)


def refused(**more: Any) -> str:
    with pytest.raises(TrustError) as caught:
        one(**more)
    return caught.value.word


def test_a_release_says_what_it_was_made_from() -> None:
    release = one({"n": 1}, by="ci", batch="B7")
    payload = release.payload
    assert (payload.unit, payload.number, payload.prev, payload.batch) == (A, 1, "", "B7")
    assert payload.created_at == timestamp(NOW) == "2025-11-24T16:00:00Z"
    assert payload.git == {"commit": "c" * 40, "tree": "", "dirty": False}
    assert release.publishers == ("ci",)
    assert release.draft.values == {"n": 1}


def test_each_attempt_has_its_own_rid() -> None:
    assert one().payload.rid != one().payload.rid


def test_the_next_release_names_the_one_before() -> None:
    first = one()
    second = one({"n": 2}, heads={A: Head(first, "v1")})
    assert (second.payload.number, second.payload.prev) == (2, first.digest)
    third = one({"n": 3}, heads={A: Broken(A, "v2", "word", "what", second)})
    assert (third.payload.number, third.payload.prev) == (3, second.digest)
    assert third.order > second.order
    assert one(heads={A: Broken(A, "v2", "word", "what", None)}).payload.number == 1


def test_a_broken_head_is_replaced_at_its_version_and_archived_as_nothing() -> None:
    signed = sign([content(A, {})], {A: Broken(A, "v9", "word", "what", one())}, signing()).releases[0]
    assert (signed.base_version, signed.repairs) == ("v9", True)


def test_only_publishers_sign() -> None:
    assert refused(by="ben") == "untrusted-signature"
    production = make_trust(environments=ROLES)
    assert (
        refused(unit=PRODUCTION, trust=production, by="ben", environment="production")
        == "untrusted-signature"
    )


def test_approvals_are_needed_and_bound() -> None:
    production = make_trust(environments=ROLES)
    same: dict[str, Any] = {"unit": PRODUCTION, "trust": production, "environment": "production"}
    digest = make_draft(PRODUCTION, {"n": 1}).digest
    assert refused(**same) == "not-approved"
    assert refused(**same, content={"approvals": approved("0" * 64, "ben")}) == "bad-signature"
    assert refused(**same, content={"approvals": approved(digest, "ci")}) == "not-approved"
    assert refused(**same, content={"approvals": approved(digest, "ben", A)}) == "bad-signature"
    release = one({"n": 1}, **same, content={"approvals": approved(digest, "ben")})
    assert release.approvers == ("ben",)


def test_break_glass_is_recorded_and_needs_its_own_key() -> None:
    production = make_trust(environments=ROLES)
    same: dict[str, Any] = {"unit": PRODUCTION, "trust": production, "environment": "production"}
    assert refused(**same, by="anna") == "unrecorded-break-glass"
    assert refused(**same, by="ci", break_glass="why") == "not-approved"
    assert one(**same, by="anna", break_glass="why").payload.break_glass == "why"


def test_a_trust_document_that_nobody_signed_or_pinned_is_refused() -> None:
    unsigned = replace(make_trust(), signatures=(("anna", b"x" * 64),))
    assert refused(trust=unsigned) == "bad-signature"
    foreign = signing()._replace(pins=[PINS[0]._replace(digest=b"\0" * 32)])
    with pytest.raises(TrustError) as caught:
        sign([content(A, {})], {}, foreign)
    assert caught.value.word == "foreign-root"


def test_nothing_is_signed_below_newer_trust() -> None:
    newer = one(trust=make_trust(2))
    with pytest.raises(RefusedError) as caught:
        one(heads={A: Head(newer, "v")})
    assert caught.value.word == "newer-trust"


def test_signing_again_keeps_what_a_release_says() -> None:
    hold = {"by": "anna", "reason": "slow", "rejected": [{"path": "/n", "value": 2}]}
    first = one(content={"hold": hold, "rollback_of": "ab" * 32})
    again = sign([of_release(first)], {A: Head(first, "v")}, signing(trust=make_trust(2))).releases[0].release
    for name in ("hold", "rollback_of", "git", "draft_digest", "origins", "keyring_versions"):
        assert getattr(again.payload, name) == getattr(first.payload, name)
    assert again.trust_version == 2


def test_what_is_not_to_be_written_has_no_content() -> None:
    commit = Commit("", "", "", False)
    for action in ("same", "held", "refused", "broken"):
        with pytest.raises(ValueError, match="is not to be written"):
            content_of(UnitPlan(A, action, None, make_draft(A, {})), commit)
    retired = content_of(UnitPlan(A, "retire", None, None, successor="b"), commit)
    assert (retired.retired, retired.git) == ({"successor": "b"}, None)


def test_batches_sort_by_time() -> None:
    early, late = batch_id(NOW, bytes(10)), batch_id(NOW + 1, bytes(10))
    assert early < late
    assert len(early) == 26


def test_what_does_not_fit_into_a_release_is_refused_without_showing_it() -> None:
    for more in ({"content": {"hold": {"by": "x" * 200, "reason": "", "rejected": []}}}, {"batch": "a b"}):
        with pytest.raises(RefusedError) as caught:
            one(**more)  # type: ignore[arg-type]
        assert caught.value.word == "unfit-release"
    with pytest.raises(RefusedError) as caught:
        one({"x": "canary" * 800_000})
    assert "larger than 4 MiB" in str(caught.value)
    assert "canary" not in str(caught.value)
