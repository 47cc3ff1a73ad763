"""Where a setting of a running service comes from."""

from __future__ import annotations

import os
from typing import Any

from sealpipe.client.events import shown
from sealpipe.frozen import NamedTuple
from sealpipe.live.part import Part
from sealpipe.live.places import place_of
from sealpipe.paths import settle, show_path, to_pointer
from sealpipe.settings.origin import where_from
from sealpipe.settings.source import base_of


class Explanation(NamedTuple):
    """Who decides a path; never the value."""

    path: str
    origin: str  # "published", "override" or "default"
    source: str  # the file and line, or the variable; "" for a default
    beneath: str  # what is published and overridden, "" without
    release: str
    sealed: bool
    locked: bool

    def __str__(self) -> str:
        kind = "a secret, " if self.sealed else ""
        lines = [f"{self.path}: {kind}{_ORIGINS[self.origin]} {self.source}".rstrip()]
        if self.beneath:
            lines.append(f"  over published {self.beneath}")
        if self.locked:
            lines.append("  locked: this process may not override it")
        lines.append(f"  release {self.release}")
        return "\n".join(lines)


_ORIGINS = {
    "published": "from published",
    "override": "from",
    "default": "the default of the class; the release carries no value",
}


def explain(part: Part, path: str, settings: Any) -> Explanation:
    """Who decides the value at `path` of the running settings. ValueError for a path that is none."""
    place = place_of(part.cls, path)
    place.read(settings)
    candidate = part.candidate
    if candidate is None or place.path is None:
        raise AssertionError  # it is loaded, and a path has steps
    at = base_of(part.cls) + place.path
    release = candidate.snapshot.release
    settled = settle(candidate.snapshot.values, at)
    pointer = to_pointer(settled) if settled else ""
    published = release.payload.origins.get(pointer, "the release") if settled else ""
    above = where_from(place.path, candidate.above, part.prefix, os.environ)
    sealed = any(pointer == p or pointer.startswith(p + "/") for p in candidate.snapshot.secrets)
    locked = any(pointer == p or pointer.startswith(p + "/") for p in release.draft.locked)
    origin = "override" if above else "published" if settled else "default"
    return Explanation(
        show_path(at),
        origin,
        above or published,
        published if above else "",
        shown(release),
        sealed and not above,
        locked,
    )
