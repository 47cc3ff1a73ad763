"""`sealpipe connect`: what a service needs to start, and a key of its own."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

from sealpipe.cli import options, output, workspaces
from sealpipe.cli.options import Common, Target
from sealpipe.cli.render.text_connect import KINDS, snippet
from sealpipe.errors import UsageError

if TYPE_CHECKING:
    from sealpipe.membership.connect import Connected
    from sealpipe.model import Workspace

_EXAMPLES = (
    "sealpipe connect dev/checkout",
    "sealpipe connect production/checkout --as systemd --key-to /etc/sealpipe/checkout.key",
    "sealpipe connect production/checkout --as k8s \\",
    "    --key-to 'kubectl create secret generic checkout-key --from-file=key=/dev/stdin'",
)


@options.command("connect", examples=_EXAMPLES)
@options.target_argument(service="required")
@options.option("--as", "kind", type=options.Choice(KINDS), default="env", help="What to print.")
@options.option(
    "--key-to", "key_to", metavar="CMD|FILE", help="Where the private half goes (.sealpipe/keys/)."
)
@options.common(formats=("text", "json"), writes=True)
def command(opts: Common, *, target: Target, kind: str, key_to: str | None) -> None:
    """Make a reading key for a service, grant it what the service inherits, print how to start it.

    The private half goes to a command's stdin or into a file that only you can read, and nowhere else.
    Keys that the service has already stay until `keys revoke`: both may live during a roll-over.
    """
    from sealpipe.cli.keeping import hand_over, keep_out_of_git
    from sealpipe.membership.connect import connect
    from sealpipe.membership.keyring_edit import keyring_files

    workspace = workspaces.read_workspace(opts)
    workspaces.trusted_pins(opts, workspace)
    unit = target.unit()
    workspaces.need_environment(workspace, unit.environment)
    if workspace.project.abstract(unit.environment):
        raise UsageError("not-published", f"{unit.environment} is never published: no service reads it")
    made = connect(
        workspace,
        unit,
        identity=workspaces.my_identity(workspace),
        keys=workspaces.signing_keys(workspace),
    )
    edits = keyring_files(workspace.root, made.keyrings)
    default = Path(workspace.root, ".sealpipe", "keys", f"{unit.environment}-{made.name}.key")
    if not key_to and not opts.dry_run:
        keep_out_of_git(default.parent)
    went = "" if opts.dry_run else hand_over(made.secret, key_to or str(default))
    key_file = (
        os.path.normpath(Path(went).expanduser().absolute())
        if went and Path(went).expanduser().is_file()
        else ""
    )
    workspaces.write(opts, workspace.root, edits)
    variables = _variables(workspace, made)
    if opts.format == "json":
        output.echo(json.dumps(_json(made, variables, key_file, [edit.file for edit in edits])))
        return
    if not opts.dry_run:
        output.note(opts, f"made       key {made.name} for {unit}; private half went to {went}")
        files = " ".join(edit.file for edit in edits)
        output.note(opts, f"granted    {', '.join(made.documents) or 'nothing sealed yet'}")
        output.note(opts, f"wrote      {files}   (commit it; the service reads it from the next publish on)")
        if not all(edit.complete for edit in made.keyrings):
            output.note(opts, "waits      for more signatures; the other admins run: sealpipe trust sign")
        output.note(opts, "paste")
    output.echo(snippet(kind, variables, unit.service, key_file))


def _variables(workspace: Workspace, made: Connected) -> dict[str, str]:
    from sealpipe.trust import chain_for, pin_text

    trust = workspace.trust
    assert trust is not None  # noqa: S101 - trusted_pins has refused a repository without
    pin = pin_text(trust.project, chain_for(trust, workspace.roots).roots[-1])
    return {
        "SEALPIPE_URL": _url(workspace, made.unit.environment),
        "SEALPIPE_ENV": made.unit.environment,
        "SEALPIPE_SERVICE": made.unit.service,
        "SEALPIPE_TRUST": pin,
    }


def _url(workspace: Workspace, environment: str) -> str:
    """The primary store; a folder's path made absolute, because a service starts elsewhere."""
    url = workspace.project.environments[environment].publish_to or ""
    scheme, _, path = url.partition(":")
    if scheme == "file" and not path.startswith("/"):
        return f"file:{os.path.normpath(Path(workspace.root, path))}"
    return url


def _json(made: Connected, variables: dict[str, str], key_file: str, files: list[str]) -> dict[str, object]:
    return {
        "schema_version": 1,
        "name": made.name,
        "recipient": made.recipient,
        "documents": list(made.documents),
        "files": files,
        "key_file": key_file or None,
        "env": variables,
    }
