"""Where a plain tree stands: its keys in a store, and the marker that says which release they are of.

<at>/<service>/<key>        a value as plain text
<at>/_sealpipe/<service>    the marker: written first to claim the folder, and last when all of it is there
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from sealpipe.canonical import canonical, strict_json
from sealpipe.errors import RefusedError, SealpipeError, TrustError
from sealpipe.frozen import NamedTuple
from sealpipe.publishing.heads import Reader, chain, find
from sealpipe.released import Order, Release, Unit
from sealpipe.stages.plainkeys import PlainTree, plain_tree
from sealpipe.stores.base import Entry, Store

LAYOUTS = ("keys", "yaml")


class Place(NamedTuple):
    """The tree of one environment in an opened store."""

    url: str
    store: Store
    prefix: str
    layout: str
    project: str


class Source(NamedTuple):
    """The store that the releases are in, read as services read it."""

    store: Store
    prefix: str
    reader: Reader


class Marker(NamedTuple):
    """What stands at a marker's key. Not signed: a claim of who may write there, checked against releases."""

    project: str
    environment: str
    service: str
    release: str  # digest of the newest release that was written whole, "" for none
    number: int  # its number; for people
    layout: str  # its layout
    order: Order  # of the newest release whose writing began
    writing: str  # digest of a release under way, "" when `release` is all there is
    claim: str  # one attempt's own

    def encode(self) -> bytes:
        return canonical({"format": 1, **self._asdict(), "order": list(self.order)})

    def complete(self, release: Release, layout: str) -> bool:
        """Whether the tree was written as this release says, and nobody began another one since."""
        return (self.release, self.layout, self.writing) == (release.digest, layout, "")


def folder(place: Place, unit: Unit) -> str:
    """The prefix of a service's keys."""
    return f"{place.prefix}{unit.service}/"


def marker_key(place: Place, unit: Unit) -> str:
    return f"{place.prefix}_sealpipe/{unit.service}"


def read_marker(place: Place, unit: Unit, timeout: float = 10.0) -> tuple[Entry | None, Marker | None]:
    """The marker and its entry; the marker is None where nothing stands there, or nothing that is one.

    Raises RefusedError [tree-taken] where another project or environment writes this folder.
    """
    entry = place.store.get(marker_key(place, unit), fresh=True, timeout=timeout)
    marker = _parse(entry.value) if entry else None
    if marker and (marker.project, marker.environment) != (place.project, unit.environment):
        whose = marker.environment if marker.project == place.project else "another project"
        raise RefusedError(
            "tree-taken",
            f"{place.url}: the plain tree of {unit.service} there is {whose}'s",
            why=["two environments would take turns with the same keys; nothing was written"],
            hint=["give each environment's tree an address of its own: `tree.at` in sealpipe.yaml"],
        )
    return entry, marker


def _parse(raw: bytes) -> Marker | None:
    try:
        data = strict_json(raw, what="marker")
    except TrustError:
        return None
    texts = ("project", "environment", "service", "release", "layout", "writing", "claim")
    if not isinstance(data, dict) or data.get("format") != 1:
        return None
    number, order = data.get("number"), data.get("order")
    pair = order if isinstance(order, list) and len(order) == 2 else [None]
    if not all(isinstance(n, int) and not isinstance(n, bool) for n in (number, *pair)):
        return None
    if not all(isinstance(data.get(name), str) for name in texts) or data["layout"] not in LAYOUTS:
        return None
    named: dict[str, Any] = {name: data[name] for name in (*texts, "number")}
    return Marker(**named, order=Order(*pair))


def claimed(place: Place, release: Release, before: Marker | None) -> Marker:
    """The marker that begins the writing of a release; what was whole before is still named."""
    return Marker(
        project=place.project,
        environment=release.unit.environment,
        service=release.unit.service,
        release=before.release if before else "",
        number=before.number if before else 0,
        layout=before.layout if before else place.layout,
        order=release.order,
        writing=release.digest,
        claim=secrets.token_hex(8),
    )


def written(claim: Marker, release: Release, layout: str) -> Marker:
    """The marker that ends it."""
    number = release.payload.number
    return claim._replace(release=release.digest, number=number, layout=layout, writing="")


def wanted(place: Place, release: Release) -> PlainTree:
    """What the tree must hold of a release; nothing where it is retired. Raises RefusedError [tree-key]."""
    return plain_tree(release.draft, place.layout)


def owned(source: Source, release: Release, marker: Marker | None) -> tuple[frozenset[str], int]:
    """The keys that releases of ours can have written since the tree was last whole, and how many settings
    the largest of them had. Only signed releases count; where an archive is gone, its keys are strangers'.
    """
    keys: set[str] = set()
    most = 0
    for one in _since(source, release, marker):
        for layout in LAYOUTS:
            try:
                tree = plain_tree(one.draft, layout)
            except SealpipeError:
                continue  # never written: it had no keys that can be
            keys.update(tree.entries)
            most = max(most, tree.settings)
    return frozenset(keys), most


def _since(source: Source, release: Release, marker: Marker | None) -> Iterator[Release]:
    """A release and those before it, back to the one that was written whole last."""
    if marker is None:
        yield release
        return
    for one in chain(source.store, source.prefix, release, source.reader):
        yield one
        if one.digest == marker.release:
            return
    if marker.release:
        found = find(source.store, source.prefix, release.unit, marker.release, source.reader)
        if found is not None:
            yield found


def stray(keys: Iterable[str], mine: Mapping[str, bytes], ours: frozenset[str]) -> list[str]:
    """Keys that nothing of ours ever put there."""
    return sorted(key for key in keys if key not in mine and key not in ours)
