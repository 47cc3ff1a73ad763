"""`sealpipe adopt`: write what is published into the files."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sealpipe.cli import options, output
from sealpipe.cli.options import Common, Target

if TYPE_CHECKING:
    from sealpipe.flows.adopting import Adopted

_EXAMPLES = ("sealpipe adopt production/checkout", "sealpipe adopt production/checkout --paths db.pool_max")


@options.command("adopt", examples=_EXAMPLES)
@options.target_argument()
@options.option("--paths", multiple=True, metavar="PATH", help="Only this setting, or what is below it.")
@options.common(writes=True)
def command(opts: Common, *, target: Target, paths: tuple[str, ...]) -> int:
    """Write the published plain values into the service's own file.

    Ends the hold of a rollback. Secrets are not taken over; where one differs it is named.
    """
    from sealpipe.cli.workspaces import read_workspace, trusted_pins
    from sealpipe.flows.adopting import adoption_notes, prepare_adoption, write_adoption

    workspace = read_workspace(opts)
    pins = trusted_pins(opts, workspace)
    with output.progress(opts, f"reading {target}"):
        made = prepare_adoption(workspace, target.environment, target.service, paths, pins=pins)
    for one in made:
        output.echo(_lines(one))
    if not made:
        output.note(opts, f"{target}: the files have every published value already")
    if not opts.dry_run:
        write_adoption(workspace, made)
        if made:
            output.note(opts, f"next       commit it; then: sealpipe publish {target}")
    output.show_findings(adoption_notes(made), given_folder=opts.given_folder)
    return 0


def _lines(one: Adopted) -> list[str]:
    from sealpipe.cli.render.ship_text import changes

    plain = [change._replace(where="") for change in one.changes]
    return [f"adopted    {one.file}", *(f"  {line}" for line in changes(plain, {}, None))]
