"""`sealpipe unset`: remove a value from one layer."""

from __future__ import annotations

from sealpipe.cli import options, workspaces
from sealpipe.cli.options import Common, Target
from sealpipe.cli.write.set_ import report

_EXAMPLES = (
    "sealpipe unset dev/checkout features.one_click",
    "sealpipe unset dev/checkout features.one_click --null     delete what a lower layer sets",
)


@options.command("unset", examples=_EXAMPLES)
@options.target_argument(service="required")
@options.argument("path", metavar="PATH")
@options.option("--null", is_flag=True, help="Write null, which deletes what a lower layer sets.")
@options.common(formats=("text", "json"), writes=True)
def command(opts: Common, target: Target, path: str, null: bool) -> None:
    """Remove a value from the file of ENV/SERVICE; what a lower layer sets shows again."""
    from sealpipe.editing.values import unset_value
    from sealpipe.membership.slots import find_slot

    workspace = workspaces.read_workspace(opts)
    slot = find_slot(workspace, workspaces.document_of(target), path)
    done = unset_value(slot, null=null)
    workspaces.write(opts, workspace.root, done.edits)
    report(opts, done)
