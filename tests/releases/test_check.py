"""Each rule of `check` on a release that breaks it alone, and attacks that several rules stand against."""

from __future__ import annotations

import random
import re

import pytest

from release_builder import (
    DEV,
    PROJECT,
    UNIT,
    Recipe,
    both,
    draft_document,
    having,
    key,
    link,
    payload_document,
    pins,
    public_text,
    root,
    signed,
    token,
    without,
)
from sealpipe.canonical import canonical, to_base64url
from sealpipe.crypto.signing import sign
from sealpipe.errors import TrustError
from sealpipe.released import Order, Unit
from sealpipe.releases import check
from sealpipe.releases.check import Broken, Seen, check_release, inspect, newer, seen, still_listed
from sealpipe.releases.wire import MAGIC, RELEASE_LIMIT, approval_body, encode_release, split_release
from sealpipe.roots import RootChain
from sealpipe.trust import trust_from_json

GOOD = Recipe()


def accepted(recipe, **options):
    return check_release(recipe.bytes(), **{"pins": pins(), "unit": UNIT, "project": PROJECT, **options})


def refused(raw, word, **options):
    with pytest.raises(TrustError) as caught:
        check_release(raw, **{"pins": pins(), "unit": UNIT, "project": PROJECT, **options})
    assert caught.value.word == word, str(caught.value)
    return caught.value


def test_a_right_release_is_believed():
    release = accepted(GOOD)
    assert release.unit == UNIT
    assert release.order == Order(7, 1_790_000_000_000)
    assert release.publishers == ("ci-production",)
    assert release.approvers == ("anna",)
    assert release.trust_version == 7
    assert release.payload.number == 42
    assert release.draft.values["db"]["pool_max"] == 40
    assert set(release.draft.sealed) == {"/db/password", "/replicas/0/url"}
    assert release.raw == GOOD.bytes()
    assert re.fullmatch("[0-9a-f]{64}", release.digest)


def test_neither_project_nor_lowest_version_need_be_known():
    assert check_release(GOOD.bytes(), pins=pins(), unit=UNIT).trust_version == 7


# ---- one rule each


def test_rule_1_size():
    refused(GOOD.bytes() + bytes(RELEASE_LIMIT), "release-too-large")


def test_rule_2_magic():
    refused(b"", "not-a-release")
    refused(GOOD.bytes()[1:], "not-a-release")
    refused(GOOD.bytes().replace(MAGIC, b"SEALPIPE-RELEASE-2\n"), "not-a-release")


@pytest.mark.parametrize(
    "chain",
    [
        b"\0",  # no root
        b"\x09",  # nine
        b"\1\0\1" + bytes(32),  # needs none
        b"\1\2\1" + bytes(32),  # needs two of one
        b"\1\1\0",  # no key
        b"\1\1\x11" + bytes(range(256)) * 3,  # 17 keys
        b"\1\1\2" + bytes(64),  # one key twice
        b"\1\1\2" + b"\2" * 32 + b"\1" * 32,  # descending
    ],
)
def test_rule_3_chain_form(chain):
    raw = MAGIC + bytes.fromhex(PROJECT) + chain + bytes(4096)
    refused(raw, "malformed-release")


def test_rule_4_project():
    refused(GOOD.bytes(), "foreign-project", project="00" * 16)


def test_rule_5_pin():
    refused(GOOD.bytes(), "foreign-root", pins=pins(root("ben")))
    refused(GOOD.bytes(), "foreign-root", pins=())
    refused(GOOD.bytes(), "foreign-root", pins=pins(root("anna", "ben")))
    # The pin covers the project: the same people's other project is not this one.
    refused(GOOD.bytes(), "foreign-root", pins=pins(root("anna"), project="00" * 16))


