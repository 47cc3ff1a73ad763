"""`sealpipe plan`: what a publish would change."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from sealpipe.cli import options, output
from sealpipe.cli.options import Common, Target
from sealpipe.released import Unit

if TYPE_CHECKING:
    from sealpipe.looking.shown import Shown
    from sealpipe.model import Workspace
    from sealpipe.stages.plan import Allowed

_EXAMPLES = (
    "sealpipe plan                             every environment, against what is published",
    "sealpipe plan production",
    "sealpipe plan --base origin/main          against another commit, without any store",
    "sealpipe plan production --out plan.json  then: sealpipe publish production --plan plan.json",
)


@options.command("plan", examples=_EXAMPLES)
@options.target_argument(required=False)
@options.option("--base", "base", metavar="REF", help="Compare with a commit instead of what is published.")
@options.option("--out", metavar="FILE", help="Write the plan's digest and units for `publish --plan`.")
@options.option("--exit-code", is_flag=True, help="End with 3 when something would change.")
@options.option("--allow-removal", is_flag=True, help="Take a plan that removes many keys.")
@options.option("--allow-growth", is_flag=True, help="Take a plan that makes a service much larger.")
@options.option("--retire", multiple=True, metavar="ENV/SVC", help="Retire a service that is gone from here.")
@options.option("--lift-hold", is_flag=True, help="Plan what was rolled back as well.")
@options.common(formats=("text", "json", "markdown"))
def command(
    opts: Common,
    *,
    target: Target | None,
    base: str | None,
    out: str | None,
    exit_code: bool,
    allow_removal: bool,
    allow_growth: bool,
    retire: tuple[str, ...],
    lift_hold: bool,
) -> int:
    """Show what publishing would change. No key is needed.

    Ends with 4 when what would be published is not valid, 5 when a guard or a vanished service needs a
    flag, 6 when the store holds something that is no release.
    """
    from sealpipe.cli.workspaces import read_workspace
    from sealpipe.errors import UsageError
    from sealpipe.flows.drafts import published_environments
    from sealpipe.stages.plan import Allowed

    workspace = read_workspace(opts)
    allowed = Allowed(removal=allow_removal, growth=allow_growth, retire=retired(retire), lift_hold=lift_hold)
    names = [target.environment] if target else list(published_environments(workspace))
    if out and len(names) != 1:
        raise UsageError("usage", "--out needs one environment", hint=["sealpipe plan ENV --out FILE"])
    found, code = _plans(opts, workspace, names, target=target, base=base, allowed=allowed)
    if out and found:
        _write(opts, out, found[0])
    _show(opts, found)
    return code or _code(found, exit_code=exit_code)


def _plans(
    opts: Common,
    workspace: Workspace,
    names: list[str],
    *,
    target: Target | None,
    base: str | None,
    allowed: Allowed,
) -> tuple[list[Shown], int]:
    """The plans of these environments. A store that does not answer stops no other environment's plan."""
    from sealpipe.errors import StoreError
    from sealpipe.flows.planning import Request, find_base, plan_between, plan_published
    from sealpipe.looking.shown import shown
    from sealpipe.pins import find_pins

    other = find_base(workspace.root, base) if base is not None else None
    pins = find_pins(os.environ, workspace.project.id) if other is None else ()
    found: list[Shown] = []
    code = 0
    for name in names:
        mine = frozenset(unit for unit in allowed.retire if unit.environment == name)
        request = Request(name, target.service if target else None, allowed._replace(retire=mine))
        try:
            with output.progress(opts, f"planning {name}"):
                planned = (
                    plan_published(workspace, request, pins)
                    if other is None
                    else plan_between(workspace, other, request)
                )
        except StoreError as error:
            if target is not None:
                raise
            output.show_findings([error.finding._replace(path=name)], given_folder=opts.given_folder)
            code = 1
            continue
        before = other.project if other is not None else None
        found.append(shown(workspace, request, planned, before=before))
    return found, code


def _write(opts: Common, out: str, one: Shown) -> None:
    from sealpipe.cli.render.ship_json import plan_file
    from sealpipe.files import write_atomic

    write_atomic(Path(out), ("\n".join(plan_file(one.plan)) + "\n").encode())
    output.note(opts, f"wrote      {out}")


def _show(opts: Common, found: list[Shown]) -> None:
    if opts.format == "json":
        from sealpipe.cli.render.ship_json import plans

        output.echo(plans(found))
    elif opts.format == "markdown":
        from sealpipe.cli.render.ship_markdown import plans as as_markdown

        output.echo(as_markdown(found))
    else:
        from sealpipe.cli.render.ship_text import plan

        for at, one in enumerate(found):
            lines = plan(one, color=opts.color, given_folder=opts.given_folder)
            output.echo(["", *lines] if at else lines)


def _code(found: list[Shown], *, exit_code: bool) -> int:
    units = [one for shown in found for one in shown.plan.units]
    if any(one.action == "broken" for one in units):
        return 6
    if any(one.action == "refused" for one in units):
        return 5
    return 3 if exit_code and any(one.writes for one in units) else 0


def retired(texts: tuple[str, ...]) -> frozenset[Unit]:
    """The units that --retire names. Raises UsageError."""
    return frozenset(options.parse_target(text).unit() for text in texts)
