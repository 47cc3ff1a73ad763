"""A document with its secrets readable, for an editor, and back: only what changed is sealed again."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

from sealpipe.crypto.sealing import Sealer
from sealpipe.documents.edit import replace_values, set_value
from sealpipe.documents.origins import origins
from sealpipe.documents.read import read_yaml
from sealpipe.editing.given import Given
from sealpipe.editing.sealing import (
    Resealed,
    as_given,
    bad_value,
    line_of,
    no_place,
    place_of,
    seal_at,
)
from sealpipe.editing.writing import FileEdit, text_edit
from sealpipe.errors import Finding, InputError, SealpipeError, TrustError
from sealpipe.frozen import NamedTuple, field, frozen, replace
from sealpipe.membership.slots import schema_of, units_of
from sealpipe.model import Document, Workspace
from sealpipe.opening import DocumentKeys, open_token
from sealpipe.paths import Path, lookup, settle, show_path, typed
from sealpipe.schemas.compile import Effective, secret_at
from sealpipe.stages.validate import validate
from sealpipe.tokens import looks_sealed, parse_token, sealed_paths

LEAK = 6  # a secret shorter than this may well stand elsewhere by chance


class Secret(NamedTuple):
    """A sealed value of the document and what is in it."""

    token: str
    given: Given

    def __repr__(self) -> str:
        return f"Secret({self.given.type})"


@frozen
class Readable:
    """A document's text with every secret that the keys open in plain. It must never be written as it is."""

    text: str = field(repr=False)
    secrets: Mapping[Path, Secret] = field(repr=False)
    closed: tuple[str, ...]  # paths that stay sealed: no key opens them


@frozen
class Edited:
    """What an edit comes to. With findings nothing should be written; `edit` None: nothing changed."""

    edit: FileEdit | None
    sealed: tuple[Resealed, ...]
    findings: tuple[Finding, ...]


def readable(document: Document, schema: Effective, keys: DocumentKeys) -> Readable:
    """The text for an editor. A value that is malformed, moved or not ours to open stays sealed."""
    merge_keys = schema.merge_keys(document.values)
    text = document.text
    secrets: dict[Path, Secret] = {}
    closed = []
    for concrete in sealed_paths(document.values):
        path = typed(document.values, concrete, merge_keys)
        token = lookup(document.values, concrete)
        given = _open(document, path, token, keys)
        if path is None or given is None:
            closed.append(show_path(concrete))
            continue
        secrets[path] = Secret(token, given)
        text = set_value(text, path, _plain(given), file=document.file)
    return Readable(text, secrets, tuple(closed))


def _open(document: Document, path: Path | None, token: str, keys: DocumentKeys) -> Given | None:
    if path is None:
        return None
    try:
        value = open_token(token, place_of(document.id, path), keys.get(document.id.name, ()))
        return Given(value, parse_token(token).type)
    except TrustError:
        return None


def _plain(given: Given) -> Any:
    return base64.b64encode(given.value).decode("ascii") if given.type == "bytes" else given.value


def edited(workspace: Workspace, document: Document, shown: Readable, text: str, sealer: Sealer) -> Edited:
    """Seal what the editor left: unchanged secrets keep their tokens, changed and new ones are sealed.

    Never raises for what was typed: a text that cannot be read, breaks its schema, or holds a secret in a
    place that is not one, becomes findings.
    """
    if text == shown.text:
        return Edited(None, (), ())
    try:
        return _edited(workspace, document, shown, text, sealer)
    except InputError as error:
        return Edited(None, (), error.findings)
    except SealpipeError as error:  # no key to seal with, a value that nothing can hold
        return Edited(None, (), (error.finding,))


def _edited(workspace: Workspace, document: Document, shown: Readable, text: str, sealer: Sealer) -> Edited:
    schema = schema_of(workspace, document.id)
    draft = replace(document, text=text, values=read_yaml(text, file=document.file))
    merge_keys = schema.merge_keys(draft.values)
    tokens: dict[Path, str] = {}
    new: list[Path] = []
    findings: list[Finding] = []
    for path in _secret_places(draft, schema, merge_keys, shown, findings):
        value = lookup(draft.values, settle(draft.values, path) or ())
        before = shown.secrets.get(path)
        if before is not None and _same(_plain(before.given), value):
            tokens[path] = before.token
            continue
        given = _given(schema, path, value, before)
        bad = bad_value(schema, draft, path, given)
        if given is None or bad is not None:
            findings.append(bad or no_place(document.id, path))
            continue
        tokens[path] = seal_at(workspace, document.id, path, given, sealer)
        new.append(path)
    if findings:
        return Edited(None, (), tuple(findings))
    after = replace_values(text, tokens, file=document.file) if tokens else text
    findings = _leaks(document, shown, after) + _new_errors(workspace, document, after)
    done = tuple(Resealed(show_path(path), line_of(after, path, document.file), "sealed") for path in new)
    return Edited(text_edit(document.file, document.text, after), done, tuple(findings))


def _same(one: Any, other: Any) -> bool:
    return type(one) is type(other) and bool(one == other)


def _secret_places(
    draft: Document,
    schema: Effective,
    merge_keys: Mapping[str, str],
    shown: Readable,
    findings: list[Finding],
) -> list[Path]:
    """Where the edited text has plaintext to seal: the schema says so, or it was sealed before."""
    found: dict[Path, None] = {}
    for concrete in schema.plaintext(draft.values):
        path = typed(draft.values, concrete, merge_keys)
        if path is None:
            findings.append(no_place(draft.id, concrete))
        else:
            found[path] = None
    for path in shown.secrets:
        there = settle(draft.values, path)
        if there is not None and not looks_sealed(lookup(draft.values, there)):
            found[path] = None
    return list(found)


def _given(schema: Effective, path: Path, value: Any, before: Secret | None) -> Given | None:
    if secret_at(schema, path) is not None:
        return as_given(schema, path, value)
    # Sealed although the schema does not ask for it: it stays so, under its own type.
    from sealpipe.crypto.sealing import type_of

    kind = type_of(value)
    return Given(value, kind) if before is not None and kind is not None else None


def _leaks(document: Document, shown: Readable, after: str) -> list[Finding]:
    """A secret that was moved or copied to where nothing seals it, a comment included."""
    # Counted against the text before: a short secret may have stood inside other words all along.
    places = origins(after, file=document.file)
    found = []
    for path, secret in shown.secrets.items():
        value = secret.given.value
        if not isinstance(value, str) or len(value) < LEAK:
            continue
        if after.count(value) <= document.text.count(value):
            continue
        line = after[: after.index(value)].count("\n") + 1
        where = next((places.where(p) for p in places.paths_on(line)), None)
        what = f"the secret of {show_path(path)} stands in plain on line {line} (value not shown)"
        hint = "seal it there: mark that path as secret in the schema, or take it out"
        found.append(Finding("plaintext-secret", what, where, hint=(hint,)))
    return found


def _new_errors(workspace: Workspace, document: Document, after: str) -> list[Finding]:
    """Errors that the new text has and the old one had not, in this file or its units."""
    values = read_yaml(after, file=document.file)
    changed = replace(document, text=after, values=values)
    units = units_of(workspace, document.id)
    new = replace(workspace, documents={**workspace.documents, document.id: changed})
    before = {_cause(finding) for finding in validate(workspace, units).findings}
    return [
        finding
        for finding in validate(new, units).findings
        if finding.severity == "error" and _cause(finding) not in before
    ]


def _cause(finding: Finding) -> tuple[str, str, str]:
    return finding.word, finding.path, finding.where.file if finding.where else ""
