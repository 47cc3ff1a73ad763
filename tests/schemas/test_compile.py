"""Effective schemas: what is merged, what is secret, what decides; jsonschema is the oracle."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sealpipe.errors import InputError
from sealpipe.model import SchemaFile
from sealpipe.paths import Member
from sealpipe.schemas.compile import (
    Effective,
    effective,
    known_at,
    plain_check,
    secret_above,
    secret_at,
)

TOKEN = "ENC[NACL1,type:{},data:AAAA]"


def closed(*required: str, **properties: Any) -> dict[str, Any]:
    made: dict[str, Any] = {"type": "object", "properties": properties, "additionalProperties": False}
    return {**made, "required": list(required)} if required else made


def schema_file(name: str, schema: dict[str, Any]) -> SchemaFile:
    return SchemaFile(name, f"schemas/{name}.schema.json", json.dumps(schema, indent=2), schema)


def compiled(schema: dict[str, Any], **layers: dict[str, Any]) -> Effective:
    files = {name: schema_file(name, value) for name, value in {"shop": schema, **layers}.items()}
    return effective(files, "shop", tuple(layers))


SECRET = {"type": "string", "writeOnly": True}


def test_a_layer_adds_its_properties_and_the_services_own_win() -> None:
    made = compiled(
        closed(port={"type": "integer"}, log={"type": "string"}),
        _all=closed("region", "log", log={"type": "integer"}, region={"type": "string"}),
        _pay=closed(region={"type": "integer"}, provider={"type": "string"}),
    )
    assert made.problems({"port": 1, "log": "x", "region": 3, "provider": "p"}) == []
    assert [p.keyword for p in made.problems({"log": "x"})] == ["required"]
    assert [p.path for p in made.problems({"region": 1, "log": 4})] == [("log",)]
    assert made.origin(("region",)) == "schemas/_pay.schema.json"
    assert made.origin(("log", "x")) == "schemas/shop.schema.json"


def test_definitions_of_two_files_with_one_name_do_not_mix() -> None:
    here = {**closed(a={"$ref": "#/$defs/x"}), "$defs": {"x": {"type": "integer"}}}
    there = {**closed(b={"$ref": "#/$defs/x"}), "$defs": {"x": SECRET}}
    made = compiled(here, _all=there)
    assert secret_at(made, ("a",)) is None
    assert secret_at(made, ("b",)) == {"str", "bytes"}
    assert made.problems({"a": 1, "b": TOKEN.format("str")}) == []


def test_references_to_any_place_of_the_file_and_to_itself() -> None:
    tree = closed(
        value={"type": "integer"},
        next={"$ref": "#"},
        again={"$ref": "#/properties/value"},
        odd={"$ref": "#/$defs/with%20space~1slash"},
    )
    made = compiled({**tree, "$defs": {"with space/slash": {"type": "boolean"}}})
    assert made.problems({"next": {"next": {"again": 1, "odd": True}}}) == []
    assert [p.path for p in made.problems({"next": {"next": {"again": "x"}}})] == [("next", "next", "again")]


def test_a_root_that_is_only_a_reference() -> None:
    made = compiled({"$ref": "#/$defs/Root", "$defs": {"Root": closed(a=SECRET)}}, _all=closed(b={}))
    assert secret_at(made, ("a",)) is not None
    assert made.problems({"b": 1}) == []
    assert made.problems({"c": 1})


@pytest.mark.parametrize("reference", ["https://example.org/x.json", "other.json", "#x", "#/$defs/gone"])
def test_references_that_leave_the_file_are_refused_and_nothing_is_fetched(reference: str) -> None:
    with pytest.raises(InputError) as caught:
        compiled(closed(a={"$ref": reference}))
    assert [finding.word for finding in caught.value.findings] == ["bad-reference"]


def test_without_a_schema_nothing_is_effective() -> None:
    with pytest.raises(InputError) as caught:
        effective({}, "shop", ("_all",))
    assert caught.value.word == "missing-schema"


def test_the_digest_covers_the_layers_and_not_the_layout() -> None:
    one = compiled(closed(a={"type": "integer"}), _all=closed(b={"type": "string"}))
    same = compiled(dict(reversed(closed(a={"type": "integer"}).items())), _all=closed(b={"type": "string"}))
    other = compiled(closed(a={"type": "integer"}), _all=closed(b={"type": "integer"}))
    assert one.digest == same.digest
    assert one.digest != other.digest
    assert len(one.digest) == 64


# ---- secrets


@pytest.mark.parametrize(
    "schema",
    [
        {**SECRET},
        {"type": "string", "x-secret": True},
        {"$ref": "#/$defs/s"},
        {"$ref": "#/$defs/plain", "writeOnly": True},
        {"anyOf": [SECRET, {"type": "null"}]},
        {"oneOf": [{"type": "integer"}, {"$ref": "#/$defs/s"}]},
        {"allOf": [{"type": "string", "minLength": 3}, {"writeOnly": True}]},
        {"type": "string", "if": {"const": "x"}, "then": {"writeOnly": True}},
        {"type": "string", "if": {"const": "x"}, "else": {"x-secret": True}},
    ],
)
def test_a_secret_in_any_branch_is_a_secret(schema: dict[str, Any]) -> None:
    root = {**closed(a=schema), "$defs": {"s": SECRET, "plain": {"type": "string"}}}
    made = compiled(root)
    assert "str" in (secret_at(made, ("a",)) or ())
    assert list(made.plaintext({"a": "hunter2"})) == [("a",)]
    assert list(made.plaintext({"a": TOKEN.format("str")})) == []
    assert made.problems({"a": TOKEN.format("str")}) == []


@pytest.mark.parametrize(
    ("schema", "values", "path"),
    [
        ({"patternProperties": {"^k": SECRET}}, {"k1": "x"}, ("k1",)),
        ({"additionalProperties": SECRET}, {"any": "x"}, ("any",)),
        ({"properties": {"m": {"dependentSchemas": {"b": closed(c=SECRET)}}}}, {"m": {"c": "x"}}, ("m", "c")),
        ({"properties": {"m": {"if": closed(c=SECRET)}}}, {"m": {"c": "x"}}, ("m", "c")),
        ({"properties": {"m": {"not": closed(c=SECRET)}}}, {"m": {"c": "x"}}, ("m", "c")),
        ({"properties": {"l": {"prefixItems": [{}, SECRET]}}}, {"l": [1, "x"]}, ("l", 1)),
        ({"properties": {"l": {"items": closed(c=SECRET)}}}, {"l": [{"c": "x"}]}, ("l", 0, "c")),
        ({"properties": {"l": {"contains": SECRET}}}, {"l": ["x"]}, ("l", 0)),
        ({"unevaluatedProperties": SECRET}, {"any": "x"}, ("any",)),
    ],
)
def test_secrets_are_found_wherever_a_schema_can_put_them(
    schema: dict[str, Any], values: dict[str, Any], path: tuple[str | int, ...]
) -> None:
    made = compiled({"type": "object", **schema})
    assert secret_at(made, path) is not None
    assert list(made.plaintext(values)) == [path]


def test_a_secret_below_a_recursive_definition() -> None:
    node = closed(next={"$ref": "#/$defs/node"}, key=SECRET)
    made = compiled({**closed(tree={"$ref": "#/$defs/node"}), "$defs": {"node": node}})
    deep: dict[str, Any] = {"tree": {"next": {"next": {"next": {"key": "hunter2"}}}}}
    assert list(made.plaintext(deep)) == [("tree", "next", "next", "next", "key")]


@pytest.mark.parametrize(
    ("schema", "types"),
    [
        ({"type": "integer"}, {"int"}),
        ({"type": "number"}, {"float", "int"}),
        ({"type": "boolean"}, {"bool"}),
        ({"type": "object"}, {"object"}),
        ({"type": ["array", "null"]}, {"array"}),
        ({"enum": [1, "a"]}, {"int", "str", "bytes"}),
        ({"anyOf": [{"type": "integer"}, {"type": "null"}]}, {"int"}),
        ({}, {"str", "int", "float", "bool", "object", "array", "bytes"}),
    ],
)
def test_the_types_that_a_sealed_value_may_have(schema: dict[str, Any], types: set[str]) -> None:
    assert secret_at(compiled(closed(a={**schema, "writeOnly": True})), ("a",)) == types


def test_a_map_beside_a_secret_text_is_no_leak_of_it() -> None:
    choice = {"oneOf": [SECRET, closed("token", token=SECRET)]}
    made = compiled(closed(auth=choice))
    assert made.problems({"auth": {"token": TOKEN.format("str")}}) == []
    assert list(made.plaintext({"auth": {"token": TOKEN.format("str")}})) == []
    assert list(made.plaintext({"auth": {"token": "hunter2"}})) == [("auth", "token")]
    assert list(made.plaintext({"auth": "hunter2"})) == [("auth",)]


def test_below_a_secret_map_nothing_is_a_secret_of_its_own() -> None:
    made = compiled(closed(account={"type": "object", "writeOnly": True, "properties": {"key": {}}}))
    assert secret_at(made, ("account", "key")) is None
    assert secret_above(made, ("account", "key")) == ("account",)
    assert secret_above(made, ("account",)) is None
    assert list(made.plaintext({"account": {"key": "x"}})) == [("account",)]


# ---- what the engine sees


def test_the_engine_never_sees_a_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    made = compiled(closed("b", a=SECRET, b={"type": "integer"}, c={"type": "integer", "writeOnly": True}))
    seen: list[Any] = []
    checker = made.compiled._whole_checker
    real = type(checker).problems
    monkeypatch.setattr(
        type(checker), "problems", lambda self, value: seen.append(value) or real(self, value)
    )
    found = made.problems({"a": "hunter2", "c": 4711})
    assert [p.keyword for p in found] == ["required"]
    assert "hunter2" not in repr(seen)
    assert "4711" not in repr(seen)
    assert "hunter2" not in repr(found)


def test_a_token_keeps_its_type_in_a_choice() -> None:
    one = closed("kind", "key", kind={"const": "n"}, key={"type": "integer", "writeOnly": True})
    two = closed("kind", "key", kind={"const": "t"}, key=SECRET)
    made = compiled(closed(auth={"oneOf": [one, two]}))
    assert made.problems({"auth": {"kind": "n", "key": TOKEN.format("int")}}) == []
    assert made.problems({"auth": {"kind": "t", "key": TOKEN.format("str")}}) == []
    assert made.problems({"auth": {"kind": "t", "key": TOKEN.format("int")}})


def test_a_plain_text_branch_does_not_make_a_token_fit_twice() -> None:
    made = compiled(closed(a={"oneOf": [SECRET, {"type": "string", "maxLength": 500}]}))
    assert made.problems({"a": TOKEN.format("str")}) == []


def test_rules_for_a_secrets_content_do_not_meet_the_token() -> None:
    made = compiled(closed(a={"allOf": [{"type": "string", "maxLength": 8}, {"writeOnly": True}]}))
    assert made.problems({"a": TOKEN.format("str")}) == []


# ---- one layer alone


def test_a_part_lacks_what_another_layer_has() -> None:
    choice = {"oneOf": [closed("k", "h", k={"const": 1}, h={}), closed("k", "s", k={"const": 2}, s={})]}
    made = compiled(
        {
            **closed("a", "b", a={"type": "integer"}, b=closed("c", c={"enum": ["x"]}), u=choice),
            "dependentRequired": {"a": ["b"]},
            "minProperties": 2,
            "if": {"required": ["a"]},
            "then": {"required": ["u"]},
            "not": {"required": ["a"]},
        }
    )
    assert made.part_problems({}) == []
    assert made.part_problems({"a": 1}) == []
    assert made.part_problems({"a": None, "b": {"c": None}, "u": None}) == []
    assert made.part_problems({"u": {"h": 1}}) == []
    assert [p.path for p in made.part_problems({"a": "x", "b": {"c": "y"}})] == [("a",), ("b", "c")]
    assert [p.names for p in made.part_problems({"b": {"d": 1}})] == [("d",)]


def test_a_deleted_element_needs_nothing_but_its_name() -> None:
    items = closed("name", "port", name={"type": "string"}, port={"type": "integer"})
    made = compiled(closed(l={"type": "array", "x-merge-key": "name", "items": items}))
    assert made.part_problems({"l": [{"name": "a", "$delete": True}]}) == []
    assert made.problems({"l": [{"name": "a", "$delete": True}]})


# ---- for editors


def test_plain_check_asks_the_subschema_of_a_path() -> None:
    items = closed("name", name={"type": "string"}, key={**SECRET, "minLength": 4})
    made = compiled(
        {
            **closed(
                db={"$ref": "#/$defs/db"},
                l={"type": "array", "x-merge-key": "name", "items": items},
                u={"oneOf": [closed(k={"type": "integer", "minimum": 3}), closed(k={"type": "string"})]},
            ),
            "$defs": {"db": closed(password={**SECRET, "minLength": 12})},
        }
    )
    assert [p.keyword for p in plain_check(made, ("db", "password"), "short")] == ["minLength"]
    assert plain_check(made, ("db", "password"), "long enough, really") == []
    assert plain_check(made, ("l", Member("name", "eu"), "key"), "abc")
    assert plain_check(made, ("l", 0, "key"), "abcd") == []
    assert plain_check(made, ("u", "k"), 3) == []
    assert plain_check(made, ("u", "k"), "text") == []
    assert plain_check(made, ("u", "k"), True)
    assert [p.keyword for p in plain_check(made, ("nope",), 1)] == ["false"]
    assert not known_at(made, ("nope",))
    assert known_at(made, ("db", "password"))


def test_annotations_for_other_stages() -> None:
    items = closed("name", name={"type": "string"}, w={"type": "integer", "x-locked": True})
    made = compiled(
        closed(
            l={"type": "array", "x-merge-key": "name", "items": items},
            a={"type": "integer", "x-locked": True},
            m={**closed(b={"type": "integer"}), "x-locked": True, "x-restart": True},
        )
    )
    assert made.merge_key_at(("l",)) == "name"
    assert made.merge_key_at(("a",)) is None
    assert made.locked({"l": [{"name": "x", "w": 1}], "m": {"b": 1}}) == ("/a", "/l/0/w", "/m")
    assert made.restart(("m", "b"))
    assert not made.restart(("a",))


# ---- the oracle

_LEAF = st.one_of(st.none(), st.booleans(), st.integers(-3, 3), st.sampled_from(["", "a", "bb", "ccc"]))
_VALUES = st.recursive(
    _LEAF,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.sampled_from(["a", "b", "c", "kind"]), inner, max_size=3),
    ),
    max_leaves=8,
)
_RULES = st.sampled_from(
    [
        {"type": "integer", "minimum": 0},
        {"type": ["string", "null"], "maxLength": 2},
        {"enum": ["a", 1, None]},
        {"const": "bb"},
        {"type": "array", "items": {"type": "integer"}, "minItems": 1, "uniqueItems": True},
        {"oneOf": [closed("kind", kind={"const": "a"}), closed("kind", "b", kind={"const": "bb"}, b={})]},
        {"anyOf": [{"type": "boolean"}, closed(a={"type": "integer"})]},
        {"$ref": "#/$defs/d"},
        {
            "type": "object",
            "patternProperties": {"^[ab]$": {"type": "integer"}},
            "additionalProperties": False,
        },
        {"if": {"type": "integer"}, "then": {"minimum": 1}, "else": {"not": {"type": "string"}}},
    ]
)


@settings(max_examples=300, deadline=None)
@given(st.dictionaries(st.sampled_from(["a", "b", "c"]), _RULES, max_size=3), _VALUES)
def test_jsonschema_agrees(properties: dict[str, Any], value: Any) -> None:
    root = {**closed(**properties), "$defs": {"d": closed("a", a={"type": "string"})}}
    values = value if isinstance(value, dict) else {"a": value}
    oracle = jsonschema.Draft202012Validator(root).is_valid(values)
    made = compiled(root)
    assert (made.problems(values) == []) is oracle
    if oracle:  # what fits whole also fits as one of several layers
        assert made.part_problems(values) == []


@settings(max_examples=200, deadline=None)
@given(
    st.dictionaries(st.sampled_from(["a", "b", "c"]), st.sampled_from(["s", "i", "p"]), max_size=3), _VALUES
)
def test_whatever_stands_unsealed_at_a_secret_path_is_found(kinds: dict[str, str], value: Any) -> None:
    rules = {"s": SECRET, "i": {"type": "integer", "x-secret": True}, "p": {}}
    made = compiled(closed(**{name: rules[kind] for name, kind in kinds.items()}))
    values = value if isinstance(value, dict) else {"a": value}
    found = {path[0] for path in made.plaintext(values)}
    expected = {
        name
        for name, kind in kinds.items()
        if kind != "p" and values.get(name) is not None and not isinstance(values[name], dict | list)
    }
    assert found == expected
    # A map or list where a secret text belongs is refused too, as a wrong type.
    odd = [n for n, kind in kinds.items() if kind != "p" and isinstance(values.get(n), dict | list)]
    assert not odd or made.problems(values)


# ---- schemas made to hurt


def test_a_long_chain_of_references_is_followed() -> None:
    chain = {f"d{n}": {"$ref": f"#/$defs/d{n + 1}"} for n in range(900)}
    made = compiled({**closed(a={"$ref": "#/$defs/d0"}), "$defs": {**chain, "d900": SECRET}})
    assert list(made.plaintext({"a": "hunter2"})) == [("a",)]


def test_a_chain_that_would_end_the_process_is_refused() -> None:
    chain = {f"d{n}": {"$ref": f"#/$defs/d{n + 1}"} for n in range(20_000)}
    with pytest.raises(InputError) as caught:
        compiled({**closed(a={"$ref": "#/$defs/d0"}), "$defs": {**chain, "d20000": SECRET}})
    assert caught.value.findings[0].word == "bad-schema"


@pytest.mark.parametrize(
    "schema", [{"properties": []}, {"writeOnly": 1}, {"allOf": {}}, {"$ref": 3}, {"items": 4}]
)
def test_what_is_no_schema_is_refused_before_it_is_walked(schema: dict[str, Any]) -> None:
    with pytest.raises(InputError) as caught:
        compiled(closed(a=schema))
    assert caught.value.word == "bad-schema"


def test_a_deep_schema_is_refused() -> None:
    deep: dict[str, Any] = {"type": "integer"}
    for _ in range(200):
        deep = {"anyOf": [deep]}
    with pytest.raises(InputError) as caught:
        compiled(closed(a=deep))
    assert caught.value.word == "bad-schema"


def test_the_named_paths_of_a_recursive_schema_are_few() -> None:
    node = closed(**{f"k{n}": {"$ref": "#/$defs/n"} for n in range(30)}, s=SECRET)
    made = compiled({**closed(top={"$ref": "#/$defs/n"}), "$defs": {"n": node}})
    paths = [path for path, _ in made.named()]
    assert len(paths) < 100
    assert ("top", "s") in paths


def test_a_pattern_that_costs_too_much_counts_as_a_match() -> None:
    costly = r"^(?:(a+)+\1)+$"
    made = compiled({"type": "object", "patternProperties": {costly: SECRET}})
    assert list(made.plaintext({"a" * 200 + "b": "hunter2"})) != []


def doubling(keyword: str) -> dict[str, Any]:
    """Two branches that describe the same key, each of which leads back to both."""
    branches = [
        {"properties": {"a": {"$ref": "#/$defs/node"}}, rule: 1}
        for rule in ("minProperties", "maxProperties")
    ]
    node = {keyword: [*branches, {"type": "integer"}]}
    return {"type": "object", "properties": {"a": {"$ref": "#/$defs/node"}}, "$defs": {"node": node}}


@pytest.mark.parametrize("keyword", ["oneOf", "anyOf", "allOf"])
def test_choices_that_double_at_each_level_are_refused_before_they_are_tried(keyword: str) -> None:
    schema = compiled(doubling(keyword))
    deep: Any = "x"
    for _ in range(60):
        deep = {"a": deep}
    for problems in (schema.problems(deep), schema.part_problems(deep), plain_check(schema, (), deep)):
        assert [problem.keyword for problem in problems] == ["cost"]
    assert "cost" not in {problem.keyword for problem in schema.problems({"a": {"a": 1}})}


def test_references_that_double_without_a_level_are_refused() -> None:
    chain = {f"d{n}": {"anyOf": [{"$ref": f"#/$defs/d{n + 1}"}] * 2} for n in range(40)}
    schema = compiled(
        {"properties": {"a": {"$ref": "#/$defs/d0"}}, "$defs": {**chain, "d40": {"type": "integer"}}}
    )
    assert [problem.keyword for problem in schema.problems({"a": "x"})] == ["cost"]


def test_a_recursive_model_is_not_costly() -> None:
    leaf = {"properties": {"leaf": {"type": "integer"}}, "additionalProperties": False}
    both = {
        "properties": {"all": {"type": "array", "items": {"$ref": "#/$defs/node"}}},
        "additionalProperties": False,
    }
    schema = compiled(
        {"properties": {"a": {"$ref": "#/$defs/node"}}, "$defs": {"node": {"oneOf": [leaf, both]}}}
    )
    deep: Any = {"leaf": 1}
    for _ in range(20):
        deep = {"all": [deep, {"leaf": 2}]}
    assert schema.problems({"a": deep}) == []
