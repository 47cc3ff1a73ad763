"""A repository's files to a Workspace. Reads through a Tree: the working copy, or a commit."""

from __future__ import annotations

import json
import re
from collections.abc import Container, Iterator, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from sealpipe.documents.read import read_yaml
from sealpipe.documents.refusals import show_key
from sealpipe.documents.text import decode
from sealpipe.errors import Finding, InputError, UsageError, Where
from sealpipe.frozen import NamedTuple, replace
from sealpipe.model import Commit, Document, DocumentId, SchemaFile, Workspace
from sealpipe.paths import Concrete
from sealpipe.project import NAME_HINT, SHARED, Project, is_document_name, is_name, layer_ids, parse_project
from sealpipe.released import Unit
from sealpipe.trees import PROJECT_FILE, RUNNING, Tree

if TYPE_CHECKING:
    from sealpipe.documents.origins import Origins

_SCHEMA = ".schema.json"
_LOCAL = ".local.yaml"  # a person's own values for `sealpipe dev`; never part of what is published
_OTHER_FORMS = (".yml", ".json", ".toml")


def load(tree: Tree, *, only: Unit | None = None) -> Workspace:
    """Everything that the pipeline reads, as values. Only this module makes a Workspace.

    Bad documents, schemas and trust files become `findings` and are left out. Raises InputError for a
    sealpipe.yaml that cannot be used, UsageError[no-repository] when there is none. Does not merge, does
    not validate, proves no signature.

    `only` leaves out what one unit is not made of: other services' documents and schemas, the schemas of
    running releases, the commit. Enough to look at that unit, not to publish or judge anything.
    """
    if only is None:
        return with_services(frame(tree), tree)
    found = frame(tree, commit=Commit("", "", "", dirty=True))
    known = only.environment in found.project.environments
    names = {name for _, name in layer_ids(found.project, only)} if known else set()
    return _filled(found, tree, _Names(only=names))


def frame(tree: Tree, *, commit: Commit | None = None) -> Workspace:
    """A workspace without documents and schemas: sealpipe.yaml, trust/ and where git is. Raises as `load`."""
    from sealpipe.checks.trust_files import read_trust

    project = load_project(tree)
    trust = read_trust(tree)
    return Workspace(
        root=tree.root,
        project=project,
        commit=Commit(*tree.commit) if commit is None else commit,
        trust=trust.trust,
        roots=trust.roots,
        keyrings=trust.keyrings,
        schemas={},
        documents={},
        findings=tuple(trust.findings),
    )


def with_services(found: Workspace, tree: Tree, without: Container[str] = ()) -> Workspace:
    """The frame of this tree with all that services are made of, but for the services in `without`: they
    look as if they were not there, and shared layers and their schemas as they are."""
    return _filled(found, tree, _Names(without=without))


class _Names(NamedTuple):
    """Of documents and schemas: which are read."""

    only: Container[str] | None = None
    without: Container[str] = ()

    def has(self, name: str) -> bool:
        return name not in self.without and (self.only is None or name in self.only)


def _filled(found: Workspace, tree: Tree, names: _Names) -> Workspace:
    findings: list[Finding] = []
    project, whole = found.project, names.only is None
    documents = {document.id: document for document in _documents(tree, project, names, findings)}
    schemas = {schema.name: schema for schema in _schemas(tree, names, findings)}
    running = {name: tuple(files) for name, files in _running(tree, names, findings)} if whole else {}
    findings += _missing(project, documents) if whole else ()
    findings += found.findings
    return replace(found, documents=documents, schemas=schemas, running=running, findings=tuple(findings))


def load_project(tree: Tree) -> Project:
    """sealpipe.yaml alone. Raises as `load` does."""
    data = tree.read(PROJECT_FILE)
    if data is None:
        what = f"{tree.label} has no {PROJECT_FILE}"
        raise UsageError("no-repository", what, hint=["sealpipe init"])
    text = decode(data, file=PROJECT_FILE)
    values = read_yaml(text, file=PROJECT_FILE)
    places: list[Origins] = []

    def where(path: Concrete) -> Where | None:
        from sealpipe.documents.origins import origins

        if not places:
            places.append(origins(text, file=PROJECT_FILE))
        return places[0].key_where(path)

    return parse_project(values, where)


