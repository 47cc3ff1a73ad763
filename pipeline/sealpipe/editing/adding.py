"""A new service or environment as file edits. Decides everything, writes nothing."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from sealpipe.crypto.keys import SigningKey
from sealpipe.crypto.sealing import Sealer
from sealpipe.documents.edit import set_value
from sealpipe.documents.write import dump_yaml
from sealpipe.editing.given import Given, infer_schema, looks_like_a_secret
from sealpipe.editing.sealing import place_of
from sealpipe.editing.writing import FileEdit, text_edit
from sealpipe.errors import RefusedError, TrustError, UsageError, Where
from sealpipe.frozen import NamedTuple
from sealpipe.keyrings import Keyring
from sealpipe.membership.keyring_edit import (
    ensure_document_key,
    finish_keyring,
    keyring_files,
    need_admin,
    new_keyring,
)
from sealpipe.membership.trust_edit import TrustEdit, add_environment, need_trust, trust_files
from sealpipe.model import DocumentId, Workspace
from sealpipe.paths import Path, show_path
from sealpipe.project import NAME_HINT, SHARED, is_name
from sealpipe.stores.registry import open_store
from sealpipe.trees import PROJECT_FILE, WorkTree

DIALECT = "https://json-schema.org/draft/2020-12/schema"
# The formats of JSON Schema, and pydantic's for secrets. Models name others (`path`, `color`) that only
# pydantic checks.
_FORMATS = (
    *("date-time", "date", "time", "duration", "email", "idn-email", "hostname", "idn-hostname"),
    *("ipv4", "ipv6", "uri", "uri-reference", "uri-template", "iri", "iri-reference", "uuid"),
    *("json-pointer", "relative-json-pointer", "regex", "password"),
)


class Added(NamedTuple):
    """What `add service` would write, and what there is to say about it."""

    edits: tuple[FileEdit, ...]
    environments: tuple[str, ...]
    sealed: tuple[str, ...]  # paths of --from's values that were sealed
    plain: tuple[str, ...]  # the others, which are plain
    missing: tuple[str, ...]  # what the schema requires and no layer sets yet
    schema: str  # its file, "" where one was there
    waiting: tuple[str, ...] = ()  # keyrings that need another signature


def add_service(
    workspace: Workspace,
    name: str,
    environments: Sequence[str],
    *,
    keys: Sequence[SigningKey],
    schema: Mapping[str, Any] | None = None,
    values: Mapping[str, Any] | None = None,
) -> Added:
    """Empty layers in `environments` and the lowest one below them, a schema, and a key for each document.

    `values` (of --from) go into the lowest layer; those that the schema marks secret, or whose name says
    so, are sealed into each environment instead. Without `schema` one is inferred from `values`. Raises
    UsageError [bad-name], RefusedError [exists, not-admin].
    """
    _check_new(workspace, name, environments)
    secret = _secrets(values or {}, schema)
    wanted = closed(schema) if schema is not None else _inferred(values or {}, secret)
    base, below = _base(workspace, name, environments, values or {}, secret)
    edits = [*_schema_edit(workspace, name, wanted), *below]
    waiting = []
    for environment in environments:
        keyring = ensure_document_key(workspace, environment, name, keys=keys)
        if keyring is not None:
            edits += keyring_files(workspace.root, [keyring])
            waiting += [] if keyring.complete else [environment]
        ring = keyring.keyring if keyring is not None else workspace.keyrings[environment]
        plainly = values or {} if base is None else {}
        document = DocumentId(environment, name)
        edits.append(_layer(document, ring, plainly, values or {}, secret))
    plain = tuple(show_path(path) for path in _leaves(values or {}) if path not in secret)
    known = name in workspace.schemas
    return Added(
        edits=tuple(edits),
        environments=tuple(environments),
        sealed=tuple(show_path(path) for path in secret),
        plain=plain,
        missing=() if known else tuple(_required(wanted, values or {})),
        schema="" if known else f"schemas/{name}.schema.json",
        waiting=tuple(waiting),
    )


def _check_new(workspace: Workspace, name: str, environments: Sequence[str]) -> None:
    if not is_name(name):
        raise UsageError("bad-name", f"`{name}` cannot be a service", hint=[NAME_HINT])
    near = [found.name for found in workspace.documents if found.name.casefold() == name.casefold()]
    if near and near[0] != name:
        raise RefusedError("exists", f"there is a service {near[0]} already; names differ by more than case")
    for environment in environments:
        if workspace.project.abstract(environment):
            raise UsageError(
                "abstract-environment",
                f"{environment} is a layer only; a service is added where it is published",
            )
        if DocumentId(environment, name) in workspace.documents:
            raise RefusedError(
                "exists",
                f"{name} is in {environment} already",
                where=Where(f"environments/{environment}/{name}.yaml"),
            )


def _schema_edit(workspace: Workspace, name: str, schema: Mapping[str, Any]) -> list[FileEdit]:
    if name in workspace.schemas:
        return []
    text = json.dumps(schema, indent=2, ensure_ascii=False) + "\n"
    return [FileEdit(f"schemas/{name}.schema.json", None, text.encode())]


def _base(
    workspace: Workspace,
    name: str,
    environments: Sequence[str],
    values: Mapping[str, Any],
    secret: Sequence[Path],
) -> tuple[str | None, list[FileEdit]]:
    """The lowest abstract layer below all of `environments`, with the plain values; None without one."""
    chains = [workspace.project.chain(environment) for environment in environments]
    shared = [
        env for env in chains[0] if all(env in chain for chain in chains) and workspace.project.abstract(env)
    ]
    if not shared:
        return None, []
    file = f"environments/{shared[0]}/{name}.yaml"
    if WorkTree(workspace.root).read(file) is not None:
        return shared[0], []
    header = f"# {name}: what it has in every environment\n"
    text = dump_yaml(_without(values, secret), header=header)
    return shared[0], [FileEdit(file, None, text.encode())]


def _layer(
    document: DocumentId,
    ring: Keyring,
    plainly: Mapping[str, Any],
    values: Mapping[str, Any],
    secret: Sequence[Path],
) -> FileEdit:
    """The environment's own file: the sealed values, and the plain ones where no layer lies below."""
    file = f"environments/{document}.yaml"
    header = f"# {document.name} in {document.environment}\n"
    text = dump_yaml(_without(plainly, secret), header=header)
    sealer = Sealer()
    for path in secret:
        given = _given(values, path)
        public = ring.keys[document.name].public
        token = sealer.seal(given.value, given.type, place_of(document, path), public)
        text = set_value(text, path, token, file=file)
    return FileEdit(file, None, text.encode())


