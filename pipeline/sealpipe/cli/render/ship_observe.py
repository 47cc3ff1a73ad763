"""The matrix, a unit's past and a verification, for people and for programs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from sealpipe.cli.output import clean, paint, pasteable
from sealpipe.cli.render.json_ import document, finding
from sealpipe.cli.render.ship_text import BATCH, moment, value
from sealpipe.model import Verification
from sealpipe.released import Unit

if TYPE_CHECKING:
    from sealpipe.looking.observe import Cell, Past, Status, Step

_STATES = {
    "same": "= git",
    "ahead": "ahead of git",
    "differs": "differs",
    "broken": "EDITED BY HAND",
    "unpublished": "not published",
    "retired": "retired",
    "gone": "gone from git",
    "invalid": "git not valid",
    "unreachable": "unreachable",
}
_STYLES = {"same": "green", "held": "yellow", "broken": "red", "unreachable": "red", "invalid": "red"}


def status(found: Status, *, color: bool = False, given_folder: str = "") -> list[str]:
    """A row a service, a column an environment, then what needs words."""
    if not found.services:
        return ["nothing is published, and there is no service to publish"]
    name = max(len(service) for service in found.services) + 2
    widths = [
        max(len(environment), *(len(_cell(found.cells.get(Unit(environment, s)))) for s in found.services))
        + 3
        for environment in found.environments
    ]
    header = "".join(f"{e:<{w}}" for e, w in zip(found.environments, widths, strict=True))
    lines = [(" " * name + header).rstrip()]
    for service in found.services:
        row = f"{service:<{name}}"
        for environment, width in zip(found.environments, widths, strict=True):
            cell = found.cells.get(Unit(environment, service))
            text = _cell(cell)
            style = _STYLES.get(cell.state, "") if cell else ""
            row += (paint(text, style, color) if style else text) + " " * (width - len(text))
        lines.append(row.rstrip())
    fetched = f", fetched {found.fetched}" if found.fetched else ""
    lines.append(f'"= git" compares with {found.ref}{fetched}')
    for unit, cell in sorted(found.cells.items()):
        lines += _words(unit, cell, given_folder)
    return lines


def _cell(cell: Cell | None) -> str:
    if cell is None:
        return "-"
    number = f"#{cell.number:<4} " if cell.number else ""
    if cell.state == "behind":
        return f"{number}{cell.behind} behind"
    if cell.state == "held":
        created = cell.release.payload.created_at if cell.release else ""
        return f"{number}HELD {clean(cell.detail)} {created[11:16]}"
    return f"{number}{_STATES[cell.state]}"


def _words(unit: Unit, cell: Cell, given_folder: str) -> list[str]:
    where = f"{unit.service} {unit.environment}"
    if cell.state == "held" and cell.release:
        reason = clean(str((cell.release.payload.hold or {}).get("reason", "")))
        told = f', "{reason}"' if reason else ""
        since = moment(cell.release.payload.created_at)
        return [
            f"{where}: rolled back by {clean(cell.detail)} {since}{told}. Git still has the rejected value."
        ]
    if cell.state == "broken":
        keep = f" Services keep #{cell.number}." if cell.number else ""
        return [
            f"{where}: {clean(cell.detail)}.{keep}   {pasteable(f'sealpipe verify {unit}', given_folder)}"
        ]
    if cell.state == "unreachable":
        return [f"{where}: {clean(cell.detail)}"]
    if cell.state == "gone":
        command = pasteable(f"sealpipe publish {unit.environment} --retire {unit}", given_folder)
        return [f"{where}: published, and no file makes it any more.   {command}"]
    return []


def status_json(found: Status) -> list[str]:
    """`status --format json`."""
    return document(
        kind="status",
        git=found.ref,
        units=[
            {
                "environment": unit.environment,
                "service": unit.service,
                "state": cell.state,
                "number": cell.number or None,
                "digest": cell.release.digest if cell.release else None,
                "behind": cell.behind or None,
                "detail": cell.detail or None,
                "hold": _hold(cell),
            }
            for unit, cell in sorted(found.cells.items())
        ],
    )


def _hold(cell: Cell) -> dict[str, Any] | None:
    if cell.state != "held" or cell.release is None or cell.release.payload.hold is None:
        return None
    hold = cell.release.payload.hold
    since = cell.release.payload.created_at
    return {
        "by": hold["by"],
        "reason": hold["reason"],
        "paths": [e["path"] for e in hold["rejected"]],
        "since": since,
    }


def history(past: Sequence[Past], *, color: bool = False) -> list[str]:
    """A line a release, newest first."""
    lines = []
    for one in past:
        payload = one.release.payload
        commit = str((payload.git or {}).get("commit", ""))[:7] or "-"
        mark = "▸" if one.current else " "
        line = (
            f"{mark} #{payload.number:<5} {one.release.short}  {moment(payload.created_at)}  {commit:<8}"
            f"{', '.join(one.release.publishers):<16} {_story(one)}"
        )
        lines.append(paint(line.rstrip(), "bold", color and one.current))
    return lines


def _story(one: Past) -> str:
    payload = one.release.payload
    parts = []
    if payload.retired is not None:
        parts.append("retired")
    if payload.rollback_of:
        parts.append(f"content of {payload.rollback_of[:6]}")
    if payload.hold is not None:
        reason = clean(str(payload.hold["reason"]))
        parts.append(f"hold by {clean(str(payload.hold['by']))}" + (f' ("{reason}")' if reason else ""))
    if payload.break_glass:
        parts.append(f'break glass: "{clean(payload.break_glass)}"')
    if one.release.approvers:
        parts.append(f"approved by {', '.join(one.release.approvers)}")
    if not one.chained:
        parts.append("not in the chain of the head")
    return " · ".join([*parts, f"batch {payload.batch[:BATCH]}"])


def path_history(steps: Sequence[Step]) -> list[str]:
    """A line for each release in which a path got another value."""
    lines = []
    for step in steps:
        payload = step.release.payload
        text = {"plain": "", "secret": "sealed", "absent": "-"}[step.kind] or value(step.value)
        lines.append(f"#{payload.number:<5} {moment(payload.created_at)}  {text}")
    return lines


def history_json(past: Sequence[Past]) -> list[str]:
    """`history --format json`."""
    return document(
        kind="history",
        releases=[
            {
                "number": p.release.payload.number,
                "digest": p.release.digest,
                "created_at": p.release.payload.created_at,
                "commit": (p.release.payload.git or {}).get("commit"),
                "publishers": list(p.release.publishers),
                "approvers": list(p.release.approvers),
                "batch": p.release.payload.batch,
                "rollback_of": p.release.payload.rollback_of,
                "break_glass": p.release.payload.break_glass,
                "held": p.release.payload.hold is not None,
                "retired": p.release.payload.retired is not None,
                "current": p.current,
                "chained": p.chained,
            }
            for p in past
        ],
    )


def path_history_json(path: str, steps: Sequence[Step]) -> list[str]:
    """`history ENV/SVC PATH --format json`; the value only where the path is plain."""
    found: list[dict[str, Any]] = []
    for step in steps:
        entry: dict[str, Any] = {"number": step.release.payload.number, "kind": step.kind}
        found.append({**entry, "value": step.value} if step.kind == "plain" else entry)
    return document(kind="path-history", path=path, steps=found)


def verification(found: Sequence[Verification], *, color: bool = False) -> list[str]:
    """A line an environment, the words of what is not in order beside the services; findings go to stderr."""
    lines = []
    for one in found:
        wrong = {unit: word for unit, word in one.units.items() if word not in ("ok", "held")}
        good = len(one.units) - len(wrong)
        errors = [finding for finding in one.findings if finding.severity == "error"]
        copies = sum(finding.word.startswith(("mirror", "tree")) for finding in errors)
        state = paint("✗", "red", color) if wrong or errors else paint("✓", "green", color)
        beside = f"; {copies} not right in their copies" if copies else ""
        lines.append(f"{state} {one.environment:<16} {good} of {len(one.units)} as they must be{beside}")
        lines += [f"    {unit.service:<14} {word}" for unit, word in wrong.items()]
    return lines


def verification_json(found: Sequence[Verification]) -> list[str]:
    """`verify --format json`."""
    return document(
        kind="verification",
        environments=[
            {
                "environment": one.environment,
                "units": {unit.service: word for unit, word in one.units.items()},
                "findings": [finding(f) for f in one.findings],
            }
            for one in found
        ],
    )
