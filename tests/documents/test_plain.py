"""The short way to read a file gives what the parser gives, or nothing."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from documents.strategies import TRICKY, Writer, plain_values
from sealpipe.documents.parse import parse_yaml
from sealpipe.documents.plain import read_plain
from sealpipe.documents.read import read_yaml
from sealpipe.errors import InputError

CASES = sorted((Path(__file__).parent.parent / "cases" / "yaml").glob("*/input.yaml"))
EXAMPLES = sorted((Path(__file__).parent.parent.parent / "environments").glob("*/*.yaml"))


def spelt(value: Any) -> str:
    """With the order of keys and the type of numbers."""
    return json.dumps(value)


def assert_same(text: str) -> bool:
    """Whether the text was read the short way; the parser must then give the same and refuse nothing."""
    found = read_plain(text)
    if found is not None:
        assert spelt(found) == spelt(parse_yaml(text, file="f.yaml"))
    return found is not None


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.parent.name)
def test_every_case_of_the_reader_is_read_the_same(case: Path) -> None:
    try:
        text = case.read_bytes().decode("utf-8")
    except UnicodeDecodeError:
        return
    assert_same(text)


def test_most_files_of_the_example_take_the_short_way() -> None:
    short = [file for file in EXAMPLES if assert_same(file.read_text())]
    assert len(short) > len(EXAMPLES) / 2


PLAIN = """\
# what people write
---
db:
  host: db.internal   # ours
  port: 5432
  ratio: 0.5
  password: ENC[NACL1,type:str,data:AbC-_]
  url: "postgres://x/y?z=#1"

  empty:
  none: null
  on: yes
  tags:
    - a
    - 'b: c'
  more:
  - 1
  - é x
  nested:
  - name: a   # a map in a list
    deep:
      - x: 1
        y: [b]
      -   z: {}
    last: 'q'
  - name: b
