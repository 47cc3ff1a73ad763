"""Results for a step summary or a comment. Names and texts of a pull request stand in code spans only:

there, no markup, mention, reference or link of theirs can work.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

from sealpipe.cli.output import clean
from sealpipe.cli.render.text import counts, summary
from sealpipe.errors import Finding

if TYPE_CHECKING:
    from sealpipe.looking.verdicts import Verdict

SHOWN = 50
CHARACTERS = 60_000  # a comment takes 65,536


def validation(verdict: Verdict) -> list[str]:
    """`validate --format markdown`."""
    mark = "✅" if verdict.ok else "❌"
    return [f"### {mark} sealpipe validate", "", summary(verdict), "", *findings(verdict.findings)]


def findings(found: Sequence[Finding], *, limit: int = CHARACTERS) -> list[str]:
    """A list, errors first, as many as fit; the last line tells how many are left."""
    worst = sorted(found, key=lambda finding: finding.severity != "error")
    lines: list[str] = []
    size = 0
    for index, finding in enumerate(worst):
        item = _item(finding)
        size += sum(len(line) + 1 for line in item)
        if index == SHOWN or size > limit:
            rest = worst[index:]
            return [*lines, f"- and {len(rest)} more: {counts(rest)}"]
        lines += item
    return lines


def _item(finding: Finding) -> list[str]:
    place = f" {code(str(finding.where))}" if finding.where else ""
    path = f" {code(finding.path)}" if finding.path else ""
    reach = f" (reaches {finding.reach} documents)" if finding.reach > 1 else ""
    lines = [f"- **{finding.severity}** {code(finding.word)}{place}{path}{reach}", f"  {code(finding.what)}"]
    lines += [f"  {code(why)}" for why in finding.why]
    lines += [f"  hint: {code(hint)}" for hint in finding.hint]
    # Two spaces at the end of a line: a line break within the item.
    return [line + "  " for line in lines[:-1]] + lines[-1:]


def code(text: str, limit: int = 500) -> str:
    """A code span holding exactly this text, whatever is in it; one line."""
    shown = clean(text.replace("\r", " ").replace("\n", " "))
    shown = shown if len(shown) <= limit else shown[: limit - 1] + "…"
    if not shown.strip():
        return "``"
    ticks = "`" * (max((len(run) for run in re.findall("`+", shown)), default=0) + 1)
    pad = " " if shown.startswith(("`", " ")) or shown.endswith(("`", " ")) else ""
    return f"{ticks}{pad}{shown}{pad}{ticks}"
