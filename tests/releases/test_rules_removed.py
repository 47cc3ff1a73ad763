"""The checker's own test: every check is taken out of the source in turn, and a vector must notice."""

from __future__ import annotations

import ast
import sys
import types
from pathlib import Path

import pytest

import sealpipe.releases
from release_builder import UNIT, Recipe, pins
from sealpipe.canonical import from_base64url, lp, to_base64url
from sealpipe.errors import TrustError
from sealpipe.released import Unit
from sealpipe.releases import check, drafts, payloads, wire
from sealpipe.releases.wire import MAGIC, split_release
from sealpipe.roots import parse_pins

from .test_vectors import vectors

MODULES = (payloads, drafts, wire, check)  # each imports from those before it
SOURCES = {module: Path(module.__file__).read_text("utf-8") for module in MODULES}
CODE = {module: compile(SOURCES[module], module.__file__, "exec") for module in MODULES}
OTHERS = {
    "inspect",
    "_claims",
    "still_listed",
    "split_release",
    "split_state",
    "parse_locator",
}  # not on the way

WRITERS = {"payload_bytes", "draft_bytes", "head_value", "_chain_bytes", "_block_bytes", "_pairs_bytes"}


def is_check(node):
    """A statement that can only refuse: a raise, or a call for nothing but its refusal."""
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
        return getattr(node.value.func, "attr", "") != "append"
    return isinstance(node, ast.Raise)


def checks(module):
    for part in ast.parse(SOURCES[module]).body:
        reads = isinstance(part, ast.FunctionDef) and not part.name.startswith("encode_")
        if (reads and part.name not in OTHERS | WRITERS) or getattr(part, "name", "") == "Cursor":
            yield from (node for node in ast.walk(part) if is_check(node))


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
    kept = {one.__name__: sys.modules[one.__name__] for one in MODULES}
    try:
        for one in MODULES:
            fresh = types.ModuleType(one.__name__)
            sys.modules[one.__name__] = fresh
            code = compile(tree, one.__file__, "exec") if one is module else CODE[one]
            exec(code, fresh.__dict__)  # noqa: S102
        return sys.modules[check.__name__]
    finally:
        sys.modules.update(kept)


def oversized_trust():
    frames = split_release(Recipe().bytes())
    large = b"\1" + bytes(96) + lp(bytes(64 * 1024 + 1))
    at = len(MAGIC) + 16 + 1 + 2 + 32
    rest = b"\1" + b"".join(frames.payload.signatures[0]) + lp(frames.payload.body) + lp(frames.draft) + b"\0"
    return Recipe().bytes()[:at] + large + rest


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


# Not among the vectors because of its size.
TOO_LARGE = next(row for row in vectors("release_refused") if row["refused"] == "foreign-unit") | {
    "release": to_base64url(oversized_trust()),
    "refused": "malformed-release",
    "pins": pins()[0].text,
    "service": "checkout",
    "environment": "production",
}
CASES = [(module, node.lineno) for module in MODULES for node in checks(module)]


def test_nothing_is_noticed_where_nothing_is_removed():
    rows = [*vectors("release_refused"), TOO_LARGE]
    assert [word(check, row) for row in rows] == [row["refused"] for row in rows]


def test_there_are_checks_to_remove():
    assert len(CASES) >= 30
    assert sealpipe.releases.__path__


@pytest.mark.parametrize(("module", "line"), CASES, ids=lambda x: getattr(x, "__name__", x))
def test_a_removed_check_is_noticed(module, line):
    mutant = without(module, line)
    assert mutant.check_release(Recipe().bytes(), pins=pins(), unit=UNIT).payload.number == 42
    rows = [*vectors("release_refused"), TOO_LARGE]
    assert any(word(mutant, row) != row["refused"] for row in rows), SOURCES[module].split("\n")[line - 1]
