"""`sealpipe doctor`: keys, repository, trust and stores, with what to do."""

from __future__ import annotations

import os

from sealpipe.cli import options, output, workspaces
from sealpipe.cli.options import Common

_EXAMPLES = (
    "sealpipe doctor",
    "sealpipe doctor production",
    "sealpipe doctor consul://127.0.0.1:8500/config",
)


@options.command("doctor", examples=_EXAMPLES)
@options.argument("what", metavar="[ENV|STORE]", default="")
@options.common(formats=("text", "json"))
def command(opts: Common, *, what: str) -> int:
    """Look at your key, the repository, its trust and its stores; say what to do about what is wrong.

    With ENV, of the stores only its own; with STORE, an address, nothing but that one, also where there is
    no repository. A store that you may write is tried with a probe, which is removed. Ends with 3 when
    there is anything to act on.
    """
    from sealpipe.looking.diagnosis import diagnose, diagnose_store, is_finding

    if ":" in what:
        with output.progress(opts, "looking"):
            checks = list(diagnose_store(what, os.environ, base=_base(opts)))
    else:
        workspace = workspaces.read_workspace(opts)
        if what:
            workspaces.need_environment(workspace, what)
        with output.progress(opts, "looking"):
            checks = list(diagnose(workspace, os.environ, environment=what))
    if opts.format == "json":
        from sealpipe.cli.render import json_

        output.echo(json_.document(checks=[check._asdict() for check in checks]))
    else:
        from sealpipe.cli.render.text_doctor import diagnosis

        output.echo(diagnosis(checks, color=opts.color, given_folder=opts.given_folder))
    return 3 if any(is_finding(check) for check in checks) else 0


def _base(opts: Common) -> str:
    """Where a relative path starts: at the repository, or where there is none, here."""
    from sealpipe.errors import UsageError

    try:
        return opts.root()
    except UsageError:
        return opts.given_folder or "."
