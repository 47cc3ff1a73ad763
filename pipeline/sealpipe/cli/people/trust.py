"""`sealpipe trust`: who may publish, approve, administer and sign for the whole project."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

from sealpipe.cli import options, output, workspaces
from sealpipe.cli.options import Common
from sealpipe.cli.people.keys import tell_written
from sealpipe.errors import RefusedError, TrustError, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sealpipe.crypto.keys import SigningKey
    from sealpipe.membership.trust_edit import TrustEdit
    from sealpipe.model import Workspace
    from sealpipe.trust import Pin, Trust

_EXAMPLES = (
    "sealpipe trust show",
    "sealpipe trust add ben --card '…' --publishes dev --approves production",
    "sealpipe trust add ci-production --new --publishes production | gh secret set SEALPIPE_SIGNING_KEY",
    "sealpipe trust remove ben",
)
_RECOVERY = options.option(
    "--recovery-to", metavar="FILE", help="Where a new recovery root key goes (else: the terminal)."
)


@options.group("trust", examples=_EXAMPLES)
def command() -> None:
    """Who may publish, approve and administer what: trust/trust.yaml, signed by root."""


@command.command("show", short_help="Roles, keys and the pin", examples=("sealpipe trust show",))
@options.common(formats=("text", "json"))
def show(opts: Common) -> None:
    """Roles, keys, and the pin that services and CI get as SEALPIPE_TRUST."""
    from sealpipe.checks.trusted import trust_findings
    from sealpipe.cli.render import text_keys
    from sealpipe.crypto.signing import verify
    from sealpipe.trust import chain_for, pin_text, signers_of

    workspace = workspaces.read_workspace(opts)
    trust = _need(workspace)
    pin = pin_text(trust.project, chain_for(trust, workspace.roots).roots[-1])
    signed_by = signers_of(trust, verify)
    if opts.format == "json":
        output.echo(
            json.dumps(
                {"schema_version": 1, "pin": pin, "signed_by": signed_by, "trust": json.loads(trust.body)}
            )
        )
    else:
        output.echo(text_keys.trust(trust, pin, signed_by))
    problems = trust_findings(workspace, pins=_known_pins(trust))
    if problems:
        output.note(opts, "")
        output.show_findings(problems, given_folder=opts.given_folder)


def _known_pins(trust: Trust) -> tuple[Pin, ...]:
    from sealpipe.pins import find_pins

    return find_pins(os.environ, trust.project)


def _need(workspace: Workspace) -> Trust:
    if workspace.trust is None:
        from sealpipe.checks.trusted import require_trusted

        require_trusted(workspace, pins=())
        raise TrustError(
            "no-trust", "there is no trust/trust.yaml", hint=["git checkout HEAD -- trust/trust.yaml"]
        )
    return workspace.trust


# ---- add


@command.command("add", short_help="Register a key, or give it roles", examples=_EXAMPLES[1:3])
@options.argument("name", metavar="NAME")
@options.option("--card", metavar="CARD", help="Their card, the line that `keys new` printed for them.")
@options.option("--new", is_flag=True, help="Make a machine's signing key; its private half goes to stdout.")
@options.option("--admin", multiple=True, metavar="ENV", help="Signs the keyring of ENV.")
@options.option("--publishes", multiple=True, metavar="ENV", help="Signs releases of ENV.")
@options.option("--approves", multiple=True, metavar="ENV", help="Approves plans of ENV.")
@options.option("--break-glass", multiple=True, metavar="ENV", help="Publishes to ENV in an emergency.")
@options.option("--root", is_flag=True, help="Signs trust.yaml itself.")
@options.option("--replace", is_flag=True, help="Another key for a name that is known: the old one is out.")
@_RECOVERY
@options.common(writes=True)
def add(
    opts: Common,
    *,
    name: str,
    card: str | None,
    new: bool,
    admin: tuple[str, ...],
    publishes: tuple[str, ...],
    approves: tuple[str, ...],
    break_glass: tuple[str, ...],
    root: bool,
    replace: bool,
    recovery_to: str | None,
) -> None:
    """Register a key, or give a registered name more roles. Reading is another matter: `keys grant`."""
    from sealpipe.crypto.keys import generate_signing_key
    from sealpipe.membership.cards import parse_card
    from sealpipe.membership.trust_edit import Roles, add_key

    if new and card:
        raise UsageError("usage", "--new makes a machine's key, --card brings a person's: give one of them")
    workspace, keys = _writable(opts)
    secret = ""
    given = parse_card(card) if card else None
    if given is not None and given.name != name:
        raise UsageError("bad-card", f"the card is {given.name}'s, not {name}'s")
    sign_public, read = (given.sign, given.read) if given else (None, None)
    if new:
        made, secret = generate_signing_key()
        sign_public = made.public
    edit = add_key(
        workspace,
        keys,
        name,
        sign_public=sign_public,
        read=read,
        kind="machine" if new or (given and read is None) else "person",
        roles=Roles(admin, publishes, approves, break_glass, root),
        replace=replace,
    )
    _write(opts, workspace, edit, keys, recovery_to)
    if secret and not opts.dry_run:
        output.echo(secret)


def _writable(opts: Common) -> tuple[Workspace, Sequence[SigningKey]]:
    workspace = workspaces.read_workspace(opts)
    workspaces.trusted_pins(opts, workspace)
    return workspace, workspaces.signing_keys(workspace)


def _write(
    opts: Common,
    workspace: Workspace,
    edit: TrustEdit,
    keys: Sequence[SigningKey],
    recovery_to: str | None = None,
) -> None:
    from sealpipe.cli.keeping import keep_recovery
    from sealpipe.cli.render import text_keys
    from sealpipe.membership.keyring_edit import keyring_files
    from sealpipe.membership.resign import resign_keyrings
    from sealpipe.membership.trust_edit import trust_files

    keyrings, waiting = resign_keyrings(workspace, edit.trust, keys)
    keep_recovery(opts, edit, recovery_to)
    edits = [*trust_files(workspace.root, edit.data, edit.chain), *keyring_files(workspace.root, keyrings)]
    workspaces.write(opts, workspace.root, edits)
    output.note(opts, [f"trust      {line}" for line in text_keys.trust_changes(workspace.trust, edit.trust)])
    output.note(opts, [f"note       {line}" for line in edit.notes])
    if opts.dry_run:
        return
    if workspace.trust and edit.chain is not None:
        output.note(
            opts, "root       changed; roots.yaml carries the old pin along: services need no new one"
        )
    for environment in waiting:
        output.note(opts, f"waits      the keyring of {environment}; its admins run: sealpipe trust sign")
    tell_written(opts, [e.file for e in edits], waiting=not edit.complete)


# ---- remove, admins


@command.command(
    "remove",
    short_help="Take a name out of its roles",
    examples=("sealpipe trust remove ben", "sealpipe trust remove anna --publishes production"),
)
@options.argument("name", metavar="NAME")
@options.option("--admin", multiple=True, metavar="ENV", help="Only this role: admin of ENV.")
@options.option("--publishes", multiple=True, metavar="ENV", help="Only this role: publisher of ENV.")
@options.option("--approves", multiple=True, metavar="ENV", help="Only this role: approver of ENV.")
@options.option("--break-glass", multiple=True, metavar="ENV", help="Only this role: emergencies of ENV.")
@options.option("--root", is_flag=True, help="Only this role: signing trust.yaml.")
@_RECOVERY
@options.common(writes=True)
def remove(
    opts: Common,
    *,
    name: str,
    admin: tuple[str, ...],
    publishes: tuple[str, ...],
    approves: tuple[str, ...],
    break_glass: tuple[str, ...],
    root: bool,
    recovery_to: str | None,
) -> None:
    """Take a name out of every role, or only out of those named; keyrings are signed again where needed."""
    from sealpipe.membership.trust_edit import NO_ROLES, Roles, remove_key, take_roles

    workspace, keys = _writable(opts)
    roles = Roles(admin, publishes, approves, break_glass, root)
    if roles != NO_ROLES:
        _write(opts, workspace, take_roles(workspace, keys, name, roles), keys, recovery_to)
        return
    _write(opts, workspace, remove_key(workspace, keys, name), keys, recovery_to)
    reads = [env for env, keyring in workspace.keyrings.items() if name in keyring.readers]
    if reads:
        output.note(opts, f"still reads {', '.join(reads)}: sealpipe keys revoke {name}")


@command.command(
    "admins",
    short_help="How many signatures, and what is protected",
    examples=("sealpipe trust admins production --need 2", "sealpipe trust admins production --protected"),
)
@options.argument("environment", metavar="[ENV]", required=False)
@options.option("--root", is_flag=True, help="Of trust.yaml itself, instead of an environment.")
@options.option(
    "--need", type=options.IntRange(1, 16), metavar="N", help="Signatures of admins that are needed."
)
@options.option(
    "--approvals", type=options.IntRange(1, 16), metavar="N", help="Approvals that a publish needs."
)
@options.option(
    "--protected/--not-protected", default=None, help="Pushed commits of the branch, with approvals."
)
@options.option("--branch", metavar="BRANCH", help="The branch that a protected environment follows.")
@_RECOVERY
@options.common(writes=True)
def admins(
    opts: Common,
    *,
    environment: str | None,
    root: bool,
    need: int | None,
    approvals: int | None,
    protected: bool | None,
    branch: str | None,
    recovery_to: str | None,
) -> None:
    """How many signatures an environment's keyring, or root, needs; and what protects an environment."""
    from sealpipe.membership.trust_edit import set_need

    if root == (environment is not None):
        raise UsageError("usage", "name an environment, or --root")
    if root and (approvals is not None or protected is not None or branch is not None):
        raise UsageError("usage", "--root takes --need only")
    if all(given is None for given in (need, approvals, protected, branch)):
        raise UsageError("usage", "say what to change: --need N, --approvals N, --protected, --branch BRANCH")
    workspace, keys = _writable(opts)
    edit = set_need(
        workspace,
        keys,
        environment,
        need=need or 0,
        approvals=approvals or 0,
        protected=protected,
        branch=branch,
    )
    _write(opts, workspace, edit, keys, recovery_to)