def _given(values: Mapping[str, Any], path: Path) -> Given:
    from sealpipe.crypto.sealing import type_of

    node: Any = values
    for segment in path:
        node = node[segment]
    kind = type_of(node)
    if kind is None:
        raise UsageError("wrong-type", f"{show_path(path)} is null and cannot be sealed")
    return Given(node, kind)


def _leaves(values: Any, path: Path = ()) -> list[Path]:
    if isinstance(values, Mapping):
        return [leaf for key, inner in values.items() for leaf in _leaves(inner, (*path, key))]
    return [path]


def _without(values: Any, secret: Sequence[Path], path: Path = ()) -> Any:
    if not isinstance(values, Mapping):
        return values
    kept = {}
    for key, inner in values.items():
        if (*path, key) in secret:
            continue
        rest = _without(inner, secret, (*path, key))
        if rest != {} or inner == {}:
            kept[key] = rest
    return kept


def _secrets(values: Mapping[str, Any], schema: Mapping[str, Any] | None) -> list[Path]:
    """Paths of values that are secrets: as the schema marks them, or by their name where there is none."""
    if schema is None:
        return [path for path in _leaves(values) if looks_like_a_secret(show_path(path))]
    from sealpipe.schemas.walk import Walk

    walk = Walk(schema)
    found: list[Path] = []

    def enter(node: Any, path: Path) -> None:
        if walk.at(path).secret is not None and path:
            found.append(path)
        elif isinstance(node, Mapping):
            for key, inner in node.items():
                enter(inner, (*path, key))

    enter(values, ())
    return found


def _inferred(values: Mapping[str, Any], secret: Sequence[Path]) -> dict[str, Any]:
    made = infer_schema(dict(values))
    for path in secret:
        node = made
        for segment in path:
            node = node["properties"][segment]
        node["writeOnly"] = True
    return {"$schema": DIALECT, **made}


def closed(schema: Mapping[str, Any]) -> dict[str, Any]:
    """A model's schema as ours: maps with named keys closed, no default of a secret, known formats only."""
    made = _closed(schema)
    made.pop("$schema", None)
    return {"$schema": DIALECT, **made}


def _closed(node: Any) -> Any:
    if isinstance(node, list):
        return [_closed(inner) for inner in node]
    if not isinstance(node, Mapping):
        return node
    made = {
        key: inner if key in ("default", "const", "enum", "examples") else _closed(inner)
        for key, inner in node.items()
    }
    if isinstance(made.get("properties"), dict) and "additionalProperties" not in made:
        made["additionalProperties"] = False
    if isinstance(made.get("format"), str) and made["format"] not in _FORMATS:
        del made["format"]
    if made.get("writeOnly") is True:
        made.pop("default", None)
        made.pop("examples", None)
    return made


