"""`sealpipe verify`: read everything back."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from sealpipe.cli import options, output
from sealpipe.cli.options import Common, Target

if TYPE_CHECKING:
    from sealpipe.model import Workspace
    from sealpipe.released import Unit
    from sealpipe.trust import Pin

_EXAMPLES = ("sealpipe verify", "sealpipe verify production", "sealpipe verify production --repair")


@options.command("verify", examples=_EXAMPLES)
@options.target_argument(required=False)
@options.option(
    "--repair", is_flag=True, help="Copy to mirrors what they lack, and write the plain tree as it must be."
)
@options.option("--allow-removal", is_flag=True, help="With --repair: delete many keys of the plain tree.")
@options.common(formats=("text", "json"), writes=True)
def command(opts: Common, *, target: Target | None, repair: bool, allow_removal: bool) -> int:
    """Check the stores as a reader would: signatures, chunks, releases, mirrors, the plain tree, and git.

    Ends with 3 when something differs. Needs no key. A hold after a rollback is a note, no difference.
    """
    from sealpipe.cli.render import ship_observe as render
    from sealpipe.cli.workspaces import read_workspace
    from sealpipe.flows.drafts import published_environments
    from sealpipe.looking.observe import invalid_note, verify_environment
    from sealpipe.pins import find_pins

    workspace = read_workspace(opts)
    pins = find_pins(os.environ, workspace.project.id)
    names = [target.environment] if target else list(published_environments(workspace))
    service = target.service if target else None
    found = []
    notes = []
    for name in names:
        with output.progress(opts, f"verifying {name}"):
            if repair and not opts.dry_run:
                only = target.unit() if target and target.service else None
                _repair(opts, workspace, name, pins, only=only, removal=allow_removal)
            found.append(verify_environment(workspace, name, service, pins=pins))
            note = invalid_note(workspace, name)
        notes += [note] if note else []
    if opts.format == "json":
        output.echo(render.verification_json(found))
    else:
        output.echo(render.verification(found, color=opts.color))
    findings = [finding for one in found for finding in one.findings]
    output.show_findings([*findings, *notes], given_folder=opts.given_folder)
    return 3 if any(finding.severity == "error" for finding in findings) else 0


def _repair(
    opts: Common, workspace: Workspace, name: str, pins: tuple[Pin, ...], *, only: Unit | None, removal: bool
) -> None:
    """Copies made anew. What could not be repaired, the check that follows says, but for refusals."""
    from sealpipe.cli.render.ship_text import tree
    from sealpipe.flows.deliver import to_mirrors, to_tree
    from sealpipe.flows.targets import primary, reader_of

    with primary(workspace, name) as target:
        reader = reader_of(workspace, pins)
        copied = to_mirrors(workspace, name, target, reader, repair=True)
        report = to_tree(workspace, name, target, reader, removal=removal, repair=True, only=only)
    for url, problem in copied.items():
        output.note(opts, f"mirrored   {url}  {problem or '✓'}")
    if report is not None:
        output.note(opts, tree(report))
        withheld = [finding for finding in report.findings if finding.word in ("tree-removal", "tree")]
        output.show_findings(withheld, given_folder=opts.given_folder)
