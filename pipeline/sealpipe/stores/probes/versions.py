"""Holes of servers that matter to who keeps releases there, and whether a version has one."""

from __future__ import annotations

import re
from collections.abc import Iterator

from sealpipe.frozen import NamedTuple
from sealpipe.stores.base import Fact


class Hole(NamedTuple):
    """`mended`: the first good version of each line of releases; an older line was never mended."""

    name: str
    what: str
    mended: tuple[tuple[int, int, int], ...]
    mark: str = "warning"


def parse_version(text: str) -> tuple[int, int, int] | None:
    """The first three numbers of a version, None where there are none."""
    found = re.match(r"v?(\d+)\.(\d+)\.(\d+)", text)
    return (int(found[1]), int(found[2]), int(found[3])) if found else None


def holes(server: str, version: str, known: tuple[Hole, ...]) -> Iterator[Fact]:
    """A fact for each hole that this version has."""
    numbers = parse_version(version)
    if numbers is None:
        return
    for hole in known:
        if _has(numbers, hole):
            good = " or ".join(".".join(map(str, one)) for one in hole.mended)
            hint = f"upgrade to {good} (a distribution may have mended it under its own number)"
            yield Fact(hole.mark, f"{server} {version}: {hole.what} ({hole.name})", hint)


def _has(version: tuple[int, int, int], hole: Hole) -> bool:
    same = [one for one in hole.mended if one[:2] == version[:2]]
    return version < same[0] if same else version < min(hole.mended)
