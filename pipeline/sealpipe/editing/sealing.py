"""Sealing values into documents: one place, all plaintext of a document, or what has a stale key.

Sealing needs the document's public key and nothing else. Re-sealing and opening take the private keys
that the caller's identity opened (`opening.document_keys`), by document name.
"""

from __future__ import annotations

import base64
import shlex
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from sealpipe.crypto.sealing import Sealer, type_of
from sealpipe.documents.lines import KeyLines
from sealpipe.documents.read import read_yaml
from sealpipe.editing.given import Given
from sealpipe.editing.writing import FileEdit, text_edit
from sealpipe.errors import Finding, InputError, RefusedError, TrustError, Where
from sealpipe.frozen import NamedTuple
from sealpipe.membership.slots import schema_of
from sealpipe.model import Document, DocumentId, Workspace
from sealpipe.opening import DocumentKeys, open_token
from sealpipe.paths import Concrete, Path, lookup, settle, show_path, typed
from sealpipe.schemas.compile import Effective, plain_check, secret_at
from sealpipe.tokens import key_id, parse_token, place, sealed_paths

if TYPE_CHECKING:
    from sealpipe.documents.origins import Origins


class Resealed(NamedTuple):
    """One value that `seal` sealed (`how` is "sealed") or sealed again for a new key ("re-sealed")."""

    path: str
    line: int
    how: str


class SealedDocument(NamedTuple):
    """What sealing a document would change, and what it could not do."""

    edit: FileEdit | None
    done: tuple[Resealed, ...]
    findings: tuple[Finding, ...]


def public_key(workspace: Workspace, document: DocumentId, path: Path) -> bytes:
    """The key that values of a document are sealed to; `path` is for the message.

    RefusedError for an environment that holds no secrets; TrustError [no-document-key] where the keyring
    has none. That the keyring is signed and current is checked by the caller (`checks.trusted`).
    """
    if workspace.project.abstract(document.environment):
        concrete = [name for name in workspace.project.environments if not workspace.project.abstract(name)]
        raise RefusedError(
            "sealed-in-abstract",
            f"{document.environment} is never published and has no keys; a secret is set where it is used",
            hint=[
                f"sealpipe set {name}/{document.name} {shlex.quote(show_path(path))}" for name in concrete[:1]
            ],
        )
    keyring = workspace.keyrings.get(document.environment)
    key = keyring.keys.get(document.name) if keyring else None
    if key is None:
        entry = workspace.trust.environments.get(document.environment) if workspace.trust else None
        admins = ", ".join(entry.admins.of) if entry else ""
        raise TrustError(
            "no-document-key",
            f"the keyring of {document.environment} has no key for {document.name} yet",
            where=Where(f"trust/{document.environment}.keyring.yaml"),
            hint=[f"ask an admin ({admins}): the first secret that they set in {document} makes its key"],
        )
    return key.public


def seal_at(workspace: Workspace, document: DocumentId, path: Path, given: Given, sealer: Sealer) -> str:
    """The token of a value for its place. Raises as `public_key`, and InputError for an un-keyed list."""
    where = place_of(document, path)
    return sealer.seal(given.value, given.type, where, public_key(workspace, document, path))


def place_of(document: DocumentId, path: Path) -> bytes:
    """The bytes a sealed value at `path` is bound to. InputError where nothing can be sealed."""
    try:
        return place(document.environment, document.name, path)
    except ValueError:
        pass
    raise InputError([no_place(document, path)])


def no_place(document: DocumentId, path: Sequence[Any]) -> Finding:
    return Finding(
        "secret-in-list",
        "an element of a list without `x-merge-key` has no place of its own to be sealed for",
        Where(f"environments/{document}.yaml"),
        show_path(path),
        why=("its index would change with every element before it",),
        hint=("mark the whole list as secret in the schema, or give the list an x-merge-key",),
    )


def seal_document(
    workspace: Workspace, document: Document, sealer: Sealer, keys: DocumentKeys | None
) -> SealedDocument:
    """Seal what stands in plain at secret paths; with `keys`, re-seal what has an older key of the document.

    A value that breaks its own schema, or stands where nothing can be sealed, becomes a finding.
    """
    from sealpipe.documents.edit import set_value

    schema = schema_of(workspace, document.id)
    merge_keys = schema.merge_keys(document.values)
    text, done, findings = document.text, [], []
    for concrete in schema.plaintext(document.values):
        path = typed(document.values, concrete, merge_keys)
        if path is None:
            findings.append(no_place(document.id, concrete))
            continue
        given = as_given(schema, path, lookup(document.values, concrete))
        bad = bad_value(schema, document, path, given) or _cut_short(document, path, concrete)
        bad = bad or _abstract(workspace, document, path)
        if given is None or bad is not None:
            findings.append(bad or no_place(document.id, path))
            continue
        text = set_value(text, path, seal_at(workspace, document.id, path, given, sealer), file=document.file)
        done.append((path, "sealed"))
    for path, given in _stale(workspace, document, merge_keys, keys, findings):
        text = set_value(text, path, seal_at(workspace, document.id, path, given, sealer), file=document.file)
        done.append((path, "re-sealed"))
    if not done:
        return SealedDocument(None, (), tuple(findings))
    lines = tuple(Resealed(show_path(path), line_of(text, path, document.file), how) for path, how in done)
    return SealedDocument(text_edit(document.file, document.text, text), lines, tuple(findings))


