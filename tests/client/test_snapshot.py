"""Opening a release: only at the place found, only with the right key, only what is listed."""

from __future__ import annotations

import copy
import json
import pickle
from dataclasses import replace
from typing import Any

import pytest

from sealpipe.client.opened import Opened
from sealpipe.client.snapshot import open_release
from sealpipe.client.throwaway import throwaway, throwaway_release
from sealpipe.crypto.keys import generate_private_key
from sealpipe.errors import ConfigError, ConfigUntrusted, SecretUnreadable
from sealpipe.released import Draft, Release, SealedAt, Unit
from sealpipe.releases.check import check_release
from sealpipe.trust import parse_pins

UNIT = Unit("dev", "orders")
KEYS = throwaway(UNIT)
VALUES = {
    "db": {"host": "h", "password": Opened("hunter2", "str")},
    "banner": "hello",
    "pin": Opened(7, "int"),
    "rate": Opened(0.5, "float"),
    "on": Opened(True, "bool"),
    "cert": Opened(b"\x00\x01", "bytes"),
    "creds": Opened({"user": "u", "n": [1, None]}, "object"),
    "hosts": Opened(["a", "b"], "array"),
    "replicas": [
        {"name": "eu", "password": Opened("one", "str")},
        {"name": "us", "password": Opened("two", "str")},
    ],
}


def release(**changes: Any) -> Release:
    raw = throwaway_release(KEYS, VALUES, merge_keys={"/replicas": "name"}, **changes)
    return check_release(raw, pins=parse_pins(KEYS.pin), unit=UNIT)


def with_draft(**changes: Any) -> Release:
    """A release whose draft was changed behind the back of the checks: what opening itself refuses."""
    found = release()
    draft = found.draft
    fields = {
        name: copy.deepcopy(getattr(draft, name))
        for name in ("values", "sealed", "merge_keys", "locked", "stanzas")
    }
    fields.update({name: change(fields[name]) for name, change in changes.items()})
    return replace(found, draft=Draft(**fields))


def test_every_type_opens() -> None:
    snapshot = open_release(release(), KEYS.reader)
    opened = {pointer: secret.reveal() for pointer, secret in snapshot.secrets.items()}
    assert opened == {
        "/db/password": "hunter2",
        "/pin": 7,
        "/rate": 0.5,
        "/on": True,
        "/cert": b"\x00\x01",
        "/creds": {"user": "u", "n": [1, None]},
        "/hosts": ["a", "b"],
        "/replicas/0/password": "one",
        "/replicas/1/password": "two",
    }
    assert snapshot.values["db"]["host"] == "h"
    assert snapshot.values["replicas"][1]["password"].reveal() == "two"


def test_the_release_keeps_its_tokens() -> None:
    found = release()
    open_release(found, KEYS.reader)
    assert found.draft.values["db"]["password"].startswith("ENC[")


def test_without_secrets_no_key_is_needed() -> None:
    raw = throwaway_release(KEYS, {"a": 1})
    found = check_release(raw, pins=parse_pins(KEYS.pin), unit=UNIT)
    assert open_release(found, None).values == {"a": 1}


def test_no_key_and_a_foreign_key() -> None:
    with pytest.raises(SecretUnreadable) as caught:
        open_release(release(), None)
    assert caught.value.word == "no-key"
    with pytest.raises(SecretUnreadable) as caught:
        open_release(release(), generate_private_key()[0])
    assert caught.value.word == "no-access"
    assert "sealpipe connect dev/orders" in caught.value.finding.hint


def moved(values: dict[str, Any]) -> dict[str, Any]:
    values["banner"] = values["db"].pop("password")
    return values


def test_a_secret_is_not_delivered_elsewhere() -> None:
    """The place is where the token was found: what a draft claims about its origin is not asked."""
    found = with_draft(
        values=moved, sealed=lambda s: {("/banner" if p == "/db/password" else p): at for p, at in s.items()}
    )
    with pytest.raises(SecretUnreadable) as caught:
        open_release(found, KEYS.reader)
    assert caught.value.finding.path == "banner"


def swapped(values: dict[str, Any]) -> dict[str, Any]:
    one, two = values["replicas"]
    one["password"], two["password"] = two["password"], one["password"]
    return values


def test_elements_of_a_keyed_list_are_places_of_their_own() -> None:
    with pytest.raises(SecretUnreadable):
        open_release(with_draft(values=swapped), KEYS.reader)


def test_elements_may_change_their_order() -> None:
    found = with_draft(values=lambda v: {**v, "replicas": v["replicas"][::-1]})
    assert open_release(found, KEYS.reader).values["replicas"][0]["password"].reveal() == "two"


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({"sealed": lambda s: {p: at for p, at in s.items() if p != "/pin"}}, ConfigUntrusted),
        ({"sealed": lambda s: {**s, "/banner": SealedAt("dev", "orders")}}, ConfigUntrusted),
        ({"sealed": lambda s: {**s, "/nothing": SealedAt("dev", "orders")}}, ConfigUntrusted),
        ({"sealed": lambda s: {**s, "/pin": SealedAt("dev", "_all")}}, SecretUnreadable),
        ({"sealed": lambda s: {**s, "/pin": SealedAt("prod", "orders")}}, SecretUnreadable),
        ({"merge_keys": lambda _: {}}, SecretUnreadable),
        ({"stanzas": lambda _: {}}, SecretUnreadable),
        ({"values": lambda v: {**v, "pin": v["pin"][:-6] + "AAAAA]"}}, SecretUnreadable),
        ({"values": lambda v: {**v, "pin": v["pin"].replace("type:int", "type:str")}}, SecretUnreadable),
        ({"values": lambda v: {**v, "pin": v["pin"][:40] + "]"}}, SecretUnreadable),
    ],
)
def test_what_is_not_as_it_was_sealed_is_refused(changes: Any, kind: type[ConfigError]) -> None:
    with pytest.raises(kind) as caught:
        open_release(with_draft(**changes), KEYS.reader)
    assert caught.value.__context__ is None
    assert "hunter2" not in str(caught.value)


def test_a_box_with_another_key_in_it_is_not_taken() -> None:
    other = throwaway(UNIT)
    box = next(
        iter(
            check_release(
                throwaway_release(replace(other, reader=KEYS.reader), {"a": Opened("x", "str")}),
                pins=parse_pins(other.pin),
                unit=UNIT,
            )
            .draft.stanzas["dev/orders"]
            .values()
        )
    )
    found = with_draft(stanzas=lambda s: {d: dict.fromkeys(keys, box) for d, keys in s.items()})
    with pytest.raises(SecretUnreadable):
        open_release(found, KEYS.reader)


def test_an_opened_secret_shows_nothing() -> None:
    secret = Opened("hunter2", "str")
    for shown in (repr(secret), str(secret), f"{secret}", f"{secret:>20}", repr([secret])):
        assert "hunter2" not in shown
    for write in (pickle.dumps, json.dumps):
        with pytest.raises(TypeError):
            write(secret)
    assert secret == Opened("hunter2", "str")
    assert secret != Opened("hunter3", "str")
    with pytest.raises(TypeError):
        hash(secret)


def test_a_snapshot_shows_nothing() -> None:
    snapshot = open_release(release(), KEYS.reader)
    assert "hunter2" not in repr(snapshot)
    assert "hello" not in repr(snapshot)
