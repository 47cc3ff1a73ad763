"""`sealpipe render`: the merged configuration of a service."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from sealpipe.cli import options, output, workspaces
from sealpipe.cli.options import Common, Target
from sealpipe.errors import UsageError

if TYPE_CHECKING:
    from sealpipe.looking.reading import View
    from sealpipe.model import Workspace

_EXAMPLES = (
    "sealpipe render dev/checkout",
    "sealpipe render production/checkout --published",
    "sealpipe render dev/checkout --at HEAD~1 --format json",
)


@options.command("render", examples=_EXAMPLES)
@options.target_argument(service="required")
@options.option("--reveal", is_flag=True, help="Open the secrets with your key.")
@options.option("--published", is_flag=True, help="What the store has, not the files.")
@options.option("--at", "ref", metavar="REF", default="", help="The files of a commit, branch or tag.")
@options.common(formats=("text", "json"))
def command(opts: Common, *, target: Target, reveal: bool, published: bool, ref: str) -> None:
    """Print the merged configuration of ENV/SERVICE as YAML; each secret as `sealed (TYPE)`.

    Layers are merged and nothing else is checked: `sealpipe validate` does that.
    """
    from sealpipe.looking.reading import hidden, revealed

    if published and ref:
        raise UsageError("usage", "--published and --at exclude each other")
    workspace = workspaces.read_workspace(opts, at=ref)
    view = _view(opts, workspace, target, published)
    values = revealed(view, reader_keys(workspace, view)) if reveal else hidden(view)
    if opts.format == "json":
        unit = view.unit
        shown: dict[str, Any] = {
            "schema_version": 1,
            "environment": unit.environment,
            "service": unit.service,
            "from": view.label,
            "values": values,
            "sealed": sorted(view.sealed),
        }
        output.echo(json.dumps(shown, indent=2, ensure_ascii=False))
        return
    from sealpipe.documents.write import dump_yaml

    output.echo(dump_yaml(values).rstrip("\n") if values else "{}")


def _view(opts: Common, workspace: Workspace, target: Target, published: bool) -> View:
    from sealpipe.looking.reading import merged, need_published, view_of, view_of_release

    if published:
        pins = workspaces.trusted_pins(opts, workspace)
        return view_of_release(need_published(workspace, target.unit(), pins), workspace)
    return view_of(*merged(workspace, target.unit()))


def reader_keys(workspace: Workspace, view: View) -> dict[str, Any]:
    """The person's keys of every environment that a view has secrets of. TrustError for who has none."""
    from sealpipe.looking.reading import environments_of

    return {name: workspaces.my_keys(workspace, name) for name in environments_of(view)}
