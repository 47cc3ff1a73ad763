"""Publishing an environment: everything that can refuse it first, then the protocol in its order.

`prepare` reads; `ship` writes. Between the two a person may look at the plan: `ship` plans again behind
the fence and stops when the plan is another one by then.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext

from sealpipe import git
from sealpipe.checks.standing import NOBODY, Shipped, Standing
from sealpipe.crypto.keys import SigningKey
from sealpipe.errors import Finding, RefusedError, TrustError
from sealpipe.flows.deliver import Say, deliver, to_mirrors
from sealpipe.flows.drafts import Rendered, need_published_environment, render
from sealpipe.flows.permission import (
    Signer,
    approvals_for,
    check_protected,
    entry_of,
    not_approved,
    signer_for,
)
from sealpipe.flows.planning import Heads, Request, plan_over, read_heads
from sealpipe.flows.targets import Target, primary, reader_of
from sealpipe.frozen import field, frozen
from sealpipe.model import Drafted, Head, Plan, Publication, Receipt, UnitPlan, Workspace
from sealpipe.publishing.approvals import Missing
from sealpipe.publishing.fence import Claim, State, claim
from sealpipe.publishing.heads import Reader, heads, heads_listed, versions
from sealpipe.publishing.publish import StateCheck
from sealpipe.publishing.sign import Signing, batch_id, content_of, sign, timestamp
from sealpipe.released import Release, Unit
from sealpipe.releases.keys import head_key
from sealpipe.stages.draft import tombstone
from sealpipe.stages.load import units
from sealpipe.stores.base import Listing, lists_versions
from sealpipe.trust import Pairs, Pin, Trust, chain_for


@frozen
class Prepared:
    """What a publish would do, and that it may."""

    request: Request
    rendered: Rendered = field(repr=False)
    heads: Heads = field(repr=False)  # that the plan was made over
    plan: Plan
    signer: Signer
    trust: Trust = field(repr=False)
    pins: tuple[Pin, ...]
    url: str
    protected: bool
    waiting: tuple[Missing, ...]  # approvals that are missing and not waived
    approvers: tuple[str, ...]  # whose approvals are there
    stood: Standing = field(default=NOBODY, repr=False)  # whom the workspace and the plan leave out

    @property
    def workspace(self) -> Workspace:
        return self.rendered.workspace


def prepare(
    workspace: Workspace,
    request: Request,
    *,
    pins: tuple[Pin, ...],
    keys: Sequence[SigningKey],
    target: Target | None = None,
    stood: Standing = NOBODY,
) -> Prepared:
    """Check who, from where and what; plan. Writes nothing.

    `target` is the environment's store where it is open already; `stood` are units that the workspace is
    without. The trust files must have been checked (`checks.trusted.require_trusted`). Raises TrustError
    [no-key], RefusedError (role, protected environment, a unit to retire that is still there, a head under
    newer trust, another plan than the expected one), InputError for what is not valid, StoreError.
    """
    need_published_environment(workspace, request.environment)
    trust = need_trust(workspace)
    command = f"sealpipe publish {request.target}"
    entry = entry_of(trust, request.environment)
    signer = signer_for(trust, request.environment, keys, request.break_glass, command)
    check_protected(workspace, entry, request.environment, signer)
    _check_retired(workspace, request)
    rendered = render(workspace, request.drafted(workspace))
    if stood.failure is not None:
        raise stood.failure
    with nullcontext(target) if target else primary(workspace, request.environment) as place:
        found = read_heads(place, request, reader_of(workspace, pins), stood)
        planned = plan_over(rendered, request, found, place.url)
        url = place.url
    check_trust_version(found, trust)
    _check_published(request, found)
    check_expected(request, planned)
    approved, waiting = _approved(workspace, trust, planned)
    keys_of = {key for pairs in approved.values() for key, _ in pairs}
    return Prepared(
        request=request,
        rendered=rendered,
        heads=found,
        plan=planned,
        signer=signer,
        trust=trust,
        pins=pins,
        url=url,
        protected=entry.protected,
        waiting=() if signer.waives else waiting,
        approvers=tuple(name for name in entry.approvals.of if trust.keys[name].sign in keys_of),
        stood=stood,
    )


def need_trust(workspace: Workspace) -> Trust:
    """Raises TrustError [no-trust]."""
    if workspace.trust is None:
        raise TrustError(
            "no-trust", "there is no trust/trust.yaml", hint=["git checkout HEAD -- trust/trust.yaml"]
        )
    return workspace.trust


def _check_retired(workspace: Workspace, request: Request) -> None:
    for unit in sorted(request.allowed.retire & set(units(workspace))):
        raise RefusedError(
            "still-there",
            f"{unit} cannot be retired: it is still in the repository and would be published again",
            hint=[f"git rm environments/{unit}.yaml"],
        )


def _check_published(request: Request, found: Heads) -> None:
    for unit in sorted(request.allowed.retire):
        if unit not in found:
            raise RefusedError(
                "not-published", f"{unit} cannot be retired: it was never published", hint=["sealpipe status"]
            )


def check_trust_version(found: Heads, trust: Trust) -> None:
    """Raises RefusedError [newer-trust] when any head was signed under a newer trust document than ours."""
    for unit, one in sorted(found.items()):
        version = one.release.trust_version if isinstance(one, Head) else 0
        if version > trust.version:
            raise RefusedError(
                "newer-trust",
                f"{unit} is published under trust version {version}; this repository has {trust.version}",
                why=["a key that was revoked since would count again"],
                hint=["git pull, then repeat the command"],
            )


def check_expected(request: Request, planned: Plan) -> None:
    """Raises RefusedError [other-plan] when what would be published is not what was asked for."""
    if request.expected and not planned.digest.startswith(request.expected):
        raise RefusedError(
            "other-plan",
            f"plan {request.expected[:6]} is not what would be published now, which is plan {planned.short}",
            why=["the store, the repository or the flags changed since; nothing was published"],
            hint=[f"sealpipe plan {request.target}"],
        )


def check_writable(prepared: Prepared) -> None:
    """Raises RefusedError for guards that nobody passed and approvals that are missing; TrustError for a
    head that is no release."""
    for one in prepared.plan.units:
        if one.action == "broken":
            note = one.notes[0]
            raise TrustError(note.word, note.what, why=note.why, hint=note.hint)
    pending = [guard for one in prepared.plan.units for guard in one.guards]
    if pending:
        flags = " ".join(dict.fromkeys(guard.flag for guard in pending))
        raise RefusedError(
            pending[0].word,
            pending[0].what,
            why=[guard.what for guard in pending[1:]],
            hint=[f"if that is meant: sealpipe publish {prepared.request.target} {flags}"],
        )
    if prepared.waiting:
        raise not_approved(prepared.waiting, prepared.plan.short)


def ship(
    prepared: Prepared,
    *,
    now_ms: int,
    say: Say = lambda _: None,
    remember: Callable[[Shipped], None] = lambda _: None,
) -> Publication:
    """Fence, plan again, sign, publish, read back, mirror, collect. See DESIGN's protocol for the order.
    `remember` is given what the next publish can be told by, at the end.

    Raises RefusedError (older commit, moved, guards, approvals), TrustError, StoreError. What happened to
    each unit is in the receipts, also when only some got through.
    """
    check_writable(prepared)
    request, workspace, trust = prepared.request, prepared.workspace, prepared.trust
    batch = batch_id(now_ms)
    with primary(workspace, request.environment) as target:
        reader = _reader(prepared)
        say("taking the fence")
        fenced = _fenced(
            prepared,
            target,
            State(workspace.commit.commit, batch, prepared.signer.name, timestamp(now_ms)),
            lambda: _good(heads(target.store, target.prefix, request.environment, reader)),
        )
        at_home = target.url == prepared.url
        listing, found = _behind(prepared, target, reader)
        check_trust_version(found, trust)
        # A plan is made of the drafts and the heads alone: equal heads, equal plan.
        same = at_home and found == prepared.heads
        planned = prepared.plan if same else plan_over(prepared.rendered, request, found, target.url)
        _check_unmoved(prepared, planned)
        approved, waiting = _approved(workspace, trust, planned)
        if waiting and not prepared.signer.waives:
            raise not_approved(waiting, planned.short)
        signed = sign(
            [content_of(one, workspace.commit, approved.get(one.unit, ())) for one in planned.writing],
            found,
            _signing(prepared, batch, now_ms),
        )
        checked = signed.releases if trust.project == reader.project else ()
        delivered = deliver(
            signed,
            workspace,
            target,
            reader.having(one.release for one in checked),
            fence=StateCheck(request.environment, fenced.version),
            repair=request.allowed.repair_head,
            removal=request.allowed.removal,
            now_ms=now_ms,
            say=say,
        )
    remember(Shipped(planned, {**_good(found), **delivered.heads}, listing, fenced.raw))
    receipts = _all_receipts(planned, delivered.receipts, prepared.stood)
    notes = (*fenced.notes, *delivered.notes)
    return Publication(
        batch, request.environment, prepared.url, receipts, delivered.mirrors, notes, delivered.tree
    )


def _fenced(
    prepared: Prepared, target: Target, state: State, found: Callable[[], Mapping[Unit, Head]]
) -> Claim:
    request, root = prepared.request, prepared.workspace.root
    return claim(
        target.store,
        target.prefix,
        found,
        state,
        trust=prepared.trust,
        environment=request.environment,
        key=prepared.signer.key,
        ancestry=lambda older, newer: git.is_ancestor(root, older, newer),
        enforced=prepared.protected,
        supersede=request.supersede,
    )


def mirrors_only(workspace: Workspace, environment: str, pins: tuple[Pin, ...]) -> Publication:
    """Copy what is published to the mirrors, and nothing else. Needs no key and no fence."""
    with primary(workspace, environment) as target:
        copied = to_mirrors(workspace, environment, target, reader_of(workspace, pins))
        return Publication("", environment, target.url, (), copied)


def _behind(prepared: Prepared, target: Target, reader: Reader) -> tuple[Listing, Heads]:
    """The heads behind the fence without those that still stand: who moved meanwhile is among them."""
    at = (target.store, target.prefix, prepared.request.environment)
    stood = prepared.stood
    if target.url != prepared.url:
        stood = NOBODY
    elif stood.listing is not None or lists_versions(target.store) is not None:
        listing = versions(*at, since=stood.listing)
        return listing, heads_listed(*at, reader, listing, before=prepared.heads, without=stood.versions)
    found = read_heads(target, prepared.request, reader, stood)
    return Listing({head_key(target.prefix, unit): one.version for unit, one in found.items()}), found


def _reader(prepared: Prepared) -> Reader:
    """As whom the heads were read for the plan: what is still there need not be checked again."""
    found = [one.release for one in _good(prepared.heads).values()]
    return reader_of(prepared.workspace, prepared.pins).having(found)


def _signing(prepared: Prepared, batch: str, now_ms: int) -> Signing:
    trust = prepared.trust
    return Signing(
        environment=prepared.request.environment,
        trust=trust,
        chain=chain_for(trust, prepared.workspace.roots),
        pins=reader_of(prepared.workspace, prepared.pins).pins,  # as `_reader` has them
        key=prepared.signer.key,
        now_ms=now_ms,
        batch=batch,
        break_glass=prepared.request.break_glass,
    )


def _good(found: Heads) -> dict[Unit, Head]:
    return {unit: one for unit, one in found.items() if isinstance(one, Head)}


def _check_unmoved(prepared: Prepared, planned: Plan) -> None:
    """Raises RefusedError [moved] when the plan behind the fence is not the one that was looked at."""
    if _rows(planned) == _rows(prepared.plan):
        return
    then = {one.unit: number_of(one.base) for one in prepared.plan.units}
    then |= {unit: one.number for unit, one in prepared.stood.units.items()}
    for one in planned.units:
        before, after = then.get(one.unit, 0), number_of(one.base)
        if before != after and isinstance(one.base, Release):
            payload = one.base.payload
            commit = f", commit {str(payload.git['commit'])[:7]}" if payload.git else ""
            who = f"{', '.join(one.base.publishers)}, {payload.created_at}{commit}"
            raise RefusedError(
                "moved",
                f"{one.unit} moved: plan {prepared.plan.short} was made against #{before}, "
                f"the store has #{after} ({who})",
                why=["nothing was published"],
                hint=[f"sealpipe plan {prepared.request.target}"],
            )
    raise RefusedError(
        "moved",
        f"the plan changed while you looked at it: it was {prepared.plan.short} and is {planned.short}",
        why=["nothing was published"],
        hint=[f"sealpipe plan {prepared.request.target}"],
    )


def _rows(planned: Plan) -> list[tuple[Unit, str, str, int]]:
    return [(u.unit, u.action, u.new_digest, number_of(u.base)) for u in planned.units]


def number_of(base: Release | Drafted | None) -> int:
    """The running number of what is published, 0 where there is none."""
    return base.payload.number if isinstance(base, Release) else 0


def _approved(
    workspace: Workspace, trust: Trust, planned: Plan
) -> tuple[dict[Unit, Pairs], tuple[Missing, ...]]:
    wanted = {
        one.unit: (approval_digest(one), one.base if isinstance(one.base, Release) else None)
        for one in planned.writing
    }
    return approvals_for(workspace, trust, wanted)


def approval_digest(one: UnitPlan) -> str:
    """The draft digest that an approval of this unit's change signs."""
    return one.new_digest or tombstone(one.unit).digest  # what is gone, or to go, is approved as that


def _all_receipts(planned: Plan, done: Sequence[Receipt], stood: Standing) -> tuple[Receipt, ...]:
    found = {unit: Receipt(unit, "unchanged", one.number, one.digest) for unit, one in stood.units.items()}
    found |= {receipt.unit: receipt for receipt in done}
    for one in planned.units:
        if one.unit in found or not isinstance(one.base, Release):
            continue
        outcome = "held" if one.action == "held" else "unchanged"
        detail = one.notes[0].severity if outcome == "held" else ""
        base = one.base
        found[one.unit] = Receipt(one.unit, outcome, base.payload.number, base.digest, detail)
    return tuple(found[unit] for unit in sorted(found))


def note_of(prepared: Prepared) -> tuple[Finding, ...]:
    """Holds in the plan: said whether or not anything else is published."""
    return tuple(
        note._replace(what=f"{one.unit}: {note.what}")
        for one in prepared.plan.units
        for note in one.notes
        if note.word == "held"
    )


def waiting_for(workspace: Workspace, planned: Plan) -> tuple[Missing, ...]:
    """Approvals that a plan still needs; none where there is no trust document."""
    return _approved(workspace, workspace.trust, planned)[1] if workspace.trust is not None else ()