# ---- sign


@command.command(
    "sign",
    short_help="Add your signature where one is missing",
    examples=("sealpipe trust sign",),
)
@options.common(writes=True)
def sign(opts: Common) -> None:
    """Add your signature where trust.yaml, a root change or a keyring waits for one.

    Shows first what changed against the target branch: by signing you vouch for it.
    """
    from sealpipe.membership.keyring_edit import keyring_files
    from sealpipe.membership.resign import co_sign, resign_keyrings
    from sealpipe.membership.trust_edit import trust_files

    workspace = workspaces.read_workspace(opts)
    trust = _need(workspace)
    _same_project(workspace, trust)
    keys = workspaces.signing_keys(workspace)
    edit = co_sign(workspace, keys)
    after = edit.trust if edit else trust
    keyrings, waiting = resign_keyrings(workspace, after, keys)
    if edit is None and not keyrings:
        raise RefusedError(
            "nothing-to-sign",
            "nothing waits for your signature",
            why=[f"the keyring of {environment} waits for another admin's" for environment in waiting],
        )
    _show_changes(opts, workspace, bool(edit), [k.keyring.environment for k in keyrings])
    output.confirm(opts, "Sign this?")
    edits = list(trust_files(workspace.root, edit.data, edit.chain)) if edit else []
    edits += keyring_files(workspace.root, keyrings)
    workspaces.write(opts, workspace.root, edits)
    if not opts.dry_run:
        still = bool(waiting) or (edit is not None and not edit.complete)
        tell_written(opts, [e.file for e in edits], waiting=still)