def test_rule_5_links():
    old, new = root("safe"), root("anna")
    moved = GOOD.but(roots=(old, new), links=(link(old, new, "safe", "anna"),))
    assert accepted(moved, pins=pins(old))
    assert accepted(moved, pins=pins(new))
    for signers in (("safe",), ("anna",), ("ben",)):
        refused(moved.but(links=(link(old, new, *signers),)).bytes(), "bad-link", pins=pins(old))
    # A reader that knows the new root needs no link to it.
    assert accepted(moved.but(links=(link(old, new, "ben"),)), pins=pins(new))
    other = link(old, root("ben"), "safe", "anna")
    refused(moved.but(links=(other,)).bytes(), "bad-signature", pins=pins(old))


def test_rule_5_a_link_of_another_project_does_not_carry():
    old, new = root("safe"), root("anna")
    foreign = link(old, new, "safe", "anna", project="00" * 16)
    refused(GOOD.but(roots=(old, new), links=(foreign,)).bytes(), "bad-signature", pins=pins(old))


def test_rule_5_every_later_link_counts():
    first, second, third = root("safe"), root("ben"), root("anna")
    links = (link(first, second, "safe", "ben"), link(second, third, "ben", "anna"))
    chain = GOOD.but(roots=(first, second, third), links=links)
    assert accepted(chain, pins=pins(first))
    skipped = (links[0], link(first, third, "safe", "anna"))
    refused(chain.but(links=skipped).bytes(), "bad-signature", pins=pins(first))


def test_rule_5_thresholds_of_both_roots():
    old, new = root("safe", "ben", need=2), root("anna")
    two = GOOD.but(roots=(old, new), links=(link(old, new, "safe", "ben", "anna"),))
    assert accepted(two, pins=pins(old))
    refused(two.but(links=(link(old, new, "safe", "anna"),)).bytes(), "bad-link", pins=pins(old))
    repeated = link(old, new, "safe", "safe", "anna")
    refused(two.but(links=(repeated,)).bytes(), "repeated-signature", pins=pins(old))


def test_rule_6_cut_short_everywhere():
    raw = GOOD.bytes()
    for size in range(len(MAGIC), len(raw), 7):
        refused(raw[:size], "malformed-release")


def test_rule_6_exact_end():
    refused(GOOD.bytes() + b"\0", "malformed-release")


def test_rule_6_no_more_than_16_signatures():
    many = tuple(f"somebody {n}" for n in range(15))
    assert accepted(GOOD.but(payload_signers=("ci-production", *many)))
    raw = GOOD.bytes()
    approvals = bytes([1])
    at = raw.rindex(approvals + key("anna").public)
    refused(raw[:at] + bytes([17]) + raw[at + 1 :] + bytes(96 * 16), "malformed-release")


def test_rule_7_trust_is_signed_by_the_root():
    refused(GOOD.but(trust_signers=("ben",)).bytes(), "unsigned-trust")
    refused(GOOD.but(trust_signers=("ci-production",)).bytes(), "unsigned-trust")


def test_rule_7_signed_by_the_newest_root_and_not_by_the_pinned_one():
    old, new = root("safe"), root("anna")
    moved = GOOD.but(roots=(old, new), links=(link(old, new, "safe", "anna"),))
    refused(moved.but(trust_signers=("safe",)).bytes(), "unsigned-trust", pins=pins(old))


def test_rule_7_an_edited_trust_document():
    raw = GOOD.bytes()
    edited = raw.replace(b'"branch":"main"', b'"branch":"evil"')
    assert edited != raw
    refused(edited, "bad-signature")


def test_rule_7_threshold_of_the_root():
    two = root("anna", "ben", need=2)
    document = having("root", {"need": 2, "of": ["anna", "ben"]})
    recipe = GOOD.but(roots=(two,), trust=document, trust_signers=("anna", "ben"))
    assert accepted(recipe, pins=pins(two))
    refused(recipe.but(trust_signers=("anna",)).bytes(), "unsigned-trust", pins=pins(two))
    refused(recipe.but(trust_signers=("anna", "anna")).bytes(), "repeated-signature", pins=pins(two))


