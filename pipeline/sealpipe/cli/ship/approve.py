"""`sealpipe approve`: sign what needs a second person."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from sealpipe.cli import options, output
from sealpipe.cli.options import Common, Target

if TYPE_CHECKING:
    from sealpipe.flows.approving import Approval
    from sealpipe.flows.planning import Request
    from sealpipe.model import Workspace

_EXAMPLES = (
    "sealpipe approve production --plan 5d0e91",
    "sealpipe approve production --service checkout",
)


@options.command("approve", examples=_EXAMPLES)
@options.target_argument()
@options.option("--plan", "plan_name", metavar="FILE|ID", help="Approve only if this is the plan.")
@options.option("--service", "services", multiple=True, metavar="NAME", help="Only these services.")
@options.common(writes=True)
def command(opts: Common, *, target: Target, plan_name: str | None, services: tuple[str, ...]) -> int:
    """Sign the content that would be published, service by service, into trust/approvals/.

    An approval is for exactly this content of a service: other people's merges do not void it, and any
    change of the service's own values or readers does. Commit and push the files it writes.
    """
    from sealpipe.cli.ship.publish import expected_plan
    from sealpipe.cli.workspaces import read_workspace, recipients, trusted_pins
    from sealpipe.flows.approving import prepare_approval, write_approval
    from sealpipe.flows.planning import Request
    from sealpipe.keysource import find_signing_keys

    workspace = read_workspace(opts)
    pins = trusted_pins(opts, workspace)
    keys = find_signing_keys(os.environ, known=recipients(workspace))
    expected = expected_plan(plan_name, target.environment) if plan_name else ""
    request = Request(target.environment, target.service, expected=expected)
    with output.progress(opts, f"planning {target}"):
        approval = prepare_approval(workspace, request, services, pins=pins, keys=keys)
    _show(opts, workspace, request, approval)
    output.confirm(opts, f"Approve {', '.join(one.unit.service for one in approval.units)}?")
    if opts.dry_run:
        return 0
    files = write_approval(workspace, approval)
    done = [f"{one.unit.service} ({one.new_digest[:6] or 'retired'})" for one in approval.units]
    output.echo(f"approved   {', '.join(done)} by {approval.name}")
    output.note(opts, [f"wrote      {file}" for file in files])
    output.note(opts, f"next       git add trust/approvals && git commit -m 'Approve {target}' && git push")
    return 0


def _show(opts: Common, workspace: Workspace, request: Request, approval: Approval) -> None:
    from sealpipe.cli.render.ship_text import unit
    from sealpipe.looking.shown import shown

    page = shown(workspace, request, approval.plan)
    output.note(opts, f"plan {approval.plan.short}")
    for one in approval.units:
        output.note(opts, unit(one, page, given_folder=opts.given_folder))
