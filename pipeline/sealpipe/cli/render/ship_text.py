"""Plans, publications and rollbacks as people read them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from sealpipe.canonical import canonical
from sealpipe.cli.output import clean, finding_lines, paint, pasteable
from sealpipe.model import Change, Plan, Publication, Receipt, TreeReport, UnitPlan
from sealpipe.released import Release, Unit

if TYPE_CHECKING:
    from sealpipe.flows.rolling import Undo, Undoing
    from sealpipe.looking.shown import Shown

_BARE = re.compile(r"[A-Za-z_/][A-Za-z0-9_./:@+-]*")
_WORDS = {"true", "false", "null", "yes", "no", "on", "off"}
_SIGNS = {"added": "+", "removed": "-", "secret-added": "+", "secret-removed": "-"}
_SECRET = {
    "secret-added": "secret added",
    "secret-changed": "secret changed",
    "secret-removed": "secret removed",
    "secret-resealed": "secret sealed again for a new key",
    "secret-unsealed": "was a secret, is plain now (value not shown)",
}
_WIDTH = 60
BATCH = 10  # characters that name a batch: its time, to the millisecond


def value(node: Any) -> str:
    """A plain value in one line; a text bare where it cannot be taken for anything else."""
    if isinstance(node, str) and _BARE.fullmatch(node) and node.lower() not in _WORDS:
        text = node
    else:
        text = canonical(node).decode("utf-8")
    return clean(text if len(text) <= _WIDTH else text[: _WIDTH - 1] + "…")


def moment(text: str) -> str:
    """`2026-11-22 16:40 UTC` of an RFC 3339 time."""
    return f"{text[:10]} {text[11:16]} UTC"


def plan(shown: Shown, *, color: bool = False, given_folder: str = "") -> list[str]:
    """`plan` for one environment."""
    planned = shown.plan
    changing = len(planned.changed)
    what = f"{changing} of {_services(len(planned.units))} change{'' if changing > 1 else 's'}"
    refused = sum(one.action == "refused" for one in planned.units)
    if not changing:
        what = f"{_services(refused)} refused" if refused else "nothing changes"
    elif refused:
        what += f", {refused} refused"
    compared = "what is published now" if ":" in planned.against else planned.against
    where = f" ({planned.against})" if ":" in planned.against else ""
    lines = [paint(f"{planned.environment} · {what} · compared with {compared}{where}", "bold", color), ""]
    if shown.moves:
        lines += [paint(f"! {clean(move)}", "yellow", color) for move in shown.moves] + [""]
    for one in planned.units:
        lines += unit(one, shown, color=color, given_folder=given_folder)
    lines += _look_twice(planned, color)
    return [*lines, "", *_ways(shown, given_folder)]


def _services(count: int) -> str:
    return f"{count} service{'' if count == 1 else 's'}"


def unit(one: UnitPlan, shown: Shown, *, color: bool = False, given_folder: str = "") -> list[str]:
    """One unit of a plan: its numbers, then its changes."""
    name, number = f"{one.unit.service:<10}", _number(one.base)
    if one.action == "same":
        return [f"{name} same as published ({number})" if number else f"{name} retired"]
    if one.action == "resign":
        return [f"{name} {number} → {_next(one.base)}   {_RESIGN[one.reason]}"]
    if one.action == "held":
        return _held(one, color, given_folder)
    lines = [f"{name} {_step(one)}{_effect(one, shown)}"]
    lines += [f"  {line}" for line in changes(one.changes, shown.authors.get(one.unit, {}), one.base, color)]
    for guard in one.guards:
        lines.append(paint(f"  ✗ {guard.what}", "red", color))
        lines.append(pasteable(f"    hint: if that is meant, publish with {guard.flag}", given_folder))
    if one.action == "broken":
        lines += [f"  {line}" for line in finding_lines(one.notes[0], color=color, given_folder=given_folder)]
    return lines


_RESIGN = {
    "trust": "same content, signed again: the trust document is newer",
    "hold-ends": "same content; the hold ends",
    "reissue": "same content, issued again",
    "repair": "same content, in place of what is no release",
    "": "same content, signed again",
}


def _number(base: object) -> str:
    return f"#{base.payload.number}" if isinstance(base, Release) else ""


def _next(base: object) -> str:
    return f"#{base.payload.number + 1}" if isinstance(base, Release) else "#1"


def _step(one: UnitPlan) -> str:
    retired = one.action == "retire"
    if one.action == "refused" and one.drafted is None:
        return f"{_number(one.base)} is gone from here".lstrip()
    if isinstance(one.base, Release):
        return f"{_number(one.base)} → {_next(one.base)}" + ("   retired" if retired else "")
    if one.base is not None:
        return "retired" if retired else "changes"
    return "new"


def _effect(one: UnitPlan, shown: Shown) -> str:
    if one.action != "publish" or one.base is None:
        return ""
    restart = shown.restarts.get(one.unit, "")
    return f"      must restart: {clean(restart)} is restart-only" if restart else ""


def _held(one: UnitPlan, color: bool, given_folder: str) -> list[str]:
    base = one.base
    hold: Mapping[str, Any] = {}
    number = ""
    since = ""
    if isinstance(base, Release):
        hold, number, since = base.payload.hold or {}, _number(base), moment(base.payload.created_at)
    reason = f' ("{clean(str(hold.get("reason", "")))}")' if hold.get("reason") else ""
    by = clean(str(hold.get("by", "")))
    lines = [f"{one.unit.service:<10} HELD by {by} since {since}{reason}; published {number}"]
    for note in one.notes:
        lines.append(paint(f"  ✗ {clean(note.what)}", "red", color))
        lines += [f"  hint: {pasteable(hint, given_folder)}" for hint in note.hint]
    return lines


def changes(
    found: Sequence[Change], authors: Mapping[str, str], base: object, color: bool = False
) -> list[str]:
    """Changed paths in columns: sign, path, what, place."""
    if not found:
        return []
    width = min(max(len(change.path) for change in found), 40)
    texts = [change_text(change) for change in found]
    middle = min(max(len(text) for text in texts), 40)
    lines = []
    for change, text in zip(found, texts, strict=True):
        sign = _SIGNS.get(change.kind, "~")
        where = _place(change, base)
        author = authors.get(change.pointer, "")
        line = f"{sign} {clean(change.path):<{width}}  {text:<{middle}}  {where}"
        line += f"     {clean(author)}" if author else ""
        lines.append(paint(line.rstrip(), {"+": "green", "-": "red"}.get(sign, "yellow"), color))
    return lines


def _place(change: Change, base: object) -> str:
    if change.kind not in ("removed", "secret-removed") or not change.where:
        return change.where
    commit = (base.payload.git or {}).get("commit", "") if isinstance(base, Release) else ""
    return f"was {change.where}" + (f" in {str(commit)[:7]}" if commit else "")


def change_text(change: Change) -> str:
    if change.kind in _SECRET:
        return _SECRET[change.kind]
    if change.kind == "added":
        return value(change.new)
    if change.kind == "removed":
        return f"{value(change.old)} → gone"
    return f"{value(change.old)} → {value(change.new)}"


def _look_twice(planned: Plan, color: bool) -> list[str]:
    notes = [
        (one.unit.service, note)
        for one in planned.units
        if one.action in ("publish", "refused")
        for note in one.notes
    ]
    if not notes:
        return []
    many = len({service for service, _ in notes}) > 1
    lines = ["", paint("look twice", "bold", color)]
    return lines + [f"  ! {service + ': ' if many else ''}{clean(note.what)}" for service, note in notes]


def _ways(shown: Shown, given_folder: str) -> list[str]:
    planned = shown.plan
    target = shown.target
    lines = []
    if shown.waiting:
        gap = shown.waiting[0]
        need = gap.role.need - len(gap.have)
        others = ", ".join(name for name in gap.role.of if name not in gap.have)
        many = "approvals" if need > 1 else "approval"
        command = f"sealpipe approve {planned.environment} --plan {planned.short}"
        lines.append(f"needs     {need} {many} of {others}   {pasteable(command, given_folder)}")
    if planned.writing and ":" in planned.against:
        way = pasteable(f"sealpipe publish {target} --plan {planned.short}", given_folder)
        merge = f"         or merge: CI publishes {shown.branch}" if shown.branch else ""
        lines.append(f"publish   {way}{merge}")
    return [*lines, f"plan {planned.short}{_commit(planned)}"]


def _commit(planned: Plan) -> str:
    commit = planned.commit
    if not commit.commit:
        return " · no commit yet" if commit.branch else " · not in git"
    state = "with changes that are not committed" if commit.dirty else "clean"
    branch = f"{commit.branch}, " if commit.branch else ""
    return f" · commit {commit.commit[:7]} ({branch}{state})"


# ---- publications


def publication(
    done: Publication, planned: Plan, *, by: str, seconds: float, given_folder: str = ""
) -> list[str]:
    """What became of each unit, and the way back."""
    target = done.target.partition(":")[0]
    commit = f" · commit {planned.commit.commit[:7]}" if planned.commit.commit else ""
    written = [r for r in done.receipts if r.outcome not in ("unchanged", "held")]
    lines = [f"signed     {_names(written)} · {by}{commit}"] if written else []
    lines += receipts(done, target)
    lines += copies(done)
    unchanged = [r for r in done.receipts if r.outcome == "unchanged"]
    if unchanged:
        lines.append(f"unchanged  {_names(unchanged)}")
    if written:
        lines.append(f"receipt    batch {done.batch[:BATCH]}   {seconds:.1f} s")
    return [*lines, *_undo(done, planned, given_folder)]


def copies(done: Publication) -> list[str]:
    """The mirrors that have everything, and what was written into the plain tree."""
    lines = [f"mirrored   {url}  ✓" for url, problem in done.mirrors.items() if not problem]
    return lines + (tree(done.tree) if done.tree is not None else [])


def tree(report: TreeReport) -> list[str]:
    """A line a service of the plain tree, under its address."""
    mark = "" if report.findings else "  ✓"
    return [f"tree       {report.url}{mark}", *(f"           {clean(line)}" for line in report.lines)]


_OUTCOMES = {
    "published": "published ",
    "already": "published ",
    "overtaken": "overtaken ",
    "conflict": "conflict  ",
    "fenced": "fenced    ",
    "unknown": "unknown   ",
    "failed": "failed    ",
    "not-attempted": "not tried ",
    "held": "held      ",
}
_SAID = {
    "held": "left as it is: rolled back, and git still has the value",
    "already": "was there already",
    "overtaken": "published, and a newer publish may have begun since",
    "conflict": "somebody published in between; nothing was written",
    "fenced": "a newer publish has begun; nothing was written",
    "unknown": "no answer says whether it was written",
    "not-attempted": "the one before it did not get through",
}


def receipts(done: Publication, target: str) -> list[str]:
    """A line for each unit that something was to happen to."""
    lines = []
    for receipt in done.receipts:
        if receipt.outcome == "unchanged":
            continue
        detail = _SAID.get(receipt.outcome, "")
        if receipt.outcome in ("failed", "unknown") and receipt.detail:
            detail = f"{detail}: {receipt.detail}" if detail else receipt.detail
        number = f"{receipt.unit.service} #{receipt.number}"
        lines.append(
            f"{_OUTCOMES[receipt.outcome]} {number:<16} {target}{' ✓' if not detail else ''}"
            + (f"   {clean(detail)}" if detail else "")
        )
    return [line.rstrip() for line in lines]


def _names(found: Sequence[Receipt]) -> str:
    return ", ".join(f"{r.unit.service} #{r.number}" for r in found)


def _undo(done: Publication, planned: Plan, given_folder: str) -> list[str]:
    # A release that only signs the same content again has nothing to go back from.
    before = {one.unit: one.base for one in planned.units if one.action != "resign"}
    back: list[tuple[Unit, Release]] = []
    for receipt in done.receipts:
        base = before.get(receipt.unit)
        if receipt.outcome in ("published", "already", "overtaken") and isinstance(base, Release):
            back.append((receipt.unit, base))
    if not back:
        return []
    said = ", ".join(f"{unit.service} → content of #{base.payload.number}" for unit, base in back)
    command = f"sealpipe rollback {back[0][0]}"
    if len(back) > 1:
        command = f"sealpipe rollback {done.environment} --batch {done.batch[:BATCH]}"
    return ["", f"undo: {pasteable(command, given_folder)}      ({said})"]


# ---- rollbacks


def rollback(prepared: Undoing, *, color: bool = False) -> list[str]:
    """What a rollback would publish."""
    lines: list[str] = []
    for one in prepared.undos:
        lines += _one_undo(one, color)
    return lines


def _one_undo(one: Undo, color: bool) -> list[str]:
    head, target = one.head.release, one.target
    git = target.payload.git or {}
    commit = f", commit {str(git['commit'])[:7]}" if git else ""
    number = head.payload.number
    lines = [
        f"{head.unit.service:<10} #{number} → #{number + 1} = content of #{target.payload.number}"
        f"   (published {moment(target.payload.created_at)}{commit})"
    ]
    lines += [f"  {line}" for line in changes(_placeless(one.result.changes), {}, None, color)]
    kept = "kept as it is now (secrets do not go back; --with-secrets to take the old one too)"
    return lines + [f"  = {clean(path)}  {kept}" for path in one.result.kept]


def _placeless(found: Sequence[Change]) -> list[Change]:
    return [change._replace(where="") for change in found]


def rolled_back(prepared: Undoing, done: Publication, *, seconds: float, given_folder: str = "") -> list[str]:
    """What was published, what is held, and what to do next."""
    target = done.target.partition(":")[0]
    lines = receipts(done, target)
    lines += copies(done)
    good = {r.unit for r in done.receipts if r.outcome in ("published", "already")}
    for one in prepared.undos:
        unit = one.head.release.unit
        if unit not in good:
            continue
        if prepared.wish.hold:
            lines.append(_hold_line(one))
            lines.append(
                f"next       {pasteable(f'sealpipe adopt {unit}', given_folder)}"
                "        writes the published values into the files"
            )
    return [*lines, f"receipt    batch {done.batch[:BATCH]}   {seconds:.1f} s"]


def _hold_line(one: Undo) -> str:
    unit = one.head.release.unit
    plain = [c for c in one.result.changes if c.kind in ("changed", "removed")]
    values = [f"{clean(c.path)}={value(c.old)}" for c in plain[:3]]
    more = len(one.result.rejected) - len(values)
    if more > 0:
        values.append(f"{more} more of the rejected" if values else "what was rejected")
    return f"held       {unit} is not published from git while it still has {' or '.join(values)}"
