"""Two configurations side by side: commits, environments, services, what is published, another folder."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from sealpipe import git
from sealpipe.checks.locate import Locator, deciding
from sealpipe.errors import UsageError
from sealpipe.flows.targets import primary, reader_of
from sealpipe.frozen import NamedTuple
from sealpipe.looking.reading import View, leaf_paths, merged, view_of, view_of_release
from sealpipe.model import Broken, Change, LayeredConfig, Workspace
from sealpipe.paths import to_pointer
from sealpipe.publishing.heads import heads
from sealpipe.released import Draft, Unit
from sealpipe.stages.changes import changes
from sealpipe.stages.load import load, units
from sealpipe.trees import PROJECT_FILE, CommitTree, WorkTree
from sealpipe.trust import Pin

PUBLISHED = "published:"


class Side(NamedTuple):
    """One side of a comparison. `drafts` is by unit; `environment` is set when the side is one alone."""

    label: str
    drafts: Mapping[Unit, Draft]
    origins: Mapping[Unit, Mapping[str, str]]
    environment: str
    service: str


class Difference(NamedTuple):
    """One service: what the second side has that the first has not."""

    name: str  # "checkout", or "dev/checkout" between whole repositories
    kind: str  # changed, added, removed
    changes: tuple[Change, ...]
    unknown: int  # secrets that both sides have and nobody can compare without opening them


class Comparison(NamedTuple):
    one: str
    other: str
    differences: tuple[Difference, ...]
    same: int  # services without a difference


Pins = Callable[[], tuple[Pin, ...]]


def compare(workspace: Workspace, one: str, other: str, pins: Pins) -> Comparison:
    """Compare two sides, each `REF`, `ENV`, `ENV/SERVICE`, `published:ENV[/SERVICE]` or a folder; "" is the
    work tree.

    When one side is an environment and the other a whole repository, that environment of it is taken.
    Nothing is opened: secrets of different environments cannot be compared and are counted. Raises
    UsageError for a side that is nothing of these, InputError for layers that do not merge, StoreError.
    """
    first = _side(workspace, one, pins)
    second = _side(workspace, other, pins)
    scope = first if first.environment else second
    left, right = _keyed(first, scope), _keyed(second, scope)
    across = first.environment != second.environment and bool(first.environment and second.environment)
    found = []
    same = 0
    for name in dict.fromkeys([*left, *right]):
        difference = _difference(name, left.get(name), right.get(name), across)
        if difference.changes or difference.kind != "changed" or difference.unknown:
            found.append(difference)
        else:
            same += 1
    return Comparison(first.label, second.label, tuple(found), same)


class _One(NamedTuple):
    draft: Draft
    origins: Mapping[str, str]


def _keyed(side: Side, scope: Side) -> dict[str, _One]:
    environment = side.environment or scope.environment
    service = side.service or scope.service
    found = {}
    for unit, draft in side.drafts.items():
        if environment and unit.environment != environment:
            continue
        if service and unit.service != service:
            continue
        # Two services may be compared with each other: then both go by one name.
        name = str(unit) if not environment else "" if side.service else unit.service
        found[name or scope.service] = _One(draft, side.origins.get(unit, {}))
    return found


def _difference(name: str, left: _One | None, right: _One | None, across: bool) -> Difference:
    found = changes(
        left.draft if left else None,
        right.draft if right else None,
        old_origins=left.origins if left else None,
        new_origins=right.origins if right else None,
    )
    unknown = 0
    if across:
        kept = tuple(change for change in found if change.kind not in ("secret-changed", "secret-resealed"))
        unknown, found = len(found) - len(kept), kept
    kind = "added" if left is None else "removed" if right is None else "changed"
    return Difference(name, kind, found, unknown)


# ---- sides


def _side(workspace: Workspace, text: str, pins: Pins) -> Side:
    if text == "":
        return _tree_side(workspace, "work tree")
    if text.startswith(PUBLISHED):
        return _published(workspace, text, pins())
    environment, _, service = text.partition("/")
    if environment in workspace.project.environments:
        return _environment(workspace, environment, service)
    if Path(text, PROJECT_FILE).is_file():
        return _tree_side(load(WorkTree(text)), text)
    if workspace.commit.commit and _is_ref(workspace.root, text):
        tree = CommitTree(workspace.root, text)
        return _tree_side(load(tree), f"{text} ({tree.commit.commit[:7]})")
    names = ", ".join(workspace.project.environments)
    raise UsageError(
        "unknown-side",
        f"`{text}` is no commit, no environment and no folder with a {PROJECT_FILE}",
        why=[f"environments here: {names}; what is published: {PUBLISHED}ENV"],
    )


def _is_ref(root: str, text: str) -> bool:
    return not text.startswith("-") and ":" not in text and git.resolve(root, text) is not None


def _tree_side(workspace: Workspace, label: str) -> Side:
    return _of(workspace, units(workspace), label, "", "")


def _environment(workspace: Workspace, environment: str, service: str) -> Side:
    if workspace.project.abstract(environment):
        raise UsageError(
            "abstract-environment", f"{environment} is a layer only: nothing of it is merged or published"
        )
    label = f"{environment}/{service}" if service else environment
    chosen = [u for u in units(workspace) if u.environment == environment and service in ("", u.service)]
    if service and not chosen:
        merged(workspace, Unit(environment, service))  # raises what is to be said
    return _of(workspace, chosen, label, environment, service)


def _of(
    workspace: Workspace, chosen: list[Unit] | tuple[Unit, ...], label: str, env: str, service: str
) -> Side:
    locator = Locator()
    drafts: dict[Unit, Draft] = {}
    places: dict[Unit, Mapping[str, str]] = {}
    for unit in chosen:
        config, schema = merged(workspace, unit)
        drafts[unit] = _draft(view_of(config, schema))
        places[unit] = _origins(config, locator)
    return Side(label, drafts, places, env, service)


def _draft(view: View) -> Draft:
    return Draft(view.values, view.sealed, view.merge_keys, (), {})


def _origins(config: LayeredConfig, locator: Locator) -> dict[str, str]:
    found = {}
    for path in leaf_paths(config.values, config.merge_keys):
        if config.documents and path:
            document, local = deciding(config.documents, config.values, config.merge_keys, path)
            where = locator.place(document, local, key=True)
            found[to_pointer(path)] = f"{where.file}:{where.line}"
    return found


def _published(workspace: Workspace, text: str, pins: tuple[Pin, ...]) -> Side:
    environment, _, service = text.removeprefix(PUBLISHED).partition("/")
    with primary(workspace, environment) as target:
        found = heads(target.store, target.prefix, environment, reader_of(workspace, pins))
    drafts: dict[Unit, Draft] = {}
    places: dict[Unit, Mapping[str, str]] = {}
    for unit, one in found.items():
        if isinstance(one, Broken):
            if service in ("", unit.service):
                raise UsageError(one.word, f"{unit}: {one.what}", hint=[f"sealpipe verify {unit}"])
            continue
        if one.release.payload.retired is None:
            drafts[unit] = _draft(view_of_release(one.release, workspace))
            places[unit] = one.release.payload.origins
    return Side(text, drafts, places, environment, service)
