"""What `dev` and `run` hand to a program: a configuration with opened secrets, in memory, re-boxed.

A person's key opens; the program gets a release signed and boxed for a key made for it alone.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from sealpipe.checks.locate import Locator
from sealpipe.client.opened import Opened
from sealpipe.documents.read import read_yaml
from sealpipe.documents.text import decode
from sealpipe.errors import Finding, InputError, RefusedError, TrustError
from sealpipe.flows.drafts import origins_of, schema_of
from sealpipe.frozen import NamedTuple, field, frozen, replace
from sealpipe.looking.reading import need_unit
from sealpipe.model import Document, DocumentId, ValidatedConfig, Workspace
from sealpipe.opening import DocumentKeys, open_token
from sealpipe.paths import Path, from_pointer, lookup, settle, show_path, typed
from sealpipe.project import EnvironmentSpec
from sealpipe.released import Release, SealedAt, Unit
from sealpipe.schemas.compile import Effective, plain_check
from sealpipe.stages.layer import sealed_strings
from sealpipe.stages.load import load
from sealpipe.stages.validate import validate
from sealpipe.tokens import parse_token, place
from sealpipe.trees import Tree

KeysOf = Callable[[Workspace, str], DocumentKeys]
"""Workspace, environment -> what the person opens there; empty for who opens nothing."""


@frozen
class Handed:
    """A unit's configuration with an `Opened` for each secret."""

    unit: Unit
    values: Mapping[str, Any] = field(repr=False)
    merge_keys: Mapping[str, str]
    locked: tuple[str, ...]
    origins: Mapping[str, str] = field(repr=False)
    faked: tuple[str, ...]  # paths whose secret is made up
    label: str  # "the files here" or "#42 (7c1e9a)"
    number: int = 0  # of the release, for people; 0 for files


class _Secret(NamedTuple):
    pointer: str
    token: str
    at: SealedAt
    path: Path


# ---- from the files


def from_files(tree: Tree, unit: Unit, keys_of: KeysOf, *, fake: bool) -> Handed:
    """The unit as the files have it, with a person's own `<service>.local.yaml` on top.

    Raises InputError when anything that it is made of is not valid; TrustError [no-reader] for secrets
    that the person's key does not open, unless `fake` makes some up.
    """
    workspace = load(tree)
    need_unit(workspace, unit)
    local = _local_document(tree, workspace, unit)
    local_unit = unit
    if local is not None:
        workspace, local_unit = _with_local(workspace, unit, local)
    validation = validate(workspace, [local_unit])
    config = validation.configs.get(local_unit)
    if config is None or not validation.ok:
        raise InputError([_as_known(finding, unit) for finding in validation.findings])
    secrets = [_Secret(s.pointer, s.token, SealedAt(*s.document), s.path) for s in config.config.sealed]
    schema = schema_of(workspace, unit.service)
    values, faked = _opened(
        config.config.values, secrets, _opener(workspace, keys_of), schema if fake else None
    )
    return Handed(
        unit=unit,
        values=values,
        merge_keys=config.config.merge_keys,
        locked=config.locked,
        origins=_origins(config),
        faked=faked,
        label="the files here" + (f" and {local.file}" if local else ""),
    )


def _origins(config: ValidatedConfig) -> Mapping[str, str]:
    return origins_of(config, Locator())


def local_file(unit: Unit) -> str:
    """A person's own layer, which git ignores and nothing publishes."""
    return f"environments/{unit}.local.yaml"


def _local_document(tree: Tree, workspace: Workspace, unit: Unit) -> Document | None:
    file = local_file(unit)
    data = tree.read(file)
    if data is None:
        return None
    text = decode(data, file=file)
    values = read_yaml(text, file=file)
    document = Document(DocumentId(_local_name(unit), unit.service), file, text, values)
    _refuse_secrets(workspace, unit, document)
    return document


def _local_name(unit: Unit) -> str:
    return f"{unit.environment}.local"  # no environment's name has a dot


def _as_known(finding: Finding, unit: Unit) -> Finding:
    """A finding of the extended workspace in the names that people know."""

    def known(text: str) -> str:
        return text.replace(f"{_local_name(unit)}/", f"{unit.environment}/")

    return finding._replace(
        what=known(finding.what), why=tuple(map(known, finding.why)), hint=tuple(map(known, finding.hint))
    )


def _refuse_secrets(workspace: Workspace, unit: Unit, document: Document) -> None:
    """A local layer holds no secret, sealed or not: it has no keys, and a file is no place for plaintext."""
    locator = Locator()
    schema = schema_of(workspace, unit.service)
    paths = [path for path, _ in sealed_strings(document.values)]
    paths += list(schema.plaintext(document.values))
    findings = [
        Finding(
            "local-secret",
            "a secret does not stand in a local layer (value not shown)",
            locator.place(document, path, key=True),
            show_path(path),
            hint=(f"sealpipe set {unit} {show_path(path)}",),
        )
        for path in dict.fromkeys(paths)
    ]
    if findings:
        raise InputError(findings)


