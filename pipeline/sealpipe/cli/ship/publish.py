"""`sealpipe publish`: sign and publish."""

from __future__ import annotations

import os
import time
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from sealpipe.cli import options, output
from sealpipe.cli.options import Common, Target

if TYPE_CHECKING:
    from sealpipe.cli.ship.unmoved import Repository
    from sealpipe.flows.planning import Request
    from sealpipe.flows.ship import Prepared
    from sealpipe.model import Publication, Workspace
    from sealpipe.released import Unit
    from sealpipe.trust import Pin

_EXAMPLES = (
    "sealpipe publish dev",
    "sealpipe publish production/checkout",
    "sealpipe publish production --plan 5d0e91          only if it is still this plan",
    'sealpipe publish production --break-glass "why"    in an emergency, from a clean tree',
)
REFUSED = ("conflict", "fenced", "overtaken")
FAILED = ("failed", "unknown")
REASON_LIMIT = 500


@options.command("publish", examples=_EXAMPLES)
@options.target_argument(required=False)
@options.option("--all", "everything", is_flag=True, help="Every environment, in order; for CI.")
@options.option("--plan", "plan_name", metavar="FILE|ID", help="Publish only if this is the plan.")
@options.option("--break-glass", metavar="REASON", help="Without CI and approvals; recorded for everybody.")
@options.option("--allow-removal", is_flag=True, help="Remove many keys of a service.")
@options.option("--allow-growth", is_flag=True, help="Make a service much larger.")
@options.option("--retire", multiple=True, metavar="ENV/SVC", help="Retire a service that is gone from here.")
@options.option("--lift-hold", is_flag=True, help="Publish what was rolled back after all.")
@options.option("--supersede", metavar="COMMIT", default="", help="Pass the fence of a commit that is gone.")
@options.option("--mirrors-only", is_flag=True, help="Copy what is published to the mirrors, nothing else.")
@options.option("--reissue", is_flag=True, help="Publish equal content again, after a store was restored.")
@options.option("--repair-head", is_flag=True, help="Replace what stands in the store and is no release.")
@options.common(formats=("text", "json"), writes=True)
def command(
    opts: Common,
    *,
    target: Target | None,
    everything: bool,
    plan_name: str | None,
    break_glass: str | None,
    supersede: str,
    mirrors_only: bool,
    retire: tuple[str, ...],
    **flags: bool,
) -> int:
    """Validate, plan, sign and publish an environment or one service of it.

    Needs a publisher's signing key, and no reading key. In a protected environment the commit must be
    clean and pushed, approved where the environment asks for it, and its name is asked for (or --yes).
    Ends with 5 when something refuses it, 6 when the store or the trust files are not to be trusted.
    """
    from sealpipe.cli.ship.plan import retired
    from sealpipe.cli.ship.unmoved import Repository
    from sealpipe.cli.workspaces import trusted_pins
    from sealpipe.flows.planning import Request
    from sealpipe.stages.load import frame
    from sealpipe.stages.plan import Allowed
    from sealpipe.trees import Seen, WorkTree

    tree = Seen(WorkTree(opts.root()))
    workspace = frame(tree)
    names = _names(workspace, target, everything=everything)
    _refuse_beside(mirrors_only, target, [plan_name, break_glass, supersede, *retire, *flags.values()])
    check_reason(break_glass, 'sealpipe publish ENV --break-glass "why"')
    allowed = Allowed(
        removal=flags["allow_removal"],
        growth=flags["allow_growth"],
        retire=retired(retire),
        lift_hold=flags["lift_hold"],
        reissue=flags["reissue"],
        repair_head=flags["repair_head"],
    )
    _check_here(allowed.retire, names)
    pins = trusted_pins(opts, workspace)
    service = target.service if target else None
    repository = Repository(tree, workspace, pins)
    code = 0
    done: list[Publication] = []
    for name in names:
        if mirrors_only:
            code = max(code, _mirrors(opts, workspace, name, pins, done))
            continue
        mine = allowed._replace(retire=frozenset(u for u in allowed.retire if u.environment == name))
        expected = expected_plan(plan_name, name) if plan_name else ""
        request = Request(name, service, mine, break_glass, supersede, expected)
        code = _one(opts, repository, request, done)
        if code:
            break
    if opts.format == "json":
        from sealpipe.cli.render.ship_json import publications

        output.echo(publications(done))
    return code


