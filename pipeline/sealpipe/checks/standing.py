"""Units that were compared before and moved on neither side since: a publish neither reads nor judges them.

For a repository and an environment the last publish keeps, of each unit that was found to be published as
the repository has it: a digest over all that it is made of here, the version of its head there, and its
number for the receipt. Such a unit stands while both are the same, the whole of what units share is too,
nobody else has published to the environment, and it is still the same day (UTC).

All this can do is withhold: a unit that stands is not published, and nothing of what is kept enters a
release. `plan`, `verify` and `validate` do not know this module. See ADR 0022.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from sealpipe import caches
from sealpipe.errors import SealpipeError
from sealpipe.frozen import NamedTuple
from sealpipe.model import Head, Plan
from sealpipe.released import Release, Unit
from sealpipe.releases.keys import parse_head
from sealpipe.stages.inputs import Inputs
from sealpipe.stores.base import Listing

FORMAT = "sealpipe.standing.2"
KIND = "standing"


class Stand(NamedTuple):
    """A unit that was published as the repository has it."""

    inputs: str
    version: str  # the store's, of its head
    number: int
    digest: str  # of the release
    mark: str = ""  # of the files; where it is the same they need not be read, "" says nothing


class Record(NamedTuple):
    """What is kept of a publish."""

    common: str
    state: str  # digest of the environment's state: another one is somebody else's publish, or another store
    listing: Listing
    units: Mapping[Unit, Stand]


class Standing(NamedTuple):
    """What a publish leaves out, and what it saw of the store when it decided so."""

    units: Mapping[Unit, Stand] = MappingProxyType({})
    listing: Listing | None = None
    failure: SealpipeError | None = None  # why the store could not be asked

    @property
    def services(self) -> frozenset[str]:
        return frozenset(unit.service for unit in self.units)

    @property
    def versions(self) -> dict[Unit, str]:
        return {unit: one.version for unit, one in self.units.items()}


NOBODY = Standing()


class Looked(NamedTuple):
    """The versions of a store's heads; none where nothing can stand, or where it did not answer."""

    listing: Listing | None = None
    failure: SealpipeError | None = None


def standing(
    record: Record | None, now: Inputs, looked: Looked, prefix: str, *, but: Unit | None = None
) -> Standing:
    """The units that stand, `but` for one that is asked for by name. Reads files that may have changed."""
    listing = looked.listing
    if record is None or listing is None or not now.common or record.common != now.common:
        return Standing({}, listing, looked.failure)
    found: dict[Unit, Stand] = {}
    unsure: dict[Unit, Stand] = {}
    for key, version in listing.versions.items():
        unit = parse_head(prefix, key)
        stand = record.units.get(unit) if unit is not None else None
        if unit is None or unit == but or stand is None or stand.version != version:
            continue
        mark = now.marks.get(unit.service, "")
        (found if mark and mark == stand.mark else unsure)[unit] = stand
    now.read(unit.service for unit in unsure)
    # A service that is not here any more has no digest, and had none when it was retired.
    found |= {
        unit: stand._replace(mark=now.marks.get(unit.service, ""))
        for unit, stand in unsure.items()
        if stand.inputs == now.digest(unit.service)
    }
    return Standing(found, listing)


class Shipped(NamedTuple):
    """What came of a publish: of these a record is made."""

    plan: Plan
    heads: Mapping[Unit, Head]  # behind the fence and, of what was written, as read back
    listing: Listing  # behind the fence
    state: bytes


def recorded(now: Inputs, stood: Standing, done: Shipped) -> Record:
    """What to keep: who stood, what was the same, and what is published now. Reads no file anew."""
    units = dict(stood.units)
    for one in done.plan.units:
        head = done.heads.get(one.unit)
        if head is None or not _same(one.action, one.new_digest, head.release):
            continue
        service = one.unit.service
        made, mark = now.digest(service), now.marks.get(service, "")
        if made:
            number, digest = head.release.payload.number, head.release.digest
            units[one.unit] = Stand(made, head.version, number, digest, mark)
    return Record(now.common, caches.digest(done.state), done.listing, units)


def _same(action: str, wanted: str, release: Release) -> bool:
    """Whether a release is what the repository has; one under a hold is looked at every time."""
    payload = release.payload
    published = "" if payload.retired is not None else payload.draft_digest
    return action in ("same", "publish", "retire", "resign") and payload.hold is None and published == wanted


# ---- what is kept


def load(root: str, environment: str, url: str, environ: Mapping[str, str]) -> Record | None:
    """None where there is none, or one that is not whole, not ours or of another shape."""
    file = caches.place(KIND, root, environment, environ)
    entry = caches.read(file) if file else None
    if entry is None or entry[0] != caches.head(FORMAT, caches.digest(url.encode()), entry[1]):
        return None
    try:
        plain = json.loads(entry[1])
        units = {
            Unit(environment, _text(name)): Stand(
                _text(made), _text(version), int(number), _text(digest), _text(mark)
            )
            for name, (made, version, number, digest, mark) in plain["units"].items()
        }
        listed = {_text(key): _text(version) for key, version in plain["listed"].items()}
        listing = Listing(listed, _text(plain["mark"]))
        return Record(_text(plain["common"]), _text(plain["state"]), listing, units)
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        return None


def keep(record: Record, root: str, environment: str, url: str, environ: Mapping[str, str]) -> None:
    """For the next publish. Quietly keeps nothing where that cannot be done well."""
    file = caches.place(KIND, root, environment, environ)
    if file is None or not record.common:
        return
    plain: dict[str, Any] = {
        "common": record.common,
        "state": record.state,
        "mark": record.listing.mark,
        "listed": dict(record.listing.versions),
        "units": {unit.service: list(stand) for unit, stand in record.units.items()},
    }
    body = json.dumps(plain, separators=(",", ":")).encode()
    caches.write(file, caches.head(FORMAT, caches.digest(url.encode()), body), body)


def _text(found: Any) -> str:
    if not isinstance(found, str):
        raise TypeError
    return found
