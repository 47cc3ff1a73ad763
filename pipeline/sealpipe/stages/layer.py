"""A unit's documents merged to one tree, with every sealed value in it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from sealpipe.errors import Finding, InputError, Where
from sealpipe.model import Document, DocumentId, LayeredConfig, Sealed, Workspace
from sealpipe.paths import Concrete, Member, Segment, settle, show_path, to_pointer, typed
from sealpipe.project import layer_ids
from sealpipe.released import Unit
from sealpipe.stages.merge import Merged, merge
from sealpipe.tokens import MARK, looks_sealed


def documents_of(workspace: Workspace, unit: Unit) -> tuple[Document, ...]:
    """The documents that a unit is merged from and that exist, lowest first."""
    ids = (DocumentId(*pair) for pair in layer_ids(workspace.project, unit))
    return tuple(workspace.documents[name] for name in ids if name in workspace.documents)


def layer(
    workspace: Workspace, unit: Unit, merge_key_at: Callable[[Sequence[Segment]], str | None]
) -> LayeredConfig:
    """Merge a unit's layers. Only this makes a LayeredConfig.

    Raises InputError with every rule of merging that is broken, and for sealed values that no reader
    could place: inside a list without a merge key, or inside an abstract environment. Knows no schema
    but for merge keys, opens nothing, checks no token.
    """
    documents = documents_of(workspace, unit)
    merged = merge(documents, merge_key_at)
    findings = list(merged.findings)
    sealed: list[Sealed] = []
    if not findings and any(map(may_be_sealed, documents)):
        for path, token in sealed_strings(merged.values):
            found = _sealed(workspace, merged, path, token)
            if isinstance(found, Sealed):
                sealed.append(found)
            else:
                findings.append(found)
    if findings:
        raise InputError(findings)
    return LayeredConfig(unit, documents, merged.values, tuple(sealed), merged.merge_keys)


def may_be_sealed(document: Document) -> bool:
    """False only for a document without sealed values: the mark may be written with escapes."""
    return MARK in document.text or "\\" in document.text or not document.text


def sealed_strings(node: Any, path: Concrete = ()) -> list[tuple[Concrete, str]]:
    """Every string that claims to be sealed, well formed or not, with its path."""
    found: list[tuple[Concrete, str]] = []
    entries: Iterable[tuple[str | int, Any]] = node.items() if isinstance(node, Mapping) else enumerate(node)
    for step, value in entries:
        if isinstance(value, str):
            if looks_sealed(value):
                found.append(((*path, step), value))
        elif isinstance(value, dict | list):
            found += sealed_strings(value, (*path, step))
    return found


def _sealed(workspace: Workspace, merged: Merged, path: Concrete, token: str) -> Sealed | Finding:
    document = merged.owner(path)
    if document is None:
        raise AssertionError(f"no layer sets {to_pointer(path)}")
    place = typed(merged.values, path, merged.merge_keys)
    if place is None:
        what = "a sealed value stands in a list without a merge key; seal the whole list"
        hint = f"sealpipe set {document.id} {show_path(_list_of(path, merged))} --type array"
        return Finding("sealed-in-list", what, _place(document, path, merged), show_path(path), hint=(hint,))
    if workspace.project.abstract(document.id.environment):
        what = (
            f"`{document.id.environment}` is never published, so it has no keys: nothing can be sealed in it"
        )
        hint = "move the value into the environments that are published"
        return Finding(
            "sealed-in-abstract", what, _place(document, path, merged), show_path(path), hint=(hint,)
        )
    if any(isinstance(segment, Member) and looks_sealed(segment.value) for segment in place):
        what = "the field that names an element of a list cannot be sealed"
        return Finding("sealed-merge-key", what, _place(document, path, merged), show_path(path))
    return Sealed(to_pointer(path), token, document.id, place)


def _list_of(path: Concrete, merged: Merged) -> Concrete:
    for depth, segment in enumerate(path):
        if isinstance(segment, int) and to_pointer(path[:depth]) not in merged.merge_keys:
            return path[:depth]
    return path


def _place(document: Document, path: Concrete, merged: Merged) -> Where:
    place = typed(merged.values, path, merged.merge_keys)
    own = settle(document.values, place if place is not None else path)
    from sealpipe.documents.origins import origins

    return origins(document.text, file=document.file).nearest(own or path) or Where(document.file)
