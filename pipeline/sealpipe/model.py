"""What flows on the repository's side, in flow order. Frozen; each type has one maker, named here.

The order is a type: `plan` takes a ValidatedConfig, which only `stages.validate` makes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from sealpipe.errors import Finding, Where
from sealpipe.keyrings import Keyring
from sealpipe.paths import Path
from sealpipe.project import Project
from sealpipe.released import Draft, Release, Unit
from sealpipe.trust import RootChain, Trust


class DocumentId(NamedTuple):
    """One layer's file: environments/<environment>/<name>.yaml; `name` is a service, `_all` or `_<layer>`."""

    environment: str
    name: str

    def __str__(self) -> str:
        return f"{self.environment}/{self.name}"


@dataclass(frozen=True, slots=True)
class Document:
    """Made by `stages.load`. Plain data with tokens in place; origins are computed from `text` when asked."""

    id: DocumentId
    file: str  # relative to the repository, with forward slashes
    text: str = field(repr=False)
    values: Mapping[str, Any] = field(repr=False)


@dataclass(frozen=True, slots=True)
class SchemaFile:
    """schemas/<name>.schema.json as found."""

    name: str  # "checkout" or "_payments"
    file: str
    text: str = field(repr=False)
    schema: Mapping[str, Any] = field(repr=False)


class Commit(NamedTuple):
    """Where a workspace was read. `commit` is "" outside git."""

    commit: str
    tree: str
    branch: str
    dirty: bool


@dataclass(frozen=True, slots=True)
class Workspace:
    """Made by `stages.load`: the whole repository as values. `findings` are files that could not be read."""

    root: str
    project: Project
    commit: Commit
    trust: Trust | None
    roots: RootChain | None
    keyrings: Mapping[str, Keyring]
    schemas: Mapping[str, SchemaFile]
    documents: Mapping[DocumentId, Document]
    findings: tuple[Finding, ...]


@dataclass(frozen=True, slots=True)
class Sealed:
    """A sealed value in a merged configuration: where it stands and the document whose key it has."""

    pointer: str  # in the merged values
    token: str = field(repr=False)
    document: DocumentId
    path: Path  # typed


@dataclass(frozen=True, slots=True)
class LayeredConfig:
    """Made by `stages.layer`: a unit's documents merged, lowest first. Proves nothing yet."""

    unit: Unit
    documents: tuple[Document, ...]
    values: Mapping[str, Any] = field(repr=False)
    sealed: tuple[Sealed, ...]
    merge_keys: Mapping[str, str]  # pointer of a merged list -> field


@dataclass(frozen=True, slots=True)
class ValidatedConfig:
    """Made by `stages.validate` only: fits the schema, every secret sealed for its own place."""

    config: LayeredConfig
    schema_digest: str
    secret_pointers: tuple[str, ...]
    locked: tuple[str, ...]

    @property
    def unit(self) -> Unit:
        return self.config.unit


@dataclass(frozen=True, slots=True)
class Validation:
    """Made by `stages.validate`: findings, and a ValidatedConfig for each unit that has no error."""

    configs: Mapping[Unit, ValidatedConfig]
    findings: tuple[Finding, ...]
    documents: int
    environments: int

    @property
    def ok(self) -> bool:
        return not any(finding.severity == "error" for finding in self.findings)


@dataclass(frozen=True, slots=True)
class Drafted:
    """Made by `stages.plan.draft`: a draft's canonical bytes and what goes beside them in a payload."""

    unit: Unit
    draft: Draft
    data: bytes = field(repr=False)  # canonical JSON
    digest: str  # hex of H32("sealpipe.draft.1", data)
    schema_digest: str
    keyring_versions: Mapping[str, int]
    origins: Mapping[str, str] = field(repr=False)  # pointer -> file:line


class Change(NamedTuple):
    """One path that a publish would change. Values are set for plain paths only, never for secrets."""

    path: str
    kind: str  # added, changed, removed, secret-added, secret-changed, secret-removed, secret-resealed
    old: Any = None
    new: Any = None
    where: Where | None = None


@dataclass(frozen=True, slots=True)
class UnitPlan:
    """What a publish would do to one unit. `base` is the head it was compared with."""

    unit: Unit
    action: str  # publish, same, held, retire, refused, broken
    base: Release | None
    drafted: Drafted | None
    changes: tuple[Change, ...]
    notes: tuple[Finding, ...] = ()  # look twice, holds, guards


@dataclass(frozen=True, slots=True)
class Plan:
    """Made by `stages.plan`: pure and keyless. `digest` covers the changed units and their draft digests."""

    environment: str
    units: tuple[UnitPlan, ...]
    digest: str
    commit: Commit
    against: str  # "file:…" or "commit 9c1f2aa"

    @property
    def changed(self) -> tuple[UnitPlan, ...]:
        return tuple(u for u in self.units if u.action in ("publish", "retire"))


@dataclass(frozen=True, slots=True)
class SignedRelease:
    """Made by `stages.sign`: bytes ready to be stored, and the head they replace."""

    release: Release  # checked as a reader would
    base: Release | None
    base_version: str | None  # the store's version of the head that was read


@dataclass(frozen=True, slots=True)
class Batch:
    """Made by `stages.sign`."""

    id: str
    environment: str
    releases: tuple[SignedRelease, ...]


class Receipt(NamedTuple):
    """What became of one unit in a publish."""

    unit: Unit
    outcome: str  # published, already, conflict, fenced, unknown, not-attempted, held, unchanged
    number: int
    digest: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Publication:
    """Made by `stages.publish`: a receipt per unit, and what the mirrors took."""

    batch: str
    environment: str
    target: str
    receipts: tuple[Receipt, ...]
    mirrors: Mapping[str, str]  # url -> "" or why it failed


@dataclass(frozen=True, slots=True)
class Verification:
    """Made by `stages.verify`."""

    environment: str
    units: Mapping[Unit, str]  # "ok" or a word
    findings: tuple[Finding, ...]
