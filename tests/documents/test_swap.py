"""A value swapped in without the parser is what the parser's way gives, to the byte."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from documents.test_plain import VALUES, block
from sealpipe.documents.edit import set_value
from sealpipe.documents.plain import read_plain
from sealpipe.documents.swap import swap
from sealpipe.paths import Concrete

SCALARS: st.SearchStrategy[Any] = st.one_of(
    st.sampled_from(
        ["x", "", "a b", "null", "no", "010", "1", "a: b", "a #b", "[", "{{ x }}", "é", "a\nb", "\u202e"]
    ),
    st.sampled_from(["ENC[NACL1,type:str,data:AbC-_]", "12:30", "- a", "'q'", '"q"', "x" * 300]),
    st.integers(-(2**60), 2**60),
    st.floats(),
    st.booleans(),
    st.none(),
    st.text(max_size=6),
)


def paths(node: Any, path: Concrete = ()) -> list[Concrete]:
    if isinstance(node, dict):
        return [path, *(found for key, inner in node.items() for found in paths(inner, (*path, key)))]
    if isinstance(node, list):
        return [path, *(found for at, inner in enumerate(node) for found in paths(inner, (*path, at)))]
    return [path]


@settings(max_examples=400, deadline=None)
@given(st.randoms(use_true_random=False), SCALARS, st.sampled_from(["", " # c", "   "]), st.data())
def test_the_same_as_the_parsers_way(chance: Any, value: Any, behind: str, data: st.DataObject) -> None:
    lines = [line + (behind if chance.random() < 0.3 else "") for line in block(chance, "")]
    text = "\n".join(lines) + "\n"
    known = read_plain(text)
    path = data.draw(st.sampled_from(paths(known)))
    swapped = swap(text, path, value)
    if swapped is not None:
        assert swapped == set_value(text, path, value, file="f.yaml")


TEXT = """\
# db
---
db:
  host: old   # ours
  port: 1
  password: 'x'
  empty:
  tags: [a]
  map: {a: b}
list:
- name: one
  n: 1
-   name: two
"""


@pytest.mark.parametrize(
    ("path", "value", "line"),
    [
        (("db", "host"), "new", "  host: new   # ours"),
        (("db", "port"), 2, "  port: 2"),
        (("db", "port"), "2", '  port: "2"'),
        (("db", "password"), "ENC[NACL1,type:str,data:x]", "  password: ENC[NACL1,type:str,data:x]"),
        (("list", 0, "n"), 3, "  n: 3"),
        (("list", 1, "name"), "three", "-   name: three"),
    ],
)
def test_one_line_changes(path: Concrete, value: Any, line: str) -> None:
    swapped = swap(TEXT, path, value)
    assert swapped is not None
    assert [new for new, old in zip(swapped.split("\n"), TEXT.split("\n"), strict=True) if new != old] == [
        line
    ]
    assert swapped == set_value(TEXT, path, value, file="f.yaml")


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("db", "none"), 1),
        (("db", "empty"), 1),
        (("db", "tags"), "x"),
        (("db", "tags", 0), "x"),
        (("db", "map", "a"), "x"),
        (("db",), "x"),
        (("db", "port"), [1]),
        (("db", "port"), None),
        (("db", "port"), float("nan")),
        (("db", "port"), "a\nb"),
        ((), 1),
    ],
)
def test_all_else_is_the_parsers(path: Concrete, value: Any) -> None:
    assert swap(TEXT, path, value) is None
    assert swap("a: &x 1\n", ("a",), 2) is None


def test_values_of_every_kind_are_swapped() -> None:
    for old in VALUES:
        text = f"a:\n  k: {old}\nb: 1\n"
        found = swap(text, ("a", "k"), "new")
        if old[0] in "[{" or old == "null":
            assert found is None
        else:
            assert found == "a:\n  k: new\nb: 1\n"
