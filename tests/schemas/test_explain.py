"""What is said of a problem; the exact texts are in tests/cases/validate."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sealpipe.model import SchemaFile
from sealpipe.schemas.compile import Effective, effective
from sealpipe.schemas.telling.explain import Explained, explain

CANARY = "hunter2-canary"


def closed(*required: str, **properties: Any) -> dict[str, Any]:
    made: dict[str, Any] = {"type": "object", "properties": properties, "additionalProperties": False}
    return {**made, "required": list(required)} if required else made


def compiled(**properties: Any) -> Effective:
    schema = closed(**properties)
    return effective({"shop": SchemaFile("shop", "schemas/shop.schema.json", "", schema)}, "shop", ())


def causes(schema: Effective, values: dict[str, Any]) -> list[Explained]:
    return [cause for problem in schema.problems(values) for cause in explain(problem, schema, values)]


@pytest.mark.parametrize(
    ("rule", "value", "word", "what"),
    [
        ({"type": "integer"}, "x", "wrong-type", "must be a whole number; this is text"),
        ({"type": ["integer", "null"]}, {}, "wrong-type", "must be a whole number; this is a map"),
        ({"type": "string"}, True, "wrong-type", "must be text; this is a boolean"),
        ({"minimum": 3}, 2, "out-of-range", "must be at least 3"),
        ({"exclusiveMaximum": 2.5}, 3, "out-of-range", "must be less than 2.5"),
        ({"multipleOf": 5}, 3, "out-of-range", "must be a multiple of 5"),
        ({"minLength": 3}, "x", "too-short", "must have at least 3 characters"),
        ({"maxItems": 1}, [1, 2], "too-many", "must have at most 1 elements"),
        ({"uniqueItems": True}, [1, 1], "duplicate-element", "has the same element twice"),
        ({"format": "email"}, "x", "bad-format", "must be an email address"),
        ({"pattern": "^a$"}, "b", "pattern", "must match the pattern ^a$"),
        ({"const": 5}, 6, "not-allowed", "must be 5"),
        ({"not": {"type": "string"}}, "b", "forbidden", "is what the schema's `not` rules out"),
        ({"contains": {"const": 1}}, [2], "missing-element", None),
        (False, 1, "forbidden", "must not be set: the schema accepts nothing here"),
    ],
)
def test_words_and_sentences(rule: Any, value: Any, word: str, what: str | None) -> None:
    found = causes(compiled(a=rule), {"a": value})
    assert [(cause.word, cause.path) for cause in found] == [(word, ("a",))]
    assert what is None or found[0].what == what


def test_a_near_miss_among_keys_and_values() -> None:
    schema = compiled(timeout_s={"type": "integer"}, level={"enum": ["debug", "info"]})
    key, value = causes(schema, {"timout_s": 1, "level": "inof"})[::-1]
    assert (key.near, key.advice) == ("timeout_s", ("did you mean `timeout_s`?",))
    assert value.advice == ('did you mean "info"?',)


def test_a_secrets_value_is_not_compared_with_the_allowed_ones() -> None:
    schema = compiled(a={"anyOf": [{"enum": ["info"]}, {"type": "integer", "writeOnly": True}]})
    # The place is a secret in one branch, so nothing of its value may show, not even by a hint.
    assert causes(schema, {"a": ["inof"]})[0].advice == ()


def test_a_key_that_belongs_elsewhere() -> None:
    schema = compiled(db=closed(password={"type": "string", "writeOnly": True}))
    (found,) = causes(schema, {"password": CANARY})
    assert found.advice == ("the schema has `db.password`: is it indented as meant?",)


REDIS = closed("kind", "host", kind={"const": "redis"}, host={"type": "string"})
MEMORY = closed("kind", "size", kind={"const": "memory"}, size={"type": "integer"})


@pytest.mark.parametrize("keyword", ["oneOf", "anyOf"])
@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"kind": "redis", "hst": 1}, [("missing-key", "host"), ("unknown-key", "hst")]),
        ({"kind": "memory", "size": "x"}, [("wrong-type", "size")]),
        ({"kind": "redsi"}, [("not-allowed", "kind")]),
        ({"host": "x"}, [("missing-key", "kind")]),
    ],
)
def test_only_the_branch_that_was_meant_is_told(
    keyword: str, value: dict[str, Any], expected: list[tuple[str, str]]
) -> None:
    found = causes(compiled(cache={keyword: [REDIS, MEMORY]}), {"cache": value})
    assert sorted((cause.word, str(cause.path[-1])) for cause in found) == expected


def test_a_value_of_a_type_that_no_branch_has() -> None:
    found = causes(compiled(cache={"oneOf": [REDIS, MEMORY, {"type": "null"}]}), {"cache": 4})
    assert [(cause.word, cause.what) for cause in found] == [
        ("wrong-type", "must be a map; this is a whole number")
    ]


def test_a_choice_that_is_not_clear_is_told_form_by_form() -> None:
    schema = compiled(at={"anyOf": [closed("city", city={}), closed("lat", "lon", lat={}, lon={})]})
    (found,) = causes(schema, {"at": {"city": 1, "lat": 2}})
    assert found.word == "no-form"
    assert len(found.why) == 2


_RULES = st.sampled_from(
    [
        {"type": "integer"}, {"const": 1}, {"enum": ["hunter", 2]}, {"maxLength": 2}, {"pattern": "^x$"},
        {"format": "email"}, {"minItems": 2}, {"uniqueItems": True}, {"not": {}}, {"oneOf": [REDIS, MEMORY]},
        {"type": "object", "propertyNames": {"maxLength": 1}}, {"anyOf": [{"const": 2}, {"type": "null"}]},
        closed("a", a={"type": "integer"}), {"type": "array", "items": {"const": 3}}, False,
    ]
)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(_RULES, st.recursive(st.just(CANARY), lambda inner: st.one_of(st.lists(inner, max_size=2),
       st.dictionaries(st.sampled_from(["a", "kind", "zz"]), inner, max_size=2))))  # fmt: skip
def test_no_text_ever_holds_a_value(rule: Any, value: Any) -> None:
    found = causes(compiled(a=rule), {"a": value})
    assert CANARY not in repr(found)
