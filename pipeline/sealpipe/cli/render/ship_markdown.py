"""A plan as Markdown, for a step summary or a comment. Nothing in it can break out of its code spans."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from sealpipe.cli.output import clean
from sealpipe.cli.render.ship_text import change_text
from sealpipe.model import Change, UnitPlan
from sealpipe.released import Release

if TYPE_CHECKING:
    from sealpipe.looking.shown import Shown

ROWS = 200
"""Rows of one unit: a summary above 1 MiB is dropped whole by GitHub."""


def plans(found: Sequence[Shown]) -> list[str]:
    """`plan --format markdown`: one section an environment, unchanged ones in a line."""
    lines = ["### Configuration plan", ""]
    quiet = [one for one in found if not one.moves and not any(u.action != "same" for u in one.plan.units)]
    for one in found:
        if one not in quiet:
            lines += _section(one)
    if quiet:
        lines.append(f"Nothing changes in {', '.join(code(one.plan.environment) for one in quiet)}.")
    return lines


def code(text: str) -> str:
    """A code span; a backtick or a pipe in it cannot end it or its cell."""
    return "`" + clean(text).replace("`", "'").replace("|", "\\|").replace("\n", " ") + "`"


def _section(shown: Shown) -> list[str]:
    planned = shown.plan
    lines = [
        f"#### {code(planned.environment)}: {len(planned.changed)} of {len(planned.units)} services change",
        "",
        f"plan {code(planned.short)} · compared with {code(planned.against)}",
        "",
    ]
    if shown.moves:
        lines += [*(f"- ⚠ {code(move)}" for move in shown.moves), ""]
    for one in planned.units:
        if one.action != "same":
            lines += _unit(one)
    if shown.waiting:
        gap = shown.waiting[0]
        names = ", ".join(code(name) for name in gap.role.of)
        lines += [f"Needs {gap.role.need - len(gap.have)} approval(s) of {names}.", ""]
    return lines


def _unit(one: UnitPlan) -> list[str]:
    number = (
        f" #{one.base.payload.number} → #{one.base.payload.number + 1}"
        if isinstance(one.base, Release)
        else ""
    )
    lines = [f"**{code(one.unit.service)}**{number} · {one.action}", ""]
    if one.changes:
        lines += ["| | setting | change | where |", "|---|---|---|---|"]
        lines += [_row(change) for change in one.changes[:ROWS]]
        lines.append("")
        if len(one.changes) > ROWS:
            lines += [f"and {len(one.changes) - ROWS} more", ""]
    lines += [f"- **refused:** {clean(guard.what)} ({code(guard.flag)})" for guard in one.guards]
    lines += [f"- ⚠ {code(note.what)}" for note in one.notes]
    return [*lines, ""] if one.guards or one.notes else lines


def _row(change: Change) -> str:
    sign = {"added": "+", "removed": "-", "secret-added": "+", "secret-removed": "-"}.get(change.kind, "~")
    return f"| {sign} | {code(change.path)} | {code(change_text(change))} | {code(change.where or '-')} |"
