"""`sealpipe status`: every service in every environment."""

from __future__ import annotations

import os

from sealpipe.cli import options, output
from sealpipe.cli.options import Common, Target

_EXAMPLES = ("sealpipe status", "sealpipe status production", "sealpipe status --exit-code")


@options.command("status", examples=_EXAMPLES)
@options.target_argument(required=False)
@options.option(
    "--exit-code", is_flag=True, help="End with 3 when something is not as in git, 6 when edited."
)
@options.common(formats=("text", "json"))
def command(opts: Common, *, target: Target | None, exit_code: bool) -> int:
    """Show what is published against git: holds, drift, hand edits, stores that do not answer.

    Needs no key, only that the stores can be read. Git is the remote's branch as last fetched; where there
    is no remote, the files as they lie here.
    """
    from sealpipe.cli.render.ship_observe import status as text
    from sealpipe.cli.render.ship_observe import status_json
    from sealpipe.cli.workspaces import read_workspace
    from sealpipe.looking.observe import status
    from sealpipe.pins import find_pins

    workspace = read_workspace(opts)
    pins = find_pins(os.environ, workspace.project.id)
    with output.progress(opts, "reading the stores"):
        found = status(
            workspace,
            target.environment if target else None,
            target.service if target else None,
            pins=pins,
        )
    if opts.format == "json":
        output.echo(status_json(found))
    else:
        output.echo(text(found, color=opts.color, given_folder=opts.given_folder))
    if not exit_code:
        return 0
    return 6 if found.broken else 3 if found.differs else 0
