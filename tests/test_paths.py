"""Paths as people write them, as pointers, and settled in a tree."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sealpipe.paths import Member, from_pointer, lookup, parse_path, settle, show_path, to_pointer, typed

TREE = {
    "db": {"pool_max": 40, "": 1, "a/b": 2, "m~n": 3, "0": "a key of digits"},
    "xs": [10, 20],
    "replicas": [{"name": "eu", "port": 1}, {"name": 1}, {"name": "1"}, {"name": True}, {"other": 0}, "text"],
}
KEYS = {"/replicas": "name"}


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("db", ("db",)),
        ("db.pool_max", ("db", "pool_max")),
        ("a-b.c_d.0", ("a-b", "c_d", "0")),
        ("xs[0]", ("xs", 0)),
        ("xs[10].y", ("xs", 10, "y")),
        ("replicas[name=eu].port", ("replicas", Member("name", "eu"), "port")),
        ("replicas[name=eu west.1/x].port", ("replicas", Member("name", "eu west.1/x"), "port")),
        ("[0]", (0,)),
        ("m[0][1]", ("m", 0, 1)),
        ("/db/pool_max", ("db", "pool_max")),
        ("/a~1b/m~0n/", ("a/b", "m~n", "")),
    ],
)
def test_parse(text, path):
    assert parse_path(text) == path


@pytest.mark.parametrize(
    "text",
    [
        "",
        ".",
        ".db",
        "db.",
        "db..x",
        "db x",
        "ä",
        "xs[01]",
        "xs[-1]",
        "xs[]",
        "xs[0",
        "xs[0]y",
        "a=b",
        "db\n",
        "/a~2",
    ],
)
def test_what_is_no_path(text):
    with pytest.raises(ValueError):
        parse_path(text)


def test_show():
    assert show_path(("db", "pool_max")) == "db.pool_max"
    assert show_path(("xs", 0, "y")) == "xs[0].y"
    assert show_path(("r", Member("name", "eu"), "port")) == "r[name=eu].port"
    assert show_path(("r", Member("on", True))) == "r[on=true]"
    assert show_path(("db", "a b", "c")) == "/db/a b/c"
    assert show_path(("db", "")) == "/db/"
    assert show_path(()) == ""


@given(st.lists(st.text()))
def test_pointers_are_read_back(keys):
    assert from_pointer(to_pointer(keys)) == tuple(keys)


@given(st.lists(st.text()).filter(bool))
def test_shown_paths_are_read_back(keys):
    assert parse_path(show_path(keys)) == tuple(keys)


@pytest.mark.parametrize("text", ["a", "a/b", "/~", "/~2", "/a~"])
def test_what_is_no_pointer(text):
    with pytest.raises(ValueError):
        from_pointer(text)


@pytest.mark.parametrize(
    ("path", "concrete"),
    [
        ((), ()),
        (("db", "pool_max"), ("db", "pool_max")),
        (("db", ""), ("db", "")),
        (("db", "0"), ("db", "0")),
        (("xs", "1"), ("xs", 1)),
        (("xs", 1), ("xs", 1)),
        (("xs", "01"), None),
        (("xs", "-1"), None),
        (("xs", 2), None),
        (("xs", "x"), None),
        (("db", 0), None),
        (("db", "pool_max", "x"), None),
        (("nothing",), None),
        (("replicas", Member("name", "eu"), "port"), ("replicas", 0, "port")),
        (("replicas", Member("name", 1)), ("replicas", 1)),
        (("replicas", Member("name", "1")), ("replicas", 2)),
        (("replicas", Member("name", True)), ("replicas", 3)),
        (("replicas", Member("name", "true")), ("replicas", 3)),
        (("replicas", Member("other", "0")), ("replicas", 4)),
        (("replicas", Member("name", "us")), None),
        (("db", Member("name", "eu")), None),
    ],
)
def test_settle(path, concrete):
    assert settle(TREE, path) == concrete
    if concrete is not None:
        assert settle(TREE, from_pointer(to_pointer(concrete))) == concrete


def test_lookup():
    assert lookup(TREE, ("db", "a/b")) == 2
    assert lookup(TREE, ("replicas", 0, "name")) == "eu"
    with pytest.raises(KeyError):
        lookup(TREE, ("nothing",))
    with pytest.raises(IndexError):
        lookup(TREE, ("xs", 7))


def test_typed():
    assert typed(TREE, ("db", "pool_max"), {}) == ("db", "pool_max")
    assert typed(TREE, ("replicas", 0, "port"), KEYS) == ("replicas", Member("name", "eu"), "port")
    assert typed(TREE, ("replicas", 3), KEYS) == ("replicas", Member("name", True))
    assert typed(TREE, ("replicas", 0, "port"), {}) is None
    assert typed(TREE, ("replicas", 4), KEYS) is None
    assert typed(TREE, ("replicas", 5), KEYS) is None
    assert typed(TREE, ("xs", 0), KEYS) is None
