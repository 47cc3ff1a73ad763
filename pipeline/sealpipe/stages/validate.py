"""Schemas, layers and sealed values of a workspace, without any key. Publishes nothing, reads nothing.

Pass 1 holds each document alone against its schema, pass 2 each unit merged. A cause is said once, where
it stands; what a shared layer does wrong carries the number of units that it reaches.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sealpipe.checks.annotated import inherited
from sealpipe.checks.locate import PUSHED, Locator, deciding, located, set_command
from sealpipe.checks.running import RunningCheck
from sealpipe.checks.sealed import SealedCheck
from sealpipe.errors import Finding, InputError, Where
from sealpipe.model import (
    Document,
    DocumentId,
    LayeredConfig,
    SchemaFile,
    ValidatedConfig,
    Validation,
    Workspace,
)
from sealpipe.paths import Concrete, show_path
from sealpipe.project import SHARED, layer_ids
from sealpipe.released import Unit
from sealpipe.schemas.compile import Effective, effective
from sealpipe.schemas.engine import Problem
from sealpipe.schemas.lint import lint
from sealpipe.schemas.telling.explain import Explained, explain
from sealpipe.stages.layer import layer
from sealpipe.stages.load import units as units_of
from sealpipe.stages.plainkeys import tree_findings
from sealpipe.trees import PROJECT_FILE

# Faults of a schema file that leave nothing to hold a document against.
_USELESS = {"bad-schema", "bad-reference", "unknown-format", "bad-pattern", "schema-dialect"}


def validate(workspace: Workspace, units: Sequence[Unit] | None = None) -> Validation:
    """Both passes over `units` (default: all), their documents and schemas. Only this makes a Validation.

    A unit has a ValidatedConfig when nothing that it is made of has an error. Signatures, versions and
    pins of trust.yaml and keyrings are not checked: see `checks.trusted`. The content of a sealed value is
    not seen; its form, type, key and place are.
    """
    run = _Run(workspace, units_of(workspace) if units is None else tuple(units), everything=units is None)
    run.files()
    run.schema_files()
    for document in run.documents.values():
        run.document(document)
    configs = {unit: config for unit in run.units if (config := run.unit(unit)) is not None}
    return Validation(
        configs=configs,
        findings=run.report.findings(),
        documents=len(run.documents),
        environments=len({document.id.environment for document in run.documents.values()}),
    )


class _Report:
    """Findings by cause: word, place and path. The first one of a cause is kept, its reach grows."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, Where | None, str], Finding] = {}
        self._reach: dict[tuple[str, Where | None, str], set[Unit]] = {}

    def add(self, finding: Finding, reached: Iterable[Unit] = ()) -> None:
        key = (finding.word, finding.where, finding.path)
        known = self._found.setdefault(key, finding)
        if sum(map(len, finding.why)) > sum(map(len, known.why)):
            self._found[key] = finding  # the merged whole knows more of a choice than a part does
        self._reach.setdefault(key, set()).update(reached)

    def findings(self) -> tuple[Finding, ...]:
        # A value of the wrong type also differs in kind from the layer below: one cause.
        causes = ("wrong-type", "sealed-not-secret")
        mistyped = {_spot(finding) for finding in self._found.values() if finding.word in causes}
        made = [
            finding._replace(reach=len(self._reach[key])) if len(self._reach[key]) > 1 else finding
            for key, finding in self._found.items()
            if finding.word != "kind-change" or _spot(finding) not in mistyped
        ]
        return tuple(sorted(made, key=lambda finding: finding.where or Where("")))


def _spot(finding: Finding) -> tuple[str, str]:
    return finding.where.file if finding.where else "", finding.path