def with_trust_body(body):
    payload = Recipe().payload_body()
    return encode_release(
        PROJECT,
        RootChain((root("anna"),), ()),
        body,
        signed("TRUST", body, ("anna",)),
        payload,
        signed("RELEASE", payload, ("ci-production",)),
        Recipe().draft_data(),
    )


def test_rule_8_trust_form():
    refused(with_trust_body(b"{"), "malformed-json")
    refused(with_trust_body(b'{"format":1,"format":1}'), "malformed-json")
    refused(with_trust_body(b"[" * 3000), "malformed-json")
    refused(with_trust_body(b"{}"), "malformed-trust")
    refused(GOOD.but(trust=having("extra", 1)).bytes(), "malformed-trust")


def test_rule_9_trust_of_another_project():
    refused(GOOD.but(trust=having("project", "00" * 16)).bytes(), "foreign-trust")


def test_rule_10_trust_names_the_newest_root():
    refused(GOOD.but(trust=having("root", ["ben"])).bytes(), "foreign-root")
    refused(GOOD.but(trust=having("root", ["anna", "ben"])).bytes(), "foreign-root")


def test_rule_11_versions():
    assert accepted(GOOD, pins=pins(min_version=7))
    refused(GOOD.bytes(), "older-trust", pins=pins(min_version=8))
    assert accepted(GOOD, min_trust=7)
    refused(GOOD.bytes(), "older-trust", min_trust=8)


def test_rule_12_environment_is_known():
    refused(GOOD.bytes(), "unknown-environment", unit=Unit("qa", "checkout"))


@pytest.mark.parametrize(
    "signers", [("ci-staging",), ("safe",), ("nobody",), ("ci-staging", "nobody")], ids="+".join
)
def test_rule_13_publishers(signers):
    refused(GOOD.but(payload_signers=signers).bytes(), "untrusted-signature")


def test_rule_13_signature_of_another_kind_or_release():
    raw = GOOD.bytes()
    frames = split_release(raw)
    for kind in ("APPROVAL", "TRUST", "STATE", "KEYRING", "ROOT"):
        wrong = ((key("ci-production").public, sign(kind, frames.payload.body, key("ci-production"))),)
        refused(rebuilt(frames, payload_signatures=wrong), "bad-signature")
    other = split_release(GOOD.but(late=having("number", 43)).bytes()).payload
    refused(rebuilt(frames, payload_signatures=other.signatures), "bad-signature")


def rebuilt(frames, *, payload=None, payload_signatures=None, draft=None, approvals=None):
    return encode_release(
        frames.project,
        frames.chain,
        frames.trust.body,
        frames.trust.signatures,
        frames.payload.body if payload is None else payload,
        frames.payload.signatures if payload_signatures is None else payload_signatures,
        frames.draft if draft is None else draft,
        frames.approvals if approvals is None else approvals,
    )


def test_rule_13_more_than_one_publisher_where_the_role_asks_for_it():
    two = having("environments.production.publishers", {"need": 2, "of": ["ci-production", "ci-staging"]})
    refused(GOOD.but(trust=two).bytes(), "untrusted-signature")
    assert accepted(GOOD.but(trust=two, payload_signers=("ci-production", "ci-staging")))
    same = GOOD.but(trust=two, payload_signers=("ci-production", "ci-production"))
    refused(same.bytes(), "repeated-signature")


def with_payload(body):
    frames = split_release(GOOD.bytes())
    return rebuilt(frames, payload=body, payload_signatures=signed("RELEASE", body, ("ci-production",)))


@pytest.mark.parametrize("name", payload_document())
def test_rule_14_every_field_of_the_payload_is_there_and_typed(name):
    refused(GOOD.but(late=without(name)).bytes(), "malformed-payload")
    for wrong in (True, ["x"], {"x": 0}, -1, "\n"):
        refused(GOOD.but(late=having(name, wrong)).bytes(), "malformed-payload")


