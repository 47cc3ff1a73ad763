"""`sealpipe seal`: what stands in plain at secret paths."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sealpipe.cli import options, output, workspaces
from sealpipe.cli.options import Common, Target
from sealpipe.errors import Finding, InputError

if TYPE_CHECKING:
    from sealpipe.editing.sealing import SealedDocument
    from sealpipe.model import Document, DocumentId, Workspace

_EXAMPLES = ("sealpipe seal", "sealpipe seal staging/mailer", "sealpipe seal dev --dry-run")


@options.command("seal", examples=_EXAMPLES)
@options.target_argument(required=False)
@options.common(writes=True)
def command(opts: Common, *, target: Target | None) -> None:
    """Seal the plaintext that stands at secret paths, everywhere or in ENV or ENV/SERVICE.

    No key of yours is needed for that. If you can read the environment, values sealed for an older key of
    their document are sealed again for the current one.
    """
    workspace = workspaces.read_workspace(opts)
    documents = _documents(workspace, target)
    if any(not workspace.project.abstract(document.id.environment) for document in documents):
        workspaces.trusted_pins(opts, workspace)
    workspace, keyrings = workspaces.with_document_key(workspace, _keyless(workspace, documents))
    results, findings = _seal(workspace, documents)
    edits = [result.edit for result in results if result.edit is not None]
    workspaces.write(opts, workspace.root, [*keyrings, *edits])
    _report(opts, results)
    findings += _unreadable(workspace, target)
    if findings:
        raise InputError(findings)
    if not edits:
        output.note(opts, "nothing to seal")


def _unreadable(workspace: Workspace, target: Target | None) -> list[Finding]:
    """The files that nothing could be sealed in, because they cannot be read."""
    folder = f"environments/{target.environment}/" if target else "environments/"
    return [found for found in workspace.findings if found.where and found.where.file.startswith(folder)]


def _documents(workspace: Workspace, target: Target | None) -> list[Document]:
    if target is not None and target.service is not None:
        from sealpipe.membership.slots import find_document

        return [find_document(workspace, workspaces.document_of(target))]
    if target is not None:
        workspaces.need_environment(workspace, target.environment)
    return [
        document
        for document in workspace.documents.values()
        if target is None or document.id.environment == target.environment
    ]


def _keyless(workspace: Workspace, documents: list[Document]) -> list[DocumentId]:
    """The documents that have something to seal; the others need no key."""
    from sealpipe.membership.slots import schema_of

    return [
        document.id
        for document in documents
        if document.id.name in workspace.schemas
        and next(schema_of(workspace, document.id).plaintext(document.values), None) is not None
    ]


def _seal(workspace: Workspace, documents: list[Document]) -> tuple[list[SealedDocument], list[Finding]]:
    from sealpipe.crypto.sealing import Sealer
    from sealpipe.editing.sealing import seal_document

    sealer = Sealer()
    keys = {
        environment: workspaces.maybe_keys(workspace, environment)
        for environment in {document.id.environment for document in documents}
        if environment in workspace.keyrings
    }
    results: list[SealedDocument] = []
    findings: list[Finding] = []
    for document in documents:
        if document.id.name not in workspace.schemas:
            continue  # without a schema nothing is secret; `validate` asks for one
        result = seal_document(workspace, document, sealer, keys.get(document.id.environment))
        results.append(result)
        findings += result.findings
    return results, findings


def _report(opts: Common, results: list[SealedDocument]) -> None:
    from sealpipe.cli.render.text_values import sealed_values

    done = [result for result in results if result.edit is not None]
    if not opts.dry_run:
        for result in done:
            if result.edit is not None:
                output.note(opts, sealed_values(result.edit.file, result.done))
    if any(one.how == "sealed" for result in done for one in result.done):
        output.note(
            opts, "if a file was ever pushed with the plain value, change the value at its source too"
        )
