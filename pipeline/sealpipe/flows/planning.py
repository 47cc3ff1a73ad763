"""The plan of an environment: against what its store has, or against another commit without any store."""

from __future__ import annotations

from collections.abc import Mapping

from sealpipe import caches
from sealpipe.checks.standing import NOBODY, Looked, Record, Standing
from sealpipe.errors import SealpipeError, UsageError
from sealpipe.flows.drafts import Rendered, chosen_units, render, schema_of, with_origins
from sealpipe.flows.targets import Target, primary, reader_of
from sealpipe.frozen import NamedTuple
from sealpipe.model import Broken, Drafted, Head, Plan, Workspace
from sealpipe.paths import from_pointer
from sealpipe.publishing.heads import Reader, heads, heads_listed, released, versions
from sealpipe.released import Release, Unit
from sealpipe.releases.keys import state_key
from sealpipe.stages.draft import draft
from sealpipe.stages.hold import still_rendered
from sealpipe.stages.load import load, units
from sealpipe.stages.plan import NOTHING, Allowed, Base, Surroundings, plan
from sealpipe.stages.validate import validate
from sealpipe.trees import CommitTree
from sealpipe.trust import Pin

Heads = Mapping[Unit, Head | Broken]


class Request(NamedTuple):
    """What somebody wants planned or published."""

    environment: str
    service: str | None = None
    allowed: Allowed = NOTHING
    break_glass: str | None = None
    supersede: str = ""
    expected: str = ""  # the digest of an approved plan, or its beginning

    @property
    def target(self) -> str:
        return f"{self.environment}/{self.service}" if self.service else self.environment

    def drafted(self, workspace: Workspace) -> tuple[Unit, ...]:
        """The units to draft: those chosen without what is to be retired."""
        if self.service is not None and Unit(self.environment, self.service) in self.allowed.retire:
            return ()
        chosen = chosen_units(workspace, self.environment, self.service)
        return tuple(unit for unit in chosen if unit not in self.allowed.retire)


def plan_published(workspace: Workspace, request: Request, pins: tuple[Pin, ...]) -> Plan:
    """What publishing would change. Needs no key; without pins the heads are checked by our own root.

    Raises InputError when what would be published is not valid, StoreError, UsageError.
    """
    rendered = render(workspace, request.drafted(workspace))
    with primary(workspace, request.environment) as target:
        reader = reader_of(workspace, pins)
        found = read_heads(target, request, reader)
    return plan_over(rendered, request, found, target.url)


def read_heads(target: Target, request: Request, reader: Reader, stood: Standing = NOBODY) -> Heads:
    """All heads of the environment but of who stands, also for a request about one unit: trust versions
    count for all."""
    at = (target.store, target.prefix, request.environment, reader)
    return heads(*at) if stood.listing is None else heads_listed(*at, stood.listing, without=stood.versions)


def look(target: Target, environment: str, record: Record | None) -> Looked:
    """Ask the store, unless there is nothing to compare with. Raises nothing."""
    if record is None:
        return Looked()
    try:
        entry = target.store.get(state_key(target.prefix, environment), fresh=True)
        if entry is None or caches.digest(entry.value) != record.state:
            return Looked()
        return Looked(versions(target.store, target.prefix, environment, since=record.listing))
    except SealpipeError as error:
        return Looked(failure=error)


def plan_over(rendered: Rendered, request: Request, found: Heads, against: str) -> Plan:
    """The plan over heads already read."""
    workspace, bases = rendered.workspace, released(found)
    drafts = with_origins(rendered, _moving(rendered.drafted, bases))
    around = Surroundings(
        limits=workspace.project.limits,
        commit=workspace.commit,
        against=against,
        trust_version=workspace.trust.version if workspace.trust else 0,
        publishers=_publishers(workspace, request.environment),
        whole=request.service is None,
        held_drafts=_held_drafts(workspace, rendered.drafted, bases),
        successors=successors(workspace),
        defaults=lambda unit: defaulted(workspace, unit),
    )
    return plan(request.environment, drafts, bases, around, request.allowed)


def _publishers(workspace: Workspace, environment: str) -> frozenset[str]:
    entry = workspace.trust.environments.get(environment) if workspace.trust else None
    return frozenset((*entry.publishers.of, *entry.break_glass.of)) if entry else frozenset()