@pytest.mark.parametrize(
    ("path", "wrong"),
    [
        ("project", PROJECT.upper()),
        ("environment", "Production"),
        ("service", "../checkout"),
        ("trust.version", 0),
        ("trust.digest", "aa"),
        ("number", 0),
        ("prev", "aa"),
        ("rid", "aa"),
        ("batch", ""),
        ("created_at", "2026-11-25 02:29:34"),
        ("created_at", "2026-11-25T02:29:34+01:00"),
        ("git.commit", "HEAD"),
        ("git.dirty", "no"),
        ("git.branch", "main"),
        ("tool", "x" * 129),
        ("keyring_versions.production", "12"),
        ("origins./db/host", 3),
        ("hold", {"by": "anna"}),
        ("hold", {"by": "anna", "reason": "", "rejected": [{"value": 3}]}),
        ("hold", {"by": "anna", "reason": "", "rejected": [], "more": 1}),
        ("rollback_of", "41"),
        ("break_glass", ""),
        ("retired", {}),
        ("retired", {"successor": 3}),
        ("surprise", 1),
        ("break_glass", None),
    ],
)
def test_rule_14_fields_of_the_payload(path, wrong):
    refused(GOOD.but(late=having(path, wrong)).bytes(), "malformed-payload")


@pytest.mark.parametrize(
    "edit",
    [
        having("git", None),
        having("prev", ""),
        having("schema_digest", ""),
        having("created_at", "2026-11-25T02:29:34.123456Z"),
        having(
            "hold",
            {"by": "anna", "reason": "slow", "rejected": [{"path": "/a"}, {"path": "/b", "value": None}]},
        ),
        having("rollback_of", "cc" * 32),
        having("retired", {"successor": "checkout2"}),
        having("keyring_versions", {}),
    ],
)
def test_rule_14_what_may_stand_in_a_payload(edit):
    assert accepted(GOOD.but(late=edit))


def test_rule_14_strict_json():
    body = GOOD.payload_body()
    refused(with_payload(body.replace(b'"number":42', b'"number":42,"number":42')), "malformed-payload")
    refused(with_payload(body.replace(b'"number":42', b'"number":NaN')), "malformed-payload")
    refused(with_payload(body.replace(b'"number":42', b'"number":42.0')), "malformed-payload")
    refused(with_payload(b"[]"), "malformed-payload")
    refused(with_payload(b""), "malformed-payload")
    assert check_release(with_payload(body), pins=pins(), unit=UNIT)


def test_rule_14_formats():
    refused(GOOD.but(late=having("min_format", 2)).bytes(), "newer-format")
    refused(GOOD.but(late=both(having("min_format", 2), without("rid"))).bytes(), "newer-format")
    later = GOOD.but(late=both(having("format", 2), having("surprise", 1)))
    assert accepted(later).payload.format == 2


def test_rule_15_trust_is_the_embedded_one():
    refused(GOOD.but(late=having("trust.version", 6)).bytes(), "trust-mismatch")
    refused(GOOD.but(late=having("trust.digest", "00" * 32)).bytes(), "trust-mismatch")


def test_rule_15_a_revoked_publisher_cannot_pair_its_release_with_an_older_trust_document():
    """The payload of one release with the trust document of another, each signed."""
    old = split_release(GOOD.bytes())
    new = split_release(GOOD.but(trust=having("version", 8)).bytes())
    mixed = encode_release(
        PROJECT, old.chain, old.trust.body, old.trust.signatures,
        new.payload.body, new.payload.signatures, new.draft, new.approvals,
    )  # fmt: skip
    refused(mixed, "trust-mismatch")


def test_rule_16_project_of_the_payload():
    refused(GOOD.but(late=having("project", "00" * 16)).bytes(), "foreign-payload")


def test_rule_17_unit():
    refused(GOOD.bytes(), "foreign-unit", unit=Unit("production", "mailer"))
    # anna publishes in dev too: her release for dev is not one for production.
    dev = GOOD.but(late=having("environment", "dev"), payload_signers=("anna",))
    refused(dev.bytes(), "foreign-unit")


