"""What `publish` leaves out because neither the repository nor the store moved: see `checks.standing`."""

from __future__ import annotations

from functools import cache, cached_property

from sealpipe.checks.standing import NOBODY, Record, Standing, standing
from sealpipe.cli.options import Common
from sealpipe.flows.planning import Request, look
from sealpipe.flows.targets import Target
from sealpipe.model import Workspace
from sealpipe.released import Unit
from sealpipe.stages.inputs import Inputs, inputs
from sealpipe.stages.load import with_services
from sealpipe.stages.plan import NOTHING
from sealpipe.trees import Seen
from sealpipe.trust import Pin


class Repository:
    """What is published: read when it is asked for, and once for several environments."""

    def __init__(self, tree: Seen, frame: Workspace, pins: tuple[Pin, ...]) -> None:
        self.tree, self.frame, self.pins = tree, frame, pins

    @cached_property
    def inputs(self) -> Inputs:
        return inputs(self.tree, self.pins)

    @cache  # noqa: B019  # as long as the command
    def without(self, services: frozenset[str]) -> Workspace:
        return with_services(self.frame, self.tree, services)


def may_stand(opts: Common, frame: Workspace, request: Request) -> bool:
    """Not where a person is shown the whole plan, or asks for more than what changed."""
    entry = frame.trust.environments.get(request.environment) if frame.trust else None
    asked = opts.dry_run or not (opts.yes or (entry is not None and not entry.protected))
    return not asked and request.allowed._replace(removal=False, growth=False) == NOTHING


def stood_in(repository: Repository, request: Request, target: Target, record: Record | None) -> Standing:
    """The units to leave out."""
    if record is None:
        return NOBODY
    # One after the other: two threads that both compute take longer than one in Python.
    looked = look(target, request.environment, record)
    named = Unit(request.environment, request.service) if request.service else None
    return standing(record, repository.inputs, looked, target.prefix, but=named)
