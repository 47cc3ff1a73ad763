"""trust.yaml and the chain of roots: strict form, thresholds of distinct keys, pins."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest

from sealpipe.canonical import canonical, to_base64url
from sealpipe.crypto.keys import Identity, SigningKey, format_public
from sealpipe.crypto.signing import sign, verify
from sealpipe.errors import TrustError
from sealpipe.membership.trust_edit import new_trust, sign_trust
from sealpipe.roots import signers
from sealpipe.trust import (
    Link,
    Pin,
    Role,
    Root,
    RootChain,
    chain_for,
    chain_matches,
    check_root_signed,
    check_signed,
    check_version,
    link_body,
    meets,
    parse_pins,
    parse_roots,
    parse_trust,
    pin_text,
    root_digest,
    root_of,
    signers_of,
    trust_from_json,
)

PROJECT = "5b0c7a1e9f2d4c6688aa01d3e7f4b912"
OTHER_PROJECT = "0" * 32
ANNA, BEN, CARL = (Identity(bytes([number]) * 32) for number in (1, 2, 3))
CI = SigningKey(b"\x09" * 32)


def document() -> dict[str, Any]:
    return {
        "format": 1,
        "project": PROJECT,
        "version": 7,
        "past": ["ab" * 32],
        "root": {"need": 2, "of": ["anna", "ben", "safe"]},
        "keys": {
            "anna": {"sign": text(ANNA), "read": ANNA.read.recipient, "since": "2026-05-04"},
            "ben": {"sign": text(BEN), "read": BEN.read.recipient},
            "safe": {"sign": text(CARL), "note": "in the office safe"},
            "ci": {"sign": format_public("ed25519", CI.public), "kind": "machine"},
        },
        "environments": {
            "dev": {"admins": ["anna", "ben"], "publishers": ["anna"]},
            "production": {
                "admins": {"need": 2, "of": ["anna", "ben"]},
                "publishers": ["ci"],
                "break_glass": ["anna"],
                "approvals": ["anna", "ben"],
                "protected": True,
                "branch": "release",
            },
        },
    }


def text(identity: Identity) -> str:
    return format_public("ed25519", identity.sign.public)


def word(error: pytest.ExceptionInfo[TrustError]) -> str:
    return error.value.word


class TestForm:
    def test_reads_every_field(self) -> None:
        trust = parse_trust(document())
        assert trust.version == 7
        assert trust.root == Role(2, ("anna", "ben", "safe"))
        assert [key.kind for key in trust.keys.values()] == ["person", "person", "recovery", "machine"]
        production = trust.environments["production"]
        assert production.admins == Role(2, ("anna", "ben"))
        assert production.approvals == Role(1, ("anna", "ben"))
        assert (production.protected, production.branch) == (True, "release")
        dev = trust.environments["dev"]
        assert dev.approvals.need == 0
        assert (dev.protected, dev.branch) == (False, "main")

    def test_signatures_are_outside_the_signed_bytes(self) -> None:
        signed = sign_trust(document(), [ANNA.sign])
        assert parse_trust(signed).body == parse_trust(document()).body == canonical(document())
        assert parse_trust(signed).digest == parse_trust(document()).digest

    def test_a_body_alone_reads_the_same(self) -> None:
        trust = parse_trust(document())
        again = trust_from_json(trust.body)
        assert (again.keys, again.environments, again.digest) == (
            trust.keys,
            trust.environments,
            trust.digest,
        )

    @pytest.mark.parametrize(
        "change",
        [
            lambda d: d.update(comment="x"),
            lambda d: d.update(format=2),
            lambda d: d.update(format=True),
            lambda d: d.update(version=0),
            lambda d: d.update(version=True),
            lambda d: d.update(version="7"),
            lambda d: d.update(project="xyz"),
            lambda d: d.update(project=PROJECT.upper()),
            lambda d: d.update(past=["ab"]),
            lambda d: d.update(past=["ab" * 32] * 17),
            lambda d: d.pop("root"),
            lambda d: d.pop("environments"),
            lambda d: d.update(root=[]),
            lambda d: d.update(root=["nobody"]),
            lambda d: d.update(root=["anna", "anna"]),
            lambda d: d.update(root={"need": 4, "of": ["anna", "ben", "safe"]}),
            lambda d: d.update(root={"need": 0, "of": ["anna"]}),
            lambda d: d.update(root={"need": True, "of": ["anna"]}),
            lambda d: d.update(root={"need": 1, "of": ["anna"], "or": ["ben"]}),
            lambda d: d["keys"].update({"Anna": d["keys"]["anna"]}),
            lambda d: d["keys"]["anna"].update(role="root"),
            lambda d: d["keys"]["anna"].update(kind="god"),
            lambda d: d["keys"]["anna"].update(sign="ed25519:abc"),
            lambda d: d["keys"]["anna"].update(sign=d["keys"]["anna"]["sign"].replace("ed25519", "x25519")),
            lambda d: d["keys"]["anna"].update(read="age1pq1abc"),
            lambda d: d["keys"].update(zoe={"note": "no key"}),
            lambda d: d["environments"]["dev"].update(admin=["anna"]),
            lambda d: d["environments"]["dev"].update(protected="yes"),
            lambda d: d["environments"]["dev"].update(publishers=["zoe"]),
            lambda d: d["environments"]["dev"].update(publishers="anna"),
            lambda d: d.update(environments=[]),
            lambda d: d.update(signatures=[{"by": "anna"}]),
            lambda d: d.update(signatures=[{"by": "anna", "sig": to_base64url(b"x" * 63)}]),
            lambda d: d.update(signatures=[{"by": "anna", "sig": to_base64url(b"x" * 64), "at": "1"}]),
            lambda d: d.update(signatures=[{"by": "anna", "sig": to_base64url(b"x" * 64)}] * 17),
        ],
    )
    def test_anything_else_is_refused(self, change: Callable[[dict[str, Any]], None]) -> None:
        data = document()
        change(data)
        with pytest.raises(TrustError) as error:
            parse_trust(data)
        assert word(error) == "malformed-trust"
        assert error.value.finding.where is not None

    def test_one_key_under_two_names_is_refused(self) -> None:
        """Else one key could count twice for a threshold."""
        data = document()
        data["keys"]["ben"]["sign"] = data["keys"]["anna"]["sign"]
        with pytest.raises(TrustError, match="the same key as anna"):
            parse_trust(data)

    def test_a_huge_document_is_refused(self) -> None:
        data = document()
        data["keys"]["anna"]["note"] = "x" * 70_000
        with pytest.raises(TrustError):
            parse_trust(data)

    def test_a_role_may_name_only_keys_that_sign(self) -> None:
        data = document()
        data["keys"]["ben"].pop("sign")
        with pytest.raises(TrustError, match="names ben"):
            parse_trust(data)


class TestThresholds:
    def pairs(self, *keys: SigningKey, body: bytes = b"body") -> list[tuple[bytes, bytes]]:
        return [(key.public, sign("TRUST", body, key)) for key in keys]

    def count(self, pairs: list[tuple[bytes, bytes]]) -> int:
        allowed = {ANNA.sign.public, BEN.sign.public, CARL.sign.public}
        return len(signers("TRUST", b"body", pairs, allowed, verify))

    def test_distinct_known_keys_count(self) -> None:
        assert self.count(self.pairs(ANNA.sign, BEN.sign)) == 2
        assert self.count(self.pairs(ANNA.sign, CI)) == 1
        assert self.count([]) == 0

    def test_a_repeated_key_is_refused(self) -> None:
        with pytest.raises(TrustError) as error:
            self.count(self.pairs(ANNA.sign, BEN.sign, ANNA.sign))
        assert word(error) == "repeated-signature"

    def test_a_wrong_signature_of_a_known_key_is_refused(self) -> None:
        with pytest.raises(TrustError) as error:
            self.count([*self.pairs(ANNA.sign), *self.pairs(BEN.sign, body=b"other")])
        assert word(error) == "bad-signature"
        for kind in ("RELEASE", "KEYRING", "ROOT"):
            with pytest.raises(TrustError):
                self.count([(ANNA.sign.public, sign(kind, b"body", ANNA.sign))])

    def test_unknown_keys_are_ignored_up_to_sixteen_signatures(self) -> None:
        others = [SigningKey(bytes([number]) * 32) for number in range(20, 35)]
        assert self.count(self.pairs(ANNA.sign, *others)) == 1
        with pytest.raises(TrustError) as error:
            self.count(self.pairs(ANNA.sign, *others, SigningKey(b"\x63" * 32)))
        assert word(error) == "too-many-signatures"

    def test_meets(self) -> None:
        keys = parse_trust(document()).keys
        role = Role(2, ("anna", "ben"))
        assert meets(role, keys, {ANNA.sign.public, BEN.sign.public})
        assert not meets(role, keys, {ANNA.sign.public, CI.public})
        assert not meets(Role(1, ()), keys, {ANNA.sign.public})
        assert meets(Role(0, ()), keys, ())


class TestSigned:
    def test_root_needs_as_many_as_it_says(self) -> None:
        one = parse_trust(sign_trust(document(), [ANNA.sign]))
        with pytest.raises(TrustError) as error:
            check_signed(one, chain_for(one, None), verify)
        assert word(error) == "unsigned-trust"
        assert "1 of the 2" in str(error.value)
        two = parse_trust(sign_trust(document(), [ANNA.sign, BEN.sign, CI]))
        check_signed(two, chain_for(two, None), verify)
        assert signers_of(two, verify) == ["anna", "ben"]

    def test_any_change_breaks_it(self) -> None:
        signed = sign_trust(document(), [ANNA.sign, BEN.sign])
        signed["environments"]["production"]["publishers"] = ["ci", "ben"]
        trust = parse_trust(signed)
        with pytest.raises(TrustError) as error:
            check_signed(trust, chain_for(trust, None), verify)
        assert word(error) == "bad-signature"

    def test_own_signer_added_by_pull_request(self) -> None:
        """Mallory enters her key as root and signs: consistent in itself, and not the pinned root."""
        mallory = Identity(b"\x66" * 32)
        pins = parse_pins(pin_text(PROJECT, root_of(parse_trust(document()))))
        data = document()
        data["keys"]["mallory"] = {"sign": text(mallory), "read": mallory.read.recipient}
        data["root"] = ["mallory"]
        trust = parse_trust(sign_trust(data, [mallory.sign]))
        chain = chain_for(trust, None)
        check_signed(trust, chain, verify)
        with pytest.raises(TrustError) as error:
            chain_matches(PROJECT, chain, pins, verify)
        assert word(error) == "foreign-root"
        # Keeping the honest chain does not help: trust.yaml's root is not its newest.
        honest = chain_for(parse_trust(document()), None)
        with pytest.raises(TrustError) as error:
            check_signed(trust, honest, verify)
        assert word(error) == "foreign-root"

    def test_parses_nothing_before_the_signatures(self) -> None:
        root = Root(1, (ANNA.sign.public,))
        body = b"not json"
        with pytest.raises(TrustError) as error:
            check_root_signed(root, body, (), verify)
        assert word(error) == "unsigned-trust"
        check_root_signed(root, body, ((ANNA.sign.public, sign("TRUST", body, ANNA.sign)),), verify)


ROOT_A = Root(1, (ANNA.sign.public,))
ROOT_AB = Root(2, tuple(sorted((ANNA.sign.public, BEN.sign.public))))
ROOT_C = Root(1, (CARL.sign.public,))


def link(old: Root, new: Root, *keys: Identity, project: str = PROJECT) -> Link:
    body = link_body(project, old, new)
    return Link(tuple((key.sign.public, sign("ROOT", body, key.sign)) for key in keys))


def pin(root: Root, version: int = 0) -> Pin:
    return parse_pins(pin_text(PROJECT, root, version))[0]


class TestChain:
    chain = RootChain(
        (ROOT_A, ROOT_AB, ROOT_C), (link(ROOT_A, ROOT_AB, ANNA, BEN), link(ROOT_AB, ROOT_C, ANNA, BEN, CARL))
    )

    def test_any_root_of_it_may_be_pinned(self) -> None:
        for root in self.chain.roots:
            assert chain_matches(PROJECT, self.chain, [pin(root)], verify).digest == root_digest(
                PROJECT, root
            )

    def test_the_newest_pinned_root_and_highest_version_count(self) -> None:
        pins = [pin(ROOT_A, 9), pin(ROOT_C, 3), pin(ROOT_C, 5)]
        assert chain_matches(PROJECT, self.chain, pins, verify).min_version == 5

    def test_another_projects_root_with_the_same_keys_is_foreign(self) -> None:
        foreign = parse_pins(pin_text(OTHER_PROJECT, ROOT_A))
        with pytest.raises(TrustError) as error:
            chain_matches(PROJECT, self.chain, foreign, verify)
        assert word(error) == "foreign-root"

    @pytest.mark.parametrize(
        "bad",
        [
            link(ROOT_A, ROOT_AB),
            link(ROOT_A, ROOT_AB, ANNA),
            link(ROOT_A, ROOT_AB, BEN),
            link(ROOT_A, ROOT_AB, BEN, CARL),
            link(ROOT_AB, ROOT_A, ANNA, BEN),
            link(ROOT_A, ROOT_C, ANNA, BEN),
            link(ROOT_A, ROOT_AB, ANNA, BEN, project=OTHER_PROJECT),
            link(ROOT_A, ROOT_AB, ANNA, ANNA, BEN),
        ],
    )
    def test_a_link_needs_old_and_new_root(self, bad: Link) -> None:
        chain = RootChain((ROOT_A, ROOT_AB), (bad,))
        with pytest.raises(TrustError):
            chain_matches(PROJECT, chain, [pin(ROOT_A)], verify)

    def test_links_before_the_pinned_root_are_not_asked_for(self) -> None:
        chain = RootChain((ROOT_C, ROOT_A), (Link(()),))
        assert chain_matches(PROJECT, chain, [pin(ROOT_A)], verify)
        with pytest.raises(TrustError):
            chain_matches(PROJECT, chain, [pin(ROOT_C)], verify)

    def test_a_root_appended_by_a_stranger_does_not_carry(self) -> None:
        chain = RootChain((ROOT_A, ROOT_C), (link(ROOT_A, ROOT_C, CARL),))
        with pytest.raises(TrustError) as error:
            chain_matches(PROJECT, chain, [pin(ROOT_A)], verify)
        assert word(error) == "bad-link"

    def test_no_pin_matches_nothing(self) -> None:
        with pytest.raises(TrustError):
            chain_matches(PROJECT, self.chain, [], verify)


class TestPins:
    def test_read_back(self) -> None:
        pins = parse_pins(f"{pin_text(PROJECT, ROOT_A)}@12, {pin_text(PROJECT, ROOT_C)}")
        assert [p.min_version for p in pins] == [12, 0]
        assert pins[1].digest == root_digest(PROJECT, ROOT_C)

    @pytest.mark.parametrize(
        "change",
        [
            lambda t: t[:-1],
            lambda t: t + "q",
            lambda t: t.upper(),
            lambda t: t.replace("-", ""),
            lambda t: t + "@0",
            lambda t: t + "@-1",
            lambda t: t + "@",
            lambda t: t + "\n@1",
            lambda t: t[:-1] + "l",  # stray bits in the last character
            lambda t: t + ",",
            lambda t: "",
        ],
    )
    def test_anything_else_is_refused(self, change: Callable[[str], str]) -> None:
        with pytest.raises(TrustError) as error:
            parse_pins(change(pin_text(PROJECT, ROOT_A)))
        assert word(error) == "malformed-pin"

    def test_need_and_every_key_count(self) -> None:
        texts = {pin_text(PROJECT, root) for root in (ROOT_A, ROOT_C, ROOT_AB, Root(1, ROOT_AB.keys))} | {
            pin_text(OTHER_PROJECT, ROOT_A)
        }
        assert len(texts) == 5

    def test_a_version_below_the_pins_is_refused(self) -> None:
        trust = parse_trust(document())
        check_version(trust, pin(ROOT_A, 7))
        with pytest.raises(TrustError) as error:
            check_version(trust, pin(ROOT_A, 8))
        assert word(error) == "older-trust"


class TestRootsFile:
    def data(self) -> dict[str, Any]:
        first = link(ROOT_A, ROOT_AB, ANNA, BEN)
        return {
            "format": 1,
            "project": PROJECT,
            "roots": [
                {"need": root.need, "keys": [format_public("ed25519", key) for key in root.keys]}
                for root in (ROOT_A, ROOT_AB)
            ],
            "links": [
                {
                    "signatures": [
                        {"key": format_public("ed25519", key), "sig": to_base64url(sig)}
                        for key, sig in first.signatures
                    ]
                }
            ],
        }

    def test_reads_back(self) -> None:
        project, chain = parse_roots(self.data())
        assert project == PROJECT
        assert chain.roots == (ROOT_A, ROOT_AB)
        assert chain_matches(PROJECT, chain, [pin(ROOT_A)], verify)

    @pytest.mark.parametrize(
        "change",
        [
            lambda d: d.update(extra=1),
            lambda d: d["roots"].pop(),
            lambda d: d["links"].pop(),
            lambda d: d.update(roots=[], links=[]),
            lambda d: d["roots"][1].update(need=3),
            lambda d: d["roots"][1]["keys"].reverse(),
            lambda d: d["roots"][1]["keys"].append(d["roots"][1]["keys"][1]),
            lambda d: d["links"][0]["signatures"][0].update(by="anna"),
            lambda d: d.update(roots=d["roots"] * 5, links=d["links"] * 9),
        ],
    )
    def test_anything_else_is_refused(self, change: Callable[[dict[str, Any]], None]) -> None:
        data = copy.deepcopy(self.data())
        change(data)
        with pytest.raises(TrustError) as error:
            parse_roots(data)
        assert word(error) == "malformed-roots"


def test_the_first_document_gives_its_maker_every_role() -> None:
    trust = parse_trust(new_trust(PROJECT, "anna", ANNA, ["dev"], since="2026-05-04"))
    check_signed(trust, chain_for(trust, None), verify)
    assert trust.environments["dev"].admins.of == trust.environments["dev"].publishers.of == ("anna",)
    assert trust.root == Role(1, ("anna",))