def test_rule_18_seq():
    assert accepted(GOOD.but(late=having("seq", 2**48 - 1)))
    refused(GOOD.but(late=having("seq", 2**48)).bytes(), "bad-order")


def test_rule_19_break_glass_is_recorded():
    refused(GOOD.but(payload_signers=("ben",)).bytes(), "unrecorded-break-glass")
    release = accepted(GOOD.but(payload_signers=("ben",), late=having("break_glass", "CI is down")))
    assert release.publishers == ("ben",)
    assert release.payload.break_glass == "CI is down"


def test_rule_20_draft_is_the_signed_one():
    refused(GOOD.but(draft_after=having("values.db.pool_max", 41)).bytes(), "altered-draft")


def test_rule_20_comes_before_parsing():
    frames = split_release(GOOD.bytes())
    refused(rebuilt(frames, draft=b"[" * 1000), "altered-draft")


def with_draft(data):
    """A release whose draft is these bytes, signed and approved by a publisher that means it."""
    from sealpipe.releases.drafts import draft_digest

    body = canonical({**payload_like(), "draft_digest": draft_digest(data)})
    approval = approval_body(PROJECT, UNIT, draft_digest(data))
    return rebuilt(
        split_release(GOOD.bytes()),
        payload=body,
        payload_signatures=signed("RELEASE", body, ("ci-production",)),
        draft=data,
        approvals=signed("APPROVAL", approval, ("anna",)),
    )


def payload_like():
    import json

    return json.loads(GOOD.payload_body())


def test_rule_21_strict_json():
    data = GOOD.draft_data()
    assert check_release(with_draft(data), pins=pins(), unit=UNIT)
    refused(with_draft(data.replace(b'"ratio":0.5', b'"ratio":0.5,"ratio":0.5')), "malformed-draft")
    refused(with_draft(data.replace(b'"ratio":0.5', b'"ratio":1e999')), "malformed-draft")
    refused(with_draft(data.replace(b'"ratio":0.5', b'"ratio":9007199254740993')), "malformed-draft")
    refused(with_draft(data.replace(b'"db.internal"', b'"\\ud800"')), "malformed-draft")
    refused(with_draft(data.replace(b"0.5", b"[" * 100 + b"]" * 100)), "malformed-draft")


@pytest.mark.parametrize("name", draft_document())
def test_rule_21_every_field_of_the_draft(name):
    refused(GOOD.but(draft=without(name)).bytes(), "malformed-draft")
    refused(GOOD.but(draft=having(name, "x")).bytes(), "malformed-draft")


@pytest.mark.parametrize(
    ("path", "wrong"),
    [
        ("extra", {}),
        ("sealed./db/password", {"environment": "production"}),
        ("sealed./db/password", {"environment": "Production", "document": "checkout"}),
        ("sealed./db/password", {"environment": "production", "document": "__all"}),
        ("sealed.db", {"environment": "production", "document": "checkout"}),
        ("merge_keys./replicas", 3),
        ("merge_keys.replicas", "name"),
        ("locked", ["db"]),
        ("locked", [3]),
        ("stanzas", {"production": {}}),
        ("stanzas", {"production/checkout": []}),
        ("stanzas", {"production/checkout": {"x": {}}}),
        ("stanzas", {"production/checkout": {"0123456789abcdef": []}}),
        ("stanzas", {"production/checkout": {"0123456789abcdef": {"x": to_base64url(bytes(80))}}}),
        ("stanzas", {"production/checkout": {"0123456789abcdef": {"f" * 16: to_base64url(bytes(79))}}}),
        (
            "stanzas",
            {"production/checkout": {"0123456789abcdef": {"f" * 16: to_base64url(bytes(80))[:-1] + "B"}}},
        ),
    ],
)
def test_rule_21_form_of_the_draft(path, wrong):
    refused(GOOD.but(draft=having(path, wrong)).bytes(), "malformed-draft")


SEALED_AT = {"environment": "production", "document": "checkout"}
PASSWORD = token(b"x", "checkout", "db", "password")


