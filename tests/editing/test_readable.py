"""A document through the editor and back: whatever the secrets are, they come back as they were."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sealpipe.crypto.sealing import Sealer, type_of
from sealpipe.documents.read import read_yaml
from sealpipe.documents.write import dump_yaml
from sealpipe.editing.given import Given
from sealpipe.editing.readable import edited, readable
from sealpipe.editing.sealing import seal_at
from sealpipe.keysource import need_identity
from sealpipe.membership.slots import find_document, schema_of
from sealpipe.model import Document, DocumentId, Workspace
from sealpipe.opening import DocumentKeys, document_keys
from sealpipe.stages.load import load
from sealpipe.trees import WorkTree
from terminal import new_repository

ID = DocumentId("dev", "checkout")
SECRETS = {"type": ["string", "integer", "number", "boolean", "object", "array"], "writeOnly": True}
SCHEMA = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "plain": {"type": "object", "additionalProperties": {"type": ["string", "integer", "boolean"]}},
        "secret": {"type": "object", "additionalProperties": SECRETS},
        "added": {"type": "integer"},
    },
}

keys = st.from_regex(r"[a-z][a-z0-9_]{0,8}", fullmatch=True)
texts = st.text(
    st.characters(blacklist_categories=("Cs", "Cc"), blacklist_characters="\ufeff\u2028\u2029"), max_size=30
)
lines = st.lists(
    st.sampled_from(["a", "", "  b: 1", "# c", "- d", "'e'", '"f"', "ENC[", "%", "\tg"]), max_size=4
)
values = st.one_of(
    texts.filter(lambda text: not text.startswith("ENC[")),
    lines.map("\n".join).filter(lambda text: not text.startswith("ENC[")),
    st.integers(-(2**53) + 1, 2**53 - 1),
    st.booleans(),
    st.dictionaries(keys, st.integers(0, 9), max_size=3),
    st.lists(st.integers(0, 9), max_size=3),
)


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    shop = new_repository(tmp_path / "shop", "checkout")
    shop.write("schemas/checkout.schema.json", json.dumps(SCHEMA))
    return load(WorkTree(shop.folder))


def my_keys(workspace: Workspace) -> DocumentKeys:
    import os

    return document_keys(workspace.keyrings["dev"], need_identity(os.environ).read)


def document(workspace: Workspace, plain: dict[str, Any], secrets: dict[str, Any]) -> Document:
    sealer = Sealer()
    sealed = {
        key: seal_at(workspace, ID, ("secret", key), Given(value, str(type_of(value))), sealer)
        for key, value in secrets.items()
    }
    text = dump_yaml({"plain": plain, "secret": sealed}, header="# head\n")
    return Document(ID, "environments/dev/checkout.yaml", text, read_yaml(text, file="x"))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    plain=st.dictionaries(keys, st.integers(0, 99), max_size=3),
    secrets=st.dictionaries(keys, values, min_size=1, max_size=4),
)
def test_secrets_come_back_as_they_were(
    workspace: Workspace, plain: dict[str, Any], secrets: dict[str, Any]
) -> None:
    before = document(workspace, plain, secrets)
    repository = replace(workspace, documents={**workspace.documents, ID: before})
    schema = schema_of(repository, ID)
    shown = readable(before, schema, my_keys(repository))
    assert read_yaml(shown.text, file="x")["secret"] == secrets
    assert edited(repository, before, shown, shown.text, Sealer()).edit is None

    result = edited(repository, before, shown, shown.text + "added: 1\n", Sealer())
    assert result.findings == ()
    assert result.sealed == ()
    assert result.edit is not None
    assert read_yaml(result.edit.after, file="x") == {**before.values, "added": 1}


def test_a_document_alone_does_not_show_its_secrets(workspace: Workspace) -> None:
    before = document(workspace, {}, {"a": "canary-secret"})
    shown = readable(before, schema_of(workspace, ID), my_keys(workspace))
    assert "canary" in shown.text
    assert "canary" not in repr(shown) + str(shown) + repr(list(shown.secrets.values()))


def test_without_keys_everything_stays_sealed(workspace: Workspace) -> None:
    before = document(workspace, {}, {"a": "canary-secret"})
    shown = readable(before, schema_of(workspace, ID), {})
    assert shown.text == before.text
    assert shown.closed == ("secret.a",)


def test_a_moved_token_is_not_opened(workspace: Workspace) -> None:
    before = document(workspace, {}, {"a": "canary-secret"})
    text = before.text.replace("  a: ENC", "  b: ENC")
    moved = replace(before, text=text, values=read_yaml(text, file="x"))
    shown = readable(moved, schema_of(workspace, ID), my_keys(workspace))
    assert shown.closed == ("secret.b",)
    assert "canary" not in shown.text


def test_the_fixture_is_what_the_repository_has(workspace: Workspace) -> None:
    assert find_document(workspace, ID).file == "environments/dev/checkout.yaml"
