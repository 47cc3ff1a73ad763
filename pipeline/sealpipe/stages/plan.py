"""What a publish would change. Pure and keyless: drafts are compared with drafts.

The other side is a store's heads, or the drafts of another commit. The digest covers the units whose
content changes and nothing else, so a pull request and a publish of the same commits agree on it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from sealpipe.canonical import plan_digest
from sealpipe.errors import Finding
from sealpipe.frozen import NamedTuple
from sealpipe.model import Broken, Commit, Drafted, Guard, Plan, UnitPlan
from sealpipe.project import Limits
from sealpipe.released import Draft, Release, Unit
from sealpipe.stages.changes import changes
from sealpipe.stages.guards import departed, guards, look_twice, vanished
from sealpipe.stages.hold import Rejected, still_rendered

Base = Release | Drafted | Broken


class Allowed(NamedTuple):
    """What the person who plans or publishes has said yes to."""

    removal: bool = False
    growth: bool = False
    retire: frozenset[Unit] = frozenset()
    lift_hold: bool = False
    reissue: bool = False
    repair_head: bool = False


NOTHING: Final = Allowed()


class Surroundings(NamedTuple):
    """What a plan needs to know beside the drafts; all of it values."""

    limits: Limits
    commit: Commit
    against: str
    trust_version: int = 0  # 0: no trust document, nothing is signed again
    publishers: frozenset[str] = frozenset()  # names of who may sign a release now, in any role
    whole: bool = True  # False: only the units given are looked at, none can vanish
    held_drafts: Mapping[Unit, str] = {}  # draft digest that git gave at the commit of a held head
    successors: Mapping[str, str] = {}  # old service name -> new one
    defaults: Callable[[Unit], frozenset[str]] = lambda _unit: frozenset()


def plan(
    environment: str,
    drafted: Mapping[Unit, Drafted],
    bases: Mapping[Unit, Base],
    around: Surroundings,
    allowed: Allowed = NOTHING,
) -> Plan:
    """The plan of one environment, a UnitPlan for each unit on either side, in name order.

    Raises nothing: what must not be published is `refused`, `held` or `broken` in the result. Checks no
    signature and no role; `flows.ship` does, and compares the digest with one that was approved.
    """
    seen = set(drafted) | (set(bases) if around.whole else set(bases) & (set(drafted) | allowed.retire))
    units = tuple(
        _unit_plan(unit, drafted.get(unit), bases.get(unit), around, allowed) for unit in sorted(seen)
    )
    rows = [
        (u.unit.environment, u.unit.service, u.old_digest, u.new_digest)
        for u in units
        if u.action in ("publish", "retire", "refused") and u.old_digest != u.new_digest
    ]
    return Plan(environment, units, plan_digest(rows), around.commit, around.against)


def _unit_plan(
    unit: Unit, new: Drafted | None, base: Base | None, around: Surroundings, allowed: Allowed
) -> UnitPlan:
    if isinstance(base, Broken):
        if not allowed.repair_head:
            return _broken(unit, new, base)
        repaired = _unit_plan(unit, new, base.newest, around, allowed)
        return _replace_broken(repaired, new)
    if new is None or unit in allowed.retire:
        return _gone(unit, base, around, allowed)
    if isinstance(base, Release) and base.payload.retired is not None:
        return UnitPlan(unit, "publish", base, new, changes(None, new.draft, new_origins=new.origins))
    rejected = _rejected(base, new)
    if rejected and not allowed.lift_hold and isinstance(base, Release):
        return _held(unit, base, new, rejected, around=around, allowed=allowed)
    return _compared(unit, base, new, around, allowed)


def _compared(
    unit: Unit, base: Release | Drafted | None, new: Drafted, around: Surroundings, allowed: Allowed
) -> UnitPlan:
    old = base.draft if base else None
    old_digest = base.payload.draft_digest if isinstance(base, Release) else base.digest if base else ""
    if old_digest == new.digest:
        reason = _resign_reason(base, around, allowed)
        if reason == "trust" and isinstance(base, Release) and base.payload.hold is not None:
            reason = "hold-ends"
        return UnitPlan(unit, "resign" if reason else "same", base, new, reason=reason)
    changed = changes(old, new.draft, old_origins=origins_of(base), new_origins=new.origins)
    removed = any(change.kind in ("removed", "secret-removed") for change in changed)
    defaults = around.defaults(unit) if removed else frozenset()
    notes = look_twice(old, new.draft, changed, defaults)
    pending = tuple(g for g in guards(unit, old, new, around.limits) if not _passed(g, unit, allowed))
    action = "refused" if pending else "publish"
    return UnitPlan(unit, action, base, new, changed, notes, pending)


def _resign_reason(base: Release | Drafted | None, around: Surroundings, allowed: Allowed) -> str:
    if not isinstance(base, Release):
        return ""
    if allowed.reissue:
        return "reissue"
    if base.payload.hold is not None and not _rejected_by(base, base.draft):
        return "hold-ends"
    return "trust" if base.trust_version < around.trust_version else ""


def _held(
    unit: Unit,
    base: Release,
    new: Drafted,
    rejected: tuple[Rejected, ...],
    *,
    around: Surroundings,
    allowed: Allowed,
) -> UnitPlan:
    note = _hold_note(unit, rejected, changed=_moved(unit, new, around))
    changed = changes(base.draft, new.draft, old_origins=base.payload.origins, new_origins=new.origins)
    reason = "reissue" if allowed.reissue else ""
    if not reason and base.trust_version < around.trust_version:
        reason = "trust"
    if reason and (guard := departed(base, around.publishers)):
        return UnitPlan(unit, "refused", base, new, changed, (note,), (guard,))
    if reason:
        return UnitPlan(unit, "resign", base, None, (), (note,), reason=reason)
    return UnitPlan(unit, "held", base, new, changed, (note,))


def _moved(unit: Unit, new: Drafted, around: Surroundings) -> bool:
    # Somebody changed the unit after the rollback and expects to see it published.
    before = around.held_drafts.get(unit, "")
    return bool(before) and before != new.digest


def _hold_note(unit: Unit, rejected: tuple[Rejected, ...], *, changed: bool) -> Finding:
    first = rejected[0]
    if first.secret:
        what = f"{first.path} is still the secret that was rolled back"
    elif not first.present:
        what = f"{first.path} is still missing here, as in what was rolled back"
    else:
        what = f"{first.path} is still {shown(first.value)} here, the value that was rolled back"
    if len(rejected) > 1:
        what += f" (and {len(rejected) - 1} more)"
    return Finding(
        "held",
        what,
        hint=(
            f"change it, or: sealpipe adopt {unit}     (writes the running value into the file)",
            f"to publish the rejected value after all: sealpipe publish {unit} --lift-hold",
        ),
        severity="error" if changed else "warning",
    )


def shown(value: object) -> str:
    """A plain value in one line, as JSON, cut where it is long."""
    from sealpipe.canonical import canonical

    text = canonical(value).decode("utf-8")
    return text if len(text) <= 60 else text[:57] + "…"


def _gone(unit: Unit, base: Release | Drafted | None, around: Surroundings, allowed: Allowed) -> UnitPlan:
    if base is None or (isinstance(base, Release) and base.payload.retired is not None):
        reason = "" if base is None else _resign_reason(base, around, allowed)
        return UnitPlan(unit, "resign" if reason else "same", base, None, reason=reason)
    changed = changes(base.draft, None, old_origins=origins_of(base))
    successor = around.successors.get(unit.service, "")
    if unit in allowed.retire:
        return UnitPlan(unit, "retire", base, None, changed, successor=successor)
    return UnitPlan(unit, "refused", base, None, changed, guards=(vanished(unit),), successor=successor)


def _broken(unit: Unit, new: Drafted | None, base: Broken) -> UnitPlan:
    note = Finding(
        "broken-head",
        f"{unit}: what the store has as its release is not one: {base.what} [{base.word}]",
        why=("Services do not take it and keep what they have.",),
        hint=(f"sealpipe verify {unit}", f"sealpipe publish {unit} --repair-head"),
    )
    return UnitPlan(unit, "broken", base.newest, new, (), (note,))


def _replace_broken(repaired: UnitPlan, new: Drafted | None) -> UnitPlan:
    # Equal content must be written all the same: what stands in the store is unusable.
    if repaired.action == "same" and repaired.base is not None and (new or repaired.base):
        return UnitPlan(repaired.unit, "resign", repaired.base, repaired.drafted, reason="repair")
    if repaired.action == "held":
        return UnitPlan(repaired.unit, "resign", repaired.base, None, (), repaired.notes, reason="repair")
    return repaired


def _passed(guard: Guard, unit: Unit, allowed: Allowed) -> bool:
    if guard.flag == "--allow-removal":
        return allowed.removal
    if guard.flag == "--allow-growth":
        return allowed.growth
    return unit in allowed.retire


def _rejected(base: Base | None, new: Drafted) -> tuple[Rejected, ...]:
    return _rejected_by(base, new.draft) if isinstance(base, Release) else ()


def _rejected_by(base: Release, now: Draft) -> tuple[Rejected, ...]:
    return still_rendered(base.payload.hold, now) if base.payload.hold is not None else ()


def origins_of(base: Release | Drafted | None) -> Mapping[str, str]:
    """Where the values of a published draft came from, pointer to file:line."""
    if base is None:
        return {}
    return base.payload.origins if isinstance(base, Release) else base.origins