@pytest.mark.parametrize(
    ("word", "edit"),
    [
        ("unlisted-secret", without("sealed./db/password")),
        ("unlisted-secret", having("values.tags.0", PASSWORD)),
        ("unlisted-secret", having("values.tags.0", "ENC[")),
        ("unlisted-secret", having("values.tags.0", "ENC[AES256_GCM,data:x,iv:x,tag:x,type:str]")),
        ("malformed-secret", having("values.db.password", "ENC[")),
        ("malformed-secret", having("values.db.password", PASSWORD[:-3] + "]")),
        ("malformed-secret", having("values.db.password", PASSWORD.replace("type:str", "type:text"))),
        ("no-place", having("values.db.password", "plain")),
        ("no-place", having("values.db.password", 3)),
        ("no-place", without("values.db.password")),
        ("no-place", having("sealed./nothing", SEALED_AT)),
        ("no-place", both(having("values.tags.0", PASSWORD), having("sealed./tags/0", SEALED_AT))),
        ("no-place", having("merge_keys", {})),
        ("misplaced-secret", having("sealed./db/password.document", "_all")),
        ("misplaced-secret", having("sealed./db/password.environment", "staging")),
        ("misplaced-secret", both(having("values.db.host", PASSWORD), having("sealed./db/host", SEALED_AT))),
        ("misplaced-secret", having("values.replicas.0.name", "us2")),
        ("bad-merge-key", having("merge_keys./tags", "name")),
        ("bad-merge-key", having("merge_keys./nothing", "name")),
        ("bad-merge-key", having("merge_keys./db", "host")),
        ("bad-merge-key", having("merge_keys./replicas", "missing")),
        ("bad-merge-key", having("values.replicas.1.name", "eu")),
        ("bad-merge-key", having("values.replicas.1.name", 0.5)),
        ("bad-merge-key", having("values.replicas.1.name", PASSWORD)),
        ("bad-merge-key", having("values.replicas.1", "us")),
    ],
)
def test_rule_22_sealed_values_and_merge_keys(word, edit):
    refused(GOOD.but(draft=edit).bytes(), word)


def test_rule_21_a_document_of_64_levels_fits_and_control_characters_in_keys_do_too():
    deep: dict = {}
    for _ in range(63):
        deep = {"a": deep}
    reason = {"by": "anna", "reason": "deep", "rejected": [{"path": "/x", "value": deep}]}
    late = both(having("hold", reason), having("origins", {"/a\tb": "environments/dev/a.yaml:1"}))
    assert accepted(GOOD.but(draft=having("values.deep", deep), late=late))
    for _ in range(8):
        deep = {"a": deep}
    refused(GOOD.but(draft=having("values.deep", deep)).bytes(), "malformed-draft")


def test_rule_22_a_list_may_be_empty_and_key_values_of_two_types_differ():
    empty = both(having("values.replicas", []), without("sealed./replicas/0/url"))
    assert accepted(GOOD.but(draft=empty))
    mixed = having("values.replicas", [{"name": 1}, {"name": "1"}, {"name": True}])
    assert accepted(GOOD.but(draft=both(mixed, without("sealed./replicas/0/url"))))


def test_rule_23_approvals():
    refused(GOOD.but(approvers=()).bytes(), "not-approved")
    refused(GOOD.but(approvers=("safe",)).bytes(), "not-approved")
    refused(GOOD.but(approvers=("ci-production",)).bytes(), "not-approved")


def test_rule_23_an_approval_is_for_one_unit_and_one_draft():
    refused(GOOD.but(approved_unit=Unit("production", "mailer")).bytes(), "bad-signature")
    frames = split_release(GOOD.bytes())
    other = split_release(GOOD.but(draft=having("values.db.pool_max", 41)).bytes())
    refused(rebuilt(frames, approvals=other.approvals), "bad-signature")


def test_rule_23_an_approval_outlives_other_merges():
    later = GOOD.but(late=both(having("number", 43), having("git.commit", "77" * 20)))
    frames = split_release(GOOD.bytes())
    assert check_release(
        rebuilt(split_release(later.bytes()), approvals=frames.approvals), pins=pins(), unit=UNIT
    )


