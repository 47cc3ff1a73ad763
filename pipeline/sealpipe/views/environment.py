"""The plain tree of an environment, each service for itself: one that fails stops no other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from sealpipe.errors import Finding, RefusedError, SealpipeError, StoreError
from sealpipe.model import Broken, Head, TreeReport, Workspace
from sealpipe.project import TreeSpec
from sealpipe.publishing.heads import head
from sealpipe.released import Unit
from sealpipe.stores.registry import open_store
from sealpipe.views.drift import drift
from sealpipe.views.place import Place, Source
from sealpipe.views.write import Rules, Written, write_tree


def write_trees(
    workspace: Workspace, environment: str, source: Source, rules: Rules, *, only: Unit | None = None
) -> TreeReport | None:
    """Write the tree of an environment, None where it has none. What went wrong is in the findings.

    The heads are read again: what services accept now is written, whoever published it.
    """
    spec = workspace.project.environments[environment].tree
    if spec is None:
        return None
    lines: list[str] = []
    findings: list[Finding] = []

    def head_of(unit: Unit) -> Head | Broken | None:
        return head(source.store, source.prefix, unit, source.reader)

    try:
        with _opened(workspace, spec) as place:
            for unit in _units(spec, environment, only):
                try:
                    done = write_tree(place, source, unit, head_of, rules)
                except (StoreError, RefusedError) as error:
                    findings.append(_failed(place.url, unit, error))
                    continue
                if done is None:
                    findings += _no_release(place, unit, head_of(unit))
                    continue
                lines += _line(done)
                findings += _withheld(place, done)
    except SealpipeError as error:
        findings.append(_failed(spec.at, Unit(environment, "*"), error))
    return TreeReport(spec.at, tuple(lines), tuple(findings))


def tree_drift(
    workspace: Workspace, environment: str, source: Source, *, only: Unit | None = None
) -> tuple[Finding, ...]:
    """What is not as it must be in the tree of an environment; nothing where it has none."""
    spec = workspace.project.environments[environment].tree
    if spec is None:
        return ()
    findings: list[Finding] = []
    try:
        with _opened(workspace, spec) as place:
            for unit in _units(spec, environment, only):
                one = head(source.store, source.prefix, unit, source.reader)
                if isinstance(one, Head):
                    findings += _drift(place, source, one)
                else:
                    findings += _no_release(place, unit, one)
    except SealpipeError as error:
        findings.append(Finding("tree-unreachable", f"{spec.at}: {error.finding.what}"))
    return tuple(findings)


def _drift(place: Place, source: Source, one: Head) -> list[Finding]:
    try:
        return drift(place, source, one.release)
    except RefusedError as error:
        return [error.finding]


@contextmanager
def _opened(workspace: Workspace, spec: TreeSpec) -> Iterator[Place]:
    store, prefix = open_store(spec.at, base=workspace.root)
    try:
        yield Place(spec.at, store, prefix, spec.layout, workspace.project.id)
    finally:
        store.close()


def _units(spec: TreeSpec, environment: str, only: Unit | None) -> Sequence[Unit]:
    units = [Unit(environment, service) for service in spec.services]
    return units if only is None else [unit for unit in units if unit == only]


def _line(done: Written) -> list[str]:
    changed = [
        f"{count} {word}" for count, word in ((done.puts, "written"), (done.deletes, "deleted")) if count
    ]
    out = f"; left out, sealed: {', '.join(done.left_out)}" if done.left_out else ""
    return [f"{done.unit.service} #{done.number}  {', '.join(changed) or 'nothing to write'}{out}"]


def _withheld(place: Place, done: Written) -> list[Finding]:
    if not done.withheld:
        return []
    what = f"{place.url}: {len(done.withheld)} keys of {done.unit} were to go and are still there"
    return [
        Finding(
            "tree-removal",
            what,
            why=("more than `limits.removed_keys` of the service's settings; everything else was written",),
            hint=(f"if that is meant: sealpipe verify {done.unit} --repair --allow-removal",),
        )
    ]


def _no_release(place: Place, unit: Unit, one: Head | Broken | None) -> list[Finding]:
    why = "its head is no release" if isinstance(one, Broken) else "it was never published"
    what = f"{place.url}: the plain tree of {unit} was left as it is: {why}"
    return [Finding("tree-without-release", what, hint=(f"sealpipe verify {unit}",), severity="warning")]


def _failed(url: str, unit: Unit, error: SealpipeError) -> Finding:
    whole = unit.environment if unit.service == "*" else str(unit)
    found = error.finding
    if isinstance(error, RefusedError):
        return found
    return Finding(
        "tree",
        f"{url}: the plain tree of {whole}: {found.what} [{found.word}]",
        why=("services that read releases have what is published; the plain keys may be a part of it",),
        hint=(f"sealpipe verify {whole} --repair",),
    )
