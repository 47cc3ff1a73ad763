"""Places of paths in a text."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from documents.strategies import Writer, plain_values
from sealpipe.documents.origins import origins
from sealpipe.documents.read import read_yaml
from sealpipe.documents.source import same
from sealpipe.errors import InputError, Where

TEXT = "# top\ndb:\n  pool_max: 40  # c\n  'url': x\nxs: [1, {é: 2}]\nlong: |\n  one\n  two\nend:\n"


def test_places() -> None:
    found = origins(TEXT, file="f.yaml")
    assert found.where(("db", "pool_max")) == Where("f.yaml", 3, 13)
    assert found.key_where(("db", "pool_max")) == Where("f.yaml", 3, 3)
    assert found.where(("xs", 1, "é")) == Where("f.yaml", 5, 13)
    assert found.key_where(("xs", 0)) == Where("f.yaml", 5, 6)
    assert found.key_where(()) == Where("f.yaml", 2, 1)
    assert found.where(("none",)) is None
    assert found.nearest(("db", "none", "deep")) == Where("f.yaml", 2, 1)
    assert found.nearest(("none",)) == Where("f.yaml", 2, 1)


def test_lines_and_widths() -> None:
    found = origins(TEXT.replace("\n", "\r\n"), file="f.yaml")
    assert found.line(("db", "pool_max")) == "  pool_max: 40  # c"
    assert found.line_number(("db", "pool_max")) == 3
    assert found.key_width(("db", "pool_max")) == len("pool_max")
    assert found.key_width(("db", "url")) == len("'url'")
    assert found.key_width(("none",)) == 1
    assert found.line(("none",)) == ""
    assert found.line_number(("none",)) == 0


def test_paths_that_a_line_shows() -> None:
    found = origins(TEXT, file="f.yaml")
    assert set(found.paths_on(5)) == {("xs",), ("xs", 0), ("xs", 1, "é")}
    assert set(found.paths_on(7)) == {("long",)}
    assert set(found.paths_on(8)) == {("long",)}
    assert set(found.paths_on(9)) == {("end",)}


@pytest.mark.parametrize(
    ("text", "cut"),
    [
        ("a: abc #def\n", True),
        ("a: abc  #1\n", True),
        ("a: {a: 1}\nb: 1\n", False),
        ("a: abc # a comment\n", False),
        ("a: abc #\n", False),
        ("a: 'abc #def'\n", False),
        ("a: 'abc' #def\n", False),
        ("a: abc#def\n", False),
        ("a: abc\n#def\n", False),
        ("b: 1\n", False),
    ],
)
def test_values_that_a_comment_cuts_short(text: str, cut: bool) -> None:
    assert origins(text, file="f").cut_short(("a",)) is cut


def test_an_empty_document_has_no_places() -> None:
    found = origins("# nothing\n", file="f.yaml")
    assert found.where(()) is None
    assert found.nearest(("a",)) is None


def test_a_text_that_cannot_be_read_is_refused() -> None:
    with pytest.raises(InputError):
        origins("a: *x\n", file="f.yaml")


@given(plain_values(), st.integers(0, 2**32))
@settings(max_examples=60, deadline=None)
def test_every_path_has_its_place(data: dict[str, Any], seed: int) -> None:
    text = Writer(seed).text(data)
    assume(same(read_yaml(text, file="f"), data))
    found = origins(text, file="f")
    lines = text.replace("\r\n", "\n").split("\n")

    def check(node: Any, path: tuple[str | int, ...]) -> None:
        where = found.where(path)
        assert where is not None
        if isinstance(node, dict):
            for key, value in node.items():
                place = found.key_where((*path, key))
                assert place is not None
                assert lines[place.line - 1][place.column - 1 :].lstrip("\"'").startswith((key[:1], "\\"))
                check(value, (*path, key))
        elif isinstance(node, list):
            for index, value in enumerate(node):
                check(value, (*path, index))

    if data:
        check(data, ())