def _required(schema: Mapping[str, Any], values: Mapping[str, Any]) -> list[str]:
    """Paths that the schema requires and `values` lacks, along plain maps and references."""
    found: list[str] = []

    def enter(node: Any, here: Any, path: tuple[str, ...], depth: int) -> None:
        while isinstance(node, Mapping) and "$ref" in node:
            node = schema.get("$defs", {}).get(str(node["$ref"]).rpartition("/")[2])
        if not isinstance(node, Mapping) or depth > 8:
            return
        for key in node.get("required", ()):
            inner = here.get(key) if isinstance(here, Mapping) else None
            below = node.get("properties", {}).get(key)
            before = len(found)
            enter(below, inner or {}, (*path, key), depth + 1)
            if inner is None and len(found) == before:
                found.append(show_path((*path, key)))

    enter(schema, values, (), 0)
    return found


class AddedEnvironment(NamedTuple):
    """What `add environment` would write."""

    edits: tuple[FileEdit, ...]
    trust: TrustEdit | None  # None for an environment that is never published
    waiting: tuple[str, ...]  # files that need another signature


def add_environment_edits(
    workspace: Workspace,
    name: str,
    *,
    keys: Sequence[SigningKey],
    readers: Mapping[str, str],
    extends: str | None,
    publish_to: str | None,
    inherit: bool,
) -> AddedEnvironment:
    """An entry in sealpipe.yaml; for a published one also an entry in trust.yaml and a keyring.

    `readers`: names and `age1…` of who opens its secrets from the start. Raises UsageError [bad-name,
    unknown-environment], RefusedError [exists, not-root, not-admin].
    """
    _check_environment(workspace, name, extends)
    text = _project_text(workspace)
    entry: dict[str, Any] = {}
    if extends is not None:
        entry["extends"] = extends
    if inherit:
        entry["services"] = "inherit"
    if publish_to is not None:
        entry["publish_to"] = publish_to
    after = set_value(text, ("environments", name), entry, file=PROJECT_FILE)
    _check_project(after)
    edits = [text_edit(PROJECT_FILE, text, after), FileEdit(f"environments/{name}/.gitkeep", None, b"")]
    if publish_to is None:
        return AddedEnvironment(tuple(edits), None, ())
    open_store(publish_to, base=workspace.root)[0].close()  # an address that nothing here knows is a slip
    change = None
    trust = need_trust(workspace)
    if name not in trust.environments:
        change = add_environment(workspace, keys, name)
        trust = change.trust
        edits += trust_files(workspace.root, change.data, change.chain)
    need_admin(trust, name, keys)
    made = finish_keyring(
        workspace, new_keyring(workspace.project.id, name, [SHARED], readers), keys, trust=trust
    )
    edits += keyring_files(workspace.root, [made])
    waiting = ([] if change is None or change.complete else ["trust/trust.yaml"]) + (
        [] if made.complete else [f"trust/{name}.keyring.yaml"]
    )
    return AddedEnvironment(tuple(edits), change, tuple(waiting))


def _check_environment(workspace: Workspace, name: str, extends: str | None) -> None:
    project = workspace.project
    if not is_name(name):
        raise UsageError("bad-name", f"`{name}` cannot be an environment", hint=[NAME_HINT])
    if name in project.environments or any(
        name.casefold() == known.casefold() for known in project.environments
    ):
        raise RefusedError("exists", f"there is an environment {name} already", where=Where(PROJECT_FILE))
    if extends is not None and extends not in project.environments:
        raise UsageError("unknown-environment", f"there is no environment `{extends}` to extend",
                         why=[f"environments here: {', '.join(project.environments)}"])  # fmt: skip
    if WorkTree(workspace.root).read(f"trust/{name}.keyring.yaml") is not None:
        raise RefusedError("exists", f"there is a keyring of {name} already",
                           where=Where(f"trust/{name}.keyring.yaml"))  # fmt: skip


def _project_text(workspace: Workspace) -> str:
    data = WorkTree(workspace.root).read(PROJECT_FILE)
    if data is None:
        raise TrustError("no-repository", f"there is no {PROJECT_FILE}")
    return data.decode("utf-8")


def _check_project(text: str) -> None:
    # What the command adds must be what `load` accepts, before anything is written.
    from sealpipe.documents.origins import origins
    from sealpipe.documents.read import read_yaml
    from sealpipe.project import parse_project

    places = origins(text, file=PROJECT_FILE)
    parse_project(read_yaml(text, file=PROJECT_FILE), places.key_where)
