"""Edits of a document's text: what changes, what stays, and what is refused."""

from __future__ import annotations

import copy
import re
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from documents.strategies import KEYS, SCALARS, Writer, layers, plain_values, values
from sealpipe.documents.edit import move, replace_values, set_value, unset
from sealpipe.documents.read import read_yaml
from sealpipe.documents.source import same
from sealpipe.errors import InputError, RefusedError, SealpipeError, UsageError
from sealpipe.paths import Concrete, lookup, parse_path

TOKEN = "ENC[NACL1,type:str,data:AbC-_1]"
DOCUMENT = """\
# settings of checkout
db:
    pool: 5   # connections
    url: 'x'

log: {level: info}
xs:
- a
- b # second
replicas:
- name: eu
  port: 1
empty:
text: |
  one
  two

# the end
"""


def set_in(text: str, path: str, value: Any) -> str:
    return set_value(text, parse_path(path), value, file="f.yaml")


def unset_in(text: str, path: str) -> str:
    return unset(text, parse_path(path), file="f.yaml")


def move_in(text: str, old: str, new: str) -> str:
    return move(text, parse_path(old), parse_path(new), file="f.yaml")


def changed(before: str, after: str) -> tuple[str, str]:
    """What was replaced by what: the texts without their common beginning and end, in whole lines."""
    old, new = before.splitlines(keepends=True), after.splitlines(keepends=True)
    while old and new and old[0] == new[0]:
        old, new = old[1:], new[1:]
    while old and new and old[-1] == new[-1]:
        old, new = old[:-1], new[:-1]
    return "".join(old), "".join(new)