def _with_local(workspace: Workspace, unit: Unit, local: Document) -> tuple[Workspace, Unit]:
    """A workspace in which an environment of one document extends the unit's: the local layer is the top."""
    project = workspace.project
    name = _local_name(unit)
    store = project.environments[unit.environment].publish_to
    spec = EnvironmentSpec(name, extends=unit.environment, publish_to=store)
    environments = {**project.environments, name: spec}
    extended = replace(
        workspace,
        project=replace(project, environments=environments),
        documents={**workspace.documents, local.id: local},
    )
    return extended, Unit(name, unit.service)


# ---- from a release


def from_release(workspace: Workspace, release: Release, keys_of: KeysOf, *, fake: bool) -> Handed:
    """A published release, opened with the person's key. Raises TrustError [no-reader] as `from_files`.

    RefusedError [retired] for a tombstone. The release was checked by who made it.
    """
    refuse_retired(release)
    draft = release.draft
    secrets = []
    for pointer, at in draft.sealed.items():
        concrete = settle(draft.values, from_pointer(pointer)) or ()
        path = typed(draft.values, concrete, draft.merge_keys)
        if path is None:
            raise TrustError("no-place", f"{release.unit}: a secret stands where none can be")
        secrets.append(_Secret(pointer, lookup(draft.values, concrete), at, path))
    schema = schema_of(workspace, release.unit.service) if fake else None
    values, faked = _opened(draft.values, secrets, _opener(workspace, keys_of), schema)
    return handed_release(release, values, faked)


def handed_release(release: Release, values: Mapping[str, Any], faked: tuple[str, ...] = ()) -> Handed:
    """A release whose values were opened already, by the service's own key."""
    refuse_retired(release)
    return Handed(
        unit=release.unit,
        values=values,
        merge_keys=release.draft.merge_keys,
        locked=release.draft.locked,
        origins=release.payload.origins,
        faked=faked,
        label=f"#{release.payload.number} ({release.short})",
        number=release.payload.number,
    )


def refuse_retired(release: Release) -> None:
    """RefusedError [retired]."""
    if release.payload.retired is not None:
        successor = release.payload.retired.get("successor")
        raise RefusedError(
            "retired",
            f"{release.unit} is retired since #{release.payload.number}",
            why=[f"its successor is {successor}"] if successor else [],
            hint=[f"sealpipe history {release.unit}"],
        )


# ---- opening


_Opener = Callable[[_Secret], Any]


def _opener(workspace: Workspace, keys_of: KeysOf) -> _Opener:
    known: dict[str, DocumentKeys] = {}

    def open_one(secret: _Secret) -> Any:
        environment, document = secret.at
        if environment not in known:
            known[environment] = keys_of(workspace, environment)
        keys = known[environment].get(document, ())
        return open_token(secret.token, place(environment, document, secret.path), keys)

    return open_one


def _opened(
    values: Mapping[str, Any], secrets: Iterable[_Secret], open_one: _Opener, fakes: Effective | None
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The values with secrets opened; `fakes`, where given, is the schema that made-up ones must fit."""
    tree = copy.deepcopy(dict(values))
    faked: list[str] = []
    closed: list[str] = []
    for secret in secrets:
        concrete = settle(values, from_pointer(secret.pointer)) or ()
        kind = parse_token(secret.token).type
        try:
            value = open_one(secret)
        except TrustError as error:
            if error.word != "no-reader":
                raise
            shown = show_path(concrete)
            if fakes is None:
                closed.append(shown)
                continue
            faked.append(shown)
            value = made_up(fakes, secret.path, kind)
        lookup(tree, concrete[:-1])[concrete[-1]] = Opened(value, kind)
    if closed:
        raise TrustError(
            "no-reader",
            f"your key does not open {', '.join(closed[:5])}" + (" and more" if len(closed) > 5 else ""),
            why=["only readers of an environment can open its secrets"],
            hint=["the same command with --fake-secrets makes them up", "sealpipe keys list"],
        )
    return tree, tuple(faked)


_FAKES: Mapping[str, tuple[Any, ...]] = {
    "str": (
        "fake",
        "fake-secret",
        "fake-secret-0123456789-abcdefghij",
        "f" * 64,
        "0" * 64,
        "fake@example.invalid",
        "https://fake.invalid/",
        "postgres://fake:fake@localhost/fake",
        "00000000-0000-4000-8000-000000000000",
        "2000-01-01",
        "2000-01-01T00:00:00Z",
        "127.0.0.1",
    ),
    "int": (0, 1, 10, 1000, 65535),
    "float": (0.5, 1.5, 0.0, 100.5),
    "bool": (False, True),
    "object": ({},),
    "array": ([], ["fake"], [0]),
    "bytes": (b"fake", b"fake" * 8),
}


def made_up(schema: Effective, path: Path, kind: str) -> Any:
    """A value of a type that fits the schema at a path, where one of a few does; else the first of them."""
    from base64 import b64encode

    examples = schema.walk.at(path).annotation("examples")
    given = examples if isinstance(examples, list) else []
    candidates = [*(value for value in given if kind != "bytes"), *_FAKES[kind]]
    for value in candidates:
        shown = b64encode(value).decode() if isinstance(value, bytes) else value
        if not plain_check(schema, path, shown):
            return value
    return _FAKES[kind][0]