def units(workspace: Workspace) -> tuple[Unit, ...]:
    """Every service of every published environment, in the order of sealpipe.yaml, services by name.

    A unit is there where its file is, or where the environment inherits the services of what it extends.
    """
    project = workspace.project
    named = _named(workspace)
    return tuple(
        Unit(environment, service)
        for environment in project.environments
        if not project.abstract(environment)
        for service in sorted(_services(project, named, environment))
    )


def _named(workspace: Workspace) -> dict[str, set[str]]:
    named: dict[str, set[str]] = {}
    for document in workspace.documents:
        if not document.name.startswith("_"):
            named.setdefault(document.environment, set()).add(document.name)
    # A file that could not be read still makes its unit: it must not look as if it had been removed.
    for finding in workspace.findings:
        found = re.fullmatch(
            r"environments/([^/]+)/([^/_][^/]*)\.yaml", finding.where.file if finding.where else ""
        )
        if found and is_name(found[2]) and found[1] in workspace.project.environments:
            named.setdefault(found[1], set()).add(found[2])
    return named


def _services(project: Project, named: Mapping[str, set[str]], environment: str) -> set[str]:
    found = set(named.get(environment, ()))
    spec = project.environments[environment]
    if spec.inherit_services and spec.extends is not None:
        found |= _services(project, named, spec.extends)
    return found


def _documents(tree: Tree, project: Project, names: _Names, findings: list[Finding]) -> Iterator[Document]:
    for environment in _environments(tree, project, findings):
        folder = f"environments/{environment}"
        for name in _names(tree, folder, findings):
            file = f"{folder}/{name}"
            stem = _stem(name, file, findings)
            if stem is None or not names.has(stem):
                continue
            try:
                data = tree.read(file)
                if data is not None:
                    text = decode(data, file=file)
                    values = read_yaml(text, file=file)
                    yield Document(DocumentId(environment, stem), file, text, values)
            except InputError as error:
                findings.extend(error.findings)


def _environments(tree: Tree, project: Project, findings: list[Finding]) -> Iterator[str]:
    for name in _names(tree, "environments", findings):
        folder = name.rstrip("/")
        if not name.endswith("/"):
            if name in project.environments:
                what = "this must be a folder; a link or a submodule is not followed"
                findings.append(Finding("not-a-folder", what, Where(f"environments/{name}")))
            elif not name.startswith(".") and name.endswith((".yaml", *_OTHER_FORMS)):
                what = "files stand in the folder of an environment"
                findings.append(Finding("misplaced-file", what, Where(f"environments/{name}")))
        elif folder in project.environments:
            yield folder
        elif not name.startswith("."):
            what = f"`{folder}` is no environment of {PROJECT_FILE}; its files are not used"
            hint = f"sealpipe add environment {folder}" if is_name(folder) else NAME_HINT
            findings.append(
                Finding("unknown-environment", what, Where(f"environments/{folder}"), hint=(hint,))
            )


def _names(tree: Tree, folder: str, findings: list[Finding]) -> list[str]:
    try:
        return tree.list(folder)
    except InputError as error:
        findings.extend(error.findings)
    return []


def _stem(name: str, file: str, findings: list[Finding]) -> str | None:
    """The document's name, or None for what is no document: silently only for what nobody takes for one."""
    where = Where(file.rstrip("/"))
    if name.startswith(".") or name.endswith(_LOCAL):
        return None
    if name.endswith("/"):
        what = "an environment has no folders; its files stand side by side"
        findings.append(Finding("misplaced-file", what, where, hint=("move the files up",)))
        return None
    stem, dot, ending = name.rpartition(".")
    if dot + ending in _OTHER_FORMS:
        hint = f"git mv {file} {file[: -len(ending)]}yaml"
        what = "documents are YAML and end in .yaml; this file is not used"
        findings.append(Finding("wrong-extension", what, where, hint=(hint,)))
        return None
    if dot + ending != ".yaml":
        return None
    if not is_document_name(stem):
        what = f"`{show_key(stem)}` cannot be the name of a service or layer"
        findings.append(Finding("bad-name", what, where, hint=(NAME_HINT,)))
        return None
    return stem


