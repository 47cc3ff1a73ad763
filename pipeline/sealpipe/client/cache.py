"""The last good releases on disk: as published (signed, sealed), so the folder holds nothing to steal.

Beside them `state.json` keeps what a store may no longer go below: the highest order and the highest
trust version that were ever verified here. Every entry is verified again when it is read.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path

from sealpipe.canonical import strict_json
from sealpipe.errors import SealpipeError
from sealpipe.files import locked, write_atomic
from sealpipe.frozen import NamedTuple, field, frozen
from sealpipe.released import Order, Release, Unit
from sealpipe.releases.check import Seen, seen

KEEP = 3  # newest generations, whoever accepted them
MODELS = 8  # settings models whose newest generation is kept as well
SIZE_LIMIT = 4 * 1024 * 1024
_ENTRY = re.compile(r"([0-9]{10})-([0-9]{15})-([0-9a-f]{16})\.release")
_PROJECT = re.compile(r"[0-9a-f]{32}")


@frozen
class Marks:
    """What was verified here before: the highest release of a project's unit, and who accepted what."""

    seen: Seen | None = None  # the highest; its trust version is the floor, from wherever a release comes
    accepted: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # entry name -> model tags


class Generation(NamedTuple):
    """A cached release, unverified until `releases.check` has seen its bytes."""

    order: Order
    project: str
    path: Path
    models: tuple[str, ...]

    def read(self) -> bytes | None:
        """The bytes, or None when the file is gone, unreadable or too large."""
        try:
            if self.path.stat().st_size > SIZE_LIMIT:
                return None
            return self.path.read_bytes()
        except OSError:
            return None


def read_marks(cache: str, unit: Unit, project: str) -> Marks:
    """The marks of a project's unit; none where the file is missing or damaged."""
    try:
        data = strict_json((_folder(cache, unit, project) / "state.json").read_bytes(), what="cache state")
        order = Order(int(data["order"][0]), int(data["order"][1]))
        accepted = {str(name): tuple(map(str, tags)) for name, tags in data["accepted"].items()}
        return Marks(Seen(order, str(data["digest"]), str(data["trust_digest"])), accepted)
    except (OSError, SealpipeError, KeyError, TypeError, ValueError, IndexError, AttributeError):
        return Marks()


def generations(cache: str, unit: Unit) -> list[Generation]:
    """Every cached release of a unit, of whatever project, newest first."""
    found: list[Generation] = []
    for folder in _subfolders(Path(cache) / unit.environment / unit.service):
        marks = read_marks(cache, unit, folder.name)
        for path in _files(folder):
            match = _ENTRY.fullmatch(path.name)
            if match:
                order = Order(int(match[1]), int(match[2]))
                found.append(Generation(order, folder.name, path, marks.accepted.get(path.name, ())))
    return sorted(found, key=lambda generation: generation.order, reverse=True)


def note_seen(cache: str, release: Release) -> None:
    """Raise the marks to a verified release, whether or not the settings took it. Raises OSError."""
    _update(cache, release, None)


def note_accepted(cache: str, release: Release, model: str) -> None:
    """Keep a release that the settings model `model` accepted, and raise the marks. Raises OSError."""
    _update(cache, release, model)


def _update(cache: str, release: Release, model: str | None) -> None:
    project = release.payload.project
    folder = _folder(cache, release.unit, project)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with locked(folder / "lock", timeout=2.0):
        marks = read_marks(cache, release.unit, project)
        entry = f"{release.order}-{release.digest[:16]}.release"
        accepted = dict(marks.accepted)
        if model is not None:
            if _content(folder / entry) != release.raw:
                write_atomic(folder / entry, release.raw, mode=0o600)
            accepted[entry] = (*(tag for tag in accepted.get(entry, ()) if tag != model), model)
        kept = _kept(folder, accepted)
        highest = marks.seen
        if highest is None or release.order > highest.order:
            highest = seen(release)
        state = {
            "format": 1,
            "order": list(highest.order),
            "digest": highest.digest,
            "trust_digest": highest.trust_digest,
            "accepted": {name: list(tags) for name, tags in accepted.items() if name in kept},
        }
        data = json.dumps(state).encode()
        if _content(folder / "state.json") == data:
            return  # as at nearly every start: nothing to wait for a disk for
        write_atomic(folder / "state.json", data, mode=0o600)
        for path in _files(folder):
            if _ENTRY.fullmatch(path.name) and path.name not in kept:
                path.unlink(missing_ok=True)


def _kept(folder: Path, accepted: Mapping[str, tuple[str, ...]]) -> set[str]:
    """The newest generations, and the newest one of each model: old code must be able to start again."""
    names = sorted((path.name for path in _files(folder) if _ENTRY.fullmatch(path.name)), reverse=True)
    kept = set(names[:KEEP])
    models: set[str] = set()
    for name in names:
        fresh = [tag for tag in accepted.get(name, ()) if tag not in models]
        if fresh and len(models) < MODELS:
            kept.add(name)
        models.update(fresh)
    return kept


def _folder(cache: str, unit: Unit, project: str) -> Path:
    return Path(cache) / unit.environment / unit.service / project


def _subfolders(folder: Path) -> list[Path]:
    try:
        return sorted(entry for entry in folder.iterdir() if _PROJECT.fullmatch(entry.name))
    except OSError:
        return []


def _content(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except OSError:
        return None


def _files(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except OSError:
        return []
