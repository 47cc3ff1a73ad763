"""What is wrong with a schema file itself; the exact texts are in tests/cases/validate."""

from __future__ import annotations

import json
from typing import Any

import pytest

from sealpipe.model import SchemaFile
from sealpipe.schemas.lint import lint

SECRET = {"type": "string", "writeOnly": True}


def closed(*required: str, **properties: Any) -> dict[str, Any]:
    made: dict[str, Any] = {"type": "object", "properties": properties, "additionalProperties": False}
    return {**made, "required": list(required)} if required else made


def found(schema: dict[str, Any], name: str = "shop") -> list[tuple[str, str]]:
    text = json.dumps(schema, indent=2)
    findings = lint(SchemaFile(name, f"schemas/{name}.schema.json", text, schema))
    assert all(finding.where is not None and finding.where.line for finding in findings)
    return [(finding.word, finding.path) for finding in findings]


GOOD = [
    closed(
        a={"type": "integer", "default": 3, "x-note": "ours"},
        m={"type": "object", "additionalProperties": {}},
    ),
    {**closed(a={"$ref": "#/$defs/x"}), "$defs": {"x": closed(b=SECRET)}},
    closed(l={"type": "array", "x-merge-key": "n", "items": closed("n", n={"type": "string"}, key=SECRET)}),
    closed(l={"type": "array", "writeOnly": True, "items": {"type": "string"}}),
    # Parts of a map that is closed as a whole need not be closed themselves.
    {
        "type": "object",
        "unevaluatedProperties": False,
        "allOf": [{"type": "object", "properties": {"a": {}}}],
    },
    {
        **closed(kind={}),
        "oneOf": [{"properties": {"kind": {"const": 1}}}, {"properties": {"kind": {"const": 2}}}],
    },
    {**closed(a={}), "if": {"properties": {"a": {"const": 1}}}, "then": {"required": ["a"]}},
]


@pytest.mark.parametrize("schema", GOOD)
def test_nothing_to_say(schema: dict[str, Any]) -> None:
    assert found(schema) == []


# fmt: off
BAD = [
    ({"type": "object"}, "open-object", "#"),
    (closed(a={"type": "object"}), "open-object", "#/properties/a"),
    (closed(a={"type": ["object", "null"], "properties": {}}), "open-object", "#/properties/a"),
    (closed(l={"type": "array", "items": {"properties": {}}}), "open-object", "#/properties/l/items"),
    ({**closed(a={"$ref": "#/$defs/x"}), "$defs": {"x": {"type": "object"}}}, "open-object", "#/$defs/x"),
    (closed(a={"requried": []}), "unknown-keyword", "#/properties/a/requried"),
    (closed(a={"x-secrets": True}), "unknown-keyword", "#/properties/a/x-secrets"),
    (closed(a={"$anchor": "x"}), "unknown-keyword", "#/properties/a/$anchor"),
    (closed(a={"$id": "https://x.example/"}), "unknown-keyword", "#/properties/a/$id"),
    (closed(a={"x-locked": "yes"}), "bad-schema", "#/properties/a/x-locked"),
    (closed(a={"type": "integer", "default": "x"}), "bad-default", "#/properties/a/default"),
    (closed(a={**SECRET, "default": "x"}), "secret-default", "#/properties/a/default"),
    (closed(a={"format": "password"}), "unmarked-password", "#/properties/a/format"),
    (closed(a={"format": "emial"}), "unknown-format", "#/properties/a/format"),
    (closed(a={"patternProperties": {"(": {}}, "additionalProperties": False}), "bad-pattern",
     "#/properties/a/patternProperties/("),
    (closed(a={"type": "integer", "minimum": 2, "maximum": 1}), "impossible-schema", "#/properties/a"),
    (closed(l={"type": "array", "items": SECRET}), "secret-in-list", "#/properties/l/items"),
    (closed(l={"prefixItems": [closed(a=SECRET)]}),
     "secret-in-list", "#/properties/l/prefixItems/0/properties/a"),
    ({**closed(l={"type": "array", "items": {"$ref": "#/$defs/s"}}),
     "$defs": {"s": SECRET}}, "secret-in-list",
     "#/$defs/s"),
    (closed(l={"x-merge-key": "n", "items": closed(n={})}), "bad-merge-key", "#/properties/l/x-merge-key"),
    (closed(l={"x-merge-key": "n", "items": closed("n", n=SECRET)}),
     "bad-merge-key", "#/properties/l/x-merge-key"),
    (closed(a={"$ref": "#/$defs/no"}), "bad-reference", "#/properties/a/$ref"),
    (closed(a={"$ref": "file:///etc/passwd"}), "bad-reference", "#/properties/a/$ref"),
    ({"type": "array"}, "bad-schema", "#/type"),
    ({**closed(), "writeOnly": True}, "bad-schema", "#/type"),
    ({"$schema": "http://json-schema.org/draft-07/schema#"}, "schema-dialect", "#/$schema"),
    (closed(a={"type": "strin"}), "bad-schema", "#/properties/a/type"),
]
# fmt: on


@pytest.mark.parametrize(("schema", "word", "path"), BAD)
def test_one_word_for_each_fault(schema: dict[str, Any], word: str, path: str) -> None:
    assert (word, path) in found(schema)


def test_a_list_of_named_elements_inside_a_list_of_nameless_ones_is_no_place_either() -> None:
    inner = {"type": "array", "x-merge-key": "n", "items": closed("n", n={"type": "string"}, key=SECRET)}
    assert [word for word, _ in found(closed(l={"type": "array", "items": inner}))] == ["secret-in-list"]


def test_a_layers_schema_holds_only_what_reaches_its_services() -> None:
    schema = {**closed(a={"type": "string"}), "allOf": [{"required": ["a"]}]}
    assert found(schema, "_all") == [("layer-schema", "#/allOf")]
    assert found(schema, "shop") == []


def test_a_default_is_held_against_definitions_too() -> None:
    schema = {
        **closed(a={"$ref": "#/$defs/p", "default": 0}),
        "$defs": {"p": {"type": "integer", "minimum": 1}},
    }
    assert found(schema) == [("bad-default", "#/properties/a/default")]


def test_texts_show_no_default() -> None:
    schema = closed(
        a={**SECRET, "default": "hunter2-canary"}, b={"type": "integer", "default": "hunter2-canary"}
    )
    text = json.dumps(schema, indent=2)
    assert "hunter2" not in repr(lint(SchemaFile("shop", "schemas/shop.schema.json", text, schema)))
