"""New keys for documents: because a reader is taken away (`revoke`), or because it is time (`renew`).

The old private keys stay boxed to the new ones (`previous`), and every value in the environment's files is
sealed again. What a reader could open before, it could have kept: `exposure` lists it.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from sealpipe.crypto.keys import Identity, PrivateKey, SigningKey, generate_private_key
from sealpipe.crypto.sealing import Sealer, box
from sealpipe.editing.writing import FileEdit, text_edit
from sealpipe.errors import Finding, RefusedError, TrustError, UsageError, Where
from sealpipe.frozen import frozen, replace
from sealpipe.keyrings import PEOPLE, DocumentKey, Keyring, Reader
from sealpipe.membership.keyring_edit import (
    KeyringEdit,
    finish_keyring,
    holders,
    make_document_key,
    need_admin,
    need_keyring,
    not_a_reader,
    with_document,
)
from sealpipe.membership.trust_edit import need_trust
from sealpipe.model import Document, Workspace
from sealpipe.opening import DocumentKeys, document_keys, open_token, people_key, sealed_in
from sealpipe.paths import Concrete, Path, show_path
from sealpipe.tokens import parse_token, place

PREVIOUS_LIMIT = 32


@frozen
class Rotation:
    """New keys in one environment: the keyring, the documents sealed again, and what could not be opened."""

    keyring: KeyringEdit
    documents: tuple[str, ...]  # whose keys are new
    files: tuple[FileEdit, ...]
    resealed: int
    findings: tuple[Finding, ...]


def revoke(
    workspace: Workspace,
    name: str,
    environments: Sequence[str] = (),
    *,
    identity: Identity,
    keys: Sequence[SigningKey],
) -> tuple[Rotation, ...]:
    """Take a reader out of environments (all by default), with new keys for all that it could open.

    Raises UsageError [unknown-reader]; RefusedError [not-admin, not-a-reader, last-one] before anything is
    changed. trust.yaml is not touched: a person may sign on until `trust remove`.
    """
    reading = [env for env, keyring in workspace.keyrings.items() if name in keyring.readers]
    for environment in environments:
        need_keyring(workspace, environment)
    chosen = [environment for environment in reading if not environments or environment in environments]
    if not chosen:
        known = sorted({reader for keyring in workspace.keyrings.values() for reader in keyring.readers})
        raise UsageError(
            "unknown-reader",
            f"{name} reads nothing {'there' if environments else 'here'}",
            why=[f"readers are {', '.join(known)}"],
            hint=["sealpipe keys list"],
        )
    for environment in chosen:
        need_admin(need_trust(workspace), environment, keys)
    return tuple(_revoked(workspace, environment, name, identity, keys) for environment in chosen)


def _revoked(
    workspace: Workspace, environment: str, name: str, identity: Identity, keys: Sequence[SigningKey]
) -> Rotation:
    keyring = workspace.keyrings[environment]
    gone = keyring.readers[name]
    left = {n: reader for n, reader in keyring.readers.items() if n != name}
    if not any(reader.kind == "person" for reader in left.values()):
        raise RefusedError(
            "last-one",
            f"{name} is the only person who reads {environment}: nobody could open its secrets",
            hint=[f"sealpipe keys grant NAME {environment}"],
        )
    person = gone.kind == "person"
    documents = {d for d, key in keyring.keys.items() if person or name in key.private}
    without = replace(keyring, readers=left)
    return _rotated(workspace, keyring, without, documents, identity=identity, keys=keys, people=person)


def renew(
    workspace: Workspace,
    environment: str,
    document: str | None = None,
    *,
    identity: Identity,
    keys: Sequence[SigningKey],
) -> Rotation:
    """New keys with the same readers: of one document, or of all and of people.

    A document without a key gets its first one. Raises RefusedError [not-admin, not-a-reader].
    """
    keyring = need_keyring(workspace, environment)
    need_admin(need_trust(workspace), environment, keys)
    if document is not None and document not in keyring.keys:
        if not any(i == (environment, document) for i in workspace.documents):
            raise UsageError("unknown-document", f"there is no environments/{environment}/{document}.yaml")
        edit = finish_keyring(workspace, with_document(workspace.project, keyring, document), keys)
        return Rotation(edit, (document,), (), 0, ())
    documents = {document} if document is not None else set(keyring.keys)
    return _rotated(
        workspace, keyring, keyring, documents, identity=identity, keys=keys, people=document is None
    )


def _rotated(
    workspace: Workspace,
    before: Keyring,
    after: Keyring,
    documents: Collection[str],
    *,
    identity: Identity,
    keys: Sequence[SigningKey],
    people: bool,
) -> Rotation:
    mine = document_keys(before, identity.read)
    old_people = people_key(before, identity.read)
    if old_people is None or any(document not in mine for document in documents):
        raise not_a_reader(before.environment)
    shared = generate_private_key()[0] if people else old_people
    if people:
        readers = {name: _reboxed(reader, shared) for name, reader in after.readers.items()}
        after = replace(after, people_public=shared.public, readers=readers)
    fresh = {document: _renewed(workspace, after, document, mine[document]) for document in documents}
    edit = finish_keyring(workspace, replace(after, keys={**after.keys, **fresh}), keys)
    files, resealed, findings = _reseal(workspace, edit.keyring, documents, mine)
    return Rotation(edit, tuple(sorted(documents)), files, resealed, findings)


def _reboxed(reader: Reader, people: PrivateKey) -> Reader:
    return reader._replace(box=box(people, reader.public)) if reader.kind == "person" else reader


def _renewed(
    workspace: Workspace, keyring: Keyring, document: str, mine: Sequence[PrivateKey]
) -> DocumentKey:
    # Machines keep what they had, and get what they now inherit; a revoked one is no reader any more.
    to = holders(workspace.project, keyring, document)
    for name in keyring.keys[document].private:
        if name in keyring.readers:
            to[name] = keyring.readers[name].public
    made = make_document_key({PEOPLE: keyring.people_public, **to})
    previous = tuple((old.public, box(old, made.public)) for old in mine)
    return made._replace(previous=previous[:PREVIOUS_LIMIT])


# ---- sealing again


def _reseal(
    workspace: Workspace, keyring: Keyring, documents: Collection[str], mine: DocumentKeys
) -> tuple[tuple[FileEdit, ...], int, tuple[Finding, ...]]:
    sealer = Sealer()
    files: list[FileEdit] = []
    findings = [
        found._replace(what=f"not read, so nothing in it was sealed again: {found.what}", severity="warning")
        for found in workspace.findings
        if found.where is not None
        and found.where.file.startswith(f"environments/{keyring.environment}/")
        and found.severity == "error"
    ]
    count = 0
    for known, document in sorted(workspace.documents.items()):
        if known.environment != keyring.environment or known.name not in documents:
            continue
        tokens, problems = _new_tokens(document, sealer, keyring.keys[known.name].public, mine[known.name])
        findings += problems
        if tokens:
            files.append(_replaced(document, tokens))
            count += len(tokens)
    return tuple(files), count, tuple(findings)


def _new_tokens(
    document: Document, sealer: Sealer, public: bytes, mine: Sequence[PrivateKey]
) -> tuple[dict[Path, str], list[Finding]]:
    tokens: dict[Path, str] = {}
    findings: list[Finding] = []
    for sealed in sealed_in(document):
        try:
            # A token that was moved has no typed path: opened at its concrete one, it fails as it should.
            at = place(document.id.environment, document.id.name, sealed.typed or _as_keys(sealed.path))
            value = open_token(sealed.token, at, mine)
            tokens[sealed.path] = sealer.seal(value, parse_token(sealed.token).type, at, public)
        except TrustError as error:
            findings.append(
                error.finding._replace(
                    what=f"not sealed again: {error.finding.what}",
                    where=Where(document.file),
                    path=show_path(sealed.path),
                    severity="warning",
                )
            )
    return tokens, findings


def _as_keys(path: Concrete) -> Path:
    return tuple(str(segment) for segment in path)


def _replaced(document: Document, tokens: dict[Path, str]) -> FileEdit:
    from sealpipe.documents.edit import replace_values

    return text_edit(document.file, document.text, replace_values(document.text, tokens, file=document.file))
