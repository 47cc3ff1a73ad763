"""What is published, seen from outside: the matrix, a unit's past, a check of everything. Needs no key."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from sealpipe import git
from sealpipe.checks.trusted import target_refs
from sealpipe.errors import Finding, SealpipeError, StoreError
from sealpipe.flows.drafts import chosen_units, need_published_environment, published_environments
from sealpipe.flows.targets import mirrors_of, opened, primary, reader_of
from sealpipe.frozen import NamedTuple, frozen, replace
from sealpipe.model import Broken, Drafted, Head, Verification, Workspace
from sealpipe.paths import Path as SettingPath
from sealpipe.paths import lookup, settle, to_pointer
from sealpipe.project import layer_ids
from sealpipe.publishing.heads import archives, chain, heads
from sealpipe.publishing.verify import Mirror, verify
from sealpipe.released import Release, Unit
from sealpipe.stages.draft import draft
from sealpipe.stages.hold import still_rendered
from sealpipe.stages.load import load, units
from sealpipe.stages.validate import validate
from sealpipe.trees import CommitTree
from sealpipe.trust import Pin
from sealpipe.views.environment import tree_drift
from sealpipe.views.place import Source


class Cell(NamedTuple):
    """One service in one environment."""

    state: str  # same behind ahead differs held broken unpublished retired gone invalid unreachable
    number: int = 0
    behind: int = 0
    detail: str = ""  # of a hold: by and when; of a broken head: what is wrong
    release: Release | None = None


@frozen
class Status:
    """The matrix; `ref` is what "git" means in it."""

    environments: tuple[str, ...]
    services: tuple[str, ...]
    cells: Mapping[Unit, Cell]
    ref: str
    fetched: str  # how long ago, "" where nothing is fetched

    @property
    def differs(self) -> bool:
        return any(cell.state not in ("same", "retired") for cell in self.cells.values())

    @property
    def broken(self) -> bool:
        return any(cell.state == "broken" for cell in self.cells.values())


def status(
    workspace: Workspace, environment: str | None, service: str | None, *, pins: tuple[Pin, ...]
) -> Status:
    """Every service of every environment (or of the one given) against git. Never raises for a store.

    Git is the remote's branch as last fetched; where there is no remote, the files as they lie here.
    """
    if environment is not None:
        need_published_environment(workspace, environment)
    names = (environment,) if environment else published_environments(workspace)
    there, ref, fetched = _git_side(workspace)
    cells: dict[Unit, Cell] = {}
    for name in names:
        mine = tuple(u for u in units(there) if u.environment == name and service in (None, u.service))
        cells.update(_environment(workspace, there, name, service, mine, pins=pins))
    services = tuple(sorted({unit.service for unit in cells}))
    return Status(names, services, cells, ref, fetched)


def _git_side(workspace: Workspace) -> tuple[Workspace, str, str]:
    ref = target_refs(workspace)[0] if workspace.commit.commit else "HEAD"
    if not ref.startswith("refs/remotes/"):
        return workspace, "the files here", ""
    there = load(CommitTree(workspace.root, ref))
    name = f"{ref.removeprefix('refs/remotes/')} {there.commit.commit[:7]}"
    return there, name, _fetched(workspace.root)


def _fetched(root: str) -> str:
    try:
        path = os.fsdecode(git.run(["rev-parse", "--git-path", "FETCH_HEAD"], cwd=root)).strip()
        then = Path(root, path).stat().st_mtime
    except (SealpipeError, OSError):
        return ""
    return git.relative_time(then, time.time())


def _environment(
    workspace: Workspace,
    there: Workspace,
    name: str,
    service: str | None,
    mine: Sequence[Unit],
    *,
    pins: tuple[Pin, ...],
) -> dict[Unit, Cell]:
    configs = validate(there, mine).configs
    drafts = {unit: draft(config, there.keyrings) for unit, config in configs.items()}
    try:
        with primary(workspace, name) as target:
            found = heads(target.store, target.prefix, name, reader_of(workspace, pins))
    except StoreError as error:
        return {unit: Cell("unreachable", detail=error.finding.what) for unit in mine}
    known = {unit: one for unit, one in found.items() if service in (None, unit.service)}
    return {
        unit: _cell(there, unit, known.get(unit), drafts.get(unit), expected=unit in mine)
        for unit in sorted({*mine, *known})
    }


def _cell(
    there: Workspace, unit: Unit, one: Head | Broken | None, mine: Drafted | None, *, expected: bool
) -> Cell:
    if one is None:
        return Cell("unpublished")
    if isinstance(one, Broken):
        return Cell("broken", one.newest.payload.number if one.newest else 0, detail=one.what)
    release = one.release
    payload = release.payload
    state = ""
    if payload.retired is not None:
        state = "unpublished" if expected else "retired"
    elif not expected:
        state = "gone"
    elif mine is None:
        state = "invalid"
    elif payload.hold is not None and still_rendered(payload.hold, mine.draft):
        return Cell("held", payload.number, detail=str(payload.hold["by"]), release=release)
    elif mine.digest == payload.draft_digest:
        state = "same"
    return Cell(state, payload.number, release=release) if state else _distance(there, unit, release)


def _distance(there: Workspace, unit: Unit, release: Release) -> Cell:
    """How far git is from a release: commits that touch what the unit is made of."""
    number = release.payload.number
    commit = str((release.payload.git or {}).get("commit", ""))
    if not commit or not there.commit.commit:
        return Cell("differs", number, release=release)
    files = [f"environments/{env}/{name}.yaml" for env, name in layer_ids(there.project, unit)]
    try:
        if git.is_ancestor(there.root, there.commit.commit, commit) and commit != there.commit.commit:
            return Cell("ahead", number, release=release)
        args = ["rev-list", "--count", f"{commit}..{there.commit.commit}", "--", *files]
        behind = int(git.run(args, cwd=there.root))
    except (SealpipeError, ValueError):
        behind = 0
    return Cell("behind" if behind else "differs", number, behind, release=release)


# ---- the past of one unit


class Past(NamedTuple):
    """One release of a unit; `chained` is False for one that the head does not come from."""

    release: Release
    chained: bool
    current: bool


def history(workspace: Workspace, unit: Unit, *, pins: tuple[Pin, ...], limit: int = 20) -> tuple[Past, ...]:
    """The releases that the store still keeps, newest first. Raises StoreError, UsageError.

    A head that is no release is left out: `status` and `verify` say so.
    """
    reader = reader_of(workspace, pins)
    with primary(workspace, unit.environment) as target:
        one = heads(target.store, target.prefix, unit.environment, reader).get(unit)
        newest = one.release if isinstance(one, Head) else one.newest if one else None
        if newest is None:
            return ()
        chained = [release.digest for release in chain(target.store, target.prefix, newest, reader)]
        kept = {newest.digest: newest}
        for release in archives(target.store, target.prefix, unit, reader):
            kept[release.digest] = release
    ordered = sorted(kept.values(), key=lambda release: release.order, reverse=True)[:limit]
    current = newest.digest if isinstance(one, Head) else ""
    return tuple(Past(r, r.digest in chained, r.digest == current) for r in ordered)


class Step(NamedTuple):
    """A release in which the value of a path changed. `kind`: plain, secret or absent."""

    release: Release
    kind: str
    value: Any


def history_of(past: Sequence[Past], path: SettingPath) -> tuple[Step, ...]:
    """The releases in which a path got another value, newest first; the value of a secret is left out."""
    steps: list[tuple[Step, Any]] = []
    for one in reversed(past):
        draft_ = one.release.draft
        concrete = settle(draft_.values, path)
        if concrete is None:
            kind, value = "absent", None
        else:
            kind = "secret" if to_pointer(concrete) in draft_.sealed else "plain"
            value = lookup(draft_.values, concrete)
        if not steps or (steps[-1][0].kind, steps[-1][1]) != (kind, value):
            steps.append((Step(one.release, kind, value if kind == "plain" else None), value))
    return tuple(step for step, _ in reversed(steps))


# ---- everything read back


def verify_environment(
    workspace: Workspace, environment: str, service: str | None, *, pins: tuple[Pin, ...]
) -> Verification:
    """A store against itself, its mirrors, its plain tree and the files here.

    Raises StoreError when the primary is away.
    """
    need_published_environment(workspace, environment)
    only = Unit(environment, service) if service is not None else None
    mine = [u for u in units(workspace) if u.environment == environment and only in (None, u)]
    configs = validate(workspace, mine).configs
    drafts = {unit: draft(config, workspace.keyrings) for unit, config in configs.items()}
    with ExitStack() as open_stores:
        target = open_stores.enter_context(primary(workspace, environment))
        mirrors: list[Mirror] = []
        for url in mirrors_of(workspace, environment):
            there = open_stores.enter_context(opened(url, workspace.root))
            mirrors.append((url, there.store, there.prefix))
        reader = reader_of(workspace, pins)
        found = verify(
            environment,
            target.store,
            target.prefix,
            reader,
            mirrors=mirrors,
            drafted=drafts if len(drafts) == len(mine) else None,
            only=only,
        )
        drift = tree_drift(workspace, environment, Source(target.store, target.prefix, reader), only=only)
        return replace(found, findings=(*found.findings, *drift))


def invalid_note(workspace: Workspace, environment: str) -> Finding | None:
    """Said by `verify` where git could not be compared, because the files here are not valid."""
    found = validate(workspace, chosen_units(workspace, environment, None))
    if found.ok:
        return None
    what = f"{environment} was not compared with the files here: they are not valid"
    return Finding("not-compared", what, hint=(f"sealpipe validate {environment}",), severity="warning")
