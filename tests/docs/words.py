"""Every error word that the package can print, collected from its source.

A word is the first argument of one of our errors, of a `Finding` and of what becomes one. Where it is a
parameter of the function around it, or a field set by a constructor, the words are those that callers
pass. Tables of words are read from the modules themselves.
"""

from __future__ import annotations

import ast
import functools
import importlib
import inspect
import itertools
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import sealpipe
from sealpipe import errors

ROOT = Path(sealpipe.__file__).parent
WORD = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")
_ERRORS = [
    name
    for name, found in inspect.getmembers(errors, inspect.isclass)
    if issubclass(found, errors.SealpipeError) and found is not errors.InputError
]
MAKERS = {*_ERRORS, "Finding", "Explained", "Misfit", "Guard"}
_WRITTEN = re.compile(r"\berror\[([a-z]+(?:-[a-z]+)*)\]: ")  # where an error is printed without being one
# Words that stand in a table, not in a call: module, and how to read them.
TABLES: dict[tuple[str, str], Any] = {
    ("documents.parse", "_SCALARS"): list,
    ("documents.refusals", "_SYNTAX"): lambda rows: [row[1] for row in rows],
    ("schemas.telling.explain", "_BOUNDS"): lambda rows: [row[0] for row in rows.values()],
    ("schemas.telling.explain", "_PLAIN_WORDS"): lambda rows: [row[0] for row in rows.values()],
    ("stores.s3.refusals", "_CODES"): lambda rows: [said.word for said in rows.values()],
    ("stores.s3.refusals", "_STATUSES"): lambda rows: [said.word for said in rows.values()],
    ("stores.s3.refusals", "_BEFORE"): lambda rows: [said.word for _, said in rows],
    ("stores.s3.refusals", "_CUT"): lambda said: [said.word],
    ("stores.s3.refusals", "_REFUSED"): lambda said: [said.word],
}


@dataclass
class Source:
    """The package's syntax trees, with what is needed to follow a parameter to its callers."""

    calls: dict[str, list[tuple[ast.Call, tuple[ast.AST, ...]]]] = field(default_factory=dict)
    files: dict[int, str] = field(default_factory=dict)
    home: dict[int, str] = field(default_factory=dict)  # file of a function or class
    unknown: list[str] = field(default_factory=list)


def read_source() -> Source:
    source = Source()
    for file in sorted(ROOT.rglob("*.py")):
        for node, above in _walk(ast.parse(file.read_text(encoding="utf-8"))):
            here = str(file.relative_to(ROOT))
            if isinstance(node, ast.Call):
                source.calls.setdefault(_name(node.func), []).append((node, above))
                source.files[id(node)] = f"{here}:{node.lineno}"
            elif isinstance(node, ast.FunctionDef | ast.ClassDef):
                source.home[id(node)] = here
    return source


@functools.cache
def words() -> tuple[set[str], list[str]]:
    """The words, and the places whose word could not be found out."""
    source = read_source()
    found: set[str] = set()
    for maker in MAKERS:
        for call, above in source.calls.get(maker, ()):
            given = _argument(call, 0, "word")
            if given is not None:
                found |= _words(given, above, source, source.files[id(call)], frozenset())
    for (module, name), read in TABLES.items():
        found |= set(read(getattr(importlib.import_module(f"sealpipe.{module}"), name)))
    for file in ROOT.rglob("*.py"):
        found |= set(_WRITTEN.findall(file.read_text(encoding="utf-8")))
    found.discard("word")  # how errors.py and the help write it
    return {word for word in found if WORD.fullmatch(word)}, source.unknown


def _words(
    node: ast.expr, above: tuple[ast.AST, ...], source: Source, at: str, seen: frozenset[tuple[int, str]]
) -> set[str]:
    if isinstance(node, ast.Constant):
        return {str(node.value)}
    if isinstance(node, ast.IfExp):
        return _words(node.body, above, source, at, seen) | _words(node.orelse, above, source, at, seen)
    if isinstance(node, ast.JoinedStr):
        parts = [
            _words(part.value if isinstance(part, ast.FormattedValue) else part, above, source, at, seen)
            for part in node.values
        ]
        return {"".join(texts) for texts in itertools.product(*parts)}
    if isinstance(node, ast.Attribute) and node.attr == "word":
        return set()  # carried on from another finding
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "self":
        for outer in reversed(above):
            if isinstance(outer, ast.ClassDef):
                return _passed(outer, node.attr.lstrip("_"), source, seen)
    if isinstance(node, ast.Name):
        for outer in reversed(above):
            if isinstance(outer, ast.FunctionDef):
                if node.id in _parameters(outer):
                    return _passed(outer, node.id, source, seen)
                return _assigned(outer, node.id, above, source, at, seen)
    source.unknown.append(f"{at}: {ast.unparse(node)}")
    return set()


