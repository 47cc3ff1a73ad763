"""Findings as workflow commands: GitHub shows them beside the lines of the pull request."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from sealpipe.cli.output import clean
from sealpipe.cli.render.text import counts, summary
from sealpipe.errors import Finding

if TYPE_CHECKING:
    from sealpipe.looking.verdicts import Verdict

LIMIT = 10  # of a step; GitHub drops the rest without a word


def validation(verdict: Verdict, *, prefix: str = "") -> list[str]:
    """`validate --format github`: annotations, then the line of counts."""
    return [*findings(verdict.findings, prefix=prefix), clean(summary(verdict))]


def findings(found: Sequence[Finding], *, prefix: str = "") -> list[str]:
    """At most ten annotations: the worst first, the last one telling how many are left.

    `prefix`: the configuration's folder within the git repository, as `config/`; "" when it is the root.
    """
    worst = sorted(found, key=lambda finding: finding.severity != "error")
    if len(worst) <= LIMIT:
        return [annotation(finding, prefix=prefix) for finding in worst]
    shown, rest = worst[: LIMIT - 1], worst[LIMIT - 1 :]
    level = "error" if any(finding.severity == "error" for finding in rest) else "warning"
    text = f"and {len(rest)} more ({counts(rest)}): sealpipe validate shows all"
    return [annotation(finding, prefix=prefix) for finding in shown] + [
        f"::{level} title=sealpipe::{data(text)}"
    ]


def annotation(finding: Finding, *, prefix: str = "") -> str:
    """One workflow command; nothing in it can begin another."""
    level = "error" if finding.severity == "error" else "warning"
    where = finding.where
    properties = []
    if where:
        properties.append(("file", prefix + where.file))
        if where.line:
            properties.append(("line", str(where.line)))
        if where.line and where.column:
            properties.append(("col", str(where.column)))
    properties.append(("title", f"{finding.word}: {finding.path}" if finding.path else finding.word))
    reach = [f"reaches {finding.reach} documents"] if finding.reach > 1 else []
    hints = [f"hint: {hint}" for hint in finding.hint]
    message = "\n".join([finding.what, *reach, *finding.why, *hints])
    listed = ",".join(f"{name}={value(text)}" for name, text in properties)
    return f"::{level} {listed}::{data(message)}"


def data(text: str) -> str:
    """A message: line ends and percent signs escaped."""
    cleaned = "\n".join(clean(line) for line in text.split("\n"))
    return cleaned.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def value(text: str) -> str:
    """A property: as a message, and what would end it."""
    return data(text).replace(":", "%3A").replace(",", "%2C")