people: {me: "x", port: 80, url: file:.a/b:c-d}
x-y.z/w: a:b (c) [d], *e
at: 12:30:00
flow: [a, "b, c", 1,no]
none_yet: []
map: {}
last: -1"""


def test_what_most_files_are_made_of_takes_the_short_way() -> None:
    assert assert_same(PLAIN)
    assert read_yaml(PLAIN, file="f.yaml")["db"]["tags"] == ["a", "b: c"]


@pytest.mark.parametrize(
    "text",
    [
        "a: 1\na: 2\n",
        "a: b: c\n",
        "a: b\n  c: d\n",
        "a:\n    b: 1\n  c: 2\n",
        " a: 1\n",
        "a:\t1\n",
        "a: 1\r\nb: 2\n",
        "a: {{ x }}\n",
        "a: &x 1\n",
        "a: *x\n",
        "a: !t 1\n",
        "a: |\n  x\n",
        "a: 'it''s'\n",
        'a: "\\x00"\n',
        'a: "x" y\n',
        'a: "x"#y\n',
        "a: 010\n",
        "a: .inf\n",
        "a: 9007199254740993\n",
        "null: 1\n",
        "1: 1\n",
        "<<: 1\n",
        "a: 1\n---\nb: 2\n",
        "a: 1\n...\n",
        "%YAML 1.2\n---\na: 1\n",
        "- 1\n",
        "a:\n  - b: 1\n    b: 2\n",
        "a:\n  - b: 1\n   c: 2\n",
        "a:\n  - b: 1\n  c: 2\n",
        "a:\n  - b: 1\n - b: 2\n",
        "a:\n  - - b: 1\n",
        "a:\n  - b: - 1\n",
        "a:\n- 1\nb: 2\n- 3\n",
        "- a: 1\n",
        "a:\n  - 1\n - 2\n",
        "a:\n  -\n",
        "a: - 1\n",
        "a: [b, [c]]\n",
        "a: [b: c]\n",
        "a: [b, ]\n",
        "a: [b,\n  c]\n",
        "a: [b c]\n",
        "a: [010]\n",
        "a: {b: c, b: d}\n",
        "a: {null: c}\n",
        "a: {b: 010}\n",
        "a: {b: c d}\n",
        "a: {b:c}\n",
        "a: {b: [c]}\n",
        "a: {b: c: d}\n",
        "a\n",
        "",
        "# nothing\n",
        "---\n",
        "a: \x07\n",
        "a: 'x\x07'\n",
        "a: x # \x07\n",
        "# \u202e\na: x\n",
        "a: x\u202e\n",
        "a: x\x85b: y\n",
        "a: x\u2028b: y\n",
        "a: x:\n",
        "a: x :\n",
        "? a\n",
        "a : 1\n",
        "a:1\n",
    ],
)
def test_what_is_not_plain_is_the_parsers(text: str) -> None:
    assert read_plain(text) is None


@pytest.mark.parametrize(
    "text",
    [
        "k" * 129 + ": 1\n",
        "".join(f"{' ' * n}a:\n" for n in range(34)),
        "".join(f"k{n}: 1\n" for n in range(5_001)),
        "a: " + "x" * (256 * 1024) + "\n",
        "a: [" + "1," * 16_001 + "1]\n",
    ],
    ids=["key", "depth", "lines", "size", "commas"],
)
def test_what_the_parser_bounds_is_the_parsers(text: str) -> None:
    assert read_plain(text) is None


def test_as_much_as_is_read_the_short_way_is_not_too_much() -> None:
    lists = 1_280 * ("a%d: [" + "1," * 11 + "{}]\n")
    values = 2_000 * "b%d: {a: 1}\n"
    text = (lists + values) % (*range(1_280), *range(2_000))
    assert not assert_same(text)  # a map in a list
    assert assert_same(text.replace("{}]", "1]"))


def test_a_refused_text_is_told_as_by_the_parser() -> None:
    with pytest.raises(InputError) as caught:
        read_yaml("a: 1\nb:\n  c: 2\n  c: 3\n", file="f.yaml")
    assert [(f.word, str(f.where)) for f in caught.value.findings] == [("duplicate-key", "f.yaml:4:3")]


@settings(max_examples=150, deadline=None)
@given(plain_values(), st.integers(0, 2**32))
def test_documents_in_many_layouts_are_read_the_same(data: dict[str, Any], seed: int) -> None:
    assert_same(Writer(seed).text(data))


WORDS = st.sampled_from(
    [
        *TRICKY,
        "a",
        "b",
        "x y",
        "x  y",
        "'q'",
        '"q"',
        "'q",
        '"a: b"',
        "a: b",
        "a #b",
        "a#b",
        "-1",
        "12",
        "é",
        "1.5",
        "[]",
        "{}",
        "[a, b]",
        "[a,1 ]",
        "['x', -1]",
        "{a: b}",
        "{a: 'b', c: 1:2}",
        "{a: b, a: c}",
    ]
)
PARTS = st.one_of(
    WORDS,
    st.text(
        alphabet=" :-#'\"\\{}[],&*!|>%@`?.~0123aAtnN_/=<\u00a0\ufeff\u2028\x07\x85é\U0001f600", max_size=6
    ),
)


@st.composite
def lines(draw: st.DrawFn) -> str:
    """Nearly plain: what a line is made of, mostly in its place."""
    shape = draw(st.sampled_from("kvvvviiicbjmmnn"))
    indent = draw(st.sampled_from(["", "", "  ", "  ", "    ", " "]))
    key = draw(st.sampled_from(["a", "b", "c", "d", "no", "null", "x.y", "_"]))
    behind = draw(st.sampled_from(["", "", "", " ", " # c", "#c"]))
    value = draw(PARTS)
    return {
        "k": f"{indent}{key}:{behind}",
        "v": f"{indent}{key}: {value}{behind}",
        "i": f"{indent}- {value}{behind}",
        "c": f"{indent}# {value}",
        "m": f"{indent}- {key}: {value}{behind}",
        "n": f"{indent}- {key}:{behind}",
        "b": indent,
        "j": f"{indent}{value}",
    }[shape]


@settings(max_examples=1_500, deadline=None)
@given(st.lists(lines(), max_size=7).map("\n".join), st.sampled_from(["", "\n"]))
@example("a:\n- x\nb: 1", "\n")
def test_nearly_plain_texts_are_read_the_same(text: str, end: str) -> None:
    assert_same(text + end)


@settings(max_examples=300, deadline=None)
@given(st.integers(0, len(PLAIN)), st.integers(0, 3), PARTS)
def test_a_plain_text_with_anything_put_in_is_read_the_same(at: int, cut: int, more: str) -> None:
    assert_same(PLAIN[:at] + more + PLAIN[at + cut :])


VALUES = ("1", "x", '"q r"', "'s'", "[a, 2]", "{a: 1, b: x:y}", "{}", "[]", "null", "a b", "-1", "x#y", '""')


def block(chance: random.Random, indent: str, depth: int = 0) -> list[str]:
    """Lines of a map in block style, with lists of values and of maps in all their indentations."""
    found = []
    for key in chance.sample(["a", "b", "c", "d", "no", "x.y"], chance.randint(1, 4)):
        kind = chance.choice("vvvoml" if depth < 4 else "v")
        found.append(f"{indent}{key}:" + (f" {chance.choice(VALUES)}" if kind == "v" else ""))
        if kind == "m":
            found += block(chance, indent + chance.choice([" ", "  ", "    "]), depth + 1)
        listed = indent + chance.choice(["", "  ", " "])
        for _ in range(chance.randint(1, 3) if kind == "l" else 0):
            dash = listed + chance.choice(["- ", "- ", "-   "])
            item = block(chance, " " * len(dash), depth + 1) if chance.random() < 0.7 else [""]
            found += [dash + (item[0].strip(" ") or chance.choice(VALUES)), *item[1:]]
    return found


@settings(max_examples=300, deadline=None)
@given(st.randoms(use_true_random=False))
def test_maps_and_lists_in_each_other_are_read_the_same(chance: random.Random) -> None:
    found = block(chance, "")
    assert assert_same("\n".join(found))
    for _ in range(3):  # and nearly such, where the parser may refuse
        at = chance.randrange(len(found))
        found[at] = " " * chance.randint(0, 3) + found[at].lstrip(" ")
        assert_same("\n".join(found))