def as_given(schema: Effective, path: Path, value: Any) -> Given | None:
    """A plain value of a document under the type that it would be sealed as; None when none fits."""
    allowed = secret_at(schema, path) or frozenset()
    kind = type_of(value)
    if kind in allowed:
        return Given(value, str(kind))
    if kind == "int" and "float" in allowed:
        return Given(float(value), "float")
    if kind == "str" and "bytes" in allowed:
        try:
            return Given(base64.b64decode(value, validate=True), "bytes")
        except ValueError:
            return None
    return None


def bad_value(schema: Effective, document: Document, path: Path, given: Given | None) -> Finding | None:
    allowed = ", ".join(sorted(secret_at(schema, path) or ()))
    concrete = settle(document.values, path) or ()
    where = _places(document).where(concrete)
    if given is None:
        what = f"the value is not of the type that the schema wants here: {allowed} (value not shown)"
        return Finding("wrong-type", what, where, show_path(path), hint=(f"sealpipe edit {document.id}",))
    value = base64.b64encode(given.value).decode() if given.type == "bytes" else given.value
    if not plain_check(schema, path, value):
        return None
    what = "the value breaks its schema and was not sealed (value not shown)"
    return Finding(
        "not-allowed",
        what,
        where,
        show_path(path),
        hint=(f"sealpipe set {document.id} {shlex.quote(show_path(path))}",),
    )


def _cut_short(document: Document, path: Path, concrete: Concrete) -> Finding | None:
    # Sealing what YAML took for the value would leave the rest of the secret beside it, in plain.
    places = _places(document)
    if not places.cut_short(concrete):
        return None
    what = "the value ends at ` #`: YAML takes what follows for a comment (value not shown)"
    hint = f"put the whole value in quotes, or a space behind the #; then: sealpipe seal {document.id}"
    return Finding("cut-secret", what, places.where(concrete), show_path(path), hint=(hint,))


def _abstract(workspace: Workspace, document: Document, path: Path) -> Finding | None:
    if not workspace.project.abstract(document.id.environment):
        return None
    where = _places(document).where(settle(document.values, path) or ())
    return Finding(
        "sealed-in-abstract",
        f"{document.id.environment} is never published and has no keys, so a secret cannot stand here",
        where,
        show_path(path),
        hint=("set it in each environment that is published, and remove it here",),
    )


def _stale(
    workspace: Workspace,
    document: Document,
    merge_keys: Mapping[str, str],
    keys: DocumentKeys | None,
    findings: list[Finding],
) -> list[tuple[Path, Given]]:
    mine = (keys or {}).get(document.id.name, ())
    if not mine:
        return []
    current = key_id(public_key(workspace, document.id, ()))
    found = []
    for concrete in sealed_paths(document.values):
        path = typed(document.values, concrete, merge_keys)
        token = lookup(document.values, concrete)
        try:
            if path is None or parse_token(token).key_id == current:
                continue
            value = open_token(token, place_of(document.id, path), mine)
            found.append((path, Given(value, parse_token(token).type)))
        except TrustError as error:
            findings.append(error.finding._replace(path=show_path(concrete), where=Where(document.file)))
    return found


def _origins(text: str, file: str) -> Origins:
    from sealpipe.documents.origins import origins  # with the parser, which most edits do without

    return origins(text, file=file)


def _places(document: Document) -> Origins:
    return _origins(document.text, document.file)


def present_at(values: Mapping[str, Any], path: Path) -> Any:
    """What a document sets at a path; None where it sets nothing."""
    concrete = settle(values, path)
    return None if concrete is None else lookup(values, concrete)


def line_of(text: str, path: Path, file: str) -> int:
    """The line of a path's key in a document's text; 0 where it is not."""
    concrete = settle(read_yaml(text, file=file), path)
    if concrete is None:
        return 0
    return KeyLines(text).line(concrete) or _origins(text, file).line_number(concrete)