def _assigned(
    function: ast.FunctionDef,
    name: str,
    above: tuple[ast.AST, ...],
    source: Source,
    at: str,
    seen: frozenset[tuple[int, str]],
) -> set[str]:
    """Words of a local variable: a plain assignment, a tuple of them, or carried on from a finding."""
    found: set[str] = set()
    known = False
    for node in ast.walk(function):
        if isinstance(node, ast.For) and name in map(_name, ast.walk(node.target)):
            known = known or ast.unparse(node.iter) in {table for _, table in TABLES}
        if not isinstance(node, ast.Assign):
            continue
        for target in node.targets:
            values: list[ast.expr] = []
            if isinstance(target, ast.Name) and target.id == name:
                values = [node.value]
            elif isinstance(target, ast.Tuple):
                names = [_name(item) for item in target.elts]
                if name in names and isinstance(node.value, ast.Tuple):
                    values = [node.value.elts[names.index(name)]]
                elif name in names:
                    known = True  # from a table, or from a function that gives word and sentence
            for value in values:
                known = True
                if not isinstance(value, ast.Call):  # str(error): a table's word
                    found |= _words(value, above, source, at, seen)
    if not known:
        source.unknown.append(f"{at}: {name}")
    return found


def _passed(
    outer: ast.FunctionDef | ast.ClassDef, name: str, source: Source, seen: frozenset[tuple[int, str]]
) -> set[str]:
    """What callers give for a parameter, its default included."""
    if (id(outer), name) in seen:
        return set()
    seen |= {(id(outer), name)}
    function = outer
    if isinstance(outer, ast.ClassDef):
        function = next(
            item for item in outer.body if isinstance(item, ast.FunctionDef) and item.name == "__init__"
        )
    assert isinstance(function, ast.FunctionDef)
    names = _parameters(function)
    index = names.index(name) - (names[0] == "self")
    found: set[str] = set()
    method = names[0] == "self" and outer is function
    for call, above in source.calls.get(outer.name, ()):
        same = _file(source, call) == source.home[id(outer)]
        if (method or outer.name.startswith("_")) and not same:
            continue  # another function of that name
        given = _argument(call, index, name)
        if given is not None:
            found |= _words(given, above, source, source.files[id(call)], seen)
    return found | _default(function, name)


def _file(source: Source, call: ast.Call) -> str:
    return source.files[id(call)].partition(":")[0]


def _default(function: ast.FunctionDef, name: str) -> set[str]:
    arguments = function.args
    plain = zip(reversed(arguments.args), reversed(arguments.defaults), strict=False)
    for argument, default in [*plain, *zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)]:
        if argument.arg == name and isinstance(default, ast.Constant):
            return {str(default.value)}
    return set()


def _argument(call: ast.Call, index: int, name: str) -> ast.expr | None:
    for keyword in call.keywords:
        if keyword.arg == name:
            return keyword.value
    return call.args[index] if index < len(call.args) else None


def _parameters(function: ast.FunctionDef) -> list[str]:
    return [argument.arg for argument in (*function.args.args, *function.args.kwonlyargs)]


def _name(node: ast.AST) -> str:
    return getattr(node, "id", getattr(node, "attr", ""))


def _walk(tree: ast.AST) -> Iterator[tuple[ast.AST, tuple[ast.AST, ...]]]:
    """Every node with the functions and classes around it, outermost first."""
    waiting: list[tuple[ast.AST, tuple[ast.AST, ...]]] = [(tree, ())]
    while waiting:
        node, above = waiting.pop()
        yield node, above
        inner = (*above, node) if isinstance(node, ast.FunctionDef | ast.ClassDef) else above
        waiting += [(child, inner) for child in ast.iter_child_nodes(node)]
