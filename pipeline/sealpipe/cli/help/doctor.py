"""`sealpipe doctor`: keys, repository, trust and stores, with what to do."""

from __future__ import annotations

import os

import click

from sealpipe.cli import options, output, workspaces
from sealpipe.cli.options import Common

_EXAMPLES = ("sealpipe doctor", "sealpipe doctor production")


@options.command("doctor", examples=_EXAMPLES)
@click.argument("environment", metavar="[ENV]", default="")
@options.common(formats=("text", "json"))
def command(opts: Common, *, environment: str) -> int:
    """Look at your key, the repository, its trust and its stores; say what to do about what is wrong.

    With ENV, of the stores only that one. A store that you may write is tried with a probe, which is
    removed. Ends with 3 when there is anything to act on.
    """
    from sealpipe.looking.diagnosis import diagnose, is_finding

    workspace = workspaces.read_workspace(opts)
    if environment:
        workspaces.need_environment(workspace, environment)
    with output.progress(opts, "looking"):
        checks = list(diagnose(workspace, os.environ, environment=environment))
    if opts.format == "json":
        from sealpipe.cli.render import json_

        output.echo(json_.document(checks=[check._asdict() for check in checks]))
    else:
        from sealpipe.cli.render.text_doctor import diagnosis

        output.echo(diagnosis(checks, color=opts.color, given_folder=opts.given_folder))
    return 3 if any(is_finding(check) for check in checks) else 0
