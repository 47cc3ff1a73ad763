"""`sealpipe explain`: where a value comes from."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from sealpipe.cli import options, output, workspaces
from sealpipe.cli.options import Common, Target
from sealpipe.errors import TrustError

if TYPE_CHECKING:
    from sealpipe.model import Workspace
    from sealpipe.trust import Pin

_EXAMPLES = (
    "sealpipe explain production/checkout db.pool_max",
    "sealpipe explain dev/checkout                          every value and its place",
)


@options.command("explain", examples=_EXAMPLES)
@options.target_argument(service="required")
@click.argument("path", required=False, metavar="[PATH]")
@options.common(formats=("text", "json"))
def command(opts: Common, *, target: Target, path: str | None) -> None:
    """Show what every layer says about a value, who wins, what the schema wants and what is published.

    Without PATH, or with the path of a map: every value in it and the line it comes from.
    """
    from sealpipe.cli.render import text_explain
    from sealpipe.flows import explaining

    workspace = workspaces.read_workspace(opts)
    unit = target.unit()
    if path is None or explaining.is_map(workspace, unit, path):
        lines = explaining.lines(workspace, unit, path or "")
        if opts.format == "json":
            rows = [line._asdict() for line in lines]
            output.echo(json.dumps({"schema_version": 1, "unit": str(unit), "values": rows}, indent=2))
        else:
            output.echo(text_explain.lines(lines))
        return
    with output.progress(opts, f"explaining {unit}"):
        found = explaining.explain(workspace, unit, path, _pins(opts, workspace))
    if opts.format == "json":
        output.echo(json.dumps({"schema_version": 1, **asdict(found)}, indent=2, ensure_ascii=False))
    else:
        output.echo(text_explain.explanation(found, color=opts.color))


def _pins(opts: Common, workspace: Workspace) -> tuple[Pin, ...] | None:
    # Without a trusted root nothing in a store can be believed; the layers can still be shown.
    try:
        return workspaces.trusted_pins(opts, workspace)
    except TrustError as error:
        output.note(opts, f"note: the store is not asked: {error.finding.what}")
        return None
