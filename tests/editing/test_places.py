"""Paths as the schema understands them, values as they were given, secrets in lists that merge by key."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from sealpipe.editing.given import Given, infer_schema, looks_like_a_secret, read_given
from sealpipe.errors import SealpipeError, UsageError
from sealpipe.membership.slots import Slot, find_slot
from sealpipe.model import DocumentId
from sealpipe.paths import Member
from sealpipe.stages.load import load
from sealpipe.trees import WorkTree
from terminal import Terminal, new_repository

SCHEMA: dict[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "properties": {
        "port": {"type": "integer", "minimum": 1},
        "ratio": {"type": "number"},
        "name": {"type": "string"},
        "either": {"type": ["string", "integer"]},
        "tags": {"type": "array", "items": {"type": "string"}},
        "whole": {"type": "object", "writeOnly": True},
        "pin": {"type": "integer", "writeOnly": True, "maximum": 9999},
        "replicas": {
            "type": "array",
            "x-merge-key": "name",
            "items": {
                "type": "object",
                "additionalProperties": False,
                "required": ["name"],
                "properties": {
                    "name": {"type": "string"},
                    "port": {"type": "integer"},
                    "password": {"type": "string", "writeOnly": True},
                },
            },
        },
        "shards": {
            "type": "array",
            "x-merge-key": "id",
            "items": {
                "type": "object",
                "additionalProperties": False,
                "required": ["id"],
                "properties": {"id": {"type": "integer"}, "host": {"type": "string"}},
            },
        },
    },
}


@pytest.fixture
def shop(tmp_path: Path) -> Terminal:
    shop = new_repository(tmp_path / "shop", "checkout")
    shop.write("schemas/checkout.schema.json", json.dumps(SCHEMA, indent=2))
    shop.write(
        "environments/dev/checkout.yaml", "replicas:\n  - name: eu\n    port: 1\n  - {name: us, port: 2}\n"
    )
    return shop


def slot(shop: Terminal, path: str) -> Slot:
    return find_slot(load(WorkTree(shop.folder)), DocumentId("dev", "checkout"), path)


class TestPaths:
    @pytest.mark.parametrize("text", ["replicas[name=us].port", "replicas[1].port", "/replicas/1/port"])
    def test_elements_of_keyed_lists_go_by_their_key(self, shop: Terminal, text: str) -> None:
        found = slot(shop, text)
        assert found.path == ("replicas", Member("name", "us"), "port")
        assert found.present

    def test_a_key_that_is_a_number(self, shop: Terminal) -> None:
        assert slot(shop, "shards[id=7].host").path == ("shards", Member("id", 7), "host")

    @pytest.mark.parametrize(
        "text",
        ["", "a..b", "replicas[zone=us].port", "tags[name=x]", "whole.inner", "replicas.us", "port[0]"],
    )
    def test_paths_that_lead_nowhere(self, shop: Terminal, text: str) -> None:
        shop("set", "dev/checkout", "port", "80")
        with pytest.raises(UsageError):
            slot(shop, text) if text != "port[0]" else shop_set(shop, text)

    def test_a_new_element_is_appended(self, shop: Terminal) -> None:
        shop("set", "dev/checkout", "replicas[name=ap].port", "3")
        values = json.loads(shop("get", "dev/checkout", "replicas").out)
        assert values[2] == {"name": "ap", "port": 3}
        check(shop)

    def test_secrets_in_keyed_lists_follow_their_element(self, shop: Terminal) -> None:
        shop("set", "dev/checkout", "replicas[1].password", stdin=b"for-us")
        assert shop("get", "dev/checkout", "replicas[name=us].password").out == "for-us\n"
        text = shop.text("environments/dev/checkout.yaml")
        first, second = text.index("  - name: eu"), text.index("  - {name: us")
        swapped = "replicas:\n" + text[second:].rstrip("\n") + "\n" + text[first:second]
        shop.write("environments/dev/checkout.yaml", swapped)
        assert shop("get", "dev/checkout", "replicas[0].password").out == "for-us\n"
        check(shop)

    def test_an_element_of_a_plain_list_cannot_be_sealed(self, shop: Terminal) -> None:
        secrets = {"type": "array", "items": {"type": "string", "writeOnly": True}}
        schema = {**SCHEMA, "properties": {"secrets": secrets}}
        shop.write("schemas/checkout.schema.json", json.dumps(schema))
        shop.write("environments/dev/checkout.yaml", "secrets: [one-canary]\n")
        done = shop.fail(4, "seal")
        assert "error[secret-in-list]" in done.err
        assert "canary" not in done.err


def shop_set(shop: Terminal, path: str) -> None:
    done = shop.run("set", "dev/checkout", path, "1")
    if done.code:
        raise UsageError("usage", done.err)


class TestGiven:
    @pytest.mark.parametrize(
        ("path", "data", "value", "kind"),
        [
            ("port", b"80", 80, "int"),
            ("ratio", b"2", 2, "int"),
            ("ratio", b"2.5", 2.5, "float"),
            ("name", b"80", "80", "str"),
            ("name", b"true", "true", "str"),
            ("name", b"{a: 1}", "{a: 1}", "str"),
            ("either", b"80", 80, "int"),
            ("tags", b"[a, b]", ["a", "b"], "array"),
            ("tags", b"- a\n- b\n", ["a", "b"], "array"),
            ("pin", b"42", 42, "int"),
            ("whole", b'{"a": [1]}', {"a": [1]}, "object"),
            ("replicas", b"- {name: x, port: 1}", [{"name": "x", "port": 1}], "array"),
        ],
    )
    def test_the_first_type_that_fits(
        self, shop: Terminal, path: str, data: bytes, value: object, kind: str
    ) -> None:
        found = slot(shop, path)
        given = read_given(found, data, kind=None, secret=found.secret is not None)
        assert (given.value, type(given.value), given.type) == (value, type(value), kind)

    @pytest.mark.parametrize(("path", "data"), [("pin", b"canary"), ("whole", b"canary"), ("pin", b"\xff")])
    def test_what_fits_nothing_is_refused_unseen(self, shop: Terminal, path: str, data: bytes) -> None:
        found = slot(shop, path)
        with pytest.raises(SealpipeError) as caught:
            read_given(found, data, kind=None, secret=True)
        assert "canary" not in str(caught.value)

    def test_a_given_value_does_not_print(self) -> None:
        assert "canary" not in repr(Given("canary", "str")) + str(Given("canary", "str"))

    def test_inferred_schemas_are_closed(self) -> None:
        found = infer_schema({"a": 1, "b": [1, 2.5], "c": {"d": True}, "e": None})
        assert found["additionalProperties"] is False
        assert found["properties"]["b"] == {
            "type": "array",
            "items": {"anyOf": [{"type": "integer"}, {"type": "number"}]},
        }
        assert found["properties"]["c"]["additionalProperties"] is False
        assert "e" not in found["properties"]

    @pytest.mark.parametrize(
        "name", ["db.password", "api_key", "github.token", "tls.private_key", "oauth.client-secret"]
    )
    def test_names_that_sound_secret(self, name: str) -> None:
        assert looks_like_a_secret(name)

    @pytest.mark.parametrize("name", ["db.host", "keys.count", "tokenizer", "author", "passenger.seats"])
    def test_names_that_do_not(self, name: str) -> None:
        assert not looks_like_a_secret(name)


def check(shop: Terminal) -> None:
    done = shop.run("validate")
    assert done.code == 0, done.out


def test_a_secret_that_a_comment_cuts_short_is_not_sealed_in_part(shop: Terminal) -> None:
    text = "replicas:\n  - name: eu\n    password: hunter #2-and-more\n"
    shop.write("environments/dev/checkout.yaml", text)
    done = shop.fail(4, "seal", "dev/checkout")
    assert "error[cut-secret]: environments/dev/checkout.yaml:3:15" in done.err
    assert "hunter" not in done.err + done.out
    assert shop.text("environments/dev/checkout.yaml") == text
    shop.write("environments/dev/checkout.yaml", text.replace("hunter #2-and-more", "'hunter #2-and-more'"))
    shop("seal", "dev/checkout")
    assert shop("get", "dev/checkout", "replicas[name=eu].password").out == "hunter #2-and-more\n"
