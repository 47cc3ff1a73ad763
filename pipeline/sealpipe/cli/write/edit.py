"""`sealpipe edit`: a document in an editor, its secrets readable there and nowhere else."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

from sealpipe.cli import options, output, workspaces
from sealpipe.cli.options import Common, Target
from sealpipe.errors import InputError, RefusedError

if TYPE_CHECKING:
    from sealpipe.editing.readable import Edited, Readable
    from sealpipe.editing.writing import FileEdit
    from sealpipe.model import Document, Workspace
    from sealpipe.opening import DocumentKeys

_EXAMPLES = ("sealpipe edit dev/checkout", "EDITOR=nano sealpipe edit dev/_all")


@options.command("edit", examples=_EXAMPLES)
@options.target_argument(service="required")
@options.common(writes=True)
def command(opts: Common, *, target: Target) -> None:
    """Open the file of ENV/SERVICE in your editor with its secrets readable.

    The text lies in a private folder in memory while you edit. Only secrets that you change are sealed
    again. A result that is not valid can be edited again; nothing that you typed is lost.
    """
    from sealpipe.editing.readable import readable
    from sealpipe.files import private_folder
    from sealpipe.membership.slots import find_document, schema_of

    workspace = workspaces.read_workspace(opts)
    document = find_document(workspace, workspaces.document_of(target))
    workspace, keyrings, keys = _keys(opts, workspace, document)
    shown = readable(document, schema_of(workspace, document.id), keys)
    if shown.closed:
        output.note(opts, f"stays sealed, your key does not open it: {', '.join(shown.closed)}")
    with private_folder() as folder:
        result = _until_good(opts, workspace, document, shown, folder / Path(document.file).name)
    if result is None or result.edit is None:
        output.note(opts, "nothing changed")
        return
    workspaces.write(opts, workspace.root, [*(keyrings if result.sealed else ()), result.edit])
    if not opts.dry_run:
        from sealpipe.cli.render.text_values import sealed_values

        output.note(opts, [f"wrote      {document.file}", *sealed_values(document.file, result.sealed)])


def _keys(
    opts: Common, workspace: Workspace, document: Document
) -> tuple[Workspace, tuple[FileEdit, ...], DocumentKeys]:
    """The person's keys; whatever would keep the result from being sealed is said before the editor opens."""
    if workspace.project.abstract(document.id.environment):
        return workspace, (), {}
    workspaces.trusted_pins(opts, workspace)
    workspace, keyrings = workspaces.with_document_key(workspace, [document.id])
    return workspace, keyrings, workspaces.maybe_keys(workspace, document.id.environment)


def _until_good(
    opts: Common, workspace: Workspace, document: Document, shown: Readable, file: Path
) -> Edited | None:
    """Edit until the result can be written; None when the person gives up."""
    from sealpipe.cli.editor import run_editor
    from sealpipe.crypto.sealing import Sealer
    from sealpipe.editing.readable import edited

    file.touch(mode=0o600)
    file.write_text(shown.text, encoding="utf-8", newline="")
    while True:
        run_editor(file, str(document.id))
        text = file.read_bytes().decode("utf-8", errors="replace")
        result = edited(workspace, document, shown, text, Sealer())
        if not result.findings:
            return result
        if not sys.stdin.isatty():
            raise InputError(result.findings)
        output.show_findings(result.findings, given_folder=opts.given_folder)
        if not _again():
            return None


def _again() -> bool:
    """Whether to open the editor again; only a typed `d` throws the text away."""
    while True:
        answer = output.ask("\nNothing was written. Edit again, or discard what you typed? [E/d] ")
        if answer is None:
            raise RefusedError("not-confirmed", "no answer; nothing was written")
        if answer.strip().lower() in ("", "e", "edit"):
            return True
        if answer.strip().lower() in ("d", "discard"):
            return False