def test_rule_23_threshold_counts_distinct_keys():
    two = having("environments.production.approvals", {"need": 2, "of": ["anna", "ben"]})
    refused(GOOD.but(trust=two).bytes(), "not-approved")
    assert accepted(GOOD.but(trust=two, approvers=("anna", "ben"))).approvers == ("anna", "ben")
    refused(GOOD.but(trust=two, approvers=("anna", "anna")).bytes(), "repeated-signature")


def test_rule_23_is_waived_by_break_glass_keys_alone():
    reason = having("break_glass", "everything burns")
    assert accepted(GOOD.but(approvers=(), payload_signers=("anna",), late=reason))
    # A stolen CI key writes a reason into its release: nobody approved it all the same.
    refused(GOOD.but(approvers=(), late=reason).bytes(), "not-approved")


def test_rule_23_where_no_approvals_are_asked_for_none_are_needed():
    dev = GOOD.but(late=having("environment", "dev"), payload_signers=("anna",), approvers=())
    assert accepted(dev, unit=DEV).approvers == ()


# ---- attacks and tolerance


def test_a_signature_more_is_the_same_release():
    more = GOOD.but(
        payload_signers=("stranger", "ci-production"),
        trust_signers=("anna", "stranger"),
        approvers=("anna", "stranger"),
    )
    assert more.bytes() != GOOD.bytes()
    assert accepted(more).digest == accepted(GOOD).digest


def test_a_listed_key_with_a_wrong_signature_refuses():
    frames = split_release(GOOD.bytes())
    wrong = (*frames.approvals, (key("ben").public, bytes(64)))
    refused(rebuilt(frames, approvals=wrong), "bad-signature")


def test_own_signer_added_to_the_trust_document():
    mine = both(
        having("keys.mallory", {"sign": public_text("mallory")}),
        having("environments.production.publishers", ["mallory"]),
    )
    refused(
        GOOD.but(trust=mine, trust_signers=("mallory",), payload_signers=("mallory",)).bytes(),
        "unsigned-trust",
    )
    own = GOOD.but(roots=(root("mallory"),), trust=both(mine, having("root", ["mallory"])),
                   trust_signers=("mallory",), payload_signers=("mallory",))  # fmt: skip
    refused(own.bytes(), "foreign-root")


def test_single_bit_mutants_are_refused():
    raw = GOOD.bytes()
    chosen = random.Random(1)  # noqa: S311
    for at in range(len(raw)):
        mutant = bytearray(raw)
        mutant[at] ^= 1 << chosen.randrange(8)
        with pytest.raises(TrustError):
            check_release(bytes(mutant), pins=pins(), unit=UNIT, project=PROJECT)


def test_removed_inserted_and_doubled_bytes_are_refused():
    raw = GOOD.bytes()
    chosen = random.Random(2)  # noqa: S311
    for _ in range(1500):
        at, more = chosen.randrange(len(raw)), chosen.randrange(1, 40)
        for mutant in (raw[:at] + raw[at + more :], raw[:at] + chosen.randbytes(more) + raw[at:],
                       raw[: at + more] + raw[at:]):  # fmt: skip
            if mutant != raw:
                with pytest.raises(TrustError):
                    check_release(mutant, pins=pins(), unit=UNIT, project=PROJECT)


def test_errors_show_no_value():
    shown = []
    for edit in (
        having("values.tags.0", "ENC[marker-7719"),
        having("values.db.password", "ENC[marker-7719]"),
    ):
        with pytest.raises(TrustError) as caught:
            accepted(GOOD.but(draft=edit))
        shown.append(f"{caught.value!r} {caught.value} {caught.value.finding} {caught.value.__context__!r}")
    assert not any("marker-7719" in text or "hunter2" in text for text in shown)


def test_a_release_does_not_print_its_content():
    assert "db.internal" not in repr(accepted(GOOD))
    assert "ENC[" not in repr(accepted(GOOD))