def _missing(project: Project, documents: Mapping[DocumentId, Document]) -> Iterator[Finding]:
    """Shared layers that are listed and nowhere there, or there and nowhere listed: a name is wrong."""
    there = {document.name for document in documents}
    for service in project.services.values():
        for layer in service.layers:
            if layer not in there:
                what = f"{service.name} lists the layer `{layer}`, and no environment has a {layer}.yaml"
                hint = "correct the name, or create the file in one environment"
                yield Finding(
                    "unknown-layer",
                    what,
                    Where(PROJECT_FILE),
                    f"services.{service.name}.layers",
                    hint=(hint,),
                )
    for document in documents:
        used = document.name == SHARED or not document.name.startswith("_")
        if not used and not any(document.name in service.layers for service in project.services.values()):
            what = f"no service lists the layer `{document.name}`; the file is not used"
            hint = f"in {PROJECT_FILE}: services: {{NAME: {{layers: [{document.name}]}}}}"
            file = documents[document].file
            yield Finding("unused-layer", what, Where(file), hint=(hint,), severity="warning")


def _schemas(tree: Tree, names: _Names, findings: list[Finding]) -> Iterator[SchemaFile]:
    for name in _names(tree, "schemas", findings):
        if not name.endswith(_SCHEMA):
            continue
        file, stem = f"schemas/{name}", name[: -len(_SCHEMA)]
        if not names.has(stem):
            continue
        if not is_document_name(stem):
            what = f"`{show_key(stem)}` cannot be the name of a service or layer"
            findings.append(Finding("bad-name", what, Where(file), hint=(NAME_HINT,)))
            continue
        try:
            data = tree.read(file)
            if data is not None:
                text = decode(data, file=file)
                yield SchemaFile(stem, file, text, read_schema(text, file=file))
        except InputError as error:
            findings.extend(error.findings)


def _running(tree: Tree, names: _Names, findings: list[Finding]) -> Iterator[tuple[str, list[SchemaFile]]]:
    """The schemas of releases in service, by service: schemas/running/SERVICE/RELEASE.schema.json."""
    if "running/" not in _names(tree, "schemas", []):  # what stands in the way there was said
        return
    for folder in _names(tree, RUNNING, findings):
        service = folder.removesuffix("/")
        if not names.has(service):
            continue
        found = []
        for name in _names(tree, f"{RUNNING}/{service}", findings) if folder.endswith("/") else ():
            file = f"{RUNNING}/{service}/{name}"
            data = tree.read(file) if name.endswith(_SCHEMA) else None
            if data is None:
                continue
            try:
                text = decode(data, file=file)
                found.append(SchemaFile(service, file, text, read_schema(text, file=file)))
            except InputError as error:
                findings.extend(error.findings)
        if found:
            yield service, found


def read_schema(text: str, *, file: str) -> dict[str, Any]:
    """A schema file's JSON. Raises InputError[bad-json] with the place. Does not check the schema."""
    where, what = Where(file), ""
    found: Any = None
    try:
        found = _json(text)
    except json.JSONDecodeError as error:
        where, what = Where(file, error.lineno, error.colno), "this is not JSON"
    except RecursionError:
        what = "the schema is nested too deep"
    except ValueError as error:
        what = str(error)
    if not what and not isinstance(found, dict):
        what = "a schema file holds one JSON object"
    if what:
        raise InputError([Finding("bad-json", what, where, hint=(f"python -m json.tool {file}",))])
    return found  # type: ignore[no-any-return]


@lru_cache(maxsize=256)
def _json(text: str) -> Any:
    # One object for equal files: whoever works with a schema knows it again. Nobody changes it.
    return json.loads(text, object_pairs_hook=_once, parse_constant=_no_constant)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise ValueError(f"duplicate key `{show_key(key)}`")
        found[key] = value
    return found


def _no_constant(_: str) -> Any:
    raise ValueError("JSON has no NaN and no infinity")
