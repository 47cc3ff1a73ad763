"""A plain tree against the head it is made of. Reads only; values are compared and never shown."""

from __future__ import annotations

from collections.abc import Sequence

from sealpipe.errors import Finding
from sealpipe.released import Release, Unit
from sealpipe.views.place import Place, Source, folder, owned, read_marker, stray, wanted

NAMED = 5  # keys named in one finding


def drift(place: Place, source: Source, release: Release, *, timeout: float = 10.0) -> list[Finding]:
    """What is not as it must be in the tree of a release's unit.

    Raises StoreError, RefusedError [tree-taken, tree-key].
    """
    unit = release.unit
    _, marker = read_marker(place, unit, timeout)
    tree = wanted(place, release)
    start = folder(place, unit)
    found = place.store.scan(start, timeout=max(timeout, 30.0))
    there = {entry.key.removeprefix(start): entry.value for entry in found}
    ours, _ = owned(source, release, marker)
    changed = [key for key, value in tree.entries.items() if key in there and there[key] != value]
    missing = [key for key in tree.entries if key not in there]
    leftover = [key for key in there if key not in tree.entries and key in ours]
    strays = stray(there, tree.entries, ours)
    findings = []
    if marker is None and release.payload.retired is None:
        findings.append(_behind(place, unit, "was never written"))
    elif marker is not None and not marker.complete(release, place.layout):
        begun = ", and the writing of another one began" if marker.writing else ""
        of = f"is of #{marker.number}" if marker.release else "was never written whole"
        findings.append(_behind(place, unit, f"{of}, the release is #{release.payload.number}{begun}"))
    elif changed or missing:
        what = f"{_where(place, unit)} was changed by hand: {_keys([*changed, *missing])}"
        findings.append(_finding("tree-differs", what, unit))
    if leftover:
        many = f"{_where(place, unit)} has keys of an earlier release: {_keys(leftover)}"
        findings.append(_finding("tree-leftover", many, unit))
    if strays:
        findings.append(
            Finding(
                "tree-stray",
                f"{_where(place, unit)} has keys that no release put there: {_keys(strays)}",
                why=("readers take them for configuration; sealpipe never deletes what it did not write",),
                hint=("delete them with the store's own tools, or put the settings into git",),
            )
        )
    return findings


def _behind(place: Place, unit: Unit, what: str) -> Finding:
    return _finding("tree-behind", f"{_where(place, unit)} {what}", unit)


def _finding(word: str, what: str, unit: Unit) -> Finding:
    return Finding(word, what, hint=(f"sealpipe verify {unit} --repair",))


def _where(place: Place, unit: Unit) -> str:
    return f"{place.url}: the plain tree of {unit}"


def _keys(keys: Sequence[str]) -> str:
    shown = ", ".join(sorted(keys)[:NAMED])
    return f"{shown} and {len(keys) - NAMED} more" if len(keys) > NAMED else shown
