"""A value in place of another in a plain text, without the parser. `edit` has the rest."""

from __future__ import annotations

from typing import Any

from sealpipe.documents.lines import KeyLines
from sealpipe.documents.plain import read_plain, split_line
from sealpipe.documents.scalars import scalar_text
from sealpipe.paths import Path, lookup, settle


def swap(text: str, path: Path, value: Any) -> str | None:
    """The text with `value` at `path`, as `edit.set_value` gives it; None for anything but one scalar for
    another on its own line. The new text is read again, and everything else must be as it was.
    """
    before = read_plain(text)
    concrete = settle(before, path) if before is not None else None
    if not concrete or not isinstance(concrete[-1], str) or not isinstance(value, str | int | float):
        return None
    old, number, lines = lookup(before, concrete), KeyLines(text).line(concrete), text.split("\n")
    parts = split_line(lines[number - 1]) if number and isinstance(old, str | int | float) else None
    if parts is None or parts[1] != concrete[-1]:
        return None
    try:
        lines[number - 1] = f"{parts[0]}{scalar_text(value)}{parts[2]}"
    except ValueError:
        return None
    changed = "\n".join(lines)
    after = read_plain(changed)
    if after is None or settle(after, path) != concrete:
        return None
    parent = lookup(after, concrete[:-1])
    good = type(parent[concrete[-1]]) is type(value) and parent[concrete[-1]] == value
    parent[concrete[-1]] = old
    return changed if good and after == before else None
