"""`sealpipe doctor`: keys, repository, trust and stores, with what to do."""

from __future__ import annotations

import os

from sealpipe.cli import options, output, workspaces
from sealpipe.cli.options import Common

_EXAMPLES = (
    "sealpipe doctor",
    "sealpipe doctor production",
    "sealpipe doctor consul://127.0.0.1:8500/config",
    "sealpipe doctor --policy production/checkout",
)


@options.command("doctor", examples=_EXAMPLES)
@options.argument("what", metavar="[ENV|STORE]", default="")
@options.option(
    "--policy",
    metavar="ENV[/SERVICE]|STORE",
    default="",
    help="Look at nothing; print the least rights that a publisher and services need in a store, to paste.",
)
@options.common(formats=("text", "json"))
def command(opts: Common, *, what: str, policy: str) -> int:
    """Look at your key, the repository, its trust and its stores; say what to do about what is wrong.

    With ENV, of the stores only its own; with STORE, an address, nothing but that one, also where there is
    no repository. A store that you may write is tried with a probe, which is removed. Ends with 3 when
    there is anything to act on.
    """
    from sealpipe.looking.diagnosis import diagnose, diagnose_store, is_finding

    if policy:
        return _policies(opts, what, policy)
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


def _policies(opts: Common, what: str, asked: str) -> int:
    """The texts on stdout; for whom each is, on stderr, so that one alone can go into a file."""
    from sealpipe.errors import UsageError
    from sealpipe.looking.policies import policies_for

    if what:
        raise UsageError(
            "usage", "--policy looks at nothing else", hint=[f"sealpipe doctor --policy {asked}"]
        )
    try:
        workspace = workspaces.read_workspace(opts)
    except UsageError:
        if ":" not in asked:
            raise
        workspace = None  # an address stands for itself
    found = policies_for(workspace, asked, base=_base(opts))
    if opts.format == "json":
        from sealpipe.cli.render import json_

        output.echo(json_.document(policies=[policy._asdict() for policy in found]))
        return 0
    for policy in found:
        unit = "/".join(part for part in (policy.environment, policy.service) if part)
        output.note(opts, f"# {policy.url}  {f'{unit}: ' if unit else ''}{policy.who}")
        output.echo(policy.text.rstrip("\n"))
        if policy.note:
            output.note(opts, f"# {policy.note}")
    return 0


def _base(opts: Common) -> str:
    """Where a relative path starts: at the repository, or where there is none, here."""
    from sealpipe.errors import UsageError

    try:
        return opts.root()
    except UsageError:
        return opts.given_folder or "."
