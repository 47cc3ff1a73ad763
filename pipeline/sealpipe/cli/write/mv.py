"""`sealpipe mv`: move or rename a value of a document."""

from __future__ import annotations

from sealpipe.cli import options, output, workspaces
from sealpipe.cli.options import Common, Target

_EXAMPLES = (
    "sealpipe mv production/checkout http.timout_s http.timeout_s",
    "sealpipe mv dev/checkout db.password database.password",
)


@options.command("mv", examples=_EXAMPLES)
@options.target_argument(service="required")
@options.argument("path", metavar="PATH")
@options.argument("new", metavar="NEW")
@options.common(writes=True)
def command(opts: Common, *, target: Target, path: str, new: str) -> None:
    """Move a value of ENV/SERVICE to another path of the same file.

    Comments stay with it. A secret is bound to its path: it is opened with your key and sealed for the new
    one. A path that the schema does not know is added to it.
    """
    from sealpipe.crypto.sealing import Sealer
    from sealpipe.editing.moving import holds_secret, move_value
    from sealpipe.membership.slots import find_slot

    workspace = workspaces.read_workspace(opts)
    slot = find_slot(workspace, workspaces.document_of(target), path)
    keys = {}
    if slot.present and holds_secret(slot):
        workspaces.trusted_pins(opts, workspace)
        keys = dict(workspaces.my_keys(workspace, target.environment))
    done = move_value(slot, new, keys, Sealer())
    workspaces.write(opts, workspace.root, done.edits)
    if opts.dry_run:
        return
    lines = [f"moved   {done.file}:{done.line}  {done.old} → {done.new}"]
    if done.resealed:
        lines.append(f"sealed  {', '.join(done.resealed)} for the new place")
    if done.schema:
        lines.append(f"schema  {done.schema} now knows {done.new}; {done.old} stays in it for other layers")
    output.note(opts, lines)
