"""Where a value is to be written: the document, its schema, and the path as the schema understands it."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Any

from sealpipe.errors import Finding, InputError, UsageError, Where
from sealpipe.frozen import field, frozen
from sealpipe.model import Document, DocumentId, Workspace
from sealpipe.paths import Member, Path, Segment, lookup, parse_path, settle, show_path
from sealpipe.project import SHARED, is_document_name, layer_ids
from sealpipe.released import Unit
from sealpipe.schemas.compile import Effective, effective, known_at, plain_check, secret_above, secret_at
from sealpipe.stages.load import units


@frozen
class Slot:
    """One place in one document. `secret` has the types a sealed value may have there; None: it is plain."""

    workspace: Workspace = field(repr=False)
    document: Document
    schema: Effective = field(repr=False)
    path: Path  # elements of lists that merge by key are named by their key

    @property
    def secret(self) -> frozenset[str] | None:
        return secret_at(self.schema, self.path)

    @property
    def holds_secret(self) -> bool:
        """Whether the value, or a part of it, may be secret: then no old value of it is shown."""
        return self.schema.walk.at(self.path).holds_secret

    @property
    def known(self) -> bool:
        return known_at(self.schema, self.path)

    @property
    def shown(self) -> str:
        return show_path(self.path)

    @property
    def typed(self) -> str:
        """The path as one word of a shell."""
        return shlex.quote(self.shown)

    @property
    def present(self) -> bool:
        """Whether the document itself sets the path."""
        return settle(self.document.values, self.path) is not None


def document_file(document: DocumentId) -> str:
    return f"environments/{document.environment}/{document.name}.yaml"


def find_document(workspace: Workspace, wanted: DocumentId) -> Document:
    """The document; an empty one for a shared layer that has no file there yet.

    UsageError for an unknown environment or service; InputError when its file is unreadable.
    """
    if wanted.environment not in workspace.project.environments:
        names = list(workspace.project.environments)
        import difflib

        near = difflib.get_close_matches(wanted.environment, names, 1)
        why = f"did you mean `{near[0]}`?" if near else f"environments here: {', '.join(names)}"
        raise UsageError("unknown-environment", f"there is no environment `{wanted.environment}`", why=[why])
    if wanted in workspace.documents:
        return workspace.documents[wanted]
    file = document_file(wanted)
    broken = [finding for finding in workspace.findings if finding.where and finding.where.file == file]
    if broken:
        raise InputError(broken)
    if wanted.name.startswith("_") and is_document_name(wanted.name):
        return Document(wanted, file, "", {})
    services = sorted({known.name for known in workspace.documents})
    import difflib

    near = difflib.get_close_matches(wanted.name, services, 1)
    hint = [f"sealpipe add service {wanted.name} --in {wanted.environment}"]
    meant = [f"did you mean `{near[0]}`?"] if near and near[0] != wanted.name else []
    raise UsageError("unknown-document", f"there is no {file}", why=meant, hint=hint)


def schema_for(workspace: Workspace, name: str) -> Effective:
    """The effective schema of a service, or of a shared layer alone. InputError without one."""
    if name not in workspace.schemas:
        file = f"schemas/{name}.schema.json"
        broken = [finding for finding in workspace.findings if finding.where and finding.where.file == file]
        raise InputError(broken or [_missing_schema(name, file)])
    layers = () if name.startswith("_") else (SHARED, *workspace.project.layers(name))
    return effective(workspace.schemas, name, layers)


def _missing_schema(name: str, file: str) -> Finding:
    empty = '{"type": "object", "additionalProperties": false, "properties": {}}'
    return Finding(
        "missing-schema",
        f"{name} has no schema, so nothing says what is right and what is secret",
        Where(file),
        hint=(f"echo '{empty}' > {file}",),
    )


def schema_of(workspace: Workspace, document: DocumentId) -> Effective:
    """The schema that a document is checked against."""
    return schema_for(workspace, document.name)


def find_slot(workspace: Workspace, wanted: DocumentId, text: str) -> Slot:
    """The place that `text` (`db.pool_max` or a JSON Pointer) names in a document.

    Whether anything stands there, and whether the schema knows it, is not checked. UsageError for a text
    that is no path and for one that goes through a plain value or into a secret.
    """
    document = find_document(workspace, wanted)
    schema = schema_of(workspace, wanted)
    path = typed_path(schema, document.values, text)
    above = secret_above(schema, path)
    if above is not None:
        raise UsageError(
            "inside-secret",
            f"{show_path(above)} is one secret as a whole; nothing is set inside it",
            hint=[f"sealpipe edit {document.id}"],
        )
    return Slot(workspace, document, schema, path)


def parse_given_path(text: str) -> Path:
    """`parse_path` for what was typed on a command line: UsageError instead of ValueError."""
    problem = ""
    try:
        return parse_path(text)
    except ValueError as error:
        problem = str(error)
    raise UsageError("bad-path", problem)


def typed_path(schema: Effective, values: Mapping[str, Any], text: str) -> Path:
    """A path as typed, its list elements named by their merge key where the schema gives one."""
    node: Any = values
    found: list[Segment] = []
    for given in parse_given_path(text):
        segment = _segment(schema, tuple(found), node, given)
        found.append(segment)
        step = settle(node, (segment,)) if isinstance(node, Mapping | list) else None
        node = lookup(node, step) if step is not None else None
    return tuple(found)


def _segment(schema: Effective, above: Path, node: Any, given: Segment) -> Segment:
    field_name = schema.merge_key_at(above)
    if isinstance(node, list):
        step = settle(node, (given,))
        element = lookup(node, step) if step is not None else None
        if field_name and isinstance(element, Mapping) and field_name in element:
            return Member(field_name, element[field_name])
        if isinstance(given, str):
            raise UsageError(
                "bad-path", f"{show_path(above)} is a list; an element is named by its index, [0]"
            )
    if isinstance(given, Member):
        if field_name is None:
            raise UsageError("bad-path", f"{show_path(above) or 'this'} is no list that merges by a key")
        if given.field != field_name:
            raise UsageError("bad-path", f"{show_path(above)} merges by `{field_name}`")
        return Member(field_name, _key_value(schema, (*above, given, field_name), str(given.value)))
    if isinstance(given, int) and isinstance(node, Mapping):
        raise UsageError("bad-path", f"{show_path(above) or 'this'} is a map; its keys are joined by dots")
    return given


def _key_value(schema: Effective, path: Path, text: str) -> str | int:
    # A key that must be a number is written as one.
    if text.isdecimal() and plain_check(schema, path, text) and not plain_check(schema, path, int(text)):
        return int(text)
    return text


def units_of(workspace: Workspace, document: DocumentId) -> list[Unit]:
    """The units that a document is merged into, in the order of environments."""
    project = workspace.project
    return [unit for unit in units(workspace) if tuple(document) in layer_ids(project, unit)]
