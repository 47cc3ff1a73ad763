"""docs/errors.md has one heading for each word that the program can print, and no other."""

from __future__ import annotations

import re
from pathlib import Path

from .words import words

PAGE = Path(__file__).parent.parent.parent / "docs" / "errors.md"


def headings() -> list[str]:
    return re.findall(r"^## (\S+)$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)


def test_every_word_can_be_collected() -> None:
    found, unknown = words()
    assert len(found) > 200
    assert not {place for place in unknown if not place.startswith("errors.py:")}


def test_every_word_has_a_heading() -> None:
    assert sorted(words()[0] - set(headings())) == []


def test_every_heading_is_a_word() -> None:
    assert sorted(set(headings()) - words()[0]) == []


def test_headings_are_in_order_and_stand_once() -> None:
    assert headings() == sorted(set(headings()))


def test_known_words_are_found_however_they_are_passed() -> None:
    found, _ = words()
    assert {
        "no-repository",  # first argument
        "kind-change",  # through a method's parameter
        "not-utf-8",  # through a function
        "malformed-trust",  # an f-string with a constructor's argument
        "older-keyring",  # an f-string with a parameter
        "out-of-range",  # a table
        "sealed-to-plain",  # made into an error later
        "removed-keys",  # a guard
    } <= found


def test_each_says_who_must_act_and_what_to_do() -> None:
    bodies = re.split(r"^## \S+$", PAGE.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
    assert all(re.search(r"^\*\*Who:\*\* .+ \*\*Do:\*\* .+$", body, re.MULTILINE) for body in bodies)
