"""`sealpipe add service` and `sealpipe add environment`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sealpipe.cli import options, output, workspaces
from sealpipe.cli.options import Common
from sealpipe.errors import SealpipeError, UsageError

if TYPE_CHECKING:
    from sealpipe.crypto.keys import SigningKey
    from sealpipe.editing.adding import Added
    from sealpipe.model import Workspace

_SERVICE = (
    "sealpipe add service checkout --in dev",
    "sealpipe add service checkout --in dev --in production --schema shop.settings:Checkout",
    "sealpipe add service mailer --in dev --from mailer.yaml",
)
_ENVIRONMENT = (
    "sealpipe add environment staging --publish-to file:.sealpipe/store",
    "sealpipe add environment production-eu --extends production --inherit-services --publish-to file:eu",
)


@options.group("add")
def command() -> None:
    """Add a service or an environment, with what it needs."""


@command.command("service", examples=_SERVICE)
@options.argument("name")
@options.option("--in", "environments", multiple=True, metavar="ENV", help="Where it runs; may be repeated.")
@options.option("--schema", "model", metavar="MODULE:CLASS", help="Take the schema from a pydantic class.")
@options.option(
    "--from", "source", metavar="FILE", help="Take values, and without --schema types, from YAML or JSON."
)
@options.common(writes=True)
def service(
    opts: Common, *, name: str, environments: tuple[str, ...], model: str | None, source: str | None
) -> None:
    """Add a service: its layers, its schema, and its keys in each environment.

    The values of --from go into the lowest layer; secrets among them are sealed into each environment:
    those that the class marks, or without a class those whose name says so.
    """
    from sealpipe.editing.adding import add_service
    from sealpipe.editing.models import model_schema

    workspace = workspaces.read_workspace(opts)
    wanted = _environments(workspace, name, environments)
    schema = model_schema(model, folder=opts.folder) if model is not None else None
    values = _values(source) if source is not None else None
    workspaces.trusted_pins(opts, workspace)
    done = add_service(workspace, name, wanted, keys=signing_keys(workspace), schema=schema, values=values)
    workspaces.write(opts, workspace.root, done.edits)
    if not opts.dry_run:
        output.note(opts, _said(name, done))


def _environments(workspace: Workspace, name: str, given: tuple[str, ...]) -> list[str]:
    wanted = [part for text in given for part in text.split(",") if part]
    for environment in wanted:
        workspaces.need_environment(workspace, environment)
    if wanted:
        return list(dict.fromkeys(wanted))
    published = [env for env in workspace.project.environments if not workspace.project.abstract(env)]
    if len(published) == 1:
        return published
    raise UsageError(
        "usage",
        "say in which environments the service runs: --in ENV, repeated for several",
        hint=[f"sealpipe add service {name} --in {environment}" for environment in published[:3]],
    )


def _values(source: str) -> dict[str, Any]:
    """The values of a YAML or JSON file; JSON is YAML."""
    from sealpipe.documents.read import read_yaml

    problem = ""
    data = b""
    try:
        data = Path(source).read_bytes()
    except OSError as error:
        problem = error.strerror or "cannot be read"
    if problem:
        raise SealpipeError("system", f"{source}: {problem}")
    found = read_yaml(data, file=source)
    if not found:
        raise UsageError("usage", f"{source} holds no values")
    return found


def signing_keys(workspace: Workspace) -> tuple[SigningKey, ...]:
    """Every key that can sign here, SEALPIPE_SIGNING_KEY first. TrustError [no-key] without one."""
    from sealpipe.keysource import find_signing_keys, need_identity

    known = workspaces.recipients(workspace)
    found = find_signing_keys(os.environ, known=known)
    return found or (need_identity(os.environ, known=known).sign,)


def _said(name: str, done: Added) -> list[str]:
    written = [edit.file for edit in done.edits if edit.before != edit.after]
    lines = [f"{'wrote' if at == 0 else '':<10} {file}" for at, file in enumerate(written)]
    if done.sealed:
        lines.append(f"sealed     {', '.join(done.sealed)}")
        lines.append("           the file they came from still holds them in plain: delete it")
    lines += [
        f"waiting    the keyring of {env} needs another admin: sealpipe trust sign" for env in done.waiting
    ]
    first = done.environments[0]
    if done.missing:
        lines.append(f"missing    {', '.join(done.missing[:8])}" + (" …" if len(done.missing) > 8 else ""))
        lines.append(f"next       sealpipe set {first}/{name} {done.missing[0]}")
    elif done.schema and not done.plain and not done.sealed:
        lines.append(f"next       sealpipe set {first}/{name} db.host db.internal")
        lines.append(f"           sealpipe set {first}/{name} db.password --secret")
    else:
        lines.append(f"next       sealpipe validate {first}/{name}")
    return lines


@command.command("environment", examples=_ENVIRONMENT)
@options.argument("name")
@options.option("--extends", metavar="ENV", help="What it is layered on (default: base).")
@options.option("--publish-to", metavar="URL", help="The store; without one it is a layer only.")
@options.option("--inherit-services", "inherit", is_flag=True, help="All services of what it extends.")
@options.common(writes=True)
def environment(
    opts: Common, *, name: str, extends: str | None, publish_to: str | None, inherit: bool
) -> None:
    """Add an environment: an entry in sealpipe.yaml, and, where it is published, its keyring and roles.

    You become its admin, publisher and reader. Comments in sealpipe.yaml stay as they are.
    """
    from sealpipe.editing.adding import add_environment_edits

    workspace = workspaces.read_workspace(opts)
    keys: tuple[SigningKey, ...] = ()
    readers: dict[str, str] = {}
    if publish_to is not None:
        workspaces.trusted_pins(opts, workspace)
        keys = signing_keys(workspace)
        readers = _me(workspace)
    done = add_environment_edits(
        workspace,
        name,
        keys=keys,
        readers=readers,
        extends=extends,
        publish_to=publish_to,
        inherit=inherit,
    )
    workspaces.write(opts, workspace.root, done.edits)
    if opts.dry_run:
        return
    lines = [f"{'wrote' if at == 0 else '':<10} {edit.file}" for at, edit in enumerate(done.edits)]
    lines += [f"waiting    {file} needs another signature: sealpipe trust sign" for file in done.waiting]
    if publish_to is not None:
        lines.append(f"next       sealpipe add service checkout --in {name}")
    output.note(opts, lines)
    if done.trust is not None and done.trust.recovery is not None:
        _recovery(opts, done.trust.recovery_name, done.trust.recovery)


def _me(workspace: Workspace) -> dict[str, str]:
    """The person's name in trust.yaml and reading key."""
    identity = workspaces.my_identity(workspace)
    trust = workspace.trust
    for name, key in (trust.keys if trust else {}).items():
        if key.read == identity.read.recipient:
            return {name: key.read}
    raise UsageError("unknown-name", "your key is not registered in trust.yaml", hint=["sealpipe trust show"])


def _recovery(opts: Common, name: str, text: str) -> None:
    output.note(
        opts,
        [f"recovery   a root key for when everybody else is gone, `{name}`: print it, keep it in a safe"],
    )
    output.echo(text)
