"""A unit's configuration as people look at it: merged or published, secrets hidden or opened."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from sealpipe.errors import InputError, RefusedError, TrustError, UsageError
from sealpipe.frozen import NamedTuple
from sealpipe.membership.slots import schema_for
from sealpipe.model import Document, Head, LayeredConfig, Workspace
from sealpipe.opening import DocumentKeys, open_at
from sealpipe.paths import Concrete, from_pointer, settle, to_pointer, typed
from sealpipe.released import Release, SealedAt, Unit
from sealpipe.schemas.compile import Effective
from sealpipe.stages.layer import layer
from sealpipe.stages.load import units
from sealpipe.tokens import looks_sealed, parse_token, sealed_paths
from sealpipe.trust import Pin


class View(NamedTuple):
    """A configuration with tokens in place, from files or from a release."""

    unit: Unit
    values: Mapping[str, Any]
    sealed: Mapping[str, SealedAt]  # pointer -> the document whose key it has
    merge_keys: Mapping[str, str]
    label: str  # "environments/dev" or "release #41"


def need_unit(workspace: Workspace, unit: Unit) -> None:
    """UsageError for a unit that the repository does not have; InputError when its own file is unreadable."""
    if unit in units(workspace):
        return
    project = workspace.project
    if unit.environment not in project.environments:
        names = ", ".join(project.environments)
        raise UsageError(
            "unknown-environment",
            f"there is no environment `{unit.environment}`",
            why=[f"environments here: {names}"],
        )
    file = f"environments/{unit}.yaml"
    broken = [finding for finding in workspace.findings if finding.where and finding.where.file == file]
    if broken:
        raise InputError(broken)
    if project.abstract(unit.environment):
        raise UsageError(
            "abstract-environment",
            f"{unit.environment} is a layer only: it has no `publish_to`, and its services are never merged",
        )
    services = sorted({found.service for found in units(workspace) if found.environment == unit.environment})
    raise UsageError(
        "unknown-service",
        f"there is no service `{unit.service}` in {unit.environment}",
        why=[f"services there: {', '.join(services)}"] if services else ["there is no service there yet"],
        hint=[f"sealpipe add service {unit.service} --in {unit.environment}"],
    )


def merged(workspace: Workspace, unit: Unit) -> tuple[LayeredConfig, Effective]:
    """A unit's layers merged, and its schema. Raises UsageError and InputError; validates nothing more."""
    need_unit(workspace, unit)
    schema = schema_for(workspace, unit.service)
    return layer(workspace, unit, schema.merge_key_at), schema


UNSEALED = "NOT SEALED (value not shown)"


def view_of(config: LayeredConfig, schema: Effective) -> View:
    """The files' side of a unit. What stands in plain at a secret path is replaced: no view holds it."""
    sealed = {one.pointer: SealedAt(*one.document) for one in config.sealed}
    values = _masked(config.values, schema)
    return View(config.unit, values, sealed, config.merge_keys, f"environments/{config.unit.environment}")


def published(workspace: Workspace, unit: Unit, pins: tuple[Pin, ...]) -> Release | None:
    """The unit's current release, checked; None when nothing is published.

    Raises StoreError when the store does not answer, TrustError for a head that no reader would accept.
    """
    spec = workspace.project.environments.get(unit.environment)
    if spec is None or spec.publish_to is None:
        raise UsageError("abstract-environment", f"{unit.environment} is published nowhere")
    from sealpipe.publishing.heads import Reader, head
    from sealpipe.stores.registry import open_store

    store, prefix = open_store(spec.publish_to, base=workspace.root)
    try:
        found = head(store, prefix, unit, Reader(workspace.project.id, pins))
    finally:
        store.close()
    if found is None:
        return None
    if isinstance(found, Head):
        return found.release
    raise TrustError(found.word, found.what, hint=[f"sealpipe verify {unit}"])


def need_published(workspace: Workspace, unit: Unit, pins: tuple[Pin, ...]) -> Release:
    """As `published`; RefusedError [not-published] when there is nothing, UsageError when no file here either
    makes such a unit."""
    found = published(workspace, unit, pins)
    if found is None:
        need_unit(workspace, unit)
        raise RefusedError("not-published", f"{unit} was never published", hint=[f"sealpipe publish {unit}"])
    return found


def view_of_release(release: Release, workspace: Workspace) -> View:
    """The published side of a unit. What was published in plain and is secret by now is replaced."""
    draft = release.draft
    label = f"release #{release.payload.number}"
    values = draft.values
    if release.unit.service in workspace.schemas:
        values = _masked(values, schema_for(workspace, release.unit.service))
    return View(release.unit, values, draft.sealed, draft.merge_keys, label)


