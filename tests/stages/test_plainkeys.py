"""What a plain tree holds of a draft: each kind of value, both layouts, and never anything sealed."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from sealpipe.errors import RefusedError
from sealpipe.released import Draft, SealedAt
from sealpipe.stages.plainkeys import bad_keys, plain_tree

TOKEN = "ENC[NACL1,type:str,data:AAAA]"
AT = SealedAt("dev", "a")


def draft(values: dict[str, Any], *sealed: str, **merge_keys: str) -> Draft:
    lists = {"/" + name: field for name, field in merge_keys.items()}
    return Draft(values, dict.fromkeys(sealed, AT), lists, (), {})


def keys(values: dict[str, Any], *sealed: str, **merge_keys: str) -> dict[str, str]:
    found = plain_tree(draft(values, *sealed, **merge_keys), "keys").entries
    return {key: text.decode() for key, text in found.items()}


def test_each_kind_of_value_as_text() -> None:
    values = {
        "text": "a b",
        "empty": "",
        "on": True,
        "off": False,
        "int": -3,
        "float": 0.5,
        "list": ["a", 1, None, {"b": "é"}],
        "map": {"in.side": {"deep": "ü"}, "nothing": {}},
    }
    assert keys(values) == {
        "text": "a b",
        "empty": "",
        "on": "true",
        "off": "false",
        "int": "-3",
        "float": "0.5",
        "list": '["a",1,null,{"b":"é"}]',
        "map/in.side/deep": "ü",
    }


def test_a_list_that_merges_by_key_is_a_folder_an_element() -> None:
    values = {"hosts": [{"name": "eu", "port": 1}, {"name": "us", "port": 2, "password": TOKEN}]}
    found = plain_tree(draft(values, "/hosts/1/password", hosts="name"), "keys")
    assert found.left_out == ("hosts[name=us].password",)
    assert {key: text.decode() for key, text in found.entries.items()} == {
        "hosts/eu/name": "eu",
        "hosts/eu/port": "1",
        "hosts/us/name": "us",
        "hosts/us/port": "2",
    }


@pytest.mark.parametrize("layout", ["keys", "yaml"])
def test_nothing_sealed_gets_in(layout: str) -> None:
    """What the draft lists as sealed, and what only looks like it, wherever it stands."""
    values = {
        "db": {"password": TOKEN, "host": "h"},
        "only": {"secret": TOKEN},
        "list": ["a", {"b": "ENC[whatever"}],
    }
    found = plain_tree(draft(values, "/db/password", "/only/secret"), layout)
    assert b"ENC[" not in b"".join(found.entries.values())
    assert b"h" in b"".join(found.entries.values())
    assert {"db.password", "only.secret"} <= set(found.left_out)
    assert found.settings == 4


def test_yaml_is_one_key_that_any_yaml_reader_takes_for_the_same_values() -> None:
    values = {"db": {"host": "no", "port": 5, "password": TOKEN}, "at": "22:22", "list": [{"a": 1}], "x": {}}
    found = plain_tree(draft(values, "/db/password"), "yaml")
    assert list(found.entries) == ["data"]
    assert found.left_out == ("db.password",)
    assert yaml.safe_load(found.entries["data"]) == {
        "db": {"host": "no", "port": 5},
        "at": "22:22",
        "list": [{"a": 1}],
        "x": {},
    }


def test_a_retired_service_has_no_keys() -> None:
    for layout in ("keys", "yaml"):
        assert plain_tree(draft({}), layout).entries == {}


@pytest.mark.parametrize(
    "name", ["a b", "a/b", "", ".hidden", "a..b", "ü", "a,b", "x" * 256, "a\nb", "%20", "a:b"]
)
def test_names_that_not_every_store_takes_are_refused(name: str) -> None:
    one = draft({"top": {name: 1}})
    assert [bad.pointer for bad in bad_keys(one, "keys")] == ["/top/" + name.replace("/", "~1")]
    with pytest.raises(RefusedError, match="top"):
        plain_tree(one, "keys")
    assert list(bad_keys(one, "yaml")) == []


def test_a_name_of_a_secret_need_not_be_a_key() -> None:
    assert list(bad_keys(draft({"a b": TOKEN}, "/a b"), "keys")) == []


def test_two_settings_with_one_key_and_keys_that_are_too_long() -> None:
    twice = draft({"hosts": [{"n": 1}, {"n": "1"}]}, hosts="n")
    assert [bad.pointer for bad in bad_keys(twice, "keys")] == ["/hosts/1/n"]
    deep: dict[str, Any] = {"x" * 200: 1}
    for _ in range(3):
        deep = {"y" * 200: deep}
    assert len(list(bad_keys(draft(deep), "keys"))) == 1