def test_the_documented_rules_are_the_words_that_can_be_raised():
    assert [int(n) for n in re.findall(r"^ ?(\d+)\.", check.__doc__, re.MULTILINE)] == list(range(1, 24))
    from pathlib import Path

    tested = set(re.findall(r'"([a-z]+(?:-[a-z0-9]+)+)"', Path(__file__).read_text("utf-8")))
    documented = set(re.findall(r"[a-z]+(?:-[a-z]+)+", " ".join(re.findall(r"\[([^\]]*)\]", check.__doc__))))
    assert documented <= tested


def test_a_good_trust_document_is_remembered_by_all_that_made_it_good():
    """After a right release: the same document with other signatures, another root, another verifier."""
    assert accepted(GOOD)
    refused(GOOD.but(trust_signers=("ben",)).bytes(), "unsigned-trust")
    frames = split_release(GOOD.bytes())
    wrong = frames.trust._replace(signatures=((key("anna").public, bytes(64)),))
    forged = encode_release(
        PROJECT, frames.chain, *wrong[::-1], *frames.payload[::-1], frames.draft, frames.approvals
    )
    refused(forged, "bad-signature")
    refused(GOOD.but(roots=(root("ben"),)).bytes(), "unsigned-trust", pins=pins(root("ben")))
    refused(GOOD.bytes(), "bad-signature", verify=lambda *_: False)
    assert accepted(GOOD)


# ---- newer


def test_newer():
    release = accepted(GOOD)
    have = seen(release)
    assert newer(None, release) == "load"
    assert newer(have, release) == "same"
    assert newer(have, accepted(GOOD.but(late=having("seq", 1_790_000_000_001)))) == "load"
    assert newer(have, accepted(GOOD.but(late=having("seq", 1_789_999_999_999)))) == "older"
    assert newer(have, accepted(GOOD.but(late=having("number", 41)))) == "equivocation"


def test_newer_trust_version_beats_any_seq():
    huge = seen(accepted(GOOD.but(late=having("seq", 2**48 - 1))))
    healed = accepted(GOOD.but(trust=having("version", 8), late=having("seq", 1)))
    assert newer(huge, healed) == "load"
    assert newer(seen(healed), accepted(GOOD.but(late=having("seq", 2**48 - 1)))) == "older"


def test_one_trust_version_with_two_documents_is_an_alarm():
    have = seen(accepted(GOOD))
    forked = accepted(
        GOOD.but(trust=having("keys.safe.note", "forked"), late=having("seq", 1_790_000_000_009))
    )
    assert newer(have, forked) == "equivocation"
    assert newer(Seen(Order(6, 1), "00" * 32, "00" * 32), forked) == "load"


# ---- inspect, still_listed


def test_inspect_names_the_rule_and_what_the_bytes_claim():
    assert inspect(GOOD.bytes(), pins=pins(), unit=UNIT) == accepted(GOOD)
    broken = inspect(GOOD.but(payload_signers=("nobody",)).bytes(), pins=pins(), unit=UNIT)
    assert isinstance(broken, Broken)
    assert broken.why.word == "untrusted-signature"
    assert broken.claims is not None
    assert broken.claims.number == 42
    for junk in (b"", b"{}", MAGIC, GOOD.bytes()[:500], bytes(RELEASE_LIMIT + 1)):
        found = inspect(junk, pins=pins(), unit=UNIT)
        assert isinstance(found, Broken)
        assert found.claims is None


def test_still_listed_looks_at_keys_and_not_at_names():
    release = accepted(GOOD)
    today = trust_from_json(GOOD.trust_body())
    assert still_listed(release, today)
    replaced = having("keys.ci-production.sign", public_text("the new one"))
    assert not still_listed(release, trust_from_json(GOOD.but(trust=replaced).trust_body()))
    removed = without("environments.production")
    assert not still_listed(release, trust_from_json(GOOD.but(trust=removed).trust_body()))
