"""Results for programs: the one stable output. `schema_version` rises when a field changes its meaning."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from sealpipe.errors import Finding

if TYPE_CHECKING:
    from sealpipe.looking.verdicts import Verdict

SCHEMA_VERSION = 1


def document(**fields: Any) -> list[str]:
    """One JSON object, `schema_version` first, as lines."""
    return json.dumps({"schema_version": SCHEMA_VERSION, **fields}, indent=2, ensure_ascii=True).split("\n")


def finding(found: Finding) -> dict[str, Any]:
    """A finding as plain data; the line of the file is left out."""
    where = found.where
    return {
        "word": found.word,
        "severity": found.severity,
        "what": found.what,
        "file": where.file if where else None,
        "line": where.line or None if where else None,
        "column": where.column or None if where else None,
        "path": found.path or None,
        "why": list(found.why),
        "hint": list(found.hint),
        "reach": found.reach or 1,
    }


def findings(found: Sequence[Finding]) -> list[dict[str, Any]]:
    return [finding(one) for one in found]


def validation(verdict: Verdict) -> list[str]:
    """`validate --format json`."""
    return document(
        kind="validation",
        ok=verdict.ok,
        trusted=verdict.trusted,
        documents=verdict.documents,
        environments=verdict.environments,
        cached=verdict.cached,
        units=dict(verdict.units),
        findings=findings(verdict.findings),
    )
