"""`sealpipe explain`: where a value comes from."""

from __future__ import annotations

from dataclasses import fields, is_dataclass
from typing import TYPE_CHECKING, Any

from sealpipe.cli import options, output, workspaces
from sealpipe.cli.options import Common, Target
from sealpipe.errors import TrustError, Where

if TYPE_CHECKING:
    from sealpipe.model import Workspace
    from sealpipe.trust import Pin

_EXAMPLES = (
    "sealpipe explain production/checkout db.pool_max",
    "sealpipe explain dev/checkout                          every value and its place",
)


@options.command("explain", examples=_EXAMPLES)
@options.target_argument(service="required")
@options.argument("path", required=False, metavar="[PATH]")
@options.common(formats=("text", "json"))
def command(opts: Common, *, target: Target, path: str | None) -> None:
    """Show what every layer says about a value, who wins, what the schema wants and what is published.

    Without PATH, or with the path of a map: every value in it and the line it comes from.
    """
    from sealpipe.cli.render import json_, text_explain
    from sealpipe.looking import explaining

    workspace = workspaces.read_workspace(opts)
    unit = target.unit()
    if path is None or explaining.is_map(workspace, unit, path):
        lines = explaining.lines(workspace, unit, path or "")
        if opts.format == "json":
            output.echo(json_.document(unit=str(unit), values=[line._asdict() for line in lines]))
        else:
            output.echo(text_explain.lines(lines))
        return
    with output.progress(opts, f"explaining {unit}"):
        found = explaining.explain(workspace, unit, path, _pins(opts, workspace))
    if opts.format == "json":
        output.echo(json_.document(**{**_plain(found), "unit": str(found.unit)}))
    else:
        output.echo(text_explain.explanation(found, color=opts.color))


def _plain(value: Any) -> Any:
    """A result as JSON carries it: fields by name, places as text."""
    if isinstance(value, Where):
        return str(value)
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        return {name: _plain(inner) for name, inner in value._asdict().items()}
    if isinstance(value, tuple):
        return [_plain(inner) for inner in value]
    return value


def _pins(opts: Common, workspace: Workspace) -> tuple[Pin, ...] | None:
    # Without a trusted root nothing in a store can be believed; the layers can still be shown.
    try:
        return workspaces.trusted_pins(opts, workspace)
    except TrustError as error:
        output.note(opts, f"note: the store is not asked: {error.finding.what}")
        return None
