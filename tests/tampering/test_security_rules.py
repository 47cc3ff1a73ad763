"""docs/security-rules.md names tests that exist."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

from .test_attacks import ATTACKS

ROOT = Path(__file__).parent.parent.parent
PAGE = ROOT / "docs" / "security-rules.md"
ROWS = re.findall(r"^\| ([^|]+) \| ([^|]+) \| `([^|]+)` \|$", PAGE.read_text("utf-8"), re.MULTILINE)


@cache
def named_in(file: str) -> frozenset[str]:
    """`test_x` and `TestY::test_x` of a file."""
    found = set()
    for node in ast.parse((ROOT / file).read_text("utf-8")).body:
        if isinstance(node, ast.FunctionDef):
            found.add(node.name)
        if isinstance(node, ast.ClassDef):
            found |= {f"{node.name}::{one.name}" for one in node.body if isinstance(one, ast.FunctionDef)}
    return frozenset(found)


def test_there_are_rules() -> None:
    assert len(ROWS) >= 90
    assert len({rule for rule, _, _ in ROWS}) == len(ROWS)
    assert PAGE.read_text("utf-8").count("\n| ") == len(ROWS) + 4  # a heading in each of four tables


@pytest.mark.parametrize(("rule", "where", "test"), ROWS, ids=[row[0] for row in ROWS])
def test_the_test_of_a_rule_exists(rule: str, where: str, test: str) -> None:
    kind, _, name = test.partition(": ")
    if kind == "attack":
        assert name in {attack.name for attack in ATTACKS}
    else:
        file, _, function = test.partition("::")
        assert function in named_in(file)
    module = re.match(r"`([a-z_]+(?:[./][a-z_]+)*)", where)
    if module:
        path = module[1].removesuffix(".py").replace(".", "/")
        options = (path, path.rpartition("/")[0])
        assert any(
            (ROOT / "pipeline/sealpipe" / f"{one}.py").exists() or (ROOT / "pipeline/sealpipe" / one).is_dir()
            for one in options
        )