@pytest.mark.parametrize(
    ("path", "value", "old", "new"),
    [
        ("db.pool", 7, "    pool: 5   # connections\n", "    pool: 7   # connections\n"),
        ("db.pool", None, "    pool: 5   # connections\n", "    pool: null   # connections\n"),
        ("db.pool", "no", "    pool: 5   # connections\n", '    pool: "no"   # connections\n'),
        ("db.password", TOKEN, "", f"    password: {TOKEN}\n"),
        ("log.token", TOKEN, "log: {level: info}\n", f'log: {{level: info, token: "{TOKEN}"}}\n'),
        ("log.level", "a, b", "log: {level: info}\n", 'log: {level: "a, b"}\n'),
        ("http.tls.cert", "x: y", "", 'http:\n    tls:\n        cert: "x: y"\n'),
        ("empty", 1, "empty:\n", "empty: 1\n"),
        ("empty.a.b", 1, "", "    a:\n        b: 1\n"),
        ("xs[0]", "z", "- a\n", "- z\n"),
        ("xs[2]", "c", "", "- c\n"),
        ("xs", ["q", "r"], "- a\n- b # second\n", "- q\n- r # second\n"),
        ("xs", [], "xs:\n- a\n- b # second\n", "xs: []\n"),
        ("xs", TOKEN, "xs:\n- a\n- b # second\n", f"xs: {TOKEN}\n"),
        ("replicas[name=eu].port", 2, "  port: 1\n", "  port: 2\n"),
        ("replicas[name=eu].tls.verify", True, "", "  tls:\n      verify: true\n"),
        ("replicas[name=us].port", 2, "", "- name: us\n  port: 2\n"),
        ("text", "new", "text: |\n  one\n  two\n", "text: new\n"),
        ("db", TOKEN, "db:\n    pool: 5   # connections\n    url: 'x'\n", f"db: {TOKEN}\n"),
        ("db", {"pool": 6, "url": "x"}, "    pool: 5   # connections\n", "    pool: 6   # connections\n"),
        (
            "db.pool",
            {"max": 5},
            "    pool: 5   # connections\n",
            "    pool:   # connections\n        max: 5\n",
        ),
        ("db.pool", [{"a": 1}], "    pool: 5   # connections\n", "    pool:   # connections\n    - a: 1\n"),
        ("/db/odd key", 1, "", "    odd key: 1\n"),
        ("new", {"a": [1, 2], "b": {}}, "", "new:\n    a: [1, 2]\n    b: {}\n"),
    ],
)
def test_set(path: str, value: Any, old: str, new: str) -> None:
    after = set_in(DOCUMENT, path, value)
    assert changed(DOCUMENT, after) == (old, new)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", "db:\n  password: 1\n"),
        ("# only a comment", "# only a comment\ndb:\n  password: 1\n"),
        ("# only a comment\n\n", "# only a comment\n\ndb:\n  password: 1\n"),
        ("---\n", "---\ndb:\n  password: 1\n"),
        ("{}\n", "{db: {password: 1}}\n"),
        ("{ }\n", "{db: {password: 1} }\n"),
        ("a: 1", "a: 1\ndb:\n  password: 1"),
        ("a: 1\r\n", "a: 1\r\ndb:\r\n  password: 1\r\n"),
        ("a: 1\rb: 2\r", "a: 1\rb: 2\rdb:\r  password: 1\r"),
        ("db:\n", "db:\n  password: 1\n"),
        ("db: # secrets\nz: 1\n", "db: # secrets\n  password: 1\nz: 1\n"),
        ("db: {}\n", "db: {password: 1}\n"),
        ("db: {} # c\n", "db: {password: 1} # c\n"),
        ("db: null\n", "db:\n  password: 1\n"),
        ("db: ~ # c\n", "db: # c\n  password: 1\n"),
        ("db: {a: 1,\n  b: 2}\n", "db: {a: 1,\n  b: 2, password: 1}\n"),
        (
            "db:\n   a:\n      b: 1 # c\n\n# d\nz: 1\n",
            "db:\n   a:\n      b: 1 # c\n   password: 1\n\n# d\nz: 1\n",
        ),
        ("db:\n  a: |\n    x\n\nz: 1\n", "db:\n  a: |\n    x\n  password: 1\n\nz: 1\n"),
        ("db:\n  a: |+\n    x\n\nz: 1\n", "db:\n  a: |+\n    x\n\n  password: 1\nz: 1\n"),
        ("db:\n  a: 'x\n    y' # c\n", "db:\n  a: 'x\n    y' # c\n  password: 1\n"),
        ("db:\n  a: []\n", "db:\n  a: []\n  password: 1\n"),
        ("db:\n  a:\n", "db:\n  a:\n  password: 1\n"),
        ("db: {password: 2, b: 3}\n", "db: {password: 1, b: 3}\n"),
        ("db: {b: 3, password}\n", "db: {b: 3, password: 1}\n"),
        ("db: {password: , b: 3}\n", "db: {password: 1 , b: 3}\n"),
        ('db: {"b": 3}\n', 'db: {"b": 3, "password": 1}\n'),
        ("db:\n  password:\n    2\n", "db:\n  password: 1\n"),
        ("db:\n  password: >-\n    a\n    b\n  c: 1\n", "db:\n  password: 1\n  c: 1\n"),
        ("db:\n  password: | # why\n    a\n  c: 1\n", "db:\n  password: 1 # why\n  c: 1\n"),
        ("db:\n  password: # why\n    a: 1\n    b: 2\n  c: 1\n", "db:\n  password: 1 # why\n  c: 1\n"),
        ("db:\n  password : 2\n", "db:\n  password : 1\n"),
        ("? db\n: password: 2\n", "? db\n: password: 1\n"),
        ("# é😀\ndb: {é: 1, password: é😀} # 😀\n", "# é😀\ndb: {é: 1, password: 1} # 😀\n"),
        ("a: 1\n...\n", "a: 1\ndb:\n  password: 1\n...\n"),
        ("a: |\n  x", None),
    ],
)
def test_set_in_every_layout(before: str, after: str | None) -> None:
    if after is None:
        with pytest.raises(RefusedError) as caught:
            set_in(before, "db.password", 1)
        assert caught.value.word == "cannot-edit"
        assert caught.value.finding.where is not None
    else:
        assert set_in(before, "db.password", 1) == after
        assert read_yaml(after, file="f")["db"]["password"] == 1


@pytest.mark.parametrize(
    ("path", "old", "new"),
    [
        ("db.pool", "    pool: 5   # connections\n", ""),
        ("log.level", "log: {level: info}\n", "log: {}\n"),
        ("log", "log: {level: info}\n", ""),
        ("text", "text: |\n  one\n  two\n", ""),
        ("xs[0]", "- a\n", ""),
        ("xs[1]", "- b # second\n", ""),
        ("replicas[0].name", "- name: eu\n  port: 1\n", "- port: 1\n"),
        ("replicas[name=eu].port", "  port: 1\n", ""),
        ("replicas[name=eu]", "replicas:\n- name: eu\n  port: 1\n", "replicas: []\n"),
        ("empty", "empty:\n", ""),
        ("db", "db:\n    pool: 5   # connections\n    url: 'x'\n", ""),
    ],
)
def test_unset(path: str, old: str, new: str) -> None:
    assert changed(DOCUMENT, unset_in(DOCUMENT, path)) == (old, new)


