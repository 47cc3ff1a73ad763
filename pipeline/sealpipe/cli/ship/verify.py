"""`sealpipe verify`: read everything back."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import click

from sealpipe.cli import options, output
from sealpipe.cli.options import Common, Target

if TYPE_CHECKING:
    from sealpipe.model import Workspace
    from sealpipe.trust import Pin

_EXAMPLES = ("sealpipe verify", "sealpipe verify production", "sealpipe verify production --repair")


@options.command("verify", examples=_EXAMPLES)
@options.target_argument(required=False)
@click.option("--repair", is_flag=True, help="Copy to mirrors what they lack, also over what is no release.")
@options.common(formats=("text", "json"), writes=True)
def command(opts: Common, *, target: Target | None, repair: bool) -> int:
    """Check the stores as a reader would: signatures, chunks, the chain of releases, mirrors, and git.

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
                _repair(opts, workspace, name, pins)
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


def _repair(opts: Common, workspace: Workspace, name: str, pins: tuple[Pin, ...]) -> None:
    from sealpipe.flows.deliver import to_mirrors
    from sealpipe.flows.targets import primary, reader_of

    with primary(workspace, name) as target:
        copied = to_mirrors(workspace, name, target, reader_of(workspace, pins), repair=True)
    for url, problem in copied.items():
        output.note(opts, f"mirrored   {url}  {problem or '✓'}")
