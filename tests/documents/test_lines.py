"""Lines that are read the short way are those of the parser, or unknown."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from documents.strategies import Writer, plain_values
from documents.test_plain import CASES, EXAMPLES, PLAIN, block, lines
from sealpipe.documents.lines import KeyLines
from sealpipe.documents.origins import origins
from sealpipe.documents.parse import parse_yaml
from sealpipe.errors import InputError
from sealpipe.paths import Concrete


def paths(node: Any, path: Concrete = ()) -> Iterator[Concrete]:
    yield path
    entries = node.items() if isinstance(node, dict) else enumerate(node if isinstance(node, list) else [])
    for step, inner in entries:
        yield from paths(inner, (*path, step))


def assert_same(text: str) -> tuple[int, int]:
    """How many paths there are, and of how many the line was known."""
    try:
        values = parse_yaml(text, file="f.yaml")
    except InputError:
        return 0, 0
    known, exact = KeyLines(text), origins(text, file="f.yaml")
    every = [path for path in paths(values) if path and isinstance(path[-1], str)]
    told = {path: line for path in every if (line := known.line(path))}
    assert told == {path: exact.line_number(path) for path in told}
    return len(every), len(told)


@pytest.mark.parametrize("file", [*CASES, *EXAMPLES], ids=lambda file: f"{file.parent.name}-{file.stem}")
def test_every_case_and_example(file: Path) -> None:
    try:
        text = file.read_bytes().decode("utf-8")
    except UnicodeDecodeError:
        return
    assert_same(text)


def test_values_of_what_people_write_are_known() -> None:
    every, told = assert_same(PLAIN)
    assert told > every * 0.75
    assert KeyLines(PLAIN).line(("db", "port")) == 5
    assert KeyLines(PLAIN).line(("db", "tags")) == 13
    assert KeyLines(PLAIN).line(("people", "port")) == 27


@pytest.mark.parametrize("text", ["", "a: |\n  b: c\nd: 1\n", "a: 'x\n  b: c'\nd: 1\n", "- 1\n", "a: *x\n"])
def test_what_is_not_plain_is_not_known(text: str) -> None:
    assert KeyLines(text).line(("a",)) == KeyLines(text).line(("d",)) == 0


def test_a_path_that_is_not_there_is_not_known() -> None:
    known = KeyLines("a: 1\nb:\n  - c: 1\n")
    assert [known.line(path) for path in ((), ("x",), ("b", 1), ("b", "c"), ("b", 0, "d"))] == [0] * 5


@settings(max_examples=150, deadline=None)
@given(plain_values(), st.integers(0, 2**32))
def test_documents_in_many_layouts(data: dict[str, Any], seed: int) -> None:
    assert_same(Writer(seed).text(data))


@settings(max_examples=1_000, deadline=None)
@given(st.lists(lines(), max_size=7).map("\n".join), st.sampled_from(["", "\n"]))
@example("a:\n- x\nb: 1", "\n")
@example("---\n# c\n\na: 1", "")
def test_nearly_plain_texts(text: str, end: str) -> None:
    assert_same(text + end)


@settings(max_examples=300, deadline=None)
@given(st.randoms(use_true_random=False))
def test_maps_and_lists_in_each_other(chance: random.Random) -> None:
    found = block(chance, "")
    for at in range(chance.randint(0, 3)):
        found.insert(chance.randint(0, len(found)), ("", "  # c", "   ")[at])
    assert_same("\n".join(found))