def _same_project(workspace: Workspace, trust: Trust) -> None:
    """A pin that none of the roots matches means another project: never sign that."""
    from sealpipe.trust import chain_for, root_digest

    pins = _known_pins(trust)
    roots = [root_digest(trust.project, root) for root in chain_for(trust, workspace.roots).roots]
    if trust.project != workspace.project.id or (pins and not any(pin.digest in roots for pin in pins)):
        raise TrustError(
            "foreign-root",
            "the root keys are not the ones pinned here; nothing was signed",
            hint=["sealpipe trust show"],
        )


def _show_changes(opts: Common, workspace: Workspace, trust: bool, environments: Sequence[str]) -> None:
    from sealpipe.checks.trust_files import TrustFiles, read_trust
    from sealpipe.checks.trusted import target_refs
    from sealpipe.cli.render import text_keys
    from sealpipe.trees import CommitTree

    base: TrustFiles | None = None
    if workspace.commit.commit:
        base = read_trust(CommitTree(workspace.root, target_refs(workspace)[0]))
    if trust and workspace.trust is not None:
        lines = text_keys.trust_changes(base.trust if base else None, workspace.trust)
        output.note(opts, [f"trust.yaml  {line}" for line in lines or ["as on the target branch"]])
    for environment in environments:
        lines = text_keys.keyring_changes(
            base.keyrings.get(environment) if base else None, workspace.keyrings[environment]
        )
        output.note(opts, [f"{environment}  {line}" for line in lines or ["as on the target branch"]])
