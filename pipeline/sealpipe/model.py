"""What flows on the repository's side, in flow order. Frozen; each type has one maker, named here.

The order is a type: `plan` takes a ValidatedConfig, which only `stages.validate` makes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sealpipe.errors import Finding
from sealpipe.frozen import NamedTuple, field, frozen
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


@frozen
class Document:
    """Made by `stages.load`. Plain data with tokens in place; origins are computed from `text` when asked."""

    id: DocumentId
    file: str  # relative to the repository, with forward slashes
    text: str = field(repr=False)
    values: Mapping[str, Any] = field(repr=False)


@frozen
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


@frozen
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
    running: Mapping[str, tuple[SchemaFile, ...]] = field(default_factory=dict)  # of releases in service


@frozen
class Sealed:
    """A sealed value in a merged configuration: where it stands and the document whose key it has."""

    pointer: str  # in the merged values
    token: str = field(repr=False)
    document: DocumentId
    path: Path  # typed


@frozen
class LayeredConfig:
    """Made by `stages.layer`: a unit's documents merged, lowest first. Proves nothing yet."""

    unit: Unit
    documents: tuple[Document, ...]
    values: Mapping[str, Any] = field(repr=False)
    sealed: tuple[Sealed, ...]
    merge_keys: Mapping[str, str]  # pointer of a merged list -> field


@frozen
class ValidatedConfig:
    """Made by `stages.validate` only: fits the schema, every secret sealed for its own place."""

    config: LayeredConfig
    schema_digest: str
    secret_pointers: tuple[str, ...]
    locked: tuple[str, ...]

    @property
    def unit(self) -> Unit:
        return self.config.unit


@frozen
class Validation:
    """Made by `stages.validate`: findings, and a ValidatedConfig for each unit that has no error."""

    configs: Mapping[Unit, ValidatedConfig]
    findings: tuple[Finding, ...]
    documents: int
    environments: int

    @property
    def ok(self) -> bool:
        return not any(finding.severity == "error" for finding in self.findings)


@frozen
class Drafted:
    """Made by `stages.draft` from a ValidatedConfig, by `publishing.rollback` once today's schema passed."""

    unit: Unit
    draft: Draft
    data: bytes = field(repr=False)  # canonical JSON
    digest: str  # hex of H32("sealpipe.draft.1", data)
    schema_digest: str
    keyring_versions: Mapping[str, int]
    origins: Mapping[str, str] = field(repr=False)  # pointer -> file:line


@frozen
class Head:
    """Made by `publishing.heads`: a unit's current release, verified, and the store's version of its key."""

    release: Release
    version: str


@frozen
class Broken:
    """Made by `publishing.heads`: a head that no reader would accept. `newest` is the newest good archive."""

    unit: Unit
    version: str
    word: str
    what: str
    newest: Release | None = None


class Change(NamedTuple):
    """One path that a publish would change. Values are set for plain paths only, never for secrets."""

    path: str  # as people write it
    kind: str  # added, changed, removed, and secret-{added,changed,removed,resealed,unsealed}
    old: Any = None
    new: Any = None
    where: str = ""  # file:line of the new value, or of the old one where it is gone
    pointer: str = ""


class Guard(NamedTuple):
    """A limit that a plan runs into; `flag` is what a person must type to pass it."""

    word: str  # removed-keys, growth, vanished
    what: str
    flag: str


@frozen
class UnitPlan:
    """What a publish would do to one unit. `base` is what it was compared with."""

    unit: Unit
    action: str  # publish, retire, resign, same, held, refused, broken
    base: Release | Drafted | None
    drafted: Drafted | None  # None with `resign`: the head's own draft, byte for byte
    changes: tuple[Change, ...] = ()
    notes: tuple[Finding, ...] = ()  # look twice, holds, what is broken
    guards: tuple[Guard, ...] = ()  # not yet allowed
    reason: str = ""  # of a resign: "trust", "hold-ends", "reissue", "repair"
    successor: str = ""  # of a retire: the service's new name, where there is one

    @property
    def old_digest(self) -> str:
        return draft_digest_of(self.base)

    @property
    def new_digest(self) -> str:
        """Digest of the draft that would be published; "" for a tombstone."""
        if self.action == "retire" or (self.action == "refused" and self.drafted is None):
            return ""
        return self.drafted.digest if self.drafted else self.old_digest

    @property
    def writes(self) -> bool:
        return self.action in ("publish", "retire", "resign")


def draft_digest_of(base: Release | Drafted | None) -> str:
    """The digest of what is published, "" where nothing is."""
    if base is None:
        return ""
    if isinstance(base, Drafted):
        return base.digest
    return "" if base.payload.retired is not None else base.payload.draft_digest


@frozen
class Plan:
    """Made by `stages.plan`: pure and keyless. `digest` covers the changed units and their draft digests."""

    environment: str
    units: tuple[UnitPlan, ...]
    digest: str
    commit: Commit
    against: str  # "file:…" or "commit 9c1f2aa"

    @property
    def changed(self) -> tuple[UnitPlan, ...]:
        """Units whose content changes; a mere new signature is not among them."""
        return tuple(u for u in self.units if u.action in ("publish", "retire"))

    @property
    def writing(self) -> tuple[UnitPlan, ...]:
        return tuple(u for u in self.units if u.writes)

    @property
    def refused(self) -> tuple[UnitPlan, ...]:
        return tuple(u for u in self.units if u.action in ("refused", "broken"))

    @property
    def short(self) -> str:
        return self.digest[:6]


@frozen
class SignedRelease:
    """Made by `publishing.sign`: bytes ready to be stored, and the head they replace."""

    release: Release  # checked as a reader would
    base: Release | None
    base_version: str  # the store's version of the head that was read; "" where there was none
    repairs: bool = False  # what stands in the store at that version is not `base`, and no release

    @property
    def unit(self) -> Unit:
        return self.release.unit


@frozen
class Batch:
    """Made by `publishing.sign`."""

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


class TreeReport(NamedTuple):
    """What became of an environment's plain tree. Made by `views.environment`."""

    url: str
    lines: tuple[str, ...]  # one a service, for people
    findings: tuple[Finding, ...]  # what went wrong; empty when the tree is what it must be


@frozen
class Publication:
    """Made by `flows.ship` and `flows.rolling`: a receipt per unit, and what the mirrors took."""

    batch: str
    environment: str
    target: str
    receipts: tuple[Receipt, ...]
    mirrors: Mapping[str, str]  # url -> "" or why it failed
    notes: tuple[Finding, ...] = ()
    tree: TreeReport | None = None


@frozen
class Verification:
    """Made by `publishing.verify`."""

    environment: str
    units: Mapping[Unit, str]  # "ok" or a word
    findings: tuple[Finding, ...]
