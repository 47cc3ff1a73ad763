"""The program inside a run: its stores, time and chance are the run's, and pure work is remembered."""

from __future__ import annotations

import functools
import random
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

from sealpipe import git
from sealpipe.errors import TrustError
from sealpipe.flows import planning
from sealpipe.frozen import replace
from sealpipe.publishing import heads as heads_module
from sealpipe.released import Release
from sealpipe.releases.check import inspect
from sealpipe.stores.base import Store
from sealpipe.trees import WorkTree
from simulation.repository import repository

if TYPE_CHECKING:
    from simulation.run import Run

CHUNK = 2048  # instead of 128 KiB: what is larger goes in parts


class _Time:
    """`time` for the program: the world's, and what a process slept by itself."""

    def __init__(self, run: Run) -> None:
        self.run = run

    def monotonic(self) -> float:
        actor = self.run.scheduler.current
        return self.run.scheduler.steps / 1000 + (actor.slept if actor else 0.0)

    def sleep(self, seconds: float) -> None:
        actor = self.run.scheduler.current
        if actor is not None:
            actor.slept += seconds
            actor.turn()


class _Secrets:
    """`secrets` for the program: a function of the seed."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)  # noqa: S311 - a seed is to be repeated

    def token_hex(self, size: int) -> str:
        return self._random.randbytes(size).hex()

    def token_bytes(self, size: int) -> bytes:
        return self._random.randbytes(size)


_run: list[Run] = []


@functools.cache
def _ancestor(folder: str, older: str, newer: str) -> bool | None:
    return _real_ancestor(folder, older, newer)


@functools.cache
def _pushed(folder: str, commit: str, branch: str) -> bool:
    return _real_pushed(folder, commit, branch)


_real_ancestor, _real_pushed = git.is_ancestor, git.is_pushed


@functools.cache
def _tree(root: str) -> WorkTree:
    return WorkTree(root)


def _rendered(workspace: Any, chosen: Any) -> Any:
    return _part(_number(workspace), frozenset(chosen))


def _number(workspace: Any) -> int:
    return repository().commits.index(workspace.commit.commit)


@functools.cache
def _part(number: int, chosen: frozenset[Any]) -> Any:
    whole = repository().rendered[number]
    return replace(whole, drafted={unit: one for unit, one in whole.drafted.items() if unit in chosen})


def _origins(rendered: Any, chosen: Any) -> Any:
    return _origins_of(_number(rendered.workspace), frozenset(rendered.drafted), tuple(chosen))


@functools.cache
def _origins_of(number: int, drafted: frozenset[Any], chosen: tuple[Any, ...]) -> Any:
    return _real_origins(_part(number, drafted), chosen)


_real_origins = planning.with_origins
_payload = functools.lru_cache(maxsize=4096)(heads_module.payload_from_json)


@functools.lru_cache(maxsize=4096)
def _inspected(raw: bytes, unit: Any, pins: Any, project: str | None) -> Any:
    return inspect(raw, pins=pins, unit=unit, project=project)


def _check(raw: bytes, *, pins: Any, unit: Any, project: str | None = None) -> Any:
    found = _inspected(raw, unit, tuple(pins), project)
    if isinstance(found, Release):
        return found
    raise TrustError(found.why.word, found.why.what, why=found.why.why, hint=found.why.hint)


def _open(url: str, *, base: str) -> tuple[Store, str]:
    return _run[-1].open(url, base=base)


@contextmanager
def simulated(run: Run) -> Iterator[None]:
    """Inside, the program's stores, time and random numbers are the run's; pure functions over the fixed
    repository and over bytes already looked at are remembered. Nothing of the protocol is replaced.
    """
    time, secrets = _Time(run), _Secrets(1)
    names: Sequence[tuple[str, Any]] = (
        ("sealpipe.flows.targets.open_store", _open),
        ("sealpipe.stores.registry.open_store", _open),
        ("sealpipe.views.environment.open_store", _open),
        ("sealpipe.views.write.time", time),
        ("sealpipe.views.write.random", random.Random(1)),  # noqa: S311 - the same in every run
        ("sealpipe.views.place.secrets", secrets),
        *(run.copies.patches() if run.copies is not None else ()),
        ("sealpipe.client.start.time", time),
        ("sealpipe.releases.fetch.time", time),
        ("sealpipe.releases.fetch.CHUNK", CHUNK),
        ("sealpipe.releases.wire.CHUNK", CHUNK),
        ("sealpipe.publishing.sign.secrets", secrets),
        ("sealpipe.git.is_ancestor", _ancestor),
        ("sealpipe.git.is_pushed", _pushed),
        ("sealpipe.flows.permission.WorkTree", _tree),
        ("sealpipe.flows.ship.render", _rendered),
        ("sealpipe.flows.planning.with_origins", _origins),
        ("sealpipe.publishing.heads.check_release", _check),
        ("sealpipe.publishing.heads.payload_from_json", _payload),
        ("sealpipe.client.start.check_release", _check),
    )
    _run.append(run)
    try:
        with ExitStack() as stack:
            for name, value in names:
                stack.enter_context(patch(name, value))
            yield
    finally:
        _run.pop()
