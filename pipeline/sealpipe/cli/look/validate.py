"""`sealpipe validate`: everything that can be checked without a key."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from sealpipe.cli import options, output
from sealpipe.cli.options import Common, Target

if TYPE_CHECKING:
    from sealpipe.flows.look import Checked
    from sealpipe.model import Workspace
    from sealpipe.trust import Pin

_EXAMPLES = (
    "sealpipe validate",
    "sealpipe validate production/checkout",
    "sealpipe validate --changed-since HEAD     before a commit",
    "sealpipe validate --format github          annotations, in a workflow",
)


@options.command("validate", examples=_EXAMPLES)
@options.target_argument(required=False)
@click.option("--changed-since", "since", metavar="REF", default="", help="Only what changed since a commit.")
@click.option("--open", "open_", is_flag=True, help="Open secrets with your key and check their content too.")
@options.common(formats=("text", "json", "github", "markdown"))
def command(opts: Common, *, target: Target | None, since: str, open_: bool) -> int:
    """Check files, layers, schemas, sealed values and signatures.

    Without a target everything is checked. No key is needed: of a sealed value its form, key, place and
    type are checked; its content is what --open is for. Ends with 4 for an error in the configuration, 6
    when trust.yaml or a keyring is not to be trusted.
    """
    from sealpipe.flows.look import check
    from sealpipe.trees import WorkTree

    started = time.monotonic()
    root = opts.root()
    checked = check(
        WorkTree(root),
        pins=lambda workspace: _pins(opts, workspace),
        environment=target.environment if target else "",
        service=(target.service if target else None) or "",
        since=since,
    )
    if open_:
        checked = _opened(checked)
    output.echo(_lines(opts, checked, root, time.monotonic() - started))
    if not checked.trusted:
        return 6
    return 0 if checked.ok else 4


def _opened(checked: Checked) -> Checked:
    """The content of secrets too, as far as the person's key opens them. TrustError [no-key] without one."""
    from sealpipe.cli import workspaces
    from sealpipe.flows.look import check_opened

    workspaces.my_identity(checked.workspace)
    environments = checked.workspace.keyrings
    keys = {name: workspaces.maybe_keys(checked.workspace, name) for name in environments}
    return check_opened(checked, keys)


def _pins(opts: Common, workspace: Workspace) -> Sequence[Pin]:
    """What is pinned; at first use on a terminal the root is shown and kept. Nothing elsewhere: a warning."""
    from sealpipe.pins import find_pins, need_pins

    trust = workspace.trust
    if trust is None:
        return ()
    if not sys.stdin.isatty():
        return find_pins(os.environ, trust.project)
    return need_pins(
        os.environ, trust, workspace.roots, terminal=True, say=lambda line: output.say(opts, line)
    )


def _lines(opts: Common, checked: Checked, root: str, seconds: float) -> list[str]:
    from sealpipe import git
    from sealpipe.cli.render import github, json_, markdown, text

    if opts.format == "json":
        return json_.validation(checked)
    if opts.format == "github":
        return github.validation(checked, prefix=git.prefix(root) if git.toplevel(root) else "")
    if opts.format == "markdown":
        return markdown.validation(checked)
    lines = text.validation(checked, seconds=seconds, color=opts.color, given_folder=opts.given_folder)
    return [] if opts.quiet and not checked.findings else lines
