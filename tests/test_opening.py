"""Finding and opening sealed values of a document: places by tag, keys by id, boxes that fit."""

from __future__ import annotations

from typing import Any

import pytest

from sealpipe.crypto.keys import Identity, PrivateKey
from sealpipe.crypto.sealing import Sealer, box
from sealpipe.errors import TrustError
from sealpipe.keyrings import Keyring
from sealpipe.membership.keyring_edit import new_keyring
from sealpipe.model import Document, DocumentId
from sealpipe.opening import document_keys, open_token, people_key, reader_of, sealed_in
from sealpipe.paths import Member
from sealpipe.tokens import place

PROJECT = "5b0c7a1e9f2d4c6688aa01d3e7f4b912"
ANNA, BEN = Identity(b"\x01" * 32), Identity(b"\x02" * 32)
HERE = DocumentId("dev", "checkout")


@pytest.fixture
def keyring() -> Keyring:
    return new_keyring(PROJECT, "dev", ["_all", "checkout"], {"anna": ANNA.read.recipient})


def token(keyring: Keyring, path: tuple[Any, ...], document: str = "checkout") -> str:
    public = keyring.keys["checkout"].public
    return Sealer().seal("x", "str", place("dev", document, path), public)


def document(values: dict[str, Any]) -> Document:
    return Document(HERE, "environments/dev/checkout.yaml", "", values)


def test_typed_paths_are_found_by_their_tag(keyring: Keyring) -> None:
    by_name = ("replicas", Member("name", "eu"), "db", "password")
    by_id = ("shards", Member("id", 2), "users", Member("login", "bob"), "key")
    values = {
        "plain": "ENC is not sealed",
        "db": {"password": token(keyring, ("db", "password"))},
        "replicas": [{"name": "us"}, {"name": "eu", "port": 1, "db": {"password": token(keyring, by_name)}}],
        "shards": [{"id": 2, "users": [{"login": "bob", "key": token(keyring, by_id)}]}],
    }
    found = {sealed.path: sealed.typed for sealed in sealed_in(document(values))}
    assert found == {
        ("db", "password"): ("db", "password"),
        ("replicas", 1, "db", "password"): by_name,
        ("shards", 0, "users", 0, "key"): by_id,
    }
    keys = document_keys(keyring, ANNA.read)["checkout"]
    for sealed in sealed_in(document(values)):
        assert sealed.typed is not None
        assert open_token(sealed.token, place(*HERE, sealed.typed), keys) == "x"


def test_what_was_moved_or_cut_has_no_typed_path(keyring: Keyring) -> None:
    values = {
        "moved": token(keyring, ("elsewhere",)),
        "foreign": token(keyring, ("foreign",), document="_all"),
        "cut": token(keyring, ("cut",))[:-9] + "]",
        "list": [token(keyring, ("list", Member("name", "a")))],
    }
    assert [sealed.typed for sealed in sealed_in(document(values))] == [None] * 4


def test_who_is_no_reader_opens_nothing(keyring: Keyring) -> None:
    assert reader_of(keyring, BEN.read) is None
    assert people_key(keyring, BEN.read) is None
    assert document_keys(keyring, BEN.read) == {}
    with pytest.raises(TrustError) as error:
        open_token(token(keyring, ("a",)), place(*HERE, ("a",)), ())
    assert error.value.word == "no-reader"


def test_what_was_moved_is_said_before_whose_key_it_has(keyring: Keyring) -> None:
    for document in ("checkout", "_all"):
        with pytest.raises(TrustError, match="sealed for another place") as error:
            open_token(token(keyring, ("a",), document=document), place(*HERE, ("b",)), ())
        assert error.value.word == "unreadable-secret"


def test_a_people_box_that_was_exchanged_is_refused(keyring: Keyring) -> None:
    """Whoever can write the file could box a people key of their own for anna."""
    anna = keyring.readers["anna"]._replace(box=box(PrivateKey(b"\x09" * 32), ANNA.read.public))
    forged = Keyring(
        **{name: getattr(keyring, name) for name in Keyring.__slots__} | {"readers": {"anna": anna}}  # type: ignore[arg-type]
    )
    with pytest.raises(TrustError) as error:
        document_keys(forged, ANNA.read)
    assert error.value.word == "foreign-box"


def test_a_previous_key_that_does_not_fit_is_refused(keyring: Keyring) -> None:
    key = keyring.keys["checkout"]
    planted = key._replace(previous=((key.public, box(PrivateKey(b"\x09" * 32), key.public)),))
    forged = Keyring(
        **{name: getattr(keyring, name) for name in Keyring.__slots__} | {"keys": {"checkout": planted}}  # type: ignore[arg-type]
    )
    with pytest.raises(TrustError) as error:
        document_keys(forged, ANNA.read)
    assert error.value.word == "foreign-box"