def plan_between(workspace: Workspace, base: Workspace, request: Request) -> Plan:
    """The plan from another commit to this one, without a store: what a pull request would change.

    Raises InputError when this side is not valid. Units that the other side had in an invalid form count
    as new ones.
    """
    rendered = render(workspace, request.drafted(workspace))
    old = _base_drafts(base, request)
    around = Surroundings(
        limits=workspace.project.limits,
        commit=workspace.commit,
        against=f"commit {base.commit.commit[:7]}",
        whole=request.service is None,
        successors=successors(workspace),
        defaults=lambda unit: defaulted(workspace, unit),
    )
    drafts = with_origins(rendered, _moving(rendered.drafted, old))
    return plan(request.environment, drafts, old, around, request.allowed)


def _base_drafts(base: Workspace, request: Request) -> dict[Unit, Base]:
    if request.environment not in base.project.environments:
        return {}
    there = tuple(u for u in units(base) if u.environment == request.environment)
    chosen = tuple(u for u in there if request.service in (None, u.service))
    configs = validate(base, chosen).configs
    return {unit: draft(config, base.keyrings) for unit, config in configs.items()}


def _moving(drafted: Mapping[Unit, Drafted], bases: Mapping[Unit, Base]) -> list[Unit]:
    """Units whose draft is not what is published: only they need origins."""
    moving = []
    for unit, new in drafted.items():
        base = bases.get(unit)
        old = base.newest if isinstance(base, Broken) else base
        digest = old.payload.draft_digest if isinstance(old, Release) else old.digest if old else ""
        if digest != new.digest or isinstance(base, Broken):
            moving.append(unit)
    return moving


def _held_drafts(
    workspace: Workspace, drafted: Mapping[Unit, Drafted], bases: Mapping[Unit, Base]
) -> dict[Unit, str]:
    """For units under a hold that stands: the draft that git gave at the commit of their head.

    Left out where this clone does not know the commit: nobody can say then whether the unit moved.
    """
    found: dict[Unit, str] = {}
    for unit, new in drafted.items():
        base = bases.get(unit)
        if not isinstance(base, Release) or base.payload.hold is None or not base.payload.git:
            continue
        if still_rendered(base.payload.hold, new.draft):
            digest = draft_digest_at(workspace.root, str(base.payload.git["commit"]), unit)
            if digest:
                found[unit] = digest
    return found


def draft_digest_at(root: str, commit: str, unit: Unit) -> str:
    """The digest of a unit's draft in a commit; "" when it cannot be made there."""
    try:
        then = load(CommitTree(root, commit))
        config = validate(then, (unit,)).configs.get(unit)
        return draft(config, then.keyrings).digest if config is not None else ""
    except SealpipeError:
        return ""


def successors(workspace: Workspace) -> dict[str, str]:
    """Old service name -> the service that says `renamed_from`."""
    return {spec.renamed_from: name for name, spec in workspace.project.services.items() if spec.renamed_from}


def defaulted(workspace: Workspace, unit: Unit) -> frozenset[str]:
    """Pointers for which the unit's schema has a default."""
    try:
        schema = schema_of(workspace, unit.service)
    except SealpipeError:
        return frozenset()
    found = set()
    for path, spot in schema.named():
        if spot.annotation("default") is not None:
            found.add("/" + "/".join(part.replace("~", "~0").replace("/", "~1") for part in path))
    return frozenset(found)


def restart_only(workspace: Workspace, planned: Plan) -> dict[Unit, str]:
    """For each changed unit, a path that the schema says needs a restart, "" where none does."""
    found: dict[Unit, str] = {}
    for one in planned.changed:
        try:
            schema = schema_of(workspace, one.unit.service)
        except SealpipeError:
            continue
        paths = [c.path for c in one.changes if schema.restart(tuple(from_pointer(c.pointer)))]
        found[one.unit] = paths[0] if paths else ""
    return found


def find_base(root: str, ref: str) -> Workspace:
    """The repository at another commit. Raises UsageError [unknown-commit]."""
    if not ref:
        raise UsageError("usage", "--base needs a commit, branch or tag")
    return load(CommitTree(root, ref))
