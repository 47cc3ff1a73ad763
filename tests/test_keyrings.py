"""Keyrings as values: strict form, whose signatures count, and the boxes a draft carries."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest

from sealpipe.canonical import to_base64url
from sealpipe.crypto.keys import Identity, PrivateKey, SigningKey, format_public, format_recipient
from sealpipe.crypto.sealing import unbox
from sealpipe.crypto.signing import sign, verify
from sealpipe.errors import TrustError
from sealpipe.keyrings import Keyring, check_keyring, keyring_data, parse_keyring, stanzas_for
from sealpipe.membership.keyring_edit import new_keyring, sign_keyring
from sealpipe.membership.trust_edit import new_trust
from sealpipe.released import Unit
from sealpipe.trust import Trust, parse_trust

PROJECT = "5b0c7a1e9f2d4c6688aa01d3e7f4b912"
ANNA, BEN = Identity(b"\x01" * 32), Identity(b"\x02" * 32)
MACHINE = PrivateKey(b"\x03" * 32)
FILE = "trust/production.keyring.yaml"
MADE = keyring_data(
    new_keyring(
        PROJECT, "production", ["_all", "checkout"], {"anna": ANNA.read.recipient}, since="2026-05-04"
    )
)


def document() -> dict[str, Any]:
    data = copy.deepcopy(MADE)
    data["readers"]["checkout-1"] = {
        "read": MACHINE.recipient,
        "kind": "machine",
        "unit": "production/checkout",
        "since": "2026-05-04",
    }
    data["keys"]["checkout"]["private"]["checkout-1"] = to_base64url(b"b" * 80)
    return data


def trust(**changes: Any) -> Trust:
    data = new_trust(PROJECT, "anna", ANNA, ["dev", "production"])
    data["keys"]["ben"] = {"sign": format_public("ed25519", BEN.sign.public), "read": BEN.read.recipient}
    data["environments"]["production"].update(changes)
    return parse_trust({k: v for k, v in data.items() if k != "signatures"})


def signed(by: list[SigningKey], under: Trust | None = None, data: dict[str, Any] | None = None) -> Keyring:
    return parse_keyring(sign_keyring(data or document(), under or trust(), by), FILE)


def word(error: pytest.ExceptionInfo[TrustError]) -> str:
    return error.value.word


class TestForm:
    def test_data_and_value_are_the_same(self) -> None:
        keyring = parse_keyring(document(), FILE)
        assert keyring_data(keyring) == document()
        assert keyring.readers["anna"].kind == "person"
        assert keyring.readers["checkout-1"].unit == Unit("production", "checkout")

    @pytest.mark.parametrize(
        "change",
        [
            lambda d: d.update(min_epoch=3),
            lambda d: d.update(format=2),
            lambda d: d.update(environment="Production"),
            lambda d: d.pop("people"),
            lambda d: d["people"].update(private="x"),
            lambda d: d["people"].update(public=d["people"]["public"].replace("x25519", "ed25519")),
            lambda d: d["keys"].update({"../x": d["keys"]["checkout"]}),
            lambda d: d["keys"].update({"__all": d["keys"]["checkout"]}),
            lambda d: d["keys"]["checkout"].update(owner="anna"),
            lambda d: d["keys"]["checkout"]["private"].update(mailer=to_base64url(b"b" * 80)),
            lambda d: d["keys"]["checkout"]["private"].update(anna=to_base64url(b"b" * 80)),
            lambda d: d["keys"]["checkout"]["private"].update({"checkout-1": to_base64url(b"b" * 79)}),
            lambda d: d["keys"]["checkout"].update(previous=[{"public": "x"}]),
            lambda d: d["keys"]["checkout"].update(public="x25519:" + to_base64url(bytes(32))),
            lambda d: d["keys"]["checkout"].update(public="x25519:" + to_base64url(b"\xff" * 32)),
            lambda d: d["readers"]["checkout-1"].update(box=to_base64url(b"b" * 80)),
            lambda d: d["readers"]["checkout-1"].pop("unit"),
            lambda d: d["readers"]["checkout-1"].update(unit="production"),
            lambda d: d["readers"]["checkout-1"].update(unit="production/../x"),
            lambda d: d["readers"]["anna"].update(unit="production/checkout"),
            lambda d: d["readers"]["anna"].pop("box"),
            lambda d: d["readers"]["anna"].update(kind="admin"),
            lambda d: d["readers"]["anna"].update(read="age1qqqq"),
            lambda d: d["readers"]["anna"].update(read=format_recipient(bytes(32))),
            lambda d: d["readers"].update(people=d["readers"]["anna"]),
            lambda d: d["readers"].update(anna2=d["readers"]["anna"]),
        ],
    )
    def test_anything_else_is_refused(self, change: Callable[[dict[str, Any]], None]) -> None:
        data = document()
        change(data)
        with pytest.raises(TrustError) as error:
            parse_keyring(data, FILE)
        assert word(error) == "malformed-keyring"


class TestSigned:
    def test_by_an_admin(self) -> None:
        check_keyring(signed([ANNA.sign]), trust(), verify, environment="production")

    def test_nobody_elses_signature_counts(self) -> None:
        for keys in ([], [BEN.sign]):
            with pytest.raises(TrustError) as error:
                check_keyring(signed(keys), trust(), verify)
            assert word(error) == "unsigned-keyring"

    def test_a_forged_entry_by_name_does_not_count(self) -> None:
        data = document()
        data["signatures"] = [{"by": "anna", "sig": to_base64url(sign("KEYRING", b"other", BEN.sign))}]
        with pytest.raises(TrustError) as error:
            check_keyring(parse_keyring(data, FILE), trust(), verify)
        assert word(error) == "unsigned-keyring"

    def test_two_of_two(self) -> None:
        both = trust(admins={"need": 2, "of": ["anna", "ben"]})
        with pytest.raises(TrustError, match="1 of the 2"):
            check_keyring(signed([ANNA.sign], both), both, verify)
        check_keyring(signed([ANNA.sign, BEN.sign], both), both, verify)

    def test_one_key_does_not_count_twice(self) -> None:
        both = trust(admins={"need": 2, "of": ["anna", "ben"]})
        data = sign_keyring(document(), both, [ANNA.sign])
        data["signatures"] *= 2
        with pytest.raises(TrustError) as error:
            check_keyring(parse_keyring(data, FILE), both, verify)
        assert word(error) == "unsigned-keyring"

    @pytest.mark.parametrize(
        "change",
        [
            lambda d: d["readers"].pop("checkout-1") and d["keys"]["checkout"]["private"].pop("checkout-1"),
            lambda d: d.update(version=2),
            lambda d: d["keys"].pop("_all"),
            lambda d: d["people"].update(public=format_public("x25519", MACHINE.public)),
        ],
    )
    def test_any_change_breaks_it(self, change: Callable[[dict[str, Any]], None]) -> None:
        data = sign_keyring(document(), trust(), [ANNA.sign])
        change(data)
        with pytest.raises(TrustError) as error:
            check_keyring(parse_keyring(data, FILE), trust(), verify)
        assert word(error) == "unsigned-keyring"

    def test_another_environments_keyring_in_its_place(self) -> None:
        """Validly signed for production: whoever reads production would read dev's new secrets."""
        keyring = signed([ANNA.sign])
        with pytest.raises(TrustError) as error:
            check_keyring(keyring, trust(), verify, environment="dev")
        assert word(error) == "foreign-keyring"

    def test_another_projects_keyring(self) -> None:
        data = document() | {"project": "0" * 32}
        with pytest.raises(TrustError) as error:
            check_keyring(signed([ANNA.sign], data=data), trust(), verify, environment="production")
        assert word(error) == "foreign-keyring"


