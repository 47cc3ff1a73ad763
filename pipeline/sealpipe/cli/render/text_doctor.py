"""`sealpipe doctor` as text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from sealpipe.cli.output import clean, paint, pasteable

if TYPE_CHECKING:
    from sealpipe.looking.diagnosis import Check

_MARKS = {"ok": ("✓", "green"), "warning": ("!", "yellow"), "problem": ("✗", "red"), "unknown": ("-", "dim")}


def diagnosis(checks: Sequence[Check], *, color: bool, given_folder: str = "") -> list[str]:
    """Checks by section, each with its mark and what to do; then how many there are to act on."""
    width = max([11, *(len(check.section) for check in checks)]) + 1
    lines = []
    last = ""
    for check in checks:
        head = check.section if check.section != last else ""
        last = check.section
        mark, style = _MARKS[check.mark]
        text = f"{head:<{width}}{paint(mark, style, color)} {clean(check.text)}"
        hint = pasteable(clean(check.hint), given_folder)
        lines.append(f"{text}     {hint}" if hint and len(check.text) < 60 else text)
        if hint and len(check.text) >= 60:
            lines.append(f"{'':<{width}}  {hint}")
    problems = sum(check.mark == "problem" for check in checks)
    warnings = sum(check.mark == "warning" for check in checks)
    return [*lines, "", f"{_count(problems, 'problem')}, {_count(warnings, 'warning')}"]


def _count(number: int, noun: str) -> str:
    return f"{number or 'no'} {noun}{'' if number == 1 else 's'}"
