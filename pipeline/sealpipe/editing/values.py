"""One value of a document: set or removed. Returns what would be written; writes nothing."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import Any

from sealpipe.crypto.sealing import Sealer
from sealpipe.documents.swap import swap
from sealpipe.editing.given import Given, infer_schema, problems
from sealpipe.editing.sealing import line_of, present_at, seal_at
from sealpipe.editing.writing import FileEdit, text_edit
from sealpipe.errors import Finding, InputError, UsageError
from sealpipe.frozen import NamedTuple
from sealpipe.jsontext import add_property
from sealpipe.membership.slots import Slot, units_of
from sealpipe.model import Document, DocumentId
from sealpipe.paths import Concrete, Path, settle, show_path
from sealpipe.project import layer_ids
from sealpipe.schemas.engine import Problem
from sealpipe.schemas.telling.explain import explain
from sealpipe.tokens import looks_sealed


class ValueEdit(NamedTuple):
    """What setting or removing a value changes. `old` and `new` hold plain values only."""

    edits: tuple[FileEdit, ...]
    kind: str  # sealed, set, same, removed, deleted (a null over an inherited value)
    file: str
    line: int
    path: str
    old: Any = None
    new: Any = None
    schema: str = ""  # the schema file that learned the path


def set_value(slot: Slot, given: Given, *, secret: bool, sealer: Sealer) -> ValueEdit:
    """Set a value, sealed where the schema says secret (or `secret` asks for it at a path it does not know).

    The value is checked against its own part of the schema first: InputError. Rules that look at other
    values are `validate`'s. Raises as `seal_at` does where the document has no key.
    """
    seal = slot.secret is not None or secret
    if looks_sealed(given.value):
        raise InputError([_sealed_already(slot, seal=seal)])
    found = problems(slot, given) if slot.known else []
    if found:
        raise InputError(explain_value(slot, given, found))
    if not seal:
        _refuse_plaintext(slot, given)
    edits = [] if slot.known else [_schema_edit(slot, given, seal)]
    document = slot.document
    old = present_at(document.values, slot.path)
    value = seal_at(slot.workspace, document.id, slot.path, given, sealer) if seal else given.value
    if not seal and slot.present and type(old) is type(value) and old == value:
        return ValueEdit((), "same", document.file, _line(document.text, slot), slot.shown, old, value)
    text = _with_value(document, slot.path, value)
    edits.append(text_edit(document.file, document.text, text))
    return ValueEdit(
        edits=tuple(edits),
        kind="sealed" if seal else "set",
        file=document.file,
        line=_line(text, slot),
        path=slot.shown,
        old=None if seal or slot.holds_secret or looks_sealed(old) else old,
        new=None if seal or slot.holds_secret else value,
        schema="" if slot.known else slot.schema.origin(slot.path),
    )


def _with_value(document: Document, path: Path, value: Any) -> str:
    text = swap(document.text, path, value)
    if text is None:
        from sealpipe.documents.edit import set_value as set_anywhere

        text = set_anywhere(document.text, path, value, file=document.file)
    return text


def _sealed_already(slot: Slot, *, seal: bool) -> Finding:
    """Sealed text is bound to its own place: given as a value it would be sealed twice, or stand in plain."""
    return Finding(
        "sealed-given" if seal else "sealed-not-secret",
        f"this is sealed text (ENC[…]), no value for {slot.shown}",
        path=slot.shown,
        why=("a sealed value opens at its own place only; moving it is a command of its own",),
        hint=(f"sealpipe mv {slot.document.id} OLD {slot.typed}",),
    )


def _refuse_plaintext(slot: Slot, given: Given) -> None:
    """A map or list is not sealed in parts: secrets in it are set by themselves, or in the editor."""
    concrete, values = _standing(slot, given)
    for path in slot.schema.plaintext(values):
        inside = show_path((*slot.path, *path[len(concrete) :]))
        what = f"{inside} in it is a secret and would stand in plain (value not shown)"
        own = f"sealpipe set {slot.document.id} {shlex.quote(inside)}"
        hint = (own, f"sealpipe edit {slot.document.id}")
        raise InputError([Finding("plaintext-secret", what, path=slot.shown, hint=hint)])


def _schema_edit(slot: Slot, given: Given, seal: bool) -> FileEdit:
    """The schema with the new path: its narrowest type, marked secret when it is one."""
    if seal:
        kinds = {"str": "string", "bytes": "string", "int": "integer", "float": "number", "bool": "boolean"}
        part: dict[str, Any] = {"type": kinds.get(given.type, given.type), "writeOnly": True}
    else:
        part = infer_schema(given.value)
    # What a shared layer's schema describes is added there: own properties would hide the layer's.
    origin = slot.schema.origin(slot.path)
    file = next(s for s in slot.workspace.schemas.values() if s.file == origin)
    return text_edit(file.file, file.text, add_property(file.text, slot.path, part, file=file.file))


def unset_value(slot: Slot, *, null: bool) -> ValueEdit:
    """Remove a path from the document; with `null`, write a null that deletes what a lower layer sets."""
    document = slot.document
    old = present_at(document.values, slot.path)
    shown = None if looks_sealed(old) or slot.holds_secret else old
    if null:
        if not inherited(slot):
            raise InputError([_deletes_nothing(slot)])
        text = _with_value(document, slot.path, None)
        edits = (text_edit(document.file, document.text, text),)
        return ValueEdit(edits, "deleted", document.file, _line(text, slot), slot.shown, shown)
    if not slot.present:
        raise UsageError(
            "not-set",
            f"{document.file} does not set {slot.shown}",
            hint=[
                f"sealpipe explain {document.id} {slot.typed}",
                *([f"sealpipe unset {document.id} {slot.typed} --null"] if inherited(slot) else []),
            ],
        )
    line = _line(document.text, slot)
    from sealpipe.documents.edit import unset

    text = unset(document.text, slot.path, file=document.file)
    edits = (text_edit(document.file, document.text, text),)
    return ValueEdit(edits, "removed", document.file, line, slot.shown, shown)


def inherited(slot: Slot) -> bool:
    """Whether a lower layer of any unit of this document sets the path: then a null deletes something."""
    workspace, own = slot.workspace, tuple(slot.document.id)
    for unit in units_of(workspace, slot.document.id):
        layers = layer_ids(workspace.project, unit)
        below = [workspace.documents.get(DocumentId(*layer)) for layer in layers[: layers.index(own)]]
        if any(found is not None and settle(found.values, slot.path) is not None for found in below):
            return True
    return False


def _deletes_nothing(slot: Slot) -> Finding:
    return Finding(
        "deletes-nothing",
        f"a null would delete nothing: no lower layer of {slot.document.id} sets {slot.shown}",
        path=slot.shown,
        hint=(f"sealpipe explain {slot.document.id} {slot.typed}",),
    )


def _line(text: str, slot: Slot) -> int:
    return line_of(text, slot.path, slot.document.file)


def explain_value(slot: Slot, given: Given, found: Sequence[Problem]) -> list[Finding]:
    """What is wrong with a value that was given for a place, in words; the value is not shown."""
    concrete, values = _standing(slot, given)
    causes = [cause for problem in found for cause in explain(_below(concrete, problem), slot.schema, values)]
    hidden = " (value not shown)" if slot.secret is not None else ""
    return [
        Finding(
            cause.word,
            f"the value {cause.what}{hidden}",
            path=show_path((*slot.path, *cause.path[len(concrete) :])),
            why=(*cause.why, f"says {slot.schema.origin(slot.path)}"),
            hint=cause.advice,
        )
        for cause in dict.fromkeys(causes)
    ]


def _standing(slot: Slot, given: Given) -> tuple[Concrete, Any]:
    """A document of nothing but the value at its place: explanations follow paths from the top."""
    concrete: Concrete = tuple(segment if isinstance(segment, str) else 0 for segment in slot.path)
    values: Any = given.value
    for segment in reversed(concrete):
        values = {segment: values} if isinstance(segment, str) else [values]
    return concrete, values


def _below(prefix: Concrete, problem: Problem) -> Problem:
    branches = tuple(tuple(_below(prefix, inner) for inner in branch) for branch in problem.branches)
    return problem._replace(path=(*prefix, *problem.path), branches=branches)
