"""Mutants of the modules that decide what is believed: each must make one of their tests fail.

    python campaign/mutation.py [MODULE …] [--seconds N] [--survivors] [--table]

Negates conditions, drops raises and calls made for their refusal alone, swaps comparisons, `and` and
`or`, moves integers by one. Each mutant is run in a fork with the module's tests and `-x`. Results go to
`.campaign/mutation/` and are kept by the text of the module, so a run that was stopped goes on where it
was. `--survivors` runs those again that no test noticed; `--table` prints what is known, runs nothing.
"""

from __future__ import annotations

import argparse
import ast
import copy
import hashlib
import importlib
import importlib.abc
import importlib.machinery
import importlib.util
import json
import os
import re
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FunctionType
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / ".campaign" / "mutation"
EXPLAINED = ROOT / "docs" / "mutation.md"
ONE_MUTANT = 120.0  # seconds; a mutant that hangs is noticed

TESTS = {
    "tokens": "test_tokens.py tampering/test_rules.py crypto/test_vectors.py crypto/test_sealing.py"
    " checks/test_sealed.py",
    "roots": "test_trust.py tampering/test_rules.py releases/test_check.py crypto/test_vectors.py",
    "trust": "test_trust.py tampering/test_rules.py test_keyrings.py releases/test_check.py",
    "keyrings": "test_keyrings.py tampering/test_rules.py test_opening.py checks/test_trusted.py",
    "fields": "test_trust.py test_keyrings.py tampering/test_rules.py",
    "releases.check": "tampering/test_rules.py releases/test_check.py releases/test_vectors.py",
    "releases.wire": "releases/test_wire_limits.py releases/test_wire.py releases/test_vectors.py"
    " releases/test_check.py",
    "releases.drafts": "releases/test_wire.py releases/test_vectors.py releases/test_check.py",
    "crypto.sealing": "crypto/test_sealing.py crypto/test_vectors.py",
    "crypto.spelling": "crypto/test_spelling.py crypto/test_sealing.py crypto/test_vectors.py",
}
PRELOADED = [
    "pytest",
    "hypothesis",
    "nacl.public",
    "nacl.signing",
    "nacl.bindings",
    "yaml",
    "rfc8785",
    "jsonschema_rs",
    "click",
]
SWAPS: dict[type[ast.cmpop], type[ast.cmpop]] = {
    ast.Lt: ast.LtE, ast.LtE: ast.Lt, ast.Gt: ast.GtE, ast.GtE: ast.Gt, ast.Eq: ast.NotEq,
    ast.NotEq: ast.Eq, ast.In: ast.NotIn, ast.NotIn: ast.In, ast.Is: ast.IsNot, ast.IsNot: ast.Is,
}  # fmt: skip


class Mutant(NamedTuple):
    """One change: what it replaces, by its place in a walk over the module."""

    number: int
    line: int
    text: str  # `old` -> `new`
    function: str  # that it stands in, "" outside of all
    apply: Callable[[], ast.Module]

    @property
    def name(self) -> str:
        return f"{self.number}: {self.text}"


def source(module: str) -> Path:
    return ROOT / "pipeline" / "sealpipe" / (module.replace(".", "/") + ".py")


# ---- making them


def changes(node: ast.AST) -> Iterator[tuple[str, Callable[[Any], ast.AST]]]:
    """What to put in place of a node: a kind, and a maker of the new node from a copy of the old one."""
    if isinstance(node, ast.BoolOp):
        other = ast.Or if isinstance(node.op, ast.And) else ast.And
        yield "and/or", lambda old: ast.BoolOp(other(), old.values)
    elif isinstance(node, ast.Compare):
        for at, op in enumerate(node.ops):
            yield "compare", lambda old, at=at, op=op: swapped(old, at, SWAPS[type(op)]())
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        yield "not", lambda old: old.operand
    elif isinstance(node, ast.Constant) and type(node.value) is int:
        yield "+1", lambda old: ast.Constant(old.value + 1)
        yield "-1", lambda old: ast.Constant(old.value - 1)
    elif isinstance(node, ast.Constant) and type(node.value) is bool:
        yield "bool", lambda old: ast.Constant(not old.value)
    elif isinstance(node, ast.Raise):
        yield "raise", lambda _: ast.Pass()
    elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
        yield "call", lambda _: ast.Pass()