def _check_here(retired: Collection[Unit], names: Sequence[str]) -> None:
    foreign = sorted(str(unit) for unit in retired if unit.environment not in names)
    if foreign:
        raise _usage(
            f"{foreign[0]} is not in what is published here", f"sealpipe publish ENV --retire {foreign[0]}"
        )


def _names(workspace: Workspace, target: Target | None, *, everything: bool) -> list[str]:
    from sealpipe.flows.drafts import published_environments

    if (target is None) == (not everything):
        names = published_environments(workspace)
        raise _usage(
            "name what to publish: an environment, or ENV/SERVICE",
            f"sealpipe publish {names[0]}" if names else "sealpipe publish ENV",
        )
    return [target.environment] if target else list(published_environments(workspace))


def check_reason(reason: str | None, hint: str) -> None:
    """UsageError for a reason that says nothing, or more than a release holds."""
    if reason is not None and not reason.strip():
        raise _usage("--break-glass needs a reason", hint)
    if reason is not None and len(reason) > REASON_LIMIT:
        raise _usage(f"a reason has at most {REASON_LIMIT} characters", hint)


def _usage(what: str, hint: str) -> Exception:
    from sealpipe.errors import UsageError

    return UsageError("usage", what, hint=[hint])


def expected_plan(name: str, environment: str) -> str:
    """The digest, or its beginning, of the plan that --plan names. Raises UsageError."""
    from sealpipe.canonical import strict_json
    from sealpipe.errors import TrustError

    if Path(name).is_file():
        data = None
        try:
            data = strict_json(Path(name).read_bytes(), what="plan")
        except TrustError:
            data = None
        digest = data.get("digest") if isinstance(data, dict) else None
        if not isinstance(data, dict) or not isinstance(digest, str) or len(digest) != 64:
            raise _usage("the file after --plan is no plan", "sealpipe plan ENV --out FILE")
        if data.get("environment") != environment:
            raise _usage("the plan is for another environment", f"sealpipe plan {environment} --out FILE")
        return digest
    if len(name) < 6 or not set(name) <= set("0123456789abcdef"):
        raise _usage("--plan is a file, or at least 6 digits of a plan's id", f"sealpipe plan {environment}")
    return name


def _refuse_beside(mirrors_only: bool, target: Target | None, others: Sequence[object]) -> None:
    """What stands is copied as it is, of a whole environment: what says otherwise would do nothing."""
    if not mirrors_only:
        return
    hint = f"sealpipe publish {target.environment if target else '--all'} --mirrors-only"
    if any(others):
        raise _usage("--mirrors-only copies what is published, and takes no word on a plan", hint)
    if target is not None and target.service is not None:
        raise _usage("--mirrors-only copies an environment", hint)


def _mirrors_seen(opts: Common, name: str, pins: tuple[Pin, ...]) -> int:
    """What a copy would have to do; nothing is written."""
    from sealpipe.cli.workspaces import read_workspace
    from sealpipe.looking.observe import verify_environment

    with output.progress(opts, f"looking at the mirrors of {name}"):
        found = verify_environment(read_workspace(opts), name, None, pins=pins).findings
    behind = [finding for finding in found if finding.word.startswith("mirror-")]
    output.show_findings(behind, given_folder=opts.given_folder)
    output.note(opts, "dry run    nothing was copied" + ("" if behind else "; the mirrors have everything"))
    return 0


def _mirrors(
    opts: Common, workspace: Workspace, name: str, pins: tuple[Pin, ...], done: list[Publication]
) -> int:
    from sealpipe.flows.ship import mirrors_only

    if opts.dry_run:
        return _mirrors_seen(opts, name, pins)
    with output.progress(opts, f"copying {name}"):
        result = mirrors_only(workspace, name, pins)
    done.append(result)
    if not result.mirrors:
        output.note(opts, f"{name} has no mirrors")
    if opts.format == "text":
        output.echo([f"mirrored   {url}  ✓" for url, problem in result.mirrors.items() if not problem])
    _mirror_problems(opts, result)
    return 1 if any(result.mirrors.values()) else 0


