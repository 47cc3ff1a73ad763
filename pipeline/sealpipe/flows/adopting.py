"""Published values into the files: what ends a hold, and takes over what was published from elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from sealpipe.documents import edit
from sealpipe.documents.read import read_yaml
from sealpipe.errors import Finding, RefusedError, TrustError, Where
from sealpipe.files import locked, write_atomic
from sealpipe.flows.drafts import chosen_units, render
from sealpipe.flows.targets import primary, reader_of
from sealpipe.frozen import NamedTuple, replace
from sealpipe.model import Broken, Change, Document, DocumentId, Drafted, Workspace
from sealpipe.paths import Path as SettingPath
from sealpipe.paths import settle, show_path
from sealpipe.publishing.heads import heads
from sealpipe.released import Draft, Release, Unit
from sealpipe.stages.changes import Leaf, changes, leaves
from sealpipe.stages.layer import documents_of
from sealpipe.trust import Pin


class Adopted(NamedTuple):
    """One unit's file with the published plain values in it. Nothing is written yet."""

    unit: Unit
    file: str
    before: str | None  # None: there was no file
    after: str
    changes: tuple[Change, ...]  # from the files to what is published; plain ones
    left: tuple[str, ...]  # secrets that differ: they are not taken over


def prepare_adoption(
    workspace: Workspace,
    environment: str,
    service: str | None,
    paths: Sequence[str],
    *,
    pins: tuple[Pin, ...],
) -> tuple[Adopted, ...]:
    """The new text of each chosen unit's own file, checked by rendering it. Writes nothing.

    `paths` (as people write them) restricts it to these and what is below them. Raises InputError where
    the files are not valid, before or after; RefusedError [not-published, cannot-adopt]; TrustError for
    a head that is no release; StoreError.
    """
    units = chosen_units(workspace, environment, service)
    rendered = render(workspace, units)
    with primary(workspace, environment) as target:
        found = heads(target.store, target.prefix, environment, reader_of(workspace, pins))
    made: list[Adopted] = []
    for unit in units:
        one = found.get(unit)
        if isinstance(one, Broken):
            raise TrustError("broken-head", f"{unit}: {one.what}", hint=[f"sealpipe verify {unit}"])
        if one is None or one.release.payload.retired is not None:
            if service is None:
                continue
            raise RefusedError("not-published", f"{unit} has no release to take values from")
        adopted = _adopt(workspace, rendered.drafted[unit], one.release, paths)
        if adopted is not None:
            made.append(adopted)
    return tuple(made)


def write_adoption(workspace: Workspace, made: Sequence[Adopted]) -> None:
    """Write the files. Raises RefusedError [changed-meanwhile] before writing any."""
    lock = Path(workspace.root, ".sealpipe", "edit.lock")
    lock.parent.mkdir(parents=True, exist_ok=True)
    with locked(lock):
        for one in made:
            path = Path(workspace.root, one.file)
            now = path.read_bytes().decode() if path.is_file() else None
            if now != one.before:
                raise RefusedError(
                    "changed-meanwhile",
                    "the file was changed meanwhile; nothing was written",
                    where=Where(one.file),
                )
        for one in made:
            path = Path(workspace.root, one.file)
            path.parent.mkdir(parents=True, exist_ok=True)
            write_atomic(path, one.after.encode())


def _adopt(workspace: Workspace, mine: Drafted, release: Release, paths: Sequence[str]) -> Adopted | None:
    differing = changes(mine.draft, release.draft)
    plain = tuple(c for c in differing if not c.kind.startswith("secret-") and _wanted(c.path, paths))
    left = tuple(c.path for c in differing if c.kind.startswith("secret-") and _wanted(c.path, paths))
    if not plain:
        return None
    unit = mine.unit
    name = DocumentId(unit.environment, unit.service)
    own = workspace.documents.get(name)
    file = own.file if own else f"environments/{unit}.yaml"
    document = own or Document(name, file, "", {})
    chosen = {change.path for change in plain}
    text = _removed(workspace, document, mine.draft, release.draft, chosen)
    text = _set(text, file, mine.draft, release.draft, chosen)
    _check(workspace, replace(document, text=text, values=read_yaml(text, file=file)), release, chosen)
    return Adopted(unit, file, own.text if own else None, text, plain, left)


def _wanted(path: str, paths: Sequence[str]) -> bool:
    return not paths or any(path == p or path.startswith((p + ".", p + "[", p + "/")) for p in paths)


def _set(text: str, file: str, mine: Draft, theirs: Draft, chosen: set[str]) -> str:
    before = leaves(mine)
    for path, leaf in leaves(theirs).items():
        if show_path(path) not in chosen or leaf.sealed or _same(before.get(path), leaf):
            continue
        text = edit.set_value(text, path, leaf.value, file=file)
    return text


def _same(one: Leaf | None, other: Leaf) -> bool:
    return (
        one is not None
        and not one.sealed
        and type(one.value) is type(other.value)
        and one.value == other.value
    )


def _removed(workspace: Workspace, document: Document, mine: Draft, theirs: Draft, chosen: set[str]) -> str:
    """The document without what is not published; `null` where a lower layer would bring it back."""
    text = document.text
    lower = [d for d in documents_of(workspace, Unit(*document.id)) if d.id != document.id]
    after = leaves(theirs)
    gone = [path for path in leaves(mine) if path not in after and show_path(path) in chosen]
    for path in dict.fromkeys(_highest(path, theirs) for path in gone):
        values = read_yaml(text, file=document.file) if text else {}
        if settle(values, path) is not None:
            text = edit.unset(text, path, file=document.file)
        if any(settle(d.values, path) is not None for d in lower):
            text = edit.set_value(text, path, None, file=document.file)
    return text


def _highest(path: SettingPath, theirs: Draft) -> SettingPath:
    """The shortest beginning of a path that is not published: a map that is gone goes as a whole."""
    for depth in range(1, len(path)):
        if settle(theirs.values, path[:depth]) is None:
            return path[:depth]
    return path


def _check(workspace: Workspace, document: Document, release: Release, chosen: set[str]) -> None:
    """Render the edited file and compare. Raises InputError, RefusedError [cannot-adopt]."""
    edited = replace(workspace, documents={**workspace.documents, document.id: document})
    unit = release.unit
    now = render(edited, (unit,)).drafted[unit]
    missed = [c.path for c in changes(now.draft, release.draft) if c.path in chosen]
    if missed:
        raise RefusedError(
            "cannot-adopt",
            f"{unit}: {document.file} cannot be made to say what is published for {', '.join(missed)}",
            why=["a lower layer decides it in a way that this file cannot override"],
            hint=[f"sealpipe explain {unit} {missed[0]}"],
        )


def adoption_notes(made: Sequence[Adopted]) -> list[Finding]:
    """The secrets that differ and were left alone."""
    return [
        Finding(
            "secret-left",
            f"{one.unit}: {', '.join(one.left)}: the published secret is another one and was not taken over",
            hint=(f"sealpipe set {one.unit} {one.left[0]}",),
            severity="warning",
        )
        for one in made
        if one.left
    ]
