"""`doctor --policy`: whose rights are asked for, in which stores."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sealpipe.flows.drafts import chosen_units
from sealpipe.frozen import NamedTuple
from sealpipe.model import Workspace
from sealpipe.stages.load import units
from sealpipe.stores.probes.policies import Policy, policies
from sealpipe.stores.registry import scheme_of


class _Place(NamedTuple):
    environment: str
    url: str
    services: Sequence[str]


def policies_for(workspace: Workspace | None, what: str, *, base: str) -> list[Policy]:
    """The policies that `what` asks for: an environment, ENV/SERVICE, a store's address, or its scheme.

    An environment has those of its store and of its mirrors. An address that no environment names is told
    with the names ENV and SERVICE to fill in. Raises UsageError, UnsupportedError [no-policy].
    """
    environment, _, service = what.partition("/")
    known = [*_places(workspace)] if workspace is not None else []
    if workspace is None or ":" in what:
        scheme_of(what)
        service = ""
        found = [one for one in known if one.url == what] or [_Place("ENV", what, ["SERVICE"])]
    elif what in workspace.project.environments or not any(_is_of(one, what) for one in known):
        named = [unit.service for unit in chosen_units(workspace, environment, service or None)]
        found = [one._replace(services=sorted(named)) for one in known if one.environment == environment]
    else:
        found = [one for one in known if _is_of(one, what)]
    made = [
        policy
        for place in found
        for policy in policies(place.url, place.environment, place.services, base=base)
        if not service or policy.service or not policy.environment
    ]
    return list(dict.fromkeys(made))


def _is_of(place: _Place, scheme: str) -> bool:
    return scheme_of(place.url).partition("+")[0] == scheme


def _places(workspace: Workspace) -> Iterator[_Place]:
    """Each environment, with its store and each of its mirrors, and its services."""
    services: dict[str, list[str]] = {}
    for unit in units(workspace):
        services.setdefault(unit.environment, []).append(unit.service)
    for name, spec in workspace.project.environments.items():
        for url in (spec.publish_to, *spec.mirrors):
            if url:
                yield _Place(name, url, sorted(services.get(name, [])))
