"""Where a value comes from: every layer's word on it, what the schema says, what is published."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from sealpipe import git
from sealpipe.documents.origins import origins
from sealpipe.errors import StoreError, TrustError, UsageError, Where
from sealpipe.frozen import NamedTuple, field, frozen
from sealpipe.git import BlameLine
from sealpipe.jsontext import where as schema_where
from sealpipe.looking.reading import (
    UNSEALED,
    View,
    hidden,
    leaf_paths,
    merged,
    published,
    view_of,
    view_of_document,
    view_of_release,
)
from sealpipe.membership.slots import parse_given_path, typed_path
from sealpipe.model import Document, DocumentId, LayeredConfig, Workspace
from sealpipe.paths import Concrete, Path, lookup, settle, show_path, to_pointer, typed
from sealpipe.project import layer_ids
from sealpipe.released import Unit
from sealpipe.schemas.compile import Effective
from sealpipe.schemas.telling import setting
from sealpipe.schemas.telling.setting import Marks
from sealpipe.stages.merge import LayerValue, provenance
from sealpipe.tokens import key_id, looks_sealed, parse_token
from sealpipe.trust import Pin


class LayerSays(NamedTuple):
    """One layer on one path. `value` is set for plain values only."""

    file: str
    line: int  # 0 where the layer says nothing
    kind: str  # unset, set, deleted, sealed, plaintext (a secret that is not sealed)
    wins: bool
    value: Any = None
    type: str = ""  # of a sealed value
    stale: bool = False  # sealed for an older key of its document
    by: BlameLine | None = None  # asked for the winner only


class Published(NamedTuple):
    """What the store has at a path, next to what the files have."""

    state: str  # same, differs, absent, unit-absent, unknown
    number: int = 0
    value: Any = None  # plain only
    sealed: bool = False
    why: str = ""  # of unknown


class SchemaSays(NamedTuple):
    text: str  # "integer, 1 to 100, no default"
    where: Where | None


@frozen
class Explanation:
    """Everything about one path of one unit."""

    unit: Unit
    path: str
    state: str  # set, sealed, plaintext, unset
    value: Any = field(repr=False)
    type: str = ""
    layers: tuple[LayerSays, ...] = ()
    schema: SchemaSays | None = None
    published: Published | None = None
    people: tuple[str, ...] = ()  # who can open it
    machines: tuple[str, ...] = ()
    marks: Marks = Marks()
    taken_from: str = ""  # the other environment that decides it
    variable: str = ""  # the environment variable that overrides it in a process; "" when locked


class Line(NamedTuple):
    """One value of a unit and the layer it comes from."""

    path: str
    value: Any
    type: str  # of a sealed value, "" for a plain one
    file: str
    line: int


def explain(workspace: Workspace, unit: Unit, text: str, pins: Sequence[Pin] | None) -> Explanation:
    """All about one value. `pins` None: the store is not asked.

    Raises UsageError for an unknown unit, a path that neither a layer nor the schema knows, and for a
    map: `lines` lists what is in it. InputError when the layers do not merge.
    """
    config, schema = merged(workspace, unit)
    path = _decided(typed_path(schema, config.values, text))
    spot = schema.walk.at(path)
    layers = _layers(workspace, config, path, schema)
    concrete = settle(config.values, path)
    if concrete is None and not schema.walk.at(path).known and all(one.kind == "unset" for one in layers):
        raise UsageError(
            "unknown-path",
            f"no layer of {unit} sets {show_path(path)}, and its schema does not know it",
            hint=[f"sealpipe explain {unit}"],
        )
    winner = next((one for one in layers if one.wins), None)
    state = "unset" if concrete is None else winner.kind if winner and winner.kind != "set" else "set"
    sealed = state == "sealed"
    marks = setting.marks(schema, path)
    people, machines = _readers(workspace, config, concrete) if sealed else ((), ())
    return Explanation(
        unit=unit,
        path=show_path(path),
        state=state,
        value=winner.value if winner is not None else None,
        type=winner.type if winner else "",
        layers=layers,
        schema=_schema(workspace, schema, path) if spot.known else None,
        published=None if pins is None else _published(workspace, view_of(config, schema), path, tuple(pins)),
        people=people,
        machines=machines,
        marks=marks,
        taken_from=_taken_from(config, path),
        variable="" if marks.locked else _variable(unit, path),
    )


def _taken_from(config: LayeredConfig, path: Path) -> str:
    own = config.unit.environment
    decides = [one.document.id.environment for one in provenance(config.documents, path) if one.wins]
    return next((name for name in decides if name != own), "")


def _decided(path: Path) -> Path:
    """The path that layers decide as one: a list without a merge key replaces, so it is shown whole."""
    return next((path[:at] for at, segment in enumerate(path) if isinstance(segment, int)), path)


def lines(workspace: Workspace, unit: Unit, text: str = "") -> tuple[Line, ...]:
    """Every value of a unit, or of the map that `text` names, with its place. Raises as `explain`."""
    config, schema = merged(workspace, unit)
    view = view_of(config, schema)
    top: Concrete | None = ()
    if text:
        top = settle(config.values, parse_given_path(text))
    if top is None:
        raise UsageError(
            "unknown-path", f"no layer of {unit} sets this path", hint=[f"sealpipe explain {unit}"]
        )
    places: dict[str, Any] = {}
    found = []
    for path in leaf_paths(lookup(view.values, top), config.merge_keys, top):
        value = lookup(view.values, path)
        sealed = looks_sealed(value)
        file, line = _origin(config, path, places)
        name = show_path(typed(view.values, path, config.merge_keys) or path)
        found.append(Line(name, None if sealed else value, _type(value) if sealed else "", file, line))
    return tuple(found)


def _type(token: str) -> str:
    try:
        return parse_token(token).type
    except TrustError:
        return "malformed"


def is_map(workspace: Workspace, unit: Unit, text: str) -> bool:
    """Whether a path of the merged configuration holds further paths. Raises as `explain`."""
    config, _ = merged(workspace, unit)
    concrete = settle(config.values, parse_given_path(text))
    return concrete is not None and isinstance(lookup(config.values, concrete), Mapping)


def _origin(config: LayeredConfig, path: Concrete, places: dict[str, Any]) -> tuple[str, int]:
    asked = typed(config.values, path, config.merge_keys) or path
    for said in provenance(config.documents, asked):
        if said.wins:
            document = said.document
            if document.file not in places:
                places[document.file] = origins(document.text, file=document.file)
            return document.file, places[document.file].line_number(said.path)
    return "", 0


def _layers(
    workspace: Workspace, config: LayeredConfig, path: Path, schema: Effective
) -> tuple[LayerSays, ...]:
    said = {one.document.id: one for one in provenance(config.documents, path)}
    found = []
    for environment, name in layer_ids(workspace.project, config.unit):
        one = said.get(DocumentId(environment, name))
        if one is not None:
            found.append(_layer(workspace, one, schema))
    return tuple(found)


def _layer(workspace: Workspace, said: LayerValue, schema: Effective) -> LayerSays:
    document = said.document
    if said.kind == "unset":
        return LayerSays(document.file, 0, "unset", wins=False)
    line = origins(document.text, file=document.file).line_number(said.path)
    by = git.log_of_line(workspace.root, document.file, line) if said.wins and _in_git(workspace) else None
    if said.kind == "deleted":
        return LayerSays(document.file, line, "deleted", wins=False)
    if looks_sealed(said.value):
        kind, stale = _token(workspace, document, said.value)
        return LayerSays(document.file, line, "sealed", said.wins, type=kind, stale=stale, by=by)
    # What the schema calls secret, here or above, is replaced in the view of a layer.
    shown = hidden(view_of_document(document, schema))
    there = settle(shown, said.path)
    value = UNSEALED if there is None else lookup(shown, there)
    if value == UNSEALED:
        return LayerSays(document.file, line, "plaintext", said.wins, by=by)
    return LayerSays(document.file, line, "set", said.wins, value=value, by=by)


def _in_git(workspace: Workspace) -> bool:
    return bool(workspace.commit.commit)


def _token(workspace: Workspace, document: Document, text: str) -> tuple[str, bool]:
    kind = _type(text)
    if kind == "malformed":
        return kind, False
    token = parse_token(text)
    keyring = workspace.keyrings.get(document.id.environment)
    key = keyring.keys.get(document.id.name) if keyring else None
    return token.type, key is not None and key_id(key.public) != token.key_id


def _readers(
    workspace: Workspace, config: LayeredConfig, concrete: Concrete | None
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    pointer = to_pointer(concrete or ())
    sealed = next((one for one in config.sealed if one.pointer == pointer), None)
    keyring = workspace.keyrings.get(sealed.document.environment) if sealed else None
    if sealed is None or keyring is None:
        return (), ()
    key = keyring.keys.get(sealed.document.name)
    boxes = key.private if key else {}
    people = tuple(name for name, reader in keyring.readers.items() if reader.kind == "person")
    machines = tuple(
        name
        for name, reader in keyring.readers.items()
        if reader.kind == "machine" and name in boxes and reader.unit == config.unit
    )
    return people, machines


def _published(workspace: Workspace, ours: View, path: Path, pins: tuple[Pin, ...]) -> Published:
    problem = ""
    release = None
    try:
        release = published(workspace, ours.unit, pins)
    except (StoreError, TrustError) as error:
        problem = error.finding.what
    if problem:
        return Published("unknown", why=problem)
    if release is None:
        return Published("unit-absent")
    theirs = view_of_release(release, workspace)
    number = release.payload.number
    mine, there = settle(ours.values, path), settle(theirs.values, path)
    if there is None:
        return Published("same" if mine is None else "absent", number)
    value = lookup(theirs.values, there)
    same = mine is not None and lookup(ours.values, mine) == value
    sealed = looks_sealed(value)
    return Published("same" if same else "differs", number, None if sealed else value, sealed)


def _variable(unit: Unit, path: Path) -> str:
    names = [
        segment for segment in path if isinstance(segment, str) and re.fullmatch(r"[A-Za-z0-9_]+", segment)
    ]
    if len(names) != len(path) or any("__" in name for name in names):
        return ""
    return "__".join([unit.service.upper().replace("-", "_"), *(name.upper() for name in names)])


def _schema(workspace: Workspace, schema: Effective, path: Path) -> SchemaSays:
    file = schema.origin(path)
    source = next((one for one in workspace.schemas.values() if one.file == file), None)
    where = schema_where(source.text, file, setting.steps(source.schema, path), key=True) if source else None
    return SchemaSays(setting.text(schema, path), where)
