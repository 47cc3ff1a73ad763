"""What a plan is shown with: who set a secret last, what needs a restart, who must approve."""

from __future__ import annotations

from collections.abc import Mapping

from sealpipe import git
from sealpipe.checks.trusted import target_refs
from sealpipe.errors import SealpipeError
from sealpipe.flows.planning import Request, restart_only
from sealpipe.flows.ship import waiting_for
from sealpipe.frozen import frozen
from sealpipe.model import Plan, Workspace
from sealpipe.project import Project
from sealpipe.publishing.approvals import Missing
from sealpipe.released import Unit
from sealpipe.stages.load import load_project
from sealpipe.trees import CommitTree

BLAMED = 20  # lines asked of git for one plan


@frozen
class Shown:
    """A plan and what stands beside it on the page; nothing of it is in the digest."""

    plan: Plan
    target: str
    authors: Mapping[Unit, Mapping[str, str]]  # pointer of a changed secret -> "ben, 2 days ago"
    restarts: Mapping[Unit, str]  # a changed path that needs a restart
    waiting: tuple[Missing, ...]
    branch: str  # the protected branch that CI publishes from, "" where there is none
    moves: tuple[str, ...] = ()  # changes of where and how it is published, to be read first


def shown(workspace: Workspace, request: Request, planned: Plan, *, before: Project | None = None) -> Shown:
    """The page of a plan. `before` is sealpipe.yaml of the commit compared with; without it, the target
    branch's where there is one.

    Never raises for what only decorates: a file that git does not know has no author."""
    entry = workspace.trust.environments.get(request.environment) if workspace.trust else None
    return Shown(
        plan=planned,
        target=request.target,
        authors=_authors(workspace.root, planned),
        restarts=restart_only(workspace, planned),
        waiting=waiting_for(workspace, planned),
        branch=entry.branch if entry and entry.protected else "",
        moves=_moves(workspace, request.environment, before or _project_before(workspace)),
    )


def _project_before(workspace: Workspace) -> Project | None:
    ref = target_refs(workspace)[0] if workspace.commit.commit else ""
    if not ref:
        return None
    try:
        return load_project(CommitTree(workspace.root, ref))
    except SealpipeError:
        return None


def _moves(workspace: Workspace, environment: str, before: Project | None) -> tuple[str, ...]:
    """Where an environment is published and what guards it: the store's token in CI follows the URL."""
    old = before.environments.get(environment) if before else None
    new = workspace.project.environments.get(environment)
    if before is None or old is None or new is None:
        return ()
    found = [
        f"{name} of {environment}: {_text(getattr(old, name))} → {_text(getattr(new, name))}"
        for name in ("publish_to", "mirrors", "tree")
        if getattr(old, name) != getattr(new, name)
    ]
    if before.limits != workspace.project.limits:
        limits = [
            f"{p.limits.removed_keys:.0%} removed, {p.limits.growth:g} times"
            for p in (before, workspace.project)
        ]
        found.append(f"limits: {limits[0]} → {limits[1]}")
    return tuple(found)


def _text(value: object) -> str:
    if isinstance(value, tuple):
        return ", ".join(str(item) for item in value) or "none"
    return "none" if value is None else str(value)


def _authors(root: str, planned: Plan) -> dict[Unit, dict[str, str]]:
    found: dict[Unit, dict[str, str]] = {}
    left = BLAMED
    for one in planned.changed:
        for change in one.changes:
            file, _, line = change.where.rpartition(":")
            secret = change.kind in ("secret-added", "secret-changed", "secret-resealed")
            if not secret or not file or left == 0:
                continue
            left -= 1
            blamed = _blame(root, file, int(line))
            if blamed:
                found.setdefault(one.unit, {})[change.pointer] = blamed
    return found


def _blame(root: str, file: str, line: int) -> str:
    try:
        known = git.log_of_line(root, file, line)
    except SealpipeError:
        return ""
    return f"{known.author}, {known.when}" if known else ""
