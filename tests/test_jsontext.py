from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sealpipe.errors import InputError, Where
from sealpipe.jsontext import add_property, spans, where

TEXT = """{
  "type": "object",
  "properties": {
    "db": {"$ref": "#/$defs/db"},
    "http": {"type": "object", "properties": {"port": {"type": "integer"}}, "additionalProperties": false},
    "any": {"type": "object", "patternProperties": {"^a": {}}}
  },
  "additionalProperties": false,
  "$defs": {
    "db": {
      "type": "object",
      "properties": {
        "url": {"type": "string"}
      }
    }
  }
}
"""
SECRET = {"type": "string", "writeOnly": True}


def test_places() -> None:
    assert where(TEXT, "f", ("properties", "http", "type"), key=True) == Where("f", 5, 14)
    assert where(TEXT, "f", ("properties", "http", "type")) == Where("f", 5, 22)
    assert where(TEXT, "f", ("properties", "gone", "x")) == Where("f", 3, 17)
    assert where("{ broken", "f", ("a",)) == Where("f")


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text() | st.floats(allow_nan=False,
       allow_infinity=False), lambda i: st.lists(i, max_size=3) | st.dictionaries(st.text(), i, max_size=3)),
       st.sampled_from([None, 2]))  # fmt: skip
def test_every_span_holds_its_value(value: Any, indent: int | None) -> None:
    text = json.dumps(value, indent=indent, ensure_ascii=False)
    for steps, span in spans(text).items():
        node = value
        for step in steps:
            node = node[step]
        assert json.loads(text[span.start : span.end]) == node


@pytest.mark.parametrize(
    ("path", "steps"),
    [
        (("new",), ("properties", "new")),
        (("db", "password"), ("$defs", "db", "properties", "password")),
        (("http", "tls"), ("properties", "http", "properties", "tls")),
    ],
)
def test_a_property_is_added_and_every_other_byte_stays(
    path: tuple[str, ...], steps: tuple[str, ...]
) -> None:
    changed = add_property(TEXT, path, SECRET)
    span = spans(changed)[steps]
    assert json.loads(changed[span.start : span.end]) == SECRET
    kept = [
        line for line in changed.split("\n") if line.rstrip(",") in {x.rstrip(",") for x in TEXT.split("\n")}
    ]
    missing = {line.rstrip(",") for line in TEXT.split("\n")} - {line.rstrip(",") for line in kept}
    assert len(missing) <= 1  # the one line map that grew


def test_maps_on_the_way_are_made_closed() -> None:
    added = json.loads(add_property(TEXT, ("a", "b", "c"), SECRET))["properties"]["a"]
    assert added["additionalProperties"] is False
    assert added["properties"]["b"]["additionalProperties"] is False
    assert added["properties"]["b"]["properties"]["c"] == SECRET


@pytest.mark.parametrize(
    "text", ["{}", '{"type": "object"}', '{\n  "properties": {}\n}\n', '{"properties":{"a":{}}}']
)
def test_every_layout_takes_a_property(text: str) -> None:
    assert json.loads(add_property(text, ("x",), {}))["properties"]["x"] == {}


@pytest.mark.parametrize("path", [("any", "k"), ("db", "url", "x"), ("http",), ("db", 0)])
def test_where_a_command_cannot_know_it_refuses(path: tuple[str | int, ...]) -> None:
    with pytest.raises(InputError) as caught:
        add_property(TEXT, path, SECRET, file="schemas/shop.schema.json")
    assert caught.value.word == "unknown-key"
