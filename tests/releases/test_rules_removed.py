"""The checker's own test: every check is taken out of the source in turn, and a vector must notice."""

from __future__ import annotations

import ast
import sys
import types
from pathlib import Path

import pytest

import sealpipe.releases
from release_builder import UNIT, Recipe, pins
from sealpipe.canonical import from_base64url
from sealpipe.errors import TrustError
from sealpipe.released import Unit
from sealpipe.releases import check, drafts
from sealpipe.roots import parse_pins

from .test_vectors import vectors

SOURCES = {module: Path(module.__file__).read_text("utf-8") for module in (check, drafts)}
REPORTS = {"inspect", "_claims", "still_listed"}  # these never refuse anything


def is_check(node):
    """A statement that can only refuse: a raise, or a call for nothing but its refusal."""
    return isinstance(node, ast.Raise) or (isinstance(node, ast.Expr) and isinstance(node.value, ast.Call))


def checks(module):
    for function in ast.parse(SOURCES[module]).body:
        if isinstance(function, ast.FunctionDef) and function.name not in REPORTS:
            yield from (node for node in ast.walk(function) if is_check(node))


class Remove(ast.NodeTransformer):
    def __init__(self, line):
        self.line = line
        self.done = 0

    def visit(self, node):
        if is_check(node) and node.lineno == self.line:
            self.done += 1
            return ast.copy_location(ast.Pass(), node)
        return self.generic_visit(node)


def without(module, line):
    """The module `check` with the statement on one line of `module` taken out."""
    remove = Remove(line)
    tree = ast.fix_missing_locations(remove.visit(ast.parse(SOURCES[module])))
    assert remove.done == 1
    mutant = types.ModuleType(module.__name__)
    exec(compile(tree, module.__file__, "exec"), mutant.__dict__)  # noqa: S102
    if module is check:
        return mutant
    whole = types.ModuleType(check.__name__)
    kept = sys.modules[module.__name__]
    sys.modules[module.__name__] = mutant
    try:
        exec(compile(SOURCES[check], check.__file__, "exec"), whole.__dict__)  # noqa: S102
    finally:
        sys.modules[module.__name__] = kept
    return whole


def word(checker, row):
    raw = from_base64url(row["release"])
    try:
        checker.check_release(
            raw + bytes(max(0, row.get("pad_to", 0) - len(raw))),
            pins=parse_pins(row["pins"]),
            unit=Unit(row["environment"], row["service"]),
            project=row["project"],
            min_trust=row.get("min_trust", 0),
        )
    except TrustError as error:
        return error.word
    except Exception as error:  # noqa: BLE001 - a mutant may fall over anywhere
        return type(error).__name__
    return ""


CASES = [(module, node.lineno) for module in (check, drafts) for node in checks(module)]


def test_there_are_checks_to_remove():
    assert len(CASES) >= 30
    assert sealpipe.releases.__path__


@pytest.mark.parametrize(("module", "line"), CASES, ids=lambda x: getattr(x, "__name__", x))
def test_a_removed_check_is_noticed(module, line):
    mutant = without(module, line)
    assert mutant.check_release(Recipe().bytes(), pins=pins(), unit=UNIT).payload.number == 42
    rows = vectors("release_refused")
    assert any(word(mutant, row) != row["refused"] for row in rows), SOURCES[module].split("\n")[line - 1]
