"""What `validate` does: load, trust files, layers, schemas, sealed values. Writes nothing."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator, Mapping, Sequence

from sealpipe import git
from sealpipe.checks.annotated import ageing, today
from sealpipe.checks.locate import Locator, set_command
from sealpipe.checks.trusted import trusted_findings
from sealpipe.errors import Finding, TrustError, UsageError, Where
from sealpipe.frozen import frozen, replace
from sealpipe.membership.slots import schema_for, units_of
from sealpipe.model import DocumentId, ValidatedConfig, Validation, Workspace
from sealpipe.opening import DocumentKeys, open_token
from sealpipe.paths import settle, show_path
from sealpipe.released import Unit
from sealpipe.schemas.compile import Effective, plain_check
from sealpipe.schemas.telling.explain import explain_opened
from sealpipe.stages.load import load, units
from sealpipe.stages.validate import validate
from sealpipe.tokens import place
from sealpipe.trees import PROJECT_FILE, Tree
from sealpipe.trust import Pin

PinsOf = Callable[[Workspace], Sequence[Pin]]


@frozen
class Checked:
    """Made by `check`: the validation, and what is wrong with trust.yaml and the keyrings."""

    workspace: Workspace
    validation: Validation
    units: tuple[Unit, ...]
    trust: tuple[Finding, ...]
    opened: tuple[Finding, ...] = ()  # about the content of secrets, where somebody's key opened them
    aged: tuple[Finding, ...] = ()  # settings that a schema wants to be rid of; `publish` does not ask

    @property
    def findings(self) -> tuple[Finding, ...]:
        """All of them, in the order of files and lines."""
        every = dict.fromkeys([*self.trust, *self.validation.findings, *self.opened, *self.aged])
        return tuple(sorted(every, key=lambda finding: finding.where or Where("")))

    @property
    def trusted(self) -> bool:
        return not any(finding.severity == "error" for finding in self.trust)

    @property
    def ok(self) -> bool:
        return not any(finding.severity == "error" for finding in self.findings)


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
    aged = ageing(workspace, asked, date=today())
    return Checked(workspace, validate(workspace, chosen), asked, tuple(dict.fromkeys(trust)), aged=aged)


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


def check_opened(checked: Checked, keys: Mapping[str, DocumentKeys]) -> Checked:
    """The same with the content of secrets checked, as far as `keys` (environment -> keys) open them.

    What is said holds nothing of a value. Units that are not valid are left out: their secrets may stand
    anywhere. A document without a key is told in one warning.
    """
    found: dict[tuple[str, str, str], Finding] = {}
    for config in checked.validation.configs.values():
        schema = schema_for(checked.workspace, config.unit.service)
        for key, finding in _opened(config, schema, keys):
            found.setdefault(key, finding)
    return replace(checked, opened=tuple(found.values()))


def _opened(
    config: ValidatedConfig, schema: Effective, keys: Mapping[str, DocumentKeys]
) -> Iterator[tuple[tuple[str, str, str], Finding]]:
    documents = {document.id: document for document in config.config.documents}
    locator = Locator()
    for sealed in config.config.sealed:
        environment, name = sealed.document
        document, shown = documents[sealed.document], show_path(sealed.path)
        where = Where(document.file)
        mine = keys.get(environment, {}).get(name)
        if mine is None:
            what = f"your key does not open {sealed.document}, so its secrets were not looked into"
            yield (str(where), "", ""), Finding("not-opened", what, where, severity="warning")
            continue
        where = locator.place(document, settle(document.values, sealed.path) or (), key=True)
        try:
            value = open_token(sealed.token, place(environment, name, sealed.path), mine)
        except TrustError as error:
            yield (str(where), shown, error.word), error.finding._replace(where=where, path=shown)
            continue
        if isinstance(value, bytes):
            value = base64.b64encode(value).decode("ascii")
        for problem in plain_check(schema, sealed.path, value):
            word, what = explain_opened(problem)
            hint = (set_command(sealed.document, sealed.path),)
            text = f"the sealed value {what}"
            yield (str(where), shown, word), Finding(word, text, where, shown, hint=hint)
