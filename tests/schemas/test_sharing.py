"""What is looked at once instead of many times, and that this changes nothing."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sealpipe.errors import InputError
from sealpipe.model import SchemaFile
from sealpipe.schemas.compile import Effective, effective
from sealpipe.schemas.cost import Costs
from sealpipe.schemas.kept import LIMIT, Kept
from sealpipe.schemas.lint import lint
from sealpipe.schemas.rewrite import _seal, sealed_schema
from sealpipe.schemas.walk import Walk
from sealpipe.stages.load import read_schema

LEAVES = st.sampled_from(
    [{"type": "string"}, {"type": "integer"}, {"const": 1}, True, {"writeOnly": True}, {"x-secret": True}]
)
NAMES = st.sampled_from(["a", "b", "c"])


def _more(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    many, named = st.lists(inner, min_size=1, max_size=3), st.dictionaries(NAMES, inner, max_size=3)
    one = st.sampled_from(["additionalProperties", "items", "contains", "not", "if", "then", "propertyNames"])
    return st.one_of(
        st.builds(lambda k, v: {k: v}, st.sampled_from(["allOf", "anyOf", "oneOf", "prefixItems"]), many),
        st.builds(
            lambda k, v, o, w: {k: v, o: w},
            st.sampled_from(["properties", "patternProperties", "dependentSchemas", "$defs"]),
            named,
            one,
            inner,
        ),
        st.builds(lambda v, w: {"properties": v, "patternProperties": w}, named, named),
        st.builds(lambda v: {"properties": v, "allOf": [{"$ref": "#/properties/a"}]}, named),
    )


SCHEMAS = st.recursive(LEAVES, _more, max_leaves=12).filter(lambda made: isinstance(made, dict))


@settings(max_examples=400, deadline=None)
@given(SCHEMAS)
def test_a_tree_never_meets_a_place_twice(schema: dict[str, Any]) -> None:
    walk = Walk(json.loads(json.dumps(schema)))
    if walk.is_tree:
        assert not Costs(walk)._may_repeat()


def test_what_stands_in_two_places_is_no_tree() -> None:
    part = {"type": "object", "properties": {"a": {"type": "string"}}}
    assert not Walk({"allOf": [part, part]}).is_tree
    assert not Walk({"properties": {"a": {"$ref": "#"}}}).is_tree
    assert Walk({"properties": {"a": {"type": "string"}}}).is_tree
    assert not Walk({"properties": {f"a{n}": {} for n in range(1_001)}}).is_tree


@settings(max_examples=400, deadline=None)
@given(SCHEMAS)
def test_a_plain_schema_is_one_in_which_nothing_is_secret(schema: dict[str, Any]) -> None:
    walk = Walk(json.loads(json.dumps(schema)))
    assert sealed_schema(walk.schema, walk) == _seal(walk.schema, walk)
    if walk.is_plain:
        assert not walk._search(walk.schema, set())
        assert not any(marked in json.dumps(schema) for marked in ('"writeOnly"', '"x-secret"'))


# ---- one object for equal files


def file(name: str, schema: dict[str, Any]) -> SchemaFile:
    text = json.dumps(schema)
    at = f"schemas/{name}.schema.json"
    return SchemaFile(name, at, text, read_schema(text, file=at))


def made(*files: SchemaFile) -> list[Effective]:
    known = {one.name: one for one in files}
    return [effective(known, one.name, ("_all",)) for one in files if not one.name.startswith("_")]


def closed(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "additionalProperties": False, "properties": properties}


def test_services_with_equal_files_share_what_it_costs_and_keep_their_names() -> None:
    one, two = made(file("one", closed(a={"type": "integer"})), file("two", closed(a={"type": "integer"})))
    assert one.compiled is two.compiled
    assert (one.service, one.file, one.origin(("a",))) == ("one", "schemas/one.schema.json", one.file)
    assert (two.service, two.file, two.origin(("a",))) == ("two", "schemas/two.schema.json", two.file)


def test_a_layer_is_a_part_of_what_is_shared() -> None:
    own = closed(a={"type": "integer"})
    (plain,) = made(file("one", own))
    (layered,) = made(file("one", own), file("_all", closed(b={"type": "integer"})))
    (another,) = made(file("one", own), file("_all", closed(b={"type": "string"})))
    assert plain.problems({"b": 1})
    assert not layered.problems({"b": 1})
    assert another.problems({"b": 1})


@pytest.mark.parametrize(("low", "high"), [(1, True), (0, False), (1, 1.0)])
def test_schemas_that_python_calls_equal_are_two(low: object, high: object) -> None:
    one, two = made(file("one", closed(a={"const": low})), file("two", closed(a={"const": high})))
    assert one.compiled is not two.compiled


def test_what_lint_finds_in_equal_files_stands_in_each() -> None:
    text = {"type": "object", "properties": {"a": {"tpye": "integer"}}}
    for name in ("one", "two"):
        found = lint(file(name, text))
        assert found
        assert {str(f.where).partition(":")[0] for f in found} == {f"schemas/{name}.schema.json"}


def test_lint_asks_more_of_a_layer_than_of_an_equal_service() -> None:
    text = {**closed(a={"type": "integer"}), "minProperties": 1}
    assert not lint(file("one", text))
    assert [f.word for f in lint(file("_one", text))] == ["layer-schema"]


def test_an_error_is_not_kept_and_names_its_own_file() -> None:
    for name in ("one", "two"):
        with pytest.raises(InputError) as caught:
            made(file(name, closed(a={"$ref": "#/$defs/none"})))
        assert str(caught.value.findings[0].where) == f"schemas/{name}.schema.json"


def test_kept_results_are_of_these_very_schemas_and_few() -> None:
    kept: Kept[object] = Kept()
    schema: dict[str, Any] = {}
    first = kept.get((schema,), "x", object)
    assert kept.get((schema,), "x", object) is first
    assert kept.get((schema,), "y", object) is not first
    assert kept.get(({},), "x", object) is not first
    for _ in range(3 * LIMIT):
        kept.get(({},), "x", object)
    assert len(kept._made) <= LIMIT
