from __future__ import annotations

import time

import pytest

from sealpipe.schemas.engine import Checker, matches, schema_fault, unsatisfiable


def test_an_endless_pattern_ends() -> None:
    checker = Checker({"type": "string", "pattern": r"^(a|a)*\1?$(?<!b)(a+)+$"})
    started = time.process_time()
    problems = checker.problems("a" * 5_000 + "b")
    assert time.process_time() - started < 2
    assert [problem.keyword for problem in problems] in (["pattern"], ["pattern-cost"])


def test_nothing_is_fetched() -> None:
    with pytest.raises(ValueError, match="cannot fetch"):
        Checker({"$ref": "http://127.0.0.1:9/never"})


def test_formats_decide_and_unknown_ones_are_refused() -> None:
    assert not Checker({"format": "email"}).accepts("x")
    assert Checker({"format": "password"}).accepts("x")
    with pytest.raises(ValueError, match="emial"):
        Checker({"format": "emial"})


def test_problems_hold_no_value() -> None:
    checker = Checker(
        {"type": "object", "properties": {"a": {"type": "integer"}, "b": {"oneOf": [{"const": 1}]}}}
    )
    problems = checker.problems({"a": "hunter2", "b": "hunter2"})
    assert len(problems) == 2
    assert "hunter2" not in repr(problems)


def test_a_document_full_of_mistakes_is_cut_short() -> None:
    checker = Checker({"additionalProperties": {"type": "integer"}})
    assert len(checker.problems({str(i): "x" for i in range(5_000)})) == 200


def test_patterns_match_keys() -> None:
    assert matches("^a", "abc")
    assert not matches("^b", "abc")


def test_the_meta_schema() -> None:
    assert schema_fault({"type": "object"}) is None
    fault = schema_fault({"properties": {"a": {"minimum": "x"}}})
    assert fault is not None
    assert fault.at == ("properties", "a", "minimum")


def test_what_is_proven_impossible() -> None:
    assert unsatisfiable({"additionalProperties": False, "properties": {"a": {"minLength": 3}}}) == []
    assert unsatisfiable({"properties": {"a": {"type": "string", "minLength": 3, "maxLength": 1}}}) == [
        "/properties/a"
    ]