def swapped(old: ast.Compare, at: int, op: ast.cmpop) -> ast.Compare:
    old.ops[at] = op
    return old


def negated(node: ast.AST) -> Iterator[tuple[str, int]]:
    """Conditions in a node: the field that holds it, and its index in a list field."""
    if isinstance(node, ast.If | ast.While | ast.IfExp) and plain(node.test):
        yield "test", -1
    if isinstance(node, ast.comprehension):
        yield from (("ifs", at) for at, test in enumerate(node.ifs) if plain(test))


def plain(test: ast.expr) -> bool:
    """Whether negating a condition is not what another change does already."""
    if isinstance(test, ast.UnaryOp):
        return False
    exact = (ast.Eq, ast.NotEq, ast.In, ast.NotIn, ast.Is, ast.IsNot)
    return not (isinstance(test, ast.Compare) and len(test.ops) == 1 and isinstance(test.ops[0], exact))


def annotations(tree: ast.AST) -> set[int]:
    """Nodes that only say types."""
    found: set[int] = set()
    for node in ast.walk(tree):
        for name in ("annotation", "returns"):
            part = getattr(node, name, None)
            if isinstance(part, ast.AST):
                found |= {id(one) for one in ast.walk(part)}
    return found


def mutants(text: str) -> list[Mutant]:
    tree = ast.parse(text)
    skipped = annotations(tree)
    inside = {id(n): f.name for f in ast.walk(tree) if isinstance(f, ast.FunctionDef) for n in ast.walk(f)}
    found: list[Mutant] = []
    for index, node in enumerate(ast.walk(tree)):
        if id(node) in skipped:
            continue
        for kind, make in changes(node):
            new = make(copy.deepcopy(node))
            said = f"{short(node)} -> {short(new)}"
            where = (len(found), node.lineno, f"{kind}: {said}", inside.get(id(node), ""))  # type: ignore[attr-defined]
            found.append(Mutant(*where, replacing(tree, index, make)))
        for field, at in negated(node):
            test = getattr(node, field) if at < 0 else getattr(node, field)[at]
            where = (len(found), test.lineno, f"negate: {short(test)}", inside.get(id(test), ""))
            found.append(Mutant(*where, negating(tree, index, field, at)))
    return found


def short(node: ast.AST) -> str:
    line = " ".join(ast.unparse(ast.fix_missing_locations(node)).split())
    return line if len(line) <= 90 else line[:87] + "..."


def replacing(tree: ast.Module, index: int, make: Callable[[Any], ast.AST]) -> Callable[[], ast.Module]:
    def apply() -> ast.Module:
        fresh = copy.deepcopy(tree)
        target = list(ast.walk(fresh))[index]
        for parent in ast.walk(fresh):
            for field, value in ast.iter_fields(parent):
                if value is target:
                    setattr(parent, field, located(make(target), target))
                elif isinstance(value, list):
                    for at, one in enumerate(value):
                        if one is target:
                            value[at] = located(make(target), target)
        return ast.fix_missing_locations(fresh)

    return apply


def located(new: ast.AST, old: ast.AST) -> ast.AST:
    return ast.copy_location(new, old) if new is not old else new


def negating(tree: ast.Module, index: int, field: str, at: int) -> Callable[[], ast.Module]:
    def apply() -> ast.Module:
        fresh = copy.deepcopy(tree)
        node = list(ast.walk(fresh))[index]
        if at < 0:
            setattr(node, field, ast.UnaryOp(ast.Not(), getattr(node, field)))
        else:
            getattr(node, field)[at] = ast.UnaryOp(ast.Not(), getattr(node, field)[at])
        return ast.fix_missing_locations(fresh)

    return apply


# ---- running them