class _Run:
    """One validation under way."""

    def __init__(self, workspace: Workspace, units: tuple[Unit, ...], *, everything: bool) -> None:
        self.workspace = workspace
        self.units = units
        self.everything = everything
        self.report = _Report()
        self.locator = Locator()
        self.schemas: dict[str, Effective] = {}  # by service or shared layer
        self.broken: set[str] = set()  # files with an error
        self.users = _users(workspace, units)
        self.documents = _documents(workspace, self.users, everything)
        self.services = {unit.service for unit in units}
        if everything:
            self.services |= {d.name for d in workspace.documents if not d.name.startswith("_")}
        self.running = RunningCheck(workspace.running, self.locator)
        self._sealed: SealedCheck | None = None

    @property
    def sealed(self) -> SealedCheck:
        if self._sealed is None:
            self._sealed = SealedCheck(self.workspace, self.schemas, self.locator)
        return self._sealed

    def add(self, finding: Finding, reached: Iterable[Unit] = (), *, file: str = "") -> None:
        self.report.add(finding, reached)
        if finding.severity == "error":
            self.broken.add(file or (finding.where.file if finding.where else ""))

    # ---- files and schemas

    def files(self) -> None:
        """What could not be read. Findings about trust/ are said by who checks trust."""
        mine = {_file(name) for name in self.users} | {_schema_file(name) for name in self._schema_names()}
        for finding in self.workspace.findings:
            file = finding.where.file if finding.where else ""
            folder = file.partition("/")[0]
            chosen = self.everything or folder not in ("environments", "schemas") or file in mine
            if folder != "trust" and chosen:
                self.add(finding, file=file)

    def _schema_names(self) -> set[str]:
        names = set(self.services)
        for service in self.services:
            names.update((SHARED, *self.workspace.project.layers(service)))
        return names

    def schema_files(self) -> None:
        present = self.workspace.schemas
        names = set(present) if self.everything else self._schema_names() & set(present)
        useless = {f.where.file for f in self.workspace.findings if f.where and f.severity == "error"}
        for name in sorted(names):
            for finding in lint(present[name]):
                self.add(finding)
                if finding.word in _USELESS:
                    useless.add(present[name].file)
            if self.everything and not name.startswith("_") and name not in self.services:
                self.add(_unused_schema(present[name]))
        for name in sorted(self._schema_names()):
            if name in present or name in self.services:
                self._compile(name, useless)
        for name in sorted(self.services):
            for finding in self.running.broken(name):
                self.add(finding, [unit for unit in self.units if unit.service == name])

    def _compile(self, name: str, useless: set[str]) -> None:
        layers = () if name.startswith("_") else (SHARED, *self.workspace.project.layers(name))
        if any(_schema_file(part) in useless for part in (name, *layers)):
            return
        try:
            self.schemas[name] = effective(self.workspace.schemas, name, layers, where=self._first_file(name))
        except InputError as error:
            for finding in error.findings:
                self.add(finding, [unit for unit in self.units if unit.service == name])

    def _first_file(self, service: str) -> Where | None:
        files = (d.file for d in self.workspace.documents.values() if d.id.name == service)
        return next((Where(file, 1, 1) for file in files), None)

    # ---- pass 1

    def document(self, document: Document) -> None:
        """One document alone: against its own schema, and its sealed values against all that see it."""
        reached = self.users.get(document.id, ())
        own = self.schemas.get(document.id.name)
        if own is not None:
            plain = list(own.plaintext(document.values))
            for path in plain:
                self.add(self._plaintext(own, document, path), reached)
            causes = _causes(own.part_problems(document.values), own, document.values)
            for cause in causes:
                self.add(located(cause, document, path=cause.path, schema=own, locator=self.locator), reached)
        views = [own] if own is not None else []
        if document.id.name.startswith("_"):
            views += self._views(document.id)  # a service may call plain what the layer's schema calls secret
        for finding in self.sealed.findings(document, views):
            self.add(finding, reached)

    def _views(self, name: DocumentId) -> list[Effective]:
        services = dict.fromkeys(unit.service for unit in self.users.get(name, ()))
        return [self.schemas[service] for service in services if service in self.schemas]

    def _plaintext(self, schema: Effective, document: Document, path: Concrete) -> Finding:
        seal = f"sealpipe seal {document.id}"
        if self.workspace.project.abstract(document.id.environment):
            unit = next(iter(self.users.get(document.id, ())), None)
            target = f"{unit.environment if unit else 'ENV'}/{document.id.name}"
            seal = f"{document.id.environment} has no keys: remove it here, then: {set_command(target, path)}"
        mark = "writeOnly" if schema.walk.at(path).annotation("writeOnly") is True else "x-secret"
        what = f"{schema.origin(path)} marks it {mark}, and the value in the file is not sealed"
        return Finding(
            "plaintext-secret",
            f"{what} (value not shown)",
            self.locator.place(document, path, key=True),
            show_path(path),
            hint=(seal, PUSHED),
        )

    # ---- pass 2

    def unit(self, unit: Unit) -> ValidatedConfig | None:
        """One unit merged. None when it, or anything that it is made of, has an error."""
        schema = self.schemas.get(unit.service)
        if schema is None:
            return None
        try:
            config = layer(self.workspace, unit, schema.merge_key_at)
        except InputError as error:
            for finding in error.findings:
                self.report.add(finding, [unit])
            return None
        faults = self._merged(unit, schema, config)
        for fault in faults:
            self.report.add(fault, [unit])
        # Without its keyring nobody knows whether a sealed value has a key that counts.
        unkeyed = any(sealed.document.environment not in self.workspace.keyrings for sealed in config.sealed)
        if faults or unkeyed or (self.broken and self._made_of(unit) & self.broken):
            return None
        return ValidatedConfig(
            config=config,
            schema_digest=schema.digest,
            secret_pointers=tuple(sealed.pointer for sealed in config.sealed),
            locked=schema.locked(config.values),
        )

    def _made_of(self, unit: Unit) -> set[str]:
        """The files whose errors a unit shares."""
        layers = (unit.service, SHARED, *self.workspace.project.layers(unit.service))
        documents = {_file(DocumentId(*pair)) for pair in layer_ids(self.workspace.project, unit)}
        return documents | {_schema_file(name) for name in layers} | {PROJECT_FILE, ""}

    def _merged(self, unit: Unit, schema: Effective, config: LayeredConfig) -> list[Finding]:
        if not config.documents:
            return []
        found: list[Finding] = []
        for path in schema.plaintext(config.values):
            document, local = deciding(config.documents, config.values, config.merge_keys, path)
            found.append(self._plaintext(schema, document, local))
        for cause in _causes(schema.problems(config.values), schema, config.values):
            document, local = self._standing(config, cause)
            found.append(
                located(cause, document, path=local, schema=schema, locator=self.locator, set_in=str(unit))
            )
        found += inherited(config, schema, self.locator)
        found += self.running.findings(config)
        tree = self.workspace.project.environments[unit.environment].tree
        if tree is not None and unit.service in tree.services:
            found += tree_findings(config, tree.layout, self.locator)
        return found

    def _standing(self, config: LayeredConfig, cause: Explained) -> tuple[Document, Concrete]:
        """Where a cause stands: of an absent key, where the map stands that lacks it."""
        path = cause.path[:-1] if cause.absent else cause.path
        document, local = deciding(config.documents, config.values, config.merge_keys, path)
        return document, (*local, cause.path[-1]) if cause.absent else local


