"""A value moved to another path of its document; secrets in it are opened and sealed for the new place."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import Any

from sealpipe.crypto.sealing import Sealer, type_of
from sealpipe.documents.edit import move, replace_values
from sealpipe.documents.read import read_yaml
from sealpipe.editing.given import Given, infer_schema, problems
from sealpipe.editing.sealing import line_of, place_of, present_at, seal_at
from sealpipe.editing.values import explain_value
from sealpipe.editing.writing import FileEdit, text_edit
from sealpipe.errors import Finding, InputError, RefusedError, UsageError
from sealpipe.frozen import NamedTuple, replace
from sealpipe.jsontext import add_property
from sealpipe.membership.slots import Slot, typed_path
from sealpipe.opening import DocumentKeys, open_token
from sealpipe.paths import Path, lookup, settle, show_path, typed
from sealpipe.schemas.compile import known_at, secret_at
from sealpipe.tokens import parse_token, sealed_paths


class Moved(NamedTuple):
    """What a move changes."""

    edits: tuple[FileEdit, ...]
    file: str
    line: int
    old: str
    new: str
    resealed: tuple[str, ...]  # paths of secrets, as they are now
    schema: str  # the schema file that learned the new path, or ""


def holds_secret(slot: Slot) -> bool:
    """Whether a reading key is needed to move what stands at `slot`."""
    return bool(sealed_paths(present_at(slot.document.values, slot.path)))


def move_value(slot: Slot, new_text: str, keys: DocumentKeys, sealer: Sealer) -> Moved:
    """Move what stands at `slot` to the path that `new_text` names, in the same document.

    A path that the schema does not know is added to it, as secret when it holds one; the old one stays
    there, for other layers. Raises UsageError [not-set, already-set], InputError for a secret that would
    come to stand at a plain path, TrustError for one that no key opens.
    """
    document, schema = slot.document, slot.schema
    if not slot.present:
        raise UsageError(
            "not-set",
            f"{document.file} does not set {slot.shown}",
            hint=[f"sealpipe explain {document.id} {slot.typed}"],
        )
    new = typed_path(schema, document.values, new_text)
    if new == slot.path:
        raise UsageError("already-set", f"{slot.shown} is there already; nothing was moved")
    if settle(document.values, new) is not None:
        raise UsageError(
            "already-set",
            f"{document.file} sets {show_path(new)} already; nothing was moved",
            hint=[f"sealpipe unset {document.id} {shlex.quote(show_path(new))}"],
        )
    secrets = _opened(slot, keys)
    schema_edit = _schema_edit(slot, new, [below for below, _ in secrets])
    text = move(document.text, slot.path, new, file=document.file)
    values = read_yaml(text, file=document.file)
    tokens: dict[Path, str] = {}
    for below, given in secrets:
        path = (*new, *below)
        if schema_edit is None and secret_at(schema, path) is None:
            raise InputError([_unsealed(slot, path)])
        tokens[path] = seal_at(slot.workspace, document.id, path, given, sealer)
    if tokens:
        text = replace_values(text, tokens, file=document.file)
    if schema_edit is None:
        _refuse_plaintext(slot, values, new)
        _check_plain(slot, new, [below for below, _ in secrets])
    edits = [*([schema_edit] if schema_edit else []), text_edit(document.file, document.text, text)]
    return Moved(
        edits=tuple(edits),
        file=document.file,
        line=line_of(text, new, document.file),
        old=slot.shown,
        new=show_path(new),
        resealed=tuple(show_path(path) for path in tokens),
        schema=schema_edit.file if schema_edit else "",
    )


def _refuse_plaintext(slot: Slot, values: dict[str, Any], new: Path) -> None:
    """What was plain where it stood must not come to stand where the schema says secret."""
    top = settle(values, new) or ()
    if any(path[: len(top)] == top for path in slot.schema.plaintext(values)):
        raise RefusedError(
            "plaintext-secret",
            f"{show_path(new)} is a secret, and what would be moved there is plain (value not shown)",
            hint=[f"sealpipe set {slot.document.id} {shlex.quote(show_path(new))}"],
        )


def _check_plain(slot: Slot, new: Path, secrets: Sequence[Path]) -> None:
    """A plain value must fit the place it comes to; maps that hold secrets are `validate`'s."""
    value = present_at(slot.document.values, slot.path)
    if secrets or value is None:
        return
    there = replace(slot, path=new)
    given = Given(value, str(type_of(value) or "object"))
    found = problems(there, given)
    if found:
        raise InputError(explain_value(there, given, found))


def _opened(slot: Slot, keys: DocumentKeys) -> list[tuple[Path, Given]]:
    """The secrets inside what is moved: path below it, and value."""
    document = slot.document
    top = settle(document.values, slot.path) or ()
    merge_keys = slot.schema.merge_keys(document.values)
    found = []
    for concrete in sealed_paths(lookup(document.values, top)):
        whole = (*top, *concrete)
        path = typed(document.values, whole, merge_keys)
        if path is None:
            raise InputError([_unsealed(slot, whole)])
        token = lookup(document.values, whole)
        value = open_token(token, place_of(document.id, path), keys.get(document.id.name, ()))
        found.append((path[len(slot.path) :], Given(value, parse_token(token).type)))
    return found


def _schema_edit(slot: Slot, new: Path, secrets: Sequence[Path]) -> FileEdit | None:
    """The schema with the new path, described as the old one was; None when it knows the path."""
    if known_at(slot.schema, new):
        return None
    origin = slot.schema.origin(new)
    source = next(s for s in slot.workspace.schemas.values() if s.file == origin)
    old = slot.schema.walk.at(slot.path)
    if old.known and len(old.nodes) == 1 and "$ref" not in old.nodes[0]:
        part = dict(old.nodes[0])
    else:
        part = infer_schema(present_at(slot.document.values, slot.path))
        for below in secrets:
            _mark(part, below)
    return text_edit(source.file, source.text, add_property(source.text, new, part, file=source.file))


def _mark(part: dict[str, Any], below: Path) -> None:
    for segment in below:
        step = part.get("properties", {}).get(segment) if isinstance(segment, str) else part.get("items")
        if not isinstance(step, dict):
            return
        part = step
    part["writeOnly"] = True


def _unsealed(slot: Slot, path: Path) -> Finding:
    return Finding(
        "sealed-not-secret",
        f"a sealed value cannot stand at {show_path(path)}, which {slot.schema.origin(path)} calls plain",
        path=show_path(path),
        hint=('mark it "writeOnly": true in the schema first',),
    )
