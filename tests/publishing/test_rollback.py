"""Composing a rollback: plain values go back, secrets stay, and what nobody could open is refused."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from publishing import PROJECT, A, make_draft, signing
from sealpipe.canonical import to_base64url
from sealpipe.crypto.keys import PrivateKey
from sealpipe.crypto.sealing import Sealer
from sealpipe.errors import Finding, InputError, RefusedError
from sealpipe.keyrings import DocumentKey, Keyring, Reader
from sealpipe.paths import Member
from sealpipe.publishing.rollback import RolledBack, roll_back
from sealpipe.publishing.sign import of_drafted, sign
from sealpipe.released import Release, SealedAt
from sealpipe.tokens import key_id, place

KEY, OLD_KEY, MACHINE = (PrivateKey(bytes([number]) * 32) for number in (7, 8, 9))
AT = SealedAt("dev", "a")
BOX, OLD_BOX = bytes(80), bytes([1]) * 80


def keyring(key: PrivateKey = KEY, *, machine: bool = True) -> Mapping[str, Keyring]:
    reader = Reader("a-1", MACHINE.recipient, "machine", A, None, "")
    private = {"people": BOX, "a-1": BOX} if machine else {"people": BOX}
    keys = {"a": DocumentKey(key.public, private, ())}
    readers = {"a-1": reader} if machine else {}
    return {"dev": Keyring(PROJECT, "dev", 3, (), KEY.public, keys, readers, b"", "", ())}


def token(value: str, *path: str | Member, key: PrivateKey = KEY) -> str:
    return Sealer().seal(value, "str", place("dev", "a", path), key.public)


def release(values: Mapping[str, Any], *pointers: str, **parts: Any) -> Release:
    made = make_draft(A, values, sealed=dict.fromkeys(pointers, AT), **parts)
    return sign([of_drafted(made, None)], {}, signing()).releases[0].release


def back(head: Release, target: Release, **more: Any) -> RolledBack:
    options: dict[str, Any] = {"keyrings": keyring(), "check": lambda _: [], "schema_digest": "ab" * 32}
    return roll_back(head, target, **{**options, **more})


NEW, OLD = token("new", "p"), token("old", "p")


def test_plain_values_go_back_and_secrets_stay() -> None:
    found = back(release({"n": 2, "p": NEW}, "/p"), release({"n": 1, "p": OLD}, "/p"))
    assert found.drafted.draft.values == {"n": 1, "p": NEW}
    assert found.kept == ("p",)
    assert found.rejected == ({"path": "/n", "value": 2},)
    assert found.drafted.schema_digest == "ab" * 32
    assert found.drafted.keyring_versions == {"dev": 3}


def test_with_secrets_takes_the_old_one_and_rejects_the_new() -> None:
    found = back(release({"n": 2, "p": NEW}, "/p"), release({"n": 1, "p": OLD}, "/p"), with_secrets=True)
    assert found.drafted.draft.values == {"n": 1, "p": OLD}
    assert {"path": "/p", "value": NEW} in found.rejected


def test_a_secret_that_only_the_old_release_has() -> None:
    head, target = release({"n": 2}), release({"n": 1, "p": OLD}, "/p")
    assert back(head, target).drafted.draft.values == {"n": 1, "p": OLD}
    with pytest.raises(RefusedError) as caught:
        back(head, target, keyrings=keyring(OLD_KEY))
    assert caught.value.word == "stale-secret"
    assert " p " in caught.value.finding.what


def test_an_old_secret_in_a_keyed_list_is_found_by_its_element() -> None:
    eu, us = Member("name", "eu"), Member("name", "us")
    one, two = token("1", "xs", eu, "p"), token("2", "xs", us, "p")
    new = token("new", "xs", eu, "p")
    keys = {"merge_keys": {"/xs": "name"}}
    head = release(
        {"n": 2, "xs": [{"name": "us", "p": two}, {"name": "eu", "p": new}]}, "/xs/0/p", "/xs/1/p", **keys
    )
    target = release(
        {"n": 1, "xs": [{"name": "eu", "p": one}, {"name": "us", "p": two}]}, "/xs/0/p", "/xs/1/p", **keys
    )
    found = back(head, target)
    assert found.drafted.draft.values["xs"] == [{"name": "eu", "p": new}, {"name": "us", "p": two}]


def test_machines_of_today_get_todays_boxes() -> None:
    found = back(release({"n": 2, "p": NEW}, "/p"), release({"n": 1, "p": OLD}, "/p"))
    me, kid = key_id(MACHINE.public).hex(), key_id(KEY.public).hex()
    assert found.drafted.draft.stanzas == {"dev/a": {kid: {me: to_base64url(BOX)}}}


def test_a_head_whose_key_was_renewed_since_keeps_its_boxes_for_readers_of_today() -> None:
    me, gone, kid = key_id(MACHINE.public).hex(), "0" * 16, key_id(OLD_KEY.public).hex()
    sealed = token("new", "p", key=OLD_KEY)
    stanzas = {"dev/a": {kid: {me: to_base64url(OLD_BOX), gone: to_base64url(BOX)}}}
    head = release({"n": 2, "p": sealed}, "/p", stanzas=stanzas)
    target = release({"n": 1, "p": sealed}, "/p")
    found = back(head, target)
    assert found.drafted.draft.stanzas["dev/a"][kid] == {me: to_base64url(OLD_BOX)}
    alone = back(head, target, keyrings=keyring(machine=False))
    assert alone.drafted.draft.stanzas == {}


def test_todays_schema_decides() -> None:
    with pytest.raises(InputError):
        back(release({"n": 2}), release({"n": 1}), check=lambda _: [Finding("out-of-range", "no")])
    seen: list[Mapping[str, Any]] = []
    back(release({"n": 2}), release({"n": 1}), check=lambda values: seen.append(values) or [])  # type: ignore[func-returns-value]
    assert seen == [{"n": 1}]


def test_nothing_to_roll_back() -> None:
    with pytest.raises(RefusedError) as caught:
        back(release({"n": 1, "p": NEW}, "/p"), release({"n": 1, "p": OLD}, "/p"))
    assert caught.value.word == "nothing-to-roll-back"