@pytest.mark.parametrize(
    ("before", "path", "after"),
    [
        ("a: 1\ndb:\n  tls:\n    cert: x\nb: 2\n", "db.tls.cert", "a: 1\nb: 2\n"),
        ("a: {x: 1, y: 2, z: 3}\n", "a.y", "a: {x: 1, z: 3}\n"),
        ("a: {x: 1, y: 2}\n", "a.y", "a: {x: 1}\n"),
        ("a: [1, 2, 3]\n", "a[0]", "a: [2, 3]\n"),
        ("a: [1]\n", "a[0]", "a: []\n"),
        ("a: 1\n", "a", ""),
        ("# c\na: 1\n", "a", "# c\n"),
        ("xs:\n- a: 1\n", "xs[0].a", "xs:\n- {}\n"),
        ("a: |+\n  x\n\n\nb: 1\n", "a", "b: 1\n"),
        ("a: 1\r\nb: 2\r\n", "a", "b: 2\r\n"),
        ("xs:\n- - 1\n  - 2\n- 3\n", "xs[0][0]", "xs:\n- - 2\n- 3\n"),
        ("xs:\n- a: 1\n  # about b\n  b: 2\n", "xs[0].a", None),
    ],
)
def test_unset_in_every_layout(before: str, path: str, after: str | None) -> None:
    if after is None:
        with pytest.raises(RefusedError, match="layout"):
            unset_in(before, path)
    else:
        assert unset_in(before, path) == after


@pytest.mark.parametrize(
    ("old", "new", "gone", "came"),
    [
        ("db.pool", "db.size", "    pool: 5   # connections\n", "    size: 5   # connections\n"),
        ("log.level", "log.min", "log: {level: info}\n", "log: {min: info}\n"),
        ("replicas[name=eu].port", "replicas[name=eu].tcp", "  port: 1\n", "  tcp: 1\n"),
    ],
)
def test_move_within_a_map_changes_the_key_only(old: str, new: str, gone: str, came: str) -> None:
    assert changed(DOCUMENT, move_in(DOCUMENT, old, new)) == (gone, came)


def test_move_keeps_spelling_and_comments() -> None:
    text = "a:\n  # why\n  x: 'q' # c\n  y: 0x1F\n\n  z: |\n    t\nb: {}\nc: 1\n"
    assert move_in(text, "a", "store.inner") == (
        "b: {}\nc: 1\nstore:\n  inner:\n    # why\n    x: 'q' # c\n    y: 0x1F\n\n    z: |\n      t\n"
    ).replace("    # why\n", "")
    assert move_in(text, "a.y", "k") == text.replace("  y: 0x1F\n", "").replace("c: 1\n", "c: 1\nk: 0x1F\n")
    assert move_in(text, "a.y", "b.k") == text.replace("  y: 0x1F\n", "").replace("b: {}", "b: {k: 31}")
    assert move_in("a: {x: 'q'}\n", "a.x", "y") == "a: {}\ny: 'q'\n"


