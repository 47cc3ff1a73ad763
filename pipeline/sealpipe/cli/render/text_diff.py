"""`sealpipe diff` as text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sealpipe.cli.output import clean, paint
from sealpipe.cli.render.ship_text import changes

if TYPE_CHECKING:
    from sealpipe.looking.comparing import Comparison, Difference


def comparison(found: Comparison, *, color: bool) -> list[str]:
    """Each service that differs, its changed paths in columns; then how many are the same."""
    lines = [f"{clean(found.one)} → {clean(found.other)}", ""]
    for difference in found.differences:
        lines += _difference(difference, color)
    services = "service is" if found.same == 1 else "services are"
    if not found.differences:
        lines = [f"no difference between {clean(found.one)} and {clean(found.other)}"]
    if found.same:
        lines.append(f"{found.same} {services} the same")
    return lines


def _difference(found: Difference, color: bool) -> list[str]:
    only = {"added": "   only in the second", "removed": "   only in the first"}.get(found.kind, "")
    lines = [paint(found.name, "bold", color) + only]
    lines += [f"  {line}" for line in changes(found.changes, {}, None, color)]
    if found.unknown:
        noun = "secret is" if found.unknown == 1 else "secrets are"
        lines.append(
            f"  ? {found.unknown} {noun} set in both; without opening nobody can say if they are equal"
        )
    return [*lines, ""]