def _causes(problems: Iterable[Problem], schema: Effective, values: Mapping[str, Any]) -> list[Explained]:
    """What is behind the problems, each once; not a key that is only missing because it is misspelt."""
    causes = list(dict.fromkeys(c for problem in problems for c in explain(problem, schema, values)))
    misspelt = {(*cause.path[:-1], cause.near) for cause in causes if cause.on_key and cause.near}
    return [cause for cause in causes if not (cause.word == "missing-key" and cause.path in misspelt)]


def _users(workspace: Workspace, units: Iterable[Unit]) -> dict[DocumentId, tuple[Unit, ...]]:
    """The units that each document is a layer of, present or not."""
    users: dict[DocumentId, list[Unit]] = {}
    for unit in units:
        for pair in layer_ids(workspace.project, unit):
            users.setdefault(DocumentId(*pair), []).append(unit)
    return {name: tuple(found) for name, found in users.items()}


def _documents(
    workspace: Workspace, users: Mapping[DocumentId, object], everything: bool
) -> dict[DocumentId, Document]:
    found = workspace.documents
    return {name: found[name] for name in sorted(found) if everything or name in users}


def _unused_schema(file: SchemaFile) -> Finding:
    return Finding(
        "unused-schema",
        f"no environment has a {file.name}.yaml, so this schema checks nothing",
        Where(file.file),
        hint=(f"sealpipe add service {file.name} --in dev", f"or: git rm {file.file}"),
        severity="warning",
    )


def _file(name: DocumentId) -> str:
    return f"environments/{name.environment}/{name.name}.yaml"


def _schema_file(name: str) -> str:
    return f"schemas/{name}.schema.json"