def _one(opts: Common, repository: Repository, request: Request, done: list[Publication]) -> int:
    """Publish one environment; its exit code."""
    from sealpipe.checks.standing import keep, load, recorded
    from sealpipe.cli.ship.unmoved import may_stand, stood_in
    from sealpipe.cli.workspaces import recipients
    from sealpipe.flows.ship import check_writable, prepare, ship
    from sealpipe.flows.targets import primary
    from sealpipe.keysource import find_signing_keys

    started = time.monotonic()
    frame, pins = repository.frame, repository.pins
    keys = find_signing_keys(os.environ, known=recipients(frame))
    with output.progress(opts, f"planning {request.target}"), primary(frame, request.environment) as target:
        at = (frame.root, request.environment, target.url, os.environ)
        record = load(*at) if may_stand(opts, frame, request) else None
        stood = stood_in(repository, request, target, record)
        workspace = repository.without(stood.services)
        prepared = prepare(workspace, request, pins=pins, keys=keys, target=target, stood=stood)
    _show_plan(opts, prepared)
    check_writable(prepared)
    if opts.dry_run:
        return _held_code(prepared)
    if prepared.protected and prepared.plan.writing:
        output.confirm_name(opts, request.environment)
    with output.progress(opts, f"publishing {request.target}") as say:
        result = ship(
            prepared,
            now_ms=time.time_ns() // 1_000_000,
            say=say,
            remember=lambda made: keep(recorded(repository.inputs, stood, made), *at),
        )
    done.append(result)
    if opts.format == "text":
        _show(opts, prepared, result, time.monotonic() - started)
    return _code(opts, prepared, result)


def _show_plan(opts: Common, prepared: Prepared) -> None:
    """Before a question, and where nothing will be done, the whole plan; the holds in any case."""
    from sealpipe.cli.render.ship_text import plan
    from sealpipe.looking.shown import shown

    asked = prepared.protected and prepared.plan.writing and not opts.yes
    if opts.dry_run or asked:
        page = shown(prepared.workspace, prepared.request, prepared.plan)
        output.note(opts, [*plan(page), ""])


def _show(opts: Common, prepared: Prepared, result: Publication, seconds: float) -> None:
    from sealpipe.cli.render.ship_text import publication

    by = prepared.signer.name
    lines = publication(result, prepared.plan, by=by, seconds=seconds, given_folder=opts.given_folder)
    if prepared.approvers and prepared.plan.writing:
        lines.insert(0, f"approved   plan {prepared.plan.short} by {', '.join(prepared.approvers)}")
    output.echo(lines)


def _held_code(prepared: Prepared) -> int:
    notes = [note for one in prepared.plan.units if one.action == "held" for note in one.notes]
    return 5 if any(note.severity == "error" for note in notes) else 0


def _code(opts: Common, prepared: Prepared, result: Publication) -> int:
    """Holds, notes and mirrors on stderr; the exit code by what weighs most."""
    from sealpipe.flows.ship import note_of

    tree = result.tree.findings if result.tree is not None else ()
    output.show_findings([*note_of(prepared), *result.notes, *tree], given_folder=opts.given_folder)
    _mirror_problems(opts, result)
    outcomes = {receipt.outcome for receipt in result.receipts}
    if outcomes & set(FAILED) or any(note.severity == "error" for note in result.notes):
        return 1
    if outcomes & set(REFUSED):
        hint = f"sealpipe plan {prepared.request.target}"
        output.note(opts, output.pasteable(f"  hint: {hint}", opts.given_folder))
        return 5
    return 1 if behind(result) else _held_code(prepared)


def behind(result: Publication) -> bool:
    """Whether a mirror or the plain tree does not have what is published."""
    tree = result.tree.findings if result.tree is not None else ()
    return any(result.mirrors.values()) or any(finding.severity == "error" for finding in tree)


def _mirror_problems(opts: Common, result: Publication) -> None:
    from sealpipe.errors import Finding
    from sealpipe.flows.deliver import NO_RELEASE

    for url, problem in result.mirrors.items():
        if problem:
            again = f"sealpipe publish {result.environment} --mirrors-only"
            finding = Finding(
                "mirror",
                f"{url}: {problem}",
                why=("who reads the primary has what is published; who reads the mirror keeps what it had",),
                hint=(f"sealpipe verify {result.environment} --repair" if NO_RELEASE in problem else again,),
            )
            output.show_findings([finding], given_folder=opts.given_folder)