class TestStanzas:
    def test_only_the_units_own_machines_and_documents(self) -> None:
        data = document()
        data["readers"]["mailer-1"] = {
            "read": PrivateKey(b"\x04" * 32).recipient, "kind": "machine", "unit": "production/mailer",
        }  # fmt: skip
        data["keys"]["_all"]["private"]["mailer-1"] = to_base64url(b"m" * 80)
        keyring = parse_keyring(data, FILE)
        documents = [("base", "_all"), ("production", "_all"), ("production", "checkout")]
        found = stanzas_for({"production": keyring}, Unit("production", "checkout"), documents)
        assert list(found) == ["production/checkout"]
        [[boxes]] = [by_key.values() for by_key in found.values()]
        assert boxes == {MACHINE.key_id.hex(): to_base64url(b"b" * 80)}
        others = stanzas_for({"production": keyring}, Unit("production", "mailer"), documents)
        assert list(others) == ["production/_all"]

    def test_hold_no_box_of_people(self) -> None:
        keyring = parse_keyring(document(), FILE)
        found = stanzas_for(
            {"production": keyring}, Unit("production", "checkout"), [("production", "checkout")]
        )
        assert to_base64url(keyring.keys["checkout"].private["people"]) not in str(found)


def test_people_open_every_key() -> None:
    keyring = parse_keyring(document(), FILE)
    box = keyring.readers["anna"].box
    assert box is not None
    people = unbox(box, ANNA.read, expect_public=keyring.people_public)
    for key in keyring.keys.values():
        assert unbox(key.private["people"], people, expect_public=key.public).public == key.public
