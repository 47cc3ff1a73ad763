"""What commands read before they do anything: the repository, the pinned trust, the person's key."""

from __future__ import annotations

import os
import sys
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

from sealpipe.cli import output
from sealpipe.cli.options import Common, Target
from sealpipe.errors import TrustError, UsageError

if TYPE_CHECKING:
    from sealpipe.crypto.keys import Identity, SigningKey
    from sealpipe.editing.writing import FileEdit
    from sealpipe.model import DocumentId, Workspace
    from sealpipe.opening import DocumentKeys
    from sealpipe.released import Unit
    from sealpipe.trust import Pin


def read_workspace(opts: Common, *, at: str = "") -> Workspace:
    """The repository as values, of the work tree or of a commit; unreadable files are its findings."""
    from sealpipe.stages.load import load
    from sealpipe.trees import CommitTree, WorkTree

    root = opts.root()
    return load(CommitTree(root, at) if at else WorkTree(root))


def read_unit(opts: Common, unit: Unit) -> Workspace:
    """What one unit is made of, without git and all that is not its own; the whole repository where there
    is no such unit, so that the refusal can say what there is."""
    from sealpipe.stages.load import load, units
    from sealpipe.trees import WorkTree

    found = load(WorkTree(opts.root()), only=unit)
    return found if unit in units(found) else read_workspace(opts)


def trusted_pins(opts: Common, workspace: Workspace) -> tuple[Pin, ...]:
    """The pins, and proof that trust.yaml and the keyrings are the ones to act on. Raises TrustError."""
    from sealpipe.checks.trusted import require_trusted, settled_version
    from sealpipe.pins import need_pins, note_version, store_pin

    if workspace.trust is None:
        require_trusted(workspace, pins=())
        raise TrustError(
            "no-trust", "there is no trust/trust.yaml", hint=["git checkout HEAD -- trust/trust.yaml"]
        )
    pins = need_pins(
        os.environ,
        workspace.trust,
        workspace.roots,
        terminal=sys.stdin.isatty(),
        say=lambda line: output.say(opts, line),
    )
    require_trusted(workspace, pins=pins)
    from_variable = bool(os.environ.get("SEALPIPE_TRUST", "").strip())
    if not from_variable and any(pin.min_version < workspace.trust.version for pin in pins):
        settled = settled_version(workspace)
        note_version(os.environ, workspace.project.id, settled)
        if settled == workspace.trust.version:
            # The chain carried the old pin; from now on it need not, and may lose its oldest root.
            store_pin(os.environ, workspace.trust, workspace.roots)
    return pins


def my_identity(workspace: Workspace) -> Identity:
    """The person's key; of several, the one that this project knows. TrustError [no-key]."""
    from sealpipe.keysource import need_identity

    return need_identity(os.environ, known=recipients(workspace))


def recipients(workspace: Workspace) -> list[str]:
    """Every reading key that the project names."""
    keys = workspace.trust.keys.values() if workspace.trust else ()
    return [key.read for key in keys if key.read]


def signing_keys(workspace: Workspace) -> tuple[SigningKey, ...]:
    """Every key that can sign here: SEALPIPE_SIGNING_KEY's and the person's. TrustError [no-key]."""
    from sealpipe.keysource import find_signing_keys, need_identity

    known = recipients(workspace)
    return find_signing_keys(os.environ, known=known) or (need_identity(os.environ, known=known).sign,)


def my_keys(workspace: Workspace, environment: str, only: Collection[str] | None = None) -> DocumentKeys:
    """What the person opens in an environment (of the documents in `only`). TrustError [no-key], or
    [no-reader] for who opens nothing there."""
    from sealpipe.opening import document_keys

    keyring = workspace.keyrings.get(environment)
    mine = my_identity(workspace).read
    found = document_keys(keyring, mine, only) if keyring else {}
    if not found and not (only is not None and keyring and document_keys(keyring, mine)):
        raise TrustError(
            "no-reader",
            f"your key opens nothing in {environment}",
            why=["only readers of an environment can open its secrets; anybody can set one"],
            hint=[f"sealpipe keys list {environment}"],
        )
    return found


def maybe_keys(workspace: Workspace, environment: str) -> DocumentKeys:
    """As `my_keys`; empty for who has no key, or one that opens nothing there."""
    try:
        return my_keys(workspace, environment)
    except TrustError as error:
        if error.word in ("no-key", "no-reader"):
            return {}
        raise


def with_document_key(
    workspace: Workspace, documents: Sequence[DocumentId]
) -> tuple[Workspace, tuple[FileEdit, ...]]:
    """The workspace with a key for each document that has none, where the person may make one.

    Gives the keyrings' edits to write along. Whoever is no admin gets the workspace as it was: sealing
    then says who can help.
    """
    edits: dict[str, FileEdit] = {}
    for environment, name in documents:
        keyring = workspace.keyrings.get(environment)
        if keyring is None or name in keyring.keys:
            continue
        from sealpipe.errors import RefusedError
        from sealpipe.frozen import replace
        from sealpipe.keysource import find_signing_keys
        from sealpipe.membership.keyring_edit import ensure_document_key, keyring_files

        keys = find_signing_keys(os.environ, known=recipients(workspace))
        try:
            made = ensure_document_key(workspace, environment, name, keys=keys)
        except RefusedError:
            continue
        if made is not None and made.complete:
            workspace = replace(workspace, keyrings={**workspace.keyrings, environment: made.keyring})
            edits |= {edit.file: edit for edit in keyring_files(workspace.root, [made])}
    return workspace, tuple(edits.values())


def document_of(target: Target) -> DocumentId:
    """The document that `ENV/SERVICE` (or `ENV/_all`) names. UsageError without the second part."""
    from sealpipe.model import DocumentId

    unit = target.unit()
    return DocumentId(unit.environment, unit.service)


def write(opts: Common, workspace_root: str, edits: Sequence[FileEdit]) -> None:
    """Write edits, or under --dry-run say which files they would change."""
    from sealpipe.editing.writing import apply

    if opts.dry_run:
        for edit in edits:
            if edit.before != edit.after:
                output.note(opts, f"would {'change' if edit.before is not None else 'write'}  {edit.file}")
        return
    apply(workspace_root, edits)


def need_environment(workspace: Workspace, name: str) -> None:
    """UsageError [unknown-environment] for a name that sealpipe.yaml does not have."""
    import difflib

    names = list(workspace.project.environments)
    if name not in names:
        near = difflib.get_close_matches(name, names, 1)
        why = f"did you mean `{near[0]}`?" if near else f"environments here: {', '.join(names)}"
        raise UsageError("unknown-environment", f"there is no environment `{name}`", why=[why])