@pytest.mark.parametrize(
    ("call", "word"),
    [
        (lambda: set_in(DOCUMENT, "db.pool.x", 1), "bad-path"),
        (lambda: set_in(DOCUMENT, "xs[7]", 1), "bad-path"),
        (lambda: set_in(DOCUMENT, "xs.key", 1), "bad-path"),
        (lambda: set_in(DOCUMENT, "db[0]", 1), "bad-path"),
        (lambda: set_in(DOCUMENT, "new[1]", 1), "bad-path"),
        (lambda: set_in(DOCUMENT, "replicas[name=us]", 1), "bad-value"),
        (lambda: set_value(DOCUMENT, (), 1, file="f"), "bad-path"),
        (lambda: set_in(DOCUMENT, "db.pool", float("nan")), "bad-value"),
        (lambda: set_in(DOCUMENT, "db.pool", "hunter2\x00"), "bad-value"),
        (lambda: set_in(DOCUMENT, "db.pool", {"hunter2\u202e": 1}), "bad-value"),
        (lambda: unset_in(DOCUMENT, "db.none"), "not-set"),
        (lambda: move_in(DOCUMENT, "db.none", "db.x"), "not-set"),
        (lambda: move_in(DOCUMENT, "db.pool", "db.url"), "already-set"),
        (lambda: move_in(DOCUMENT, "db", "db.inner.deep"), "bad-path"),
        (lambda: replace_values(DOCUMENT, {("none",): TOKEN}, file="f"), "not-set"),
    ],
)
def test_what_does_not_fit_is_a_usage_error(call: Any, word: str) -> None:
    with pytest.raises(UsageError) as caught:
        call()
    assert caught.value.word == word
    assert "hunter2" not in str(caught.value)
    assert caught.value.__context__ is None


def test_a_text_that_cannot_be_read_is_not_edited() -> None:
    with pytest.raises(InputError):
        set_in("a: 1\na: 2\n", "b", 1)


def test_replace_many_at_once() -> None:
    paths = {
        ("db", "pool"): TOKEN,
        ("text",): TOKEN,
        ("xs",): TOKEN,
        ("replicas", 0, "port"): TOKEN,
        ("log", "level"): TOKEN,
    }
    after = replace_values(DOCUMENT, paths, file="f")
    found = read_yaml(after, file="f")
    assert all(lookup(found, path) == TOKEN for path in paths)
    assert comments(after) == [c for c in comments(DOCUMENT) if "second" not in c]
    with pytest.raises(RefusedError):
        replace_values(DOCUMENT, {("db",): TOKEN, ("db", "pool"): TOKEN}, file="f")


def test_an_equal_value_changes_nothing() -> None:
    assert set_in("a: 0x10\n", "a", 16) == "a: 0x10\n"
    assert set_in("a: 1\n", "a", True) == "a: true\n"
    assert set_in("a: 1\n", "a", 1.0) == "a: 1.0\n"


def test_an_integer_names_the_new_element_where_others_have_integers() -> None:
    assert set_in("xs:\n  - id: 1\n", "xs[id=2].a", 0) == "xs:\n  - id: 1\n  - id: 2\n    a: 0\n"
    assert set_in("xs:\n  - id: '1'\n", "xs[id=2].a", 0) == "xs:\n  - id: '1'\n  - id: \"2\"\n    a: 0\n"


# ---- properties


def comments(text: str) -> list[str]:
    return re.findall(r"# comment \d+|# (?:why|second|connections|the end|settings of checkout)", text)


def paths_of(node: Any, path: Concrete = ()) -> list[Concrete]:
    entries = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    return [found for key, value in entries for found in [(*path, key), *paths_of(value, (*path, key))]]


@st.composite
def written(draw: st.DrawFn, what: st.SearchStrategy[dict[str, Any]]) -> tuple[str, dict[str, Any]]:
    data = draw(what)
    text = Writer(draw(st.integers(0, 2**32))).text(data)
    assume(same(read_yaml(text, file="f"), data))
    return text, data


@given(written(plain_values()), st.randoms(), SCALARS)
@settings(max_examples=150, deadline=None)
def test_setting_a_value_changes_it_alone(
    given_text: tuple[str, dict[str, Any]], random: Any, value: Any
) -> None:
    text, data = given_text
    paths = paths_of(data)
    assume(paths)
    path = random.choice(paths)
    old = lookup(data, path)
    after = set_value(text, path, value, file="f")
    expected = copy.deepcopy(data)
    lookup(expected, path[:-1])[path[-1]] = value
    assert same(read_yaml(after, file="f"), expected)
    if not isinstance(old, dict | list):
        assert comments(after) == comments(text)
        # All that differs is on the lines of the value.
        gone, came = changed(text, after)
        assert len(came.splitlines()) <= 1
        assert len(gone.splitlines()) <= 1 + (str(old).count("\n") + 1 if isinstance(old, str) else 0)


