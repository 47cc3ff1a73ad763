"""Rules that no other test would miss: each was found by a mutant that lived."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable
from typing import Any

import pytest

from release_builder import UNIT, Recipe, link, pins, public_text, root, without
from sealpipe.canonical import canonical, to_base64url
from sealpipe.crypto.keys import Identity, PrivateKey, format_public
from sealpipe.crypto.signing import sign, verify
from sealpipe.errors import TrustError, Where
from sealpipe.keyrings import Keyring, check_keyring, keyring_data, parse_keyring, stanzas_for
from sealpipe.membership.keyring_edit import new_keyring, sign_keyring
from sealpipe.membership.trust_edit import new_trust, sign_trust
from sealpipe.released import Unit
from sealpipe.releases.check import Broken, check_release, inspect
from sealpipe.roots import (
    ALPHABET,
    Link,
    Root,
    RootChain,
    chain_matches,
    parse_pins,
    parse_roots,
    pin_text,
)
from sealpipe.tokens import Token, parse_token
from sealpipe.trust import (
    NOBODY,
    NONE_NEEDED,
    Role,
    Trust,
    check_signed,
    named_pairs,
    parse_trust,
    signers_of,
    trust_from_json,
)

from .attack import BELIEVED, word

PROJECT = "5b0c7a1e9f2d4c6688aa01d3e7f4b912"
ANNA, BEN = Identity(b"\x01" * 32), Identity(b"\x02" * 32)
FILE = "trust/production.keyring.yaml"


def trust_data(**changes: Any) -> dict[str, Any]:
    data = new_trust(PROJECT, "anna", ANNA, ["dev", "production"], since="2026-05-04")
    data["keys"]["ben"] = {"sign": format_public("ed25519", BEN.sign.public), "read": BEN.read.recipient}
    return {name: value for name, value in {**data, **changes}.items() if name != "signatures"}


# ---- tokens


@pytest.mark.parametrize(
    ("padded", "expected"),
    [(32, BELIEVED), (65536, BELIEVED), (65568, BELIEVED), (65600, "malformed-secret")],
)
def test_a_sealed_value_has_at_most_64_kib_and_its_padding(padded: int, expected: str) -> None:
    text = str(Token("str", bytes(8), bytes(32), bytes(8), bytes(16), bytes(padded + 16)))
    assert word(lambda: parse_token(text)) == expected


# ---- roots


def chain_file(count: int) -> dict[str, Any]:
    """trust/roots.yaml with a chain of that many roots, each link signed by both sides."""
    names = [f"root-{at}" for at in range(count)]
    roots = [root(name) for name in names]
    links = [
        link(roots[at], roots[at + 1], names[at], names[at + 1], project=PROJECT) for at in range(count - 1)
    ]
    return {
        "format": 1,
        "project": PROJECT,
        "roots": [{"need": 1, "keys": [format_public("ed25519", k) for k in one.keys]} for one in roots],
        "links": [
            {
                "signatures": [
                    {"key": format_public("ed25519", public), "sig": to_base64url(signature)}
                    for public, signature in one.signatures
                ]
            }
            for one in links
        ],
    }


def test_a_chain_has_at_most_eight_roots() -> None:
    _, chain = parse_roots(chain_file(8))
    assert chain_matches(PROJECT, chain, parse_pins(pin_text(PROJECT, chain.roots[0])), verify)
    assert word(lambda: parse_roots(chain_file(9))) == "malformed-roots"


def test_a_chain_that_is_none_does_not_carry() -> None:
    """Whoever builds a chain: one link fewer than roots, and no more than eight."""
    one, two = root("root-0"), root("root-1")
    good = link(one, two, "root-0", "root-1", project=PROJECT)
    known = parse_pins(pin_text(PROJECT, one))
    for chain in (
        RootChain((one, two), ()),
        RootChain((one,), (good,)),
        RootChain((one,) * 9, (good,) * 8),
    ):
        assert word(lambda chain=chain: chain_matches(PROJECT, chain, known, verify)) == "bad-link"


@pytest.mark.parametrize(
    "change",
    [
        lambda d: d.update(format=2),
        lambda d: d["roots"][0].update(need=0),
        lambda d: d["roots"][0].update(need=2),
        lambda d: d["roots"][0].update(or_else=1),
        lambda d: d["links"][0].update(note="x"),
        lambda d: d["links"][0]["signatures"][0].update(by="anna"),
        lambda d: d["links"].pop(),
        lambda d: d.update(roots=[], links=[]),
    ],
)
def test_the_file_of_roots_is_strict(change: Callable[[dict[str, Any]], None]) -> None:
    data = chain_file(2)
    change(data)
    assert word(lambda: parse_roots(data)) == "malformed-roots"


def test_the_last_bits_of_a_pin_count() -> None:
    text = pin_text(PROJECT, root("anna"))
    for bit in (1, 2, 4, 8):
        other = ALPHABET[ALPHABET.index(text[-1]) ^ bit]
        assert word(lambda other=other: parse_pins(text[:-1] + other)) == "malformed-pin"


def test_of_two_pins_of_one_root_the_higher_version_counts_in_any_order() -> None:
    one, two = root("root-0"), root("root-1")
    chain = RootChain((one, two), (link(one, two, "root-0", "root-1", project=PROJECT),))
    texts = [pin_text(PROJECT, two, version) for version in (9, 3)]
    for order in (texts, texts[::-1], [pin_text(PROJECT, one, 99), *texts]):
        assert chain_matches(PROJECT, chain, parse_pins(",".join(order)), verify).min_version == 9


# ---- trust


def test_a_role_that_is_missing_is_nobodys() -> None:
    assert (Role(1, ()), Role(0, ())) == (NOBODY, NONE_NEEDED)
    bare = without("environments.production.publishers")
    for signer in ("ci-production", "safe", "mallory"):
        raw = Recipe(trust=bare, payload_signers=(signer,)).bytes()
        assert word(lambda raw=raw: check_release(raw, pins=pins(), unit=UNIT)) == "untrusted-signature"


def test_a_trust_document_has_at_most_64_kib() -> None:
    def of_size(size: int) -> dict[str, Any]:
        data = trust_data()
        data["keys"]["anna"]["note"] = ""
        data["keys"]["anna"]["note"] = "x" * (size - len(canonical(data)))
        return data

    assert len(parse_trust(of_size(65536)).body) == 65536
    assert word(lambda: parse_trust(of_size(65537))) == "malformed-trust"


def test_a_role_names_at_most_sixteen_keys() -> None:
    def with_names(count: int) -> dict[str, Any]:
        names = [f"key-{at}" for at in range(count)]
        data = trust_data(root=names)
        data["keys"] |= {name: {"sign": public_text(name)} for name in names}
        return data

    assert len(parse_trust(with_names(16)).root.of) == 16
    assert word(lambda: parse_trust(with_names(17))) == "malformed-trust"


@pytest.mark.parametrize(
    ("role", "expected"),
    [
        ({"need": 1, "of": []}, Role(1, ())),
        ({"need": 2, "of": []}, None),
        ({"need": 0, "of": []}, None),
        ({"need": 2, "of": ["anna"]}, None),
        ({"need": 2, "of": ["anna", "ben"]}, Role(2, ("anna", "ben"))),
        ([], Role(1, ())),
    ],
)
def test_needs_of_a_role(role: Any, expected: Role | None) -> None:
    data = trust_data()
    data["environments"]["dev"]["publishers"] = role
    if expected is None:
        assert word(lambda: parse_trust(data)) == "malformed-trust"
    else:
        assert parse_trust(data).environments["dev"].publishers == expected


def test_only_roots_own_good_signatures_are_counted_as_given() -> None:
    ben_too = sign_trust(trust_data(root=["anna", "ben"]), [ANNA.sign, BEN.sign])
    assert signers_of(parse_trust(ben_too), verify) == ["anna", "ben"]
    stranger = {
        **ben_too,
        "signatures": [*ben_too["signatures"], {"by": "carl", "sig": to_base64url(bytes(64))}],
    }
    assert signers_of(parse_trust(stranger), verify) == ["anna", "ben"]
    altered = {**ben_too, "version": 2}
    assert signers_of(parse_trust(altered), verify) == []
    named = {**ben_too, "root": ["anna"]}
    resigned = sign_trust({k: v for k, v in named.items() if k != "signatures"}, [ANNA.sign])
    both = {
        **resigned,
        "signatures": [*resigned["signatures"], {"by": "ben", "sig": to_base64url(bytes(64))}],
    }
    assert signers_of(parse_trust(both), verify) == ["anna"]


def test_a_key_that_does_not_sign_signs_nothing() -> None:
    data = trust_data()
    del data["keys"]["ben"]["sign"]
    keys = parse_trust(data).keys
    assert named_pairs(keys, [("ben", b"x"), ("nobody", b"y"), ("anna", b"z")]) == ((ANNA.sign.public, b"z"),)


def test_the_newest_root_signs_and_no_older_one() -> None:
    new = Root(1, (BEN.sign.public,))
    old = Root(1, (ANNA.sign.public,))
    chain = RootChain((old, new), (Link(()),))
    by_new = parse_trust(sign_trust(trust_data(root=["ben"]), [BEN.sign]))
    check_signed(by_new, chain, verify)
    by_old = dataclasses.replace(by_new, signatures=(("anna", sign("TRUST", by_new.body, ANNA.sign)),))
    assert word(lambda: check_signed(by_old, chain, verify)) == "unsigned-trust"


def test_an_embedded_trust_document_holds_no_signatures() -> None:
    data = trust_data()
    assert trust_from_json(canonical(data)).signatures == ()
    assert word(lambda: trust_from_json(canonical({**data, "signatures": []}))) == "malformed-trust"


@pytest.mark.parametrize(
    ("version", "expected"),
    [(0, "malformed-trust"), (1, BELIEVED), (2**31, BELIEVED), (2**31 + 1, "malformed-trust")],
)
def test_versions_are_bounded(version: int, expected: str) -> None:
    assert word(lambda: parse_trust(trust_data(version=version))) == expected


def test_the_longest_name_and_the_longest_past() -> None:
    data = trust_data(past=["ab" * 32] * 16)
    data["environments"]["x" * 64] = {}
    found = parse_trust(data)
    assert "x" * 64 in found.environments
    assert len(found.past) == 16
    assert word(lambda: parse_trust({**data, "past": ["ab" * 32] * 17})) == "malformed-trust"


@pytest.mark.parametrize("count", [16, 17])
def test_a_file_has_at_most_sixteen_signatures(count: int) -> None:
    made = [{"by": f"key-{at}", "sig": to_base64url(bytes(64))} for at in range(count)]
    expected = BELIEVED if count == 16 else "malformed-trust"
    assert word(lambda: parse_trust({**trust_data(), "signatures": made})) == expected


@pytest.mark.parametrize(
    "change",
    [
        lambda d: d["keys"].update(Anna=d["keys"].pop("anna")),
        lambda d: d["keys"]["anna"].update(note=3),
        lambda d: d["keys"]["anna"].update(since=["x"]),
        lambda d: d["environments"].update({"../x": {}}),
        lambda d: d["environments"].update({"x" * 65: {}}),
        lambda d: d["environments"]["dev"].update(branch=True),
        lambda d: d["environments"]["dev"].update(protected="yes"),
        lambda d: d["environments"]["dev"].update(admins={"need": 1, "of": "anna"}),
    ],
)
def test_names_and_texts_of_a_trust_document_are_ones(change: Callable[[dict[str, Any]], None]) -> None:
    data = copy.deepcopy(trust_data())
    change(data)
    assert word(lambda: parse_trust(data)) == "malformed-trust"


# ---- keyrings

MADE = keyring_data(
    new_keyring(
        PROJECT, "production", ["_all", "checkout"], {"anna": ANNA.read.recipient}, since="2026-05-04"
    )
)


def keyring(change: Callable[[dict[str, Any]], None] = lambda _: None) -> Keyring:
    data = copy.deepcopy(MADE)
    change(data)
    return parse_keyring(data, FILE)


MACHINE = {"read": PrivateKey(b"\x03" * 32).recipient, "kind": "machine", "unit": "production/checkout"}
OLDER = {
    "public": format_public("x25519", PrivateKey(b"\x04" * 32).public),
    "private": to_base64url(bytes(80)),
}


@pytest.mark.parametrize(
    "change",
    [
        lambda d: d["readers"]["anna"].update(admin=True),
        lambda d: d["readers"]["anna"].update(since="\ud800"),
        lambda d: d["readers"].update(people=MACHINE),
        lambda d: d["readers"].update(m={**MACHINE, "unit": "production"}),
        lambda d: d["readers"].update(m={**MACHINE, "read": ANNA.read.recipient}),
        lambda d: d["keys"]["checkout"].update(previous=[{**OLDER, "since": "x"}]),
        lambda d: d["keys"]["checkout"].update(previous=[{**OLDER, "private": to_base64url(bytes(79))}]),
        lambda d: d["keys"]["checkout"].update(previous=[OLDER] * 65),
        lambda d: d["keys"].update({"__all": d["keys"]["_all"]}),
        lambda d: d.update(version=0),
    ],
)
def test_a_keyring_is_strict(change: Callable[[dict[str, Any]], None]) -> None:
    assert word(lambda: keyring(change)) == "malformed-keyring"


def test_older_keys_are_kept_in_their_order() -> None:
    later = {**OLDER, "public": format_public("x25519", PrivateKey(b"\x05" * 32).public)}
    found = keyring(lambda d: d["keys"]["checkout"].update(previous=[later, OLDER]))
    publics = [public for public, _ in found.keys["checkout"].previous]
    assert publics == [PrivateKey(b"\x05" * 32).public, PrivateKey(b"\x04" * 32).public]


def test_at_most_64_older_keys_are_kept() -> None:
    found = keyring(lambda d: d["keys"]["checkout"].update(previous=[OLDER] * 64))
    assert len(found.keys["checkout"].previous) == 64


def test_a_foreign_keyring_is_named_by_the_file_that_holds_it() -> None:
    with pytest.raises(TrustError) as caught:
        check_keyring(keyring(), parse_trust(trust_data()), verify, environment="dev")
    assert caught.value.word == "foreign-keyring"
    assert caught.value.finding.where == Where("trust/dev.keyring.yaml")


def test_what_no_keyring_has_is_in_no_stanza() -> None:
    unit = Unit("production", "checkout")
    found = keyring(lambda d: d["readers"].update(m=MACHINE))
    assert stanzas_for({}, unit, [("production", "checkout")]) == {}
    assert stanzas_for({"production": found}, unit, [("production", "nothing"), ("dev", "checkout")]) == {}
    assert stanzas_for({"production": found}, unit, [("production", "checkout")]) == {}


@pytest.mark.parametrize("count", [0, 1, 2])
def test_admins_of_a_keyring_are_counted(count: int) -> None:
    data = trust_data()
    data["environments"]["production"]["admins"] = {"need": 2, "of": ["anna", "ben"]}
    trust = parse_trust(data)
    made = parse_keyring(sign_keyring(MADE, trust, [ANNA.sign, BEN.sign][:count]), FILE)
    expected = BELIEVED if count == 2 else "unsigned-keyring"
    assert word(lambda: check_keyring(made, trust, verify, environment="production")) == expected


def test_an_environment_that_trust_does_not_list_has_no_admins() -> None:
    data = trust_data()
    signed_by_anna = parse_keyring(sign_keyring(MADE, parse_trust(data), [ANNA.sign]), FILE)
    del data["environments"]["production"]
    assert word(lambda: check_keyring(signed_by_anna, parse_trust(data), verify)) == "unsigned-keyring"


# ---- values


@pytest.mark.parametrize("kind", [RootChain, Trust, Keyring])
def test_what_was_checked_cannot_be_changed_and_prints_no_bytes(kind: type) -> None:
    assert kind.__dataclass_params__.frozen  # type: ignore[attr-defined]
    assert hasattr(kind, "__slots__")
    shown = {field.name for field in dataclasses.fields(kind) if field.repr}
    assert not shown & {"body", "signatures"}


# ---- releases


def test_the_lowest_version_is_accepted_and_one_below_is_not() -> None:
    raw = Recipe().bytes()
    for found, how in ((BELIEVED, {"min_trust": 7}), ("older-trust", {"min_trust": 8})):
        assert word(lambda how=how: check_release(raw, pins=pins(), unit=UNIT, **how)) == found
    for found, version in ((BELIEVED, 7), ("older-trust", 8)):
        known = pins(min_version=version)
        assert word(lambda known=known: check_release(raw, pins=known, unit=UNIT)) == found


def test_a_release_says_who_signed_and_who_approved() -> None:
    found = check_release(Recipe(approvers=("anna", "ben")).bytes(), pins=pins(), unit=UNIT)
    assert (found.publishers, found.approvers) == (("ci-production",), ("anna", "ben"))


def test_a_release_of_exactly_4_mib_is_believed() -> None:
    def padded(size: int) -> Recipe:
        return Recipe(draft=lambda d: d["values"].update(text="x" * size))

    recipe = padded(4 * 1024 * 1024 - len(padded(0).bytes()))
    raw = recipe.bytes()
    assert len(raw) == 4 * 1024 * 1024
    assert word(lambda: check_release(raw, pins=pins(), unit=UNIT)) == BELIEVED
    assert word(lambda: check_release(raw + b"\0", pins=pins(), unit=UNIT)) == "release-too-large"
    other = inspect(raw, pins=pins(), unit=Unit("production", "mailer"))
    assert isinstance(other, Broken)
    assert other.claims is not None
    assert other.claims.unit == UNIT
