"""A repository to drafts: load, validate, draft, with origins for what is going to be shown or published."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from sealpipe.checks.locate import Locator, deciding
from sealpipe.documents.lines import KeyLines
from sealpipe.errors import InputError, UsageError
from sealpipe.frozen import frozen, replace
from sealpipe.looking.reading import leaf_paths, need_unit
from sealpipe.model import Document, Drafted, LayeredConfig, ValidatedConfig, Validation, Workspace
from sealpipe.paths import Concrete, to_pointer
from sealpipe.project import SHARED
from sealpipe.released import Unit
from sealpipe.schemas.compile import Effective, effective
from sealpipe.stages.draft import draft
from sealpipe.stages.load import units
from sealpipe.stages.validate import validate


@frozen
class Rendered:
    """A valid part of a repository, and the draft of each of its units, without origins yet."""

    workspace: Workspace
    validation: Validation
    drafted: Mapping[Unit, Drafted]


def render(workspace: Workspace, chosen: Iterable[Unit]) -> Rendered:
    """Raises InputError with every finding when one of the units, or what it is made of, is not valid."""
    wanted = tuple(chosen)
    validation = validate(workspace, wanted)
    if not validation.ok:
        raise InputError(validation.findings)
    made = {unit: draft(validation.configs[unit], workspace.keyrings) for unit in wanted}
    return Rendered(workspace, validation, made)


def chosen_units(workspace: Workspace, environment: str, service: str | None) -> tuple[Unit, ...]:
    """The units of an environment, or the one named. Raises UsageError for an unknown or abstract one."""
    if service is not None:
        need_unit(workspace, Unit(environment, service))
        return (Unit(environment, service),)
    need_published_environment(workspace, environment)
    return tuple(unit for unit in units(workspace) if unit.environment == environment)


def need_published_environment(workspace: Workspace, environment: str) -> None:
    """UsageError [unknown-environment] or [abstract-environment]."""
    spec = workspace.project.environments.get(environment)
    if spec is None:
        names = ", ".join(workspace.project.environments)
        raise UsageError(
            "unknown-environment",
            f"there is no environment `{environment}`",
            why=[f"environments here: {names}"],
        )
    if spec.publish_to is None:
        raise UsageError(
            "abstract-environment",
            f"{environment} is a layer only: it has no `publish_to`, so nothing of it is published",
        )


def published_environments(workspace: Workspace) -> tuple[str, ...]:
    """Every environment with a store, in the order of sealpipe.yaml."""
    return tuple(name for name, spec in workspace.project.environments.items() if spec.publish_to)


def with_origins(rendered: Rendered, chosen: Iterable[Unit]) -> dict[Unit, Drafted]:
    """All drafts; those of the chosen units with file:line of each value."""
    locator = Locator()
    found = dict(rendered.drafted)
    for unit in chosen:
        config = rendered.validation.configs[unit]
        found[unit] = replace(found[unit], origins=origins_of(config, locator))
    return found


def origins_of(config: ValidatedConfig, locator: Locator) -> dict[str, str]:
    """JSON Pointer of each value -> file:line of the layer that decides it."""
    layered, found = config.config, {}
    lines = {document.file: KeyLines(document.text) for document in layered.documents}
    for path in leaf_paths(layered.values, layered.merge_keys):
        if layered.documents and path:
            document, local = _deciding(layered, path)
            line = lines[document.file].line(local) or locator.place(document, local, key=True).line
            found[to_pointer(path)] = f"{document.file}:{line}"
    return found


def _deciding(layered: LayeredConfig, path: Concrete) -> tuple[Document, Concrete]:
    if len(layered.documents) == 1 and not layered.merge_keys:
        return layered.documents[0], path  # its values are the values
    return deciding(layered.documents, layered.values, layered.merge_keys, path)


def schema_of(workspace: Workspace, service: str) -> Effective:
    """The effective schema of a service. Raises InputError."""
    return effective(workspace.schemas, service, (SHARED, *workspace.project.layers(service)))
