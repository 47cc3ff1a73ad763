"""Sizes and habits that a reviewer would otherwise have to watch."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PRODUCT = ROOT / "pipeline" / "sealpipe"
FILE_LINES = 400
FUNCTION_LINES = 60
ROOM_LINES = 2_000

# Each type of the line has one maker; its docstring names it. Here: the files that may construct it.
MAKERS = {
    "Release": {"releases/check.py"},
    "ValidatedConfig": {"stages/validate.py"},
    "Validation": {"stages/validate.py"},
    "LayeredConfig": {"stages/layer.py"},
    "Workspace": {"stages/load.py"},
    "SignedRelease": {"publishing/sign.py"},
    "Batch": {"publishing/sign.py"},
    "Publication": {"flows/ship.py", "flows/rolling.py"},
    "Verification": {"publishing/verify.py"},
    "Plan": {"stages/plan.py"},
}


def product_files() -> list[Path]:
    return sorted(PRODUCT.rglob("*.py"))


def checked_files() -> list[Path]:
    beside = [file for folder in ("scripts", "bench") for file in sorted((ROOT / folder).glob("*.py"))]
    return [*product_files(), *beside]


def name_of(file: Path) -> str:
    return file.relative_to(PRODUCT).as_posix()


def functions(tree: ast.AST) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def calls(tree: ast.AST) -> Iterator[tuple[str, int]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            match node.func:
                case ast.Name(id=name) | ast.Attribute(attr=name):
                    yield name, node.lineno


def test_there_is_something_to_measure() -> None:
    assert len(product_files()) > 20


@pytest.mark.parametrize("file", checked_files(), ids=lambda f: f.relative_to(ROOT).as_posix())
def test_files_and_functions_are_short(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    assert text.count("\n") <= FILE_LINES, f"{file} has {text.count(chr(10))} lines"
    long = [
        f"{function.name} (line {function.lineno}): {length} lines"
        for function in functions(ast.parse(text))
        if (length := (function.end_lineno or 0) - function.lineno + 1) > FUNCTION_LINES
    ]
    assert not long


def test_rooms_stay_small() -> None:
    lines: dict[str, int] = defaultdict(int)
    for file in product_files():
        name = name_of(file)
        room = name.rpartition("/")[0] or name  # a folder; at top level each file is its own
        lines[room] += file.read_text(encoding="utf-8").count("\n")
    too_big = {room: n for room, n in lines.items() if n > ROOM_LINES}
    assert not too_big


def test_only_the_command_line_prints_and_exits() -> None:
    found = [
        f"{name_of(file)}:{line} {name}"
        for file in product_files()
        if not name_of(file).startswith("cli/")
        for name, line in calls(ast.parse(file.read_text(encoding="utf-8")))
        if name in ("print", "exit", "_exit", "quit", "echo", "secho")
    ]
    assert not found


def test_nothing_else_subclasses_exception() -> None:
    found = [
        f"{name_of(file)}: {node.name}"
        for file in product_files()
        if name_of(file) != "errors.py"
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.ClassDef)
        for base in node.bases
        if isinstance(base, ast.Name) and (base.id in ("Exception", "BaseException"))
    ]
    assert not found


def test_no_grab_bag_modules() -> None:
    names = {file.stem for file in product_files()}
    assert not names & {"utils", "util", "helpers", "misc", "common"}


@pytest.mark.parametrize(("kind", "makers"), MAKERS.items(), ids=MAKERS)
def test_each_type_of_the_line_has_one_maker(kind: str, makers: set[str]) -> None:
    found = {
        name_of(file)
        for file in product_files()
        for name, _ in calls(ast.parse(file.read_text(encoding="utf-8")))
        if name == kind
    }
    assert found <= makers
    assert found, f"nobody makes a {kind}: the table of makers is out of date"


def test_product_speaks_of_itself_alone() -> None:
    """No machine paths: the installed package works anywhere."""
    found = [
        f"{name_of(file)}: {word}"
        for file in product_files()
        for word in ("/work/", "/root/", "TODO", "FIXME")
        if word in file.read_text(encoding="utf-8")
    ]
    assert not found
