"""What `validate` does: load, trust files, layers, schemas, sealed values. Writes and opens nothing."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sealpipe import git
from sealpipe.editing.slots import units_of
from sealpipe.errors import Finding, UsageError, Where
from sealpipe.model import DocumentId, Validation, Workspace
from sealpipe.released import Unit
from sealpipe.stages.load import load, units
from sealpipe.stages.trusted import trusted_findings
from sealpipe.stages.validate import validate
from sealpipe.trees import PROJECT_FILE, Tree
from sealpipe.trust import Pin

PinsOf = Callable[[Workspace], Sequence[Pin]]


@dataclass(frozen=True, slots=True)
class Checked:
    """Made by `check`: the validation, and what is wrong with trust.yaml and the keyrings."""

    workspace: Workspace
    validation: Validation
    units: tuple[Unit, ...]
    trust: tuple[Finding, ...]

    @property
    def findings(self) -> tuple[Finding, ...]:
        """All of them, in the order of files and lines."""
        return tuple(sorted([*self.trust, *self.validation.findings], key=lambda f: f.where or Where("")))

    @property
    def trusted(self) -> bool:
        return not any(finding.severity == "error" for finding in self.trust)

    @property
    def ok(self) -> bool:
        return self.trusted and self.validation.ok


def check(tree: Tree, *, pins: PinsOf, environment: str = "", service: str = "", since: str = "") -> Checked:
    """Everything that can be checked without a key, over all units or those of a target.

    `since`: of these, only the units that files changed since that commit can have touched.

    Raises InputError for a sealpipe.yaml that cannot be used, UsageError for a target that does not exist.
    `pins` is asked once the workspace is read; without pins trust.yaml's root is not proven, and one
    warning says so.
    """
    workspace = load(tree)
    chosen = _chosen(workspace, environment, service) if environment else None
    if since:
        touched = _touched(workspace, git.changed_files(tree.root, since))
        chosen = touched if chosen is None else tuple(unit for unit in chosen if unit in touched)
    trust = trusted_findings(workspace, pins=pins(workspace))
    asked = units(workspace) if chosen is None else chosen
    return Checked(workspace, validate(workspace, chosen), asked, tuple(dict.fromkeys(trust)))


def _touched(workspace: Workspace, files: Sequence[str]) -> tuple[Unit, ...]:
    """The units that a change of these files can have touched; of sealpipe.yaml, all."""
    every = units(workspace)
    found: set[Unit] = set()
    for file in files:
        top, _, rest = file.partition("/")
        if file == PROJECT_FILE:
            return every
        if top == "environments" and rest.endswith(".yaml") and rest.count("/") == 1:
            found.update(units_of(workspace, DocumentId(*rest.removesuffix(".yaml").split("/"))))
        elif top == "schemas":
            name = rest.removesuffix(".schema.json")
            layers = {unit: ("_all", *workspace.project.layers(unit.service)) for unit in every}
            found.update(unit for unit in every if name == unit.service or name in layers[unit])
        elif top == "trust" and rest.endswith(".keyring.yaml"):
            environment = rest.removesuffix(".keyring.yaml")
            found.update(u for u in every if environment in workspace.project.chain(u.environment))
    return tuple(unit for unit in every if unit in found)


def _chosen(workspace: Workspace, environment: str, service: str) -> tuple[Unit, ...]:
    """The units of a target. An abstract environment stands for the units that are made of it."""
    project = workspace.project
    if environment not in project.environments:
        names = ", ".join(project.environments)
        raise UsageError(
            "unknown-environment",
            f"there is no environment `{environment}`",
            why=[f"environments here: {names}"],
        )
    every = units(workspace)
    if project.abstract(environment):
        mine = [unit for unit in every if environment in project.chain(unit.environment)]
    else:
        mine = [unit for unit in every if unit.environment == environment]
    if not service:
        return tuple(mine)
    found = tuple(unit for unit in mine if unit.service == service)
    if not found and service.startswith("_"):
        return tuple(unit for unit in mine if service == "_all" or service in project.layers(unit.service))
    if not found:
        names = ", ".join(sorted({unit.service for unit in mine})) or "none"
        raise UsageError(
            "unknown-service",
            f"{environment} has no service `{service}`",
            why=[f"services there: {names}"],
            hint=[f"sealpipe add service {service} --in {environment}"],
        )
    return found