@given(written(plain_values()), st.randoms(), st.lists(KEYS, min_size=1, max_size=3), values())
@settings(max_examples=150, deadline=None)
def test_unset_takes_back_what_set_added(
    given_text: tuple[str, dict[str, Any]], random: Any, keys: list[str], value: Any
) -> None:
    text, data = given_text
    maps = [(), *(path for path in paths_of(data) if isinstance(lookup(data, path), dict))]
    at = random.choice(maps)
    assume(keys[0] not in lookup(data, at))
    assume(text.endswith(("\n", "\r")) or not text)
    path = (*at, *keys)
    after = set_value(text, path, value, file="f")
    assert same(lookup(read_yaml(after, file="f"), path), value)
    assert comments(after) == comments(text)
    again = unset(after, path, file="f")
    if len(keys) == 1 or at == () or "{" not in text:
        assert again == text
    else:  # inside a flow map the maps on the way stay, empty
        assert same(pruned(read_yaml(again, file="f")), pruned(data))


def pruned(node: Any) -> Any:
    if isinstance(node, dict):
        return {key: inner for key, value in node.items() if (inner := pruned(value)) != {}}
    return [pruned(item) for item in node] if isinstance(node, list) else node


@given(written(plain_values()), st.randoms())
@settings(max_examples=120, deadline=None)
def test_unset_removes_it_alone(given_text: tuple[str, dict[str, Any]], random: Any) -> None:
    text, data = given_text
    paths = paths_of(data)
    assume(paths)
    path = random.choice(paths)
    try:
        after = unset(text, path, file="f")
    except RefusedError:
        # Only where a comment, or a further list, stands on the lines that would go.
        assert "#" in text or "- -" in text or "-  " in text
        return
    expected = copy.deepcopy(data)
    del lookup(expected, path[:-1])[path[-1]]
    assert same(pruned(read_yaml(after, file="f")), pruned(expected))


@given(written(plain_values()), st.randoms())
@settings(max_examples=80, deadline=None)
def test_sealing_all_leaves_at_once(given_text: tuple[str, dict[str, Any]], random: Any) -> None:
    text, data = given_text
    leaves = [path for path in paths_of(data) if not isinstance(lookup(data, path), dict | list)]
    chosen = {
        path: f"ENC[NACL1,type:str,data:{n}]"
        for n, path in enumerate(random.sample(leaves, len(leaves) // 2))
    }
    after = replace_values(text, chosen, file="f")
    expected = copy.deepcopy(data)
    for path, token in chosen.items():
        lookup(expected, path[:-1])[path[-1]] = token
    assert same(read_yaml(after, file="f"), expected)
    assert comments(after) == comments(text)


@given(written(layers()), st.randoms(), KEYS)
@settings(max_examples=80, deadline=None)
def test_moving_there_and_back(given_text: tuple[str, dict[str, Any]], random: Any, key: str) -> None:
    text, data = given_text
    paths = [
        path for path in paths_of(data) if isinstance(path[-1], str) and key not in lookup(data, path[:-1])
    ]
    assume(paths)
    path = random.choice(paths)
    renamed = (*path[:-1], key)
    there = move(text, path, renamed, file="f")
    assert same(lookup(read_yaml(there, file="f"), renamed), lookup(data, path))
    assert comments(there) == comments(text)
    assert same(read_yaml(move(there, renamed, path, file="f"), file="f"), data)


@given(written(layers()), st.randoms())
@settings(max_examples=80, deadline=None)
def test_moving_elsewhere_keeps_the_value(given_text: tuple[str, dict[str, Any]], random: Any) -> None:
    text, data = given_text
    paths = paths_of(data)
    assume(paths and "moved" not in data)
    path = random.choice(paths)
    try:
        after = move(text, path, ("moved", "here"), file="f")
    except RefusedError:
        assert "#" in text or "- -" in text or "|" in text
        return
    assert same(read_yaml(after, file="f")["moved"]["here"], lookup(data, path))


@given(st.text(alphabet=" \n-?:[]{},#|>'\"ab1&*!", max_size=40), KEYS)
@settings(max_examples=250, deadline=None)
def test_any_text_is_edited_right_or_refused(text: str, key: str) -> None:
    try:
        before = read_yaml(text, file="f")
    except InputError:
        return
    try:
        after = set_value(text, (key,), "v", file="f")
    except SealpipeError as error:
        assert isinstance(error, RefusedError)  # noqa: PT017
        return
    assert same(read_yaml(after, file="f"), {**before, key: "v"})