class Replaced(importlib.abc.MetaPathFinder, importlib.machinery.SourceFileLoader):
    """Gives one module from a changed tree and leaves the others alone."""

    def __init__(self, name: str, path: Path, tree: ast.Module) -> None:
        super().__init__(name, str(path))
        self.tree = tree

    def find_spec(self, fullname: str, path: Any, target: Any = None) -> Any:  # noqa: ARG002
        if fullname != self.name:
            return None
        return importlib.util.spec_from_file_location(fullname, self.path, loader=self)

    def get_code(self, fullname: str) -> Any:  # noqa: ARG002
        return compile(self.tree, self.path, "exec")


def preload() -> None:
    """What no mutant changes is imported once, before the forks."""
    for name in PRELOADED:
        importlib.import_module(name)
    if any(name.split(".")[0] == "sealpipe" for name in sys.modules):
        raise AssertionError("imported too early")


class First:
    """The first test that fails."""

    said = ""

    def pytest_runtest_logreport(self, report: Any) -> None:
        if report.failed and not self.said:
            self.said = report.nodeid


def anew(module: str, tree: ast.Module | None) -> Callable[[], str]:
    """Runs the tests with the module imported from a changed tree: for what stands outside functions."""

    def child() -> str:
        import pytest

        if tree is not None:
            sys.meta_path.insert(0, Replaced(f"sealpipe.{module}", source(module), tree))
        first = First()
        code = int(pytest.main([*arguments(module), "-x"], plugins=[first]))
        return first.said or ("" if code == 0 else "while importing or collecting")

    return child


def arguments(module: str) -> list[str]:
    tests = [f"tests/{name}" for name in TESTS[module].split()]
    # Plain asserts: pytest's own import hook would load the unchanged module, ours being a plugin's too.
    return ["-q", "--assert=plain", "-p", "no:cacheprovider", "-p", "no:xdist", *tests]


class Loop:
    """A pytest plugin: collects once and runs the tests again and again, each time in a fork."""

    def __init__(self, module: str, todo: list[Mutant], tell: Callable[[Mutant, str], bool]) -> None:
        self.module, self.todo, self.tell = module, todo, tell

    def pytest_runtestloop(self, session: Any) -> bool:
        tree = ast.parse(source(self.module).read_text("utf-8"))
        control = Mutant(-1, 0, "nothing", "", lambda: tree)
        unchanged = in_child(lambda: self.with_mutant(session, control))
        if unchanged:
            raise SystemExit(f"{self.module}: the tests fail without any mutant: {unchanged}")
        for mutant in self.todo:
            if not self.tell(mutant, in_child(lambda mutant=mutant: self.with_mutant(session, mutant))):
                break
        return True

    def with_mutant(self, session: Any, mutant: Mutant) -> str:
        fresh: dict[str, Any] = {"__name__": f"sealpipe.{self.module}", "__package__": "sealpipe"}
        if "." in self.module:
            fresh["__package__"] += "." + self.module.rpartition(".")[0]
        exec(compile(mutant.apply(), source(self.module), "exec"), fresh)  # noqa: S102
        patch(vars(sys.modules[f"sealpipe.{self.module}"]), fresh)
        return self.first_failure(session)

    def first_failure(self, session: Any) -> str:
        first = First()
        plugins = session.config.pluginmanager
        plugins.register(first)
        plugins.unregister(name="terminalreporter")
        for at, item in enumerate(session.items):
            following = session.items[at + 1] if at + 1 < len(session.items) else None
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
            if first.said:
                break
        return first.said


def patch(old: dict[str, Any], new: dict[str, Any]) -> None:
    """The code of every function of a namespace, put into the functions that others hold already."""
    for name, fresh in new.items():
        there = old.get(name)
        here = getattr(fresh, "__wrapped__", fresh)
        target = getattr(there, "__wrapped__", there)
        if isinstance(here, property):
            here, target = here.fget, getattr(there, "fget", None)
        if isinstance(here, FunctionType) and isinstance(target, FunctionType):
            if here.__code__.co_freevars != target.__code__.co_freevars:
                continue  # an initializer that `frozen` has made in the meantime
            target.__code__ = here.__code__
            target.__defaults__ = here.__defaults__
            target.__kwdefaults__ = here.__kwdefaults__
        elif isinstance(here, type) and isinstance(there, type) and here is not there:
            patch(dict(vars(there)), dict(vars(here)))


