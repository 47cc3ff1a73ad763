"""Which branch of a `oneOf` or `anyOf` was meant, so that only its problems are told."""

from __future__ import annotations

from typing import Any

from sealpipe.frozen import NamedTuple
from sealpipe.paths import Concrete
from sealpipe.schemas.engine import Problem


class Choice(NamedTuple):
    """At most one field is set; none when it is not clear what was meant."""

    branch: tuple[Problem, ...] | None = None
    path: Concrete = ()  # of the discriminator that has none of `options`
    options: tuple[Any, ...] = ()
    types: tuple[str, ...] = ()  # every branch wants another type than the one that stands there
    missing: str = ""  # the discriminator that every branch asks for


def chosen(problem: Problem) -> Choice:
    """Judge by discriminator first: a key whose `const` or `enum` tells the branches apart."""
    depth = len(problem.path)
    typed = [branch for branch in problem.branches if not _wrong_here(branch, depth)]
    if not typed:
        return Choice(types=_all_types(problem.branches, depth))
    alive = [branch for branch in typed if not _discriminators(branch, depth)]
    if len(alive) == 1:
        return Choice(branch=alive[0])
    if not alive:
        return _no_such(typed, depth)
    asked = [{name for p in branch if p.keyword == "required" for name in p.names} for branch in alive]
    common = set.intersection(*asked)
    if len(common) == 1 and _tells_apart(problem, next(iter(common))):
        return Choice(missing=next(iter(common)))
    fewest = min(len(branch) for branch in alive)
    best = [branch for branch in alive if len(branch) == fewest]
    # One small thing wrong in one branch, much in every other: that one was meant.
    if len(best) == 1 and fewest == 1 and all(len(branch) > 2 for branch in alive if branch is not best[0]):
        return Choice(branch=best[0])
    return Choice()


def _wrong_here(branch: tuple[Problem, ...], depth: int) -> bool:
    return any(p.keyword == "type" and len(p.path) == depth for p in branch)


def _discriminators(branch: tuple[Problem, ...], depth: int) -> list[Problem]:
    return [p for p in branch if p.keyword in ("const", "enum") and len(p.path) == depth + 1]


def _all_types(branches: tuple[tuple[Problem, ...], ...], depth: int) -> tuple[str, ...]:
    found = [n for b in branches for p in b if p.keyword == "type" and len(p.path) == depth for n in p.names]
    return tuple(dict.fromkeys(found))


def _no_such(branches: list[tuple[Problem, ...]], depth: int) -> Choice:
    told = [_discriminators(branch, depth) for branch in branches]
    shared = set.intersection(*({p.path for p in branch} for branch in told))
    if len(shared) != 1:
        return Choice()
    path = next(iter(shared))
    options = [option for branch in told for p in branch if p.path == path for option in p.limit]
    return Choice(path=path, options=tuple({repr(option): option for option in options}.values()))


def _tells_apart(problem: Problem, name: str) -> bool:
    """Whether no branch could be told by another missing key: then `name` is what selects the form."""
    return all(
        sum(p.keyword == "required" for p in branch) >= 1 and any(name in p.names for p in branch)
        for branch in problem.branches
    )
