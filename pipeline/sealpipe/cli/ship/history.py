"""`sealpipe history`: releases of a service, or the changes of one setting."""

from __future__ import annotations

import os

from sealpipe.cli import options, output
from sealpipe.cli.options import Common, Target

_EXAMPLES = ("sealpipe history production/checkout", "sealpipe history production/checkout db.pool_max")


@options.command("history", examples=_EXAMPLES)
@options.target_argument(service="required")
@options.argument("path", required=False)
@options.option("--limit", type=options.IntRange(1), default=20, show_default=True, help="Releases at most.")
@options.common(formats=("text", "json"))
def command(opts: Common, *, target: Target, path: str | None, limit: int) -> int:
    """List the releases that the store still keeps, newest first; or the values that a path had.

    Values of secrets are never shown. Needs no key.
    """
    from sealpipe.cli.render import ship_observe as render
    from sealpipe.cli.workspaces import read_workspace
    from sealpipe.errors import RefusedError, UsageError
    from sealpipe.looking.observe import history, history_of
    from sealpipe.paths import parse_path
    from sealpipe.pins import find_pins

    workspace = read_workspace(opts)
    unit = target.unit()
    pins = find_pins(os.environ, workspace.project.id)
    with output.progress(opts, f"reading the releases of {unit}"):
        past = history(workspace, unit, pins=pins, limit=limit)
    if not past:
        raise RefusedError("not-published", f"{unit} was never published", hint=[f"sealpipe publish {unit}"])
    if path is None:
        as_json = opts.format == "json"
        output.echo(render.history_json(past) if as_json else render.history(past, color=opts.color))
        return 0
    problem = ""
    try:
        parsed = parse_path(path)
    except ValueError as error:
        problem = str(error)
    if problem:
        raise UsageError("usage", problem)
    steps = history_of(past, parsed)
    output.echo(
        render.path_history_json(path, steps) if opts.format == "json" else render.path_history(steps)
    )
    return 0
