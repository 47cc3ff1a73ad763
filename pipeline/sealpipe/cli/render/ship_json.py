"""Plans, publications and rollbacks for programs. Secrets are named, never shown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from sealpipe.cli.render.json_ import document, finding
from sealpipe.model import Change, Plan, Publication, TreeReport, UnitPlan
from sealpipe.released import Release

if TYPE_CHECKING:
    from sealpipe.flows.rolling import Undoing
    from sealpipe.looking.shown import Shown

FILE_KIND = "sealpipe-plan"


def plans(found: Sequence[Shown]) -> list[str]:
    """`plan --format json`."""
    return document(kind="plan", plans=[plan(one.plan, one) for one in found])


def plan(planned: Plan, shown: Shown | None = None) -> dict[str, Any]:
    """One environment's plan as plain data."""
    waiting = {gap.unit: gap for gap in shown.waiting} if shown else {}
    return {
        "environment": planned.environment,
        "digest": planned.digest,
        "against": planned.against,
        "commit": planned.commit.commit or None,
        "dirty": planned.commit.dirty,
        "changed": len(planned.changed),
        "moves": list(shown.moves) if shown else [],
        "units": [
            {**unit(one), "approvals_missing": waiting[one.unit].role.need - len(waiting[one.unit].have)}
            if one.unit in waiting
            else unit(one)
            for one in planned.units
        ],
    }


def unit(one: UnitPlan) -> dict[str, Any]:
    """One unit of a plan."""
    published = one.base.payload.number if isinstance(one.base, Release) else None
    return {
        "service": one.unit.service,
        "action": one.action,
        "reason": one.reason or None,
        "published": published,
        "old": one.old_digest or None,
        "new": one.new_digest or None,
        "changes": [change(found) for found in one.changes],
        "guards": [{"word": g.word, "what": g.what, "flag": g.flag} for g in one.guards],
        "notes": [finding(note) for note in one.notes],
    }


def change(found: Change) -> dict[str, Any]:
    """One changed path; `old` and `new` only where the path is and was plain."""
    data: dict[str, Any] = {"path": found.path, "pointer": found.pointer, "kind": found.kind}
    if found.kind in ("changed", "removed"):
        data["old"] = found.old
    if found.kind in ("changed", "added"):
        data["new"] = found.new
    return {**data, "where": found.where or None}


def plan_file(planned: Plan) -> list[str]:
    """What `plan --out` writes: a claim, compared by `publish --plan` and never obeyed."""
    rows = [
        {"service": u.unit.service, "old": u.old_digest, "new": u.new_digest}
        for u in planned.units
        if u.action in ("publish", "retire", "refused")
    ]
    fields = {"environment": planned.environment, "digest": planned.digest, "units": rows}
    return document(kind=FILE_KIND, commit=planned.commit.commit or None, **fields)


def publications(done: Sequence[Publication]) -> list[str]:
    """`publish --format json`."""
    return document(kind="publication", publications=[publication(one) for one in done])


def publication(done: Publication) -> dict[str, Any]:
    """One environment's receipts as plain data."""
    return {
        "environment": done.environment,
        "batch": done.batch or None,
        "target": done.target,
        "receipts": [
            {
                "service": r.unit.service,
                "outcome": r.outcome,
                "number": r.number,
                "digest": r.digest,
                "detail": r.detail or None,
            }
            for r in done.receipts
        ],
        "mirrors": [{"url": url, "problem": problem or None} for url, problem in done.mirrors.items()],
        "tree": _tree(done.tree),
        "notes": [finding(note) for note in done.notes],
    }


def _tree(report: TreeReport | None) -> dict[str, Any] | None:
    if report is None:
        return None
    findings = [finding(found) for found in report.findings]
    return {"at": report.url, "services": list(report.lines), "findings": findings}


def rollback(prepared: Undoing, done: Publication | None) -> list[str]:
    """`rollback --format json`; without `done` under --dry-run."""
    units = [
        {
            "service": one.head.release.unit.service,
            "from": one.head.release.payload.number,
            "content_of": one.target.payload.number,
            "changes": [change(found) for found in one.result.changes],
            "secrets_kept": list(one.result.kept),
        }
        for one in prepared.undos
    ]
    return document(kind="rollback", units=units, publication=publication(done) if done else None)