def _masked(values: Mapping[str, Any], schema: Effective) -> dict[str, Any]:
    plain = {to_pointer(path) for path in (*schema.plaintext(values), *_doubtful(values, schema))}
    made: dict[str, Any] = _mapped(values, (), lambda pointer, node: UNSEALED if pointer in plain else node)
    return made


def _doubtful(value: Any, schema: Effective, path: Concrete = ()) -> Iterator[Concrete]:
    """Where an invalid document may hold a secret that the schema does not see: a misspelt key beside
    one, a value in place of a map that has one, a map or list in place of one."""
    spot = schema.walk.at(path)
    beside = bool(path) and schema.walk.at(path[:-1]).holds_secret
    if value is None or looks_sealed(value):
        return
    if beside and not spot.known:
        yield path
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _doubtful(inner, schema, (*path, key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _doubtful(inner, schema, (*path, index))
    elif spot.holds_secret:
        yield path


def hidden(view: View) -> dict[str, Any]:
    """The values with `sealed (TYPE)` in place of each secret."""
    return _replaced(view, lambda _, token: f"sealed ({_type(token)})")


def sealed_shown(release: Release) -> dict[str, Any]:
    """A release's values with `sealed (TYPE)` in place of each secret, without a repository at hand."""
    draft = release.draft
    return hidden(View(release.unit, draft.values, draft.sealed, draft.merge_keys, ""))


def revealed(view: View, keys: Mapping[str, DocumentKeys]) -> dict[str, Any]:
    """The values with each secret opened (bytes as base64).

    `keys`: environment -> what the reader opens there (`opening.document_keys`). Raises TrustError for
    the first secret that none of them opens.
    """
    return _replaced(view, lambda pointer, token: open_one(view, keys, pointer, token))


def open_one(view: View, keys: Mapping[str, DocumentKeys], pointer: str, token: str) -> Any:
    """One secret's value, as JSON carries it. Raises TrustError."""
    at = view.sealed[pointer]
    path = typed(view.values, _concrete(view, pointer), view.merge_keys)
    documents = keys.get(at.environment, {})
    if path is None or at.document not in documents:
        raise TrustError(
            "no-reader",
            f"your key does not open {at}",
            hint=[f"sealpipe keys list {at.environment}"],
        )
    value = open_at(at, path, token, documents[at.document])
    return base64.b64encode(value).decode("ascii") if isinstance(value, bytes) else value


def _type(token: str) -> str:
    try:
        return parse_token(token).type
    except TrustError:
        return "malformed"


def _concrete(view: View, pointer: str) -> Concrete:
    return settle(view.values, from_pointer(pointer)) or ()


def _replaced(view: View, replace: Callable[[str, str], Any]) -> dict[str, Any]:
    def one(pointer: str, node: Any) -> Any:
        return replace(pointer, node) if pointer in view.sealed and isinstance(node, str) else node

    made: dict[str, Any] = _mapped(view.values, (), one)
    return made


def _mapped(node: Any, path: Concrete, change: Callable[[str, Any], Any]) -> Any:
    """A copy of a tree with each node as `change` gives it; what it replaces is not entered."""
    changed = change(to_pointer(path), node)
    if changed is not node:
        return changed
    if isinstance(node, Mapping):
        return {key: _mapped(inner, (*path, key), change) for key, inner in node.items()}
    if isinstance(node, list):
        return [_mapped(inner, (*path, index), change) for index, inner in enumerate(node)]
    return node


def leaf_paths(values: Any, merge_keys: Mapping[str, str], path: Concrete = ()) -> Iterator[Concrete]:
    """The paths that layers decide one by one, in document order: scalars, empty maps, lists that replace.

    `merge_keys` has the pointers of the lists whose elements merge; those are entered.
    """
    if isinstance(values, Mapping) and values:
        for key, inner in values.items():
            yield from leaf_paths(inner, merge_keys, (*path, key))
    elif isinstance(values, list) and values and to_pointer(path) in merge_keys:
        for index, inner in enumerate(values):
            yield from leaf_paths(inner, merge_keys, (*path, index))
    else:
        yield path


def environments_of(view: View) -> list[str]:
    """The environments whose keys are needed to open a view's secrets."""
    return sorted({at.environment for at in view.sealed.values()})


def view_of_document(document: Document, schema: Effective) -> View:
    """One layer alone. Sealed values that stand where nothing can be sealed are left as they are."""
    merge_keys = schema.merge_keys(document.values)
    sealed = {
        to_pointer(path): SealedAt(*document.id)
        for path in sealed_paths(document.values)
        if typed(document.values, path, merge_keys) is not None
    }
    return View(Unit(*document.id), _masked(document.values, schema), sealed, merge_keys, document.file)
