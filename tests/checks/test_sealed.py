"""Keyless checks of sealed values: every place but its own is refused, and every bit of the tag counts."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sealpipe.canonical import from_base64url, to_base64url
from sealpipe.checks.locate import Locator
from sealpipe.checks.sealed import SealedCheck
from sealpipe.crypto.keys import PrivateKey
from sealpipe.crypto.sealing import Sealer
from sealpipe.documents.read import read_yaml
from sealpipe.errors import Finding
from sealpipe.keyrings import DocumentKey, Keyring
from sealpipe.model import Commit, Document, DocumentId, SchemaFile, Workspace
from sealpipe.paths import Member, Path
from sealpipe.project import EnvironmentSpec, Project
from sealpipe.schemas.compile import effective
from sealpipe.tokens import TYPES, place

KEY, OLD = PrivateKey(bytes([1]) * 31 + b"@"), PrivateKey(bytes([2]) * 31 + b"@")
SECRET = {"x-secret": True}
ITEMS = {"type": "object", "properties": {"name": {"type": "string"}, "key": SECRET}, "required": ["name"]}
SCHEMA = {
    "type": "object",
    "properties": {
        "a": SECRET,
        "b": {"type": "object", "properties": {"a": SECRET, "0": SECRET}},
        "l": {"type": "array", "x-merge-key": "name", "items": ITEMS},
        "n": {"type": "integer", "writeOnly": True},
    },
}
PROJECT = Project(
    "0" * 32, {name: EnvironmentSpec(name, publish_to="file:x") for name in ("dev", "production")}
)
VALUES: dict[Path, Any] = {
    ("a",): lambda token: {"a": token},
    ("b", "a"): lambda token: {"b": {"a": token}},
    ("b", "0"): lambda token: {"b": {"0": token}},
    ("l", Member("name", "x"), "key"): lambda token: {"l": [{"name": "x", "key": token}]},
    ("l", Member("name", "y"), "key"): lambda token: {"l": [{"name": "y", "key": token}]},
}
PLACES = [(e, d, p) for e in ("dev", "production") for d in ("shop", "cart") for p in VALUES]


def keyring(environment: str) -> Keyring:
    key = DocumentKey(KEY.public, {}, ((OLD.public, b""),))
    documents = {"shop": key, "cart": key}
    return Keyring("0" * 32, environment, 1, (), KEY.public, documents, {}, b"", "", ())


def findings(
    environment: str, name: str, values: dict[str, Any], text: str = "a: 'ENC[x]'\n"
) -> Iterator[Finding]:
    schemas = {n: SchemaFile(n, f"schemas/{n}.schema.json", "", SCHEMA) for n in ("shop", "cart")}
    document = Document(DocumentId(environment, name), "f.yaml", text, values)
    rings = {e: keyring(e) for e in ("dev", "production")}
    workspace = Workspace(
        "/", PROJECT, Commit("", "", "", dirty=False), None, None, rings, schemas, {document.id: document}, ()
    )
    compiled = {n: effective(schemas, n, ()) for n in schemas}
    return SealedCheck(workspace, compiled, Locator()).findings(document, [compiled[name]])


def sealed(at: tuple[str, str, Path], kind: str = "str", key: PrivateKey = KEY) -> str:
    samples = {"int": 1, "float": 0.5, "bool": True, "object": {}, "array": [], "bytes": b"x"}
    return Sealer().seal(samples.get(kind, "x"), kind, place(*at), key.public)


@pytest.mark.parametrize("home", PLACES, ids=repr)
def test_a_value_fits_its_own_place_and_no_other(home: tuple[str, str, Path]) -> None:
    token = sealed(home)
    for environment, name, path in PLACES:
        words = [found.word for found in findings(environment, name, VALUES[path](token))]
        assert words == ([] if (environment, name, path) == home else ["moved-secret"])


@pytest.mark.parametrize("spelling", [r"\x45NC[", r"\u0045NC[", r"E\x4eC["])
def test_a_value_whose_mark_is_written_with_escapes_is_looked_at(spelling: str) -> None:
    token = sealed(("dev", "cart", ("a",)))
    text = f'a: "{spelling}{token.removeprefix("ENC[")}"\n'
    values = read_yaml(text, file="f.yaml")
    assert values == {"a": token}
    assert [found.word for found in findings("dev", "shop", values, text)] == ["moved-secret"]


def test_where_a_moved_value_comes_from_is_told() -> None:
    token = sealed(("dev", "cart", ("b", "a")))
    (found,) = findings("production", "shop", {"a": token})
    assert found.what == "this value was sealed for dev/cart b.a, not for here"


@settings(max_examples=64, deadline=None)
@given(st.integers(0, 8 * 8 - 1))
def test_every_bit_of_the_place_tag_counts(bit: int) -> None:
    token = sealed(("dev", "shop", ("a",)))
    head, _, data = token.rpartition(",data:")
    raw = bytearray(from_base64url(data.removesuffix("]")))
    raw[40 + bit // 8] ^= 1 << bit % 8
    (found,) = findings("dev", "shop", {"a": f"{head},data:{to_base64url(bytes(raw))}]"})
    assert found.word == "moved-secret"


@pytest.mark.parametrize("kind", TYPES)
def test_the_type_is_held_against_the_schema(kind: str) -> None:
    token = sealed(("dev", "shop", ("n",)), kind)
    words = [found.word for found in findings("dev", "shop", {"n": token})]
    assert words == ([] if kind == "int" else ["wrong-secret-type"])
    assert not list(findings("dev", "shop", {"a": sealed(("dev", "shop", ("a",)), kind)}))


def test_keys_that_do_not_count() -> None:
    other = PrivateKey(bytes([3]) * 31 + b"@")
    home = ("dev", "shop", ("a",))
    assert [f.word for f in findings("dev", "shop", {"a": sealed(home, key=OLD)})] == ["stale-secret"]
    assert [f.word for f in findings("dev", "shop", {"a": sealed(home, key=other)})] == ["unknown-key-id"]


@pytest.mark.parametrize(
    "text", ["ENC[", "ENC[]", "ENC[NACL1,type:str,data:AA]", "ENC[NACL2,type:str,data:AA]"]
)
def test_what_only_looks_sealed_is_refused(text: str) -> None:
    assert [found.word for found in findings("dev", "shop", {"a": text})] == ["malformed-secret"]
    # at a plain path too: no string of a configuration begins like a sealed value
    assert [found.word for found in findings("dev", "shop", {"l": [{"name": text}]})] == ["malformed-secret"]


def test_no_finding_holds_the_token() -> None:
    token = sealed(("dev", "cart", ("a",)))
    for values in ({"a": token}, {"n": token}, {"l": [{"name": token}]}, {"zz": token}):
        assert token not in repr(list(findings("dev", "shop", values)))
