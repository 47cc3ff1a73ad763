"""Findings as a JUnit report: a case for each unit, and one for each file that something is said of."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape, quoteattr

from sealpipe.cli.output import clean
from sealpipe.errors import Finding

if TYPE_CHECKING:
    from sealpipe.looking.verdicts import Verdict

_NO_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")  # XML 1.0, 2.2
_NOWHERE = "sealpipe.yaml"


def validation(verdict: Verdict) -> list[str]:
    """`validate --format junit`, as lines. Errors are failures; a file with warnings alone passes."""
    files: dict[str, list[Finding]] = {}
    for finding in verdict.findings:
        files.setdefault(finding.where.file if finding.where else _NOWHERE, []).append(finding)
    errors = {name: [f for f in found if f.severity == "error"] for name, found in files.items()}
    cases = [line for name, found in files.items() for line in _file(name, errors[name], found)]
    units = [line for name, valid in verdict.units.items() for line in _unit(name, valid=valid)]
    bad_files, bad_units = sum(map(bool, errors.values())), list(verdict.units.values()).count(False)
    total, failures = len(files) + len(verdict.units), bad_files + bad_units
    return [
        '<?xml version="1.0" encoding="UTF-8"?>',
        f'<testsuites name="sealpipe validate" tests="{total}" failures="{failures}" errors="0">',
        *_suite("files", len(files), bad_files, cases),
        *_suite("units", len(verdict.units), bad_units, units),
        "</testsuites>",
    ]


def _suite(name: str, tests: int, failures: int, cases: list[str]) -> list[str]:
    head = f'  <testsuite name="{name}" tests="{tests}" failures="{failures}" errors="0" skipped="0">'
    return [head, *cases, "  </testsuite>"]


def _file(name: str, errors: list[Finding], found: list[Finding]) -> list[str]:
    head = f'    <testcase classname="sealpipe.files" name={_value(name)} file={_value(name)}>'
    lines = [head]
    if errors:
        first = errors[0]
        lines.append(f"      <failure type={_value(first.word)} message={_value(first.what)}>")
        lines += [line for finding in errors for line in _text(finding)]
        lines.append("      </failure>")
    warnings = [finding for finding in found if finding.severity != "error"]
    if warnings:
        told = [line for finding in warnings for line in _text(finding)]
        lines += ["      <system-out>", *told, "      </system-out>"]
    return [*lines, "    </testcase>"]


def _unit(name: str, *, valid: bool) -> list[str]:
    head = f'    <testcase classname="sealpipe.units" name={_value(name)}'
    if valid:
        return [head + "/>"]
    what = "a file that it is made of has an error"
    return [head + ">", f'      <failure type="invalid" message="{what}"/>', "    </testcase>"]


def _text(finding: Finding) -> list[str]:
    reach = [f"reaches {finding.reach} documents"] if finding.reach > 1 else []
    head = f"{finding.severity}[{finding.word}]: {finding.where or ''}  {finding.path}".rstrip()
    hints = [f"hint: {hint}" for hint in finding.hint]
    lines = [head, finding.what, *reach, *finding.why, *hints]
    return [escape(_plain(line)) for line in lines]


def _value(text: str) -> str:
    return quoteattr(_plain(text))


def _plain(text: str) -> str:
    return _NO_XML.sub("\ufffd", clean(text))
