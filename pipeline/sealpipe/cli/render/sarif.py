"""Findings as SARIF 2.1.0, for code scanning. No line of a file is in it, and no value."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from sealpipe.cli.output import clean
from sealpipe.errors import Finding
from sealpipe.version import VERSION

if TYPE_CHECKING:
    from sealpipe.looking.verdicts import Verdict

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
WORDS = "https://github.com/sealpipe/sealpipe/blob/main/docs/errors.md"
_NOWHERE = "sealpipe.yaml"  # code scanning takes no result without a file


def validation(verdict: Verdict, *, prefix: str = "") -> list[str]:
    """`validate --format sarif`, as lines. `prefix`: the configuration's folder within the git repository."""
    words = sorted({finding.word for finding in verdict.findings})
    driver = {
        "name": "sealpipe",
        "version": VERSION,
        "informationUri": "https://github.com/sealpipe/sealpipe",
        "rules": [{"id": word, "helpUri": f"{WORDS}#{word}"} for word in words],
    }
    run = {
        "tool": {"driver": driver},
        "columnKind": "unicodeCodePoints",
        "results": [_result(finding, words.index(finding.word), prefix) for finding in verdict.findings],
    }
    return json.dumps({"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}, indent=2).split("\n")


def _result(finding: Finding, index: int, prefix: str) -> dict[str, Any]:
    where = finding.where
    file = prefix + (where.file if where and where.file else _NOWHERE)
    place: dict[str, Any] = {"artifactLocation": {"uri": quote(file), "uriBaseId": "%SRCROOT%"}}
    if where and where.line:
        place["region"] = {"startLine": where.line}
        if where.column:
            place["region"]["startColumn"] = where.column
    location: dict[str, Any] = {"physicalLocation": place}
    if finding.path:
        location["logicalLocations"] = [{"fullyQualifiedName": clean(finding.path)}]
    # Lines move with every edit; the same word at the same setting of a file is the same finding.
    same = hashlib.sha256("\0".join((finding.word, file, finding.path)).encode("utf-8", "replace"))
    return {
        "ruleId": finding.word,
        "ruleIndex": index,
        "level": finding.severity,
        "message": {"text": _message(finding)},
        "locations": [location],
        "partialFingerprints": {"wordFilePath/v1": same.hexdigest()},
    }


def _message(finding: Finding) -> str:
    """Plain text: what a reader would take for a link (SARIF 3.11.6) or a placeholder (3.11.5) is escaped."""
    reach = [f"reaches {finding.reach} documents"] if finding.reach > 1 else []
    path = [finding.path] if finding.path else []
    hints = [f"hint: {hint}" for hint in finding.hint]
    text = "\n".join(clean(line) for line in [finding.what, *path, *reach, *finding.why, *hints])
    for special in "\\[]":
        text = text.replace(special, "\\" + special)
    return text.replace("{", "{{").replace("}", "}}")