def in_child(work: Callable[[], str]) -> str:
    """What `work` says, done in a fork: the first failing test, "" for none, "timeout"."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        silent = os.open(os.devnull, os.O_WRONLY)
        os.dup2(silent, 1)
        os.dup2(silent, 2)
        said = "it fell over"
        try:
            said = work()
        finally:
            os.write(writer, said.encode()[:4000])
            os._exit(0)
    os.close(writer)
    deadline = time.monotonic() + ONE_MUTANT
    done = 0
    while not done and time.monotonic() < deadline:
        done, _ = os.waitpid(child, os.WNOHANG)
        time.sleep(0.01)
    if not done:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    said = os.read(reader, 65536).decode()
    os.close(reader)
    return said if done else "timeout"


def kept(module: str) -> tuple[Path, dict[str, str]]:
    """The file of results for the module as it stands, and what is in it: mutant -> who noticed."""
    digest = hashlib.sha256(source(module).read_bytes()).hexdigest()[:16]
    file = RESULTS / f"{module}-{digest}.jsonl"
    found: dict[str, str] = {}
    if file.exists():
        for line in file.read_text().splitlines():
            name, said = json.loads(line)
            found[name] = said
    return file, found


def campaign(module: str, deadline: float, *, again: bool, outside: bool) -> None:
    """`outside`: the mutants outside functions, for which everything is imported anew."""
    file, known = kept(module)
    file.parent.mkdir(parents=True, exist_ok=True)

    def tell(mutant: Mutant, said: str) -> bool:
        with file.open("a") as out:
            out.write(json.dumps([mutant.name, said]) + "\n")
        if said in ("", "timeout"):
            print(f"{module}:{mutant.line}: {said or 'survived'}: {mutant.text}", flush=True)
        return time.monotonic() < deadline

    todo = [
        m
        for m in mutants(source(module).read_text("utf-8"))
        if (not m.function) == outside and (m.name not in known or (again and not known[m.name]))
    ]
    if todo and outside:
        for mutant in todo:
            if not tell(mutant, in_child(anew(module, mutant.apply()))):
                break
    elif todo:
        import pytest

        pytest.main(arguments(module), plugins=[Loop(module, todo, tell)])


# ---- telling


def table(modules: list[str]) -> int:
    """Prints the counts of each module and every survivor; how many of them nothing explains."""
    explained = EXPLAINED.read_text("utf-8") if EXPLAINED.exists() else ""
    unexplained = 0
    print("| module | mutants | noticed | survived | not run |\n|---|---|---|---|---|")
    survivors: list[str] = []
    for module in modules:
        _, known = kept(module)
        every = mutants(source(module).read_text("utf-8"))
        counts = Counter(verdict(known.get(m.name)) for m in every)
        row = (f"`{module}`", len(every), counts["noticed"], counts["survived"], counts["not run"])
        print("| " + " | ".join(map(str, row)) + " |")
        for mutant in every:
            if known.get(mutant.name) == "":
                name = ".".join(part for part in (module, mutant.function) if part) + f": {mutant.text}"
                there = f"`{escaped(name)}`" in explained
                unexplained += not there
                survivors.append(name + ("" if there else f"   (line {mutant.line}: not explained)"))
    print("\n".join(["", *survivors]))
    print(f"\n{len(survivors)} survivors, {unexplained} of them not explained in docs/mutation.md")
    return unexplained


def verdict(said: str | None) -> str:
    return "not run" if said is None else "noticed" if said else "survived"


def escaped(text: str) -> str:
    return re.sub(r"\|", r"\\|", text)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("modules", nargs="*", default=list(TESTS), metavar="MODULE")
    parser.add_argument("--seconds", type=float, default=7200.0)
    parser.add_argument("--survivors", action="store_true")
    parser.add_argument("--table", action="store_true")
    given = parser.parse_args()
    os.chdir(ROOT)
    if not given.table:
        preload()
        deadline = time.monotonic() + given.seconds
        for outside in (True, False):
            for module in given.modules:
                campaign(module, deadline, again=given.survivors, outside=outside)
    return 1 if table(given.modules) else 0


if __name__ == "__main__":
    sys.exit(main())
