"""Would documents that are good today still be good under the schema as it is now?"""

from __future__ import annotations

from sealpipe.errors import InputError, UsageError
from sealpipe.frozen import NamedTuple
from sealpipe.looking.schema_changes import SchemaChange, changes
from sealpipe.membership.slots import schema_for
from sealpipe.model import Workspace
from sealpipe.paths import show_path
from sealpipe.released import Unit
from sealpipe.schemas.compat import covers
from sealpipe.schemas.compile import Effective
from sealpipe.stages.layer import layer
from sealpipe.stages.load import units


class Refused(NamedTuple):
    """A document of before that the schema of now does not take."""

    unit: Unit
    paths: tuple[str, ...]


class Compatibility(NamedTuple):
    """`verdict`: "same", "compatible", "breaking" (a document of before is refused, or some could be), or
    "unknown" (nothing of before is refused, and inclusion could not be decided)."""

    service: str
    verdict: str
    changes: tuple[SchemaChange, ...]
    refused: tuple[Refused, ...]
    replayed: int  # documents of before that were held against the schema of now


def compatibility(before: Workspace, now: Workspace, service: str) -> Compatibility:
    """The schema of a service in two states of a repository, and its merged documents of the earlier one.

    Decided by inclusion and by replay: each document of `before` against the schema of `now`. Raises
    UsageError [unknown-service], InputError for a schema that cannot be used. Sealed values are held
    against it by type only.
    """
    old, new = _schema(before, service), _schema(now, service)
    found = tuple(changes(old.schema, new.schema))
    refused, replayed = _replay(before, new, service)
    if not found:
        verdict = "same"
    elif refused:
        verdict = "breaking"
    else:
        verdict = {"yes": "compatible", "no": "breaking"}.get(covers(new.schema, old.schema), "unknown")
    return Compatibility(service, verdict, found, refused, replayed)


def _schema(workspace: Workspace, service: str) -> Effective:
    if service not in workspace.schemas:
        known = ", ".join(sorted(name for name in workspace.schemas if not name.startswith("_")))
        raise UsageError("unknown-service", f"there is no schema of {service}", why=[f"schemas: {known}"])
    return schema_for(workspace, service)


def _replay(before: Workspace, schema: Effective, service: str) -> tuple[tuple[Refused, ...], int]:
    refused: list[Refused] = []
    replayed = 0
    for unit in units(before):
        if unit.service != service:
            continue
        try:
            config = layer(before, unit, _schema(before, service).merge_key_at)
        except InputError:
            continue  # it was not valid then: nothing is lost
        replayed += 1
        paths = dict.fromkeys(
            show_path(problem.path) or "(the whole)" for problem in schema.problems(config.values)
        )
        if paths:
            refused.append(Refused(unit, tuple(paths)))
    return tuple(refused), replayed
