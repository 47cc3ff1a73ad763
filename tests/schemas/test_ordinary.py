"""A schema that is taken for right at a glance is right, and the engine compiles it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sealpipe.canonical import canonical
from sealpipe.editing.adding import closed
from sealpipe.editing.given import infer_schema
from sealpipe.schemas.engine import Checker, schema_fault
from sealpipe.schemas.ordinary import _FITS, ordinary
from sealpipe.schemas.rewrite import partial_schema, sealed_schema
from sealpipe.schemas.walk import Walk

odd: st.SearchStrategy[Any] = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(),
    st.text(st.characters(), max_size=4),  # with surrogates
    st.sampled_from(["string", "object", "number", "strin", "https://json-schema.org/draft/2020-12/schema"]),
    st.lists(st.one_of(st.text(max_size=2), st.integers(0, 3), st.none()), max_size=3),
    st.dictionaries(st.text(max_size=2), st.none(), max_size=1),
)
keywords = st.sampled_from([*_FITS, "pattern", "$ref", "not", "$id", "format"])
leaves = st.dictionaries(keywords, odd, max_size=2)
schemas: st.SearchStrategy[Any] = st.recursive(
    st.one_of(leaves, odd),
    lambda inner: st.builds(
        lambda more, below: {**more, **below},
        leaves,
        st.fixed_dictionaries(
            {},
            optional={
                "properties": st.dictionaries(st.text(st.characters(), max_size=3), inner, max_size=3),
                "items": inner,
                "additionalProperties": inner,
            },
        ),
    ),
    max_leaves=6,
)


def assert_right(schema: Any) -> bool:
    if not ordinary(schema):
        return False
    assert schema_fault(schema) is None
    assert canonical(schema)
    sealed = sealed_schema(schema, Walk(schema))
    for made in (schema, sealed, partial_schema(sealed)):
        Checker(made).accepts({})
    return True


def test_what_set_and_infer_write_is_ordinary() -> None:
    values = {
        "db": {"host": "x", "port": 1, "tags": ["a"], "on": True, "ratio": 1.5},
        "empty": {},
        "list": [],
    }
    assert assert_right(closed(infer_schema(values)))


@settings(max_examples=600, deadline=None)
@given(schemas)
def test_what_is_ordinary_is_right(schema: Any) -> None:
    assert_right(schema)


def test_everything_that_fits_a_keyword_is_right() -> None:
    values: list[Any] = [None, True, 0, 3, -1, 2**53, 1.5, "", "x", "object", "uri", "\ud800"]
    values += [[], ["a"], ["a", "a"], [1], {}, {"a": 1}]
    tried = [{keyword: value} for keyword in _FITS for value in values]
    assert 30 < sum(map(assert_right, tried)) < len(tried)


@pytest.mark.parametrize(
    "schema",
    [
        True,
        None,
        [],
        {"pattern": "x"},
        {"$ref": "#/$defs/a"},
        {"properties": {"a": 1}},
        {"properties": {"\ud800": {}}},
    ],
)
def test_of_all_others_the_engine_decides(schema: Any) -> None:
    assert not ordinary(schema)


def test_what_is_nested_deeply_is_not_ordinary() -> None:
    schema: Any = {"type": "object"}
    for _ in range(20):
        schema = {"properties": {"a": schema}}
    assert not ordinary(schema)
