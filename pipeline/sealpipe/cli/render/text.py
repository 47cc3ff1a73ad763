"""Results as people read them on a terminal. Lines hold no control characters but colours."""

from __future__ import annotations

from collections.abc import Sequence

from sealpipe.cli.output import finding_lines
from sealpipe.errors import Finding

TYPE_CHECKING = False  # as in main.py
if TYPE_CHECKING:
    from sealpipe.looking.verdicts import Verdict


def findings(found: Sequence[Finding], *, color: bool = False, given_folder: str = "") -> list[str]:
    """Findings one after the other, a blank line between them."""
    lines: list[str] = []
    for finding in found:
        lines += [*([""] if lines else []), *finding_lines(finding, color=color, given_folder=given_folder)]
    return lines


def validation(
    verdict: Verdict, *, seconds: float | None = None, color: bool = False, given_folder: str = ""
) -> list[str]:
    """`validate`: every finding, and one line of counts at the end."""
    lines = findings(verdict.findings, color=color, given_folder=given_folder)
    return [*lines, *([""] if lines else []), summary(verdict, seconds=seconds)]


def summary(verdict: Verdict, *, seconds: float | None = None) -> str:
    """`2 errors in 2 files · 16 documents, 4 environments checked in 0.09 s (16 unchanged, from cache)`."""
    told = counts(verdict.findings)
    took = f" in {seconds:.2f} s" if seconds is not None else ""
    known = f" ({verdict.cached} unchanged, from cache)" if verdict.cached else ""
    return (
        f"{told} · {_number(verdict.documents, 'document')}, "
        f"{_number(verdict.environments, 'environment')} checked{took}{known}"
    )


def counts(found: Sequence[Finding]) -> str:
    """`2 errors, 1 warning in 2 files`, or `no errors`."""
    parts = [
        _number(number, severity)
        for severity in ("error", "warning")
        if (number := sum(finding.severity == severity for finding in found))
    ]
    if not parts:
        return "no errors"
    files = len({finding.where.file for finding in found if finding.where})
    return ", ".join(parts) + (f" in {_number(files, 'file')}" if files else "")


def _number(number: int, noun: str) -> str:
    return f"{number} {noun}" + ("" if number == 1 else "s")
