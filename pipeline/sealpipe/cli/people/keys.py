"""`sealpipe keys`: your own key, and who can read what."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

from sealpipe.cli import options, output, workspaces
from sealpipe.cli.options import Common, Target
from sealpipe.errors import RefusedError, UsageError

if TYPE_CHECKING:
    from sealpipe.crypto.keys import Identity
    from sealpipe.membership.exposure import Exposed
    from sealpipe.membership.revoke import Rotation
    from sealpipe.model import Workspace

_EXAMPLES = (
    "sealpipe keys new                         your key, and a card to send",
    "sealpipe keys grant ben dev --card '…'    let ben read dev",
    "sealpipe keys revoke ben                  everywhere, with new keys",
)


@options.group("keys", examples=_EXAMPLES)
def command() -> None:
    """Your own key, and who can read which environment's secrets."""


# ---- new


@command.command(
    "new",
    short_help="Your key, and a card to send",
    examples=("sealpipe keys new", "sealpipe keys new ben"),
)
@options.argument("name", required=False, metavar="[NAME]")
@options.option("--machine", is_flag=True, help="A key that only signs; its private half goes to stdout.")
@options.common(writes=True)
def new(opts: Common, *, name: str | None, machine: bool) -> None:
    """Make your key, if you have none, and print its card: one line to send to an admin.

    The private half stays in a file that only you can read. A card is public; its receiver should make
    sure that it is yours.
    """
    from sealpipe import git
    from sealpipe.crypto.keys import generate_signing_key
    from sealpipe.editing.starting import login_name, person_name
    from sealpipe.membership.cards import Card, card_of

    if machine:
        if name is None:
            raise UsageError("usage", "a machine's key needs a name: sealpipe keys new NAME --machine")
        key, text = generate_signing_key()
        output.note(opts, f"card       {Card(name, None, key.public)}")
        output.echo(text)
        return
    chosen = name or person_name(git.user_name(opts.folder) if git.version() else "", login_name())
    identity, told = _own_key(opts)
    output.note(opts, told)
    output.note(
        opts, f"send       this line to an admin, who runs: sealpipe keys grant {chosen} ENV --card '…'"
    )
    output.echo(str(card_of(chosen, identity)))


def _own_key(opts: Common) -> tuple[Identity, str]:
    from sealpipe.crypto.keys import generate_identity
    from sealpipe.keysource import key_file, locate, write_key

    found = locate(os.environ)
    if found is not None:
        return found.identities[0], f"key        yours is {found.source}; nothing new was made"
    identity, text = generate_identity()
    if opts.dry_run:
        return identity, f"would make {key_file(os.environ)}"
    place = write_key(os.environ, text, identity.read.recipient)
    return identity, f"key        made {place}; only you can read it: keep a copy in a safe place"


# ---- list and audit


@command.command(
    "list",
    short_help="Who can read what",
    examples=("sealpipe keys list", "sealpipe keys list production"),
)
@options.target_argument(required=False)
@options.common(formats=("text", "json"))
def list_(opts: Common, *, target: Target | None) -> None:
    """Who can read which environment. Needs no key."""
    from sealpipe.cli.render import text_keys
    from sealpipe.keysource import find_identity

    workspace = workspaces.read_workspace(opts)
    chosen = _environments(workspace, (target,) if target else ())
    keyrings = [workspace.keyrings[name] for name in chosen if name in workspace.keyrings]
    if opts.format == "json":
        rows = [
            {
                "environment": keyring.environment,
                "version": keyring.version,
                "readers": [
                    {
                        "name": reader.name,
                        "kind": reader.kind,
                        "unit": str(reader.unit) if reader.unit else None,
                        "since": reader.since,
                        "opens": sorted(
                            document
                            for document, key in keyring.keys.items()
                            if reader.kind == "person" or reader.name in key.private
                        ),
                    }
                    for reader in keyring.readers.values()
                ],
            }
            for keyring in keyrings
        ]
        output.echo(json.dumps({"schema_version": 1, "environments": rows}))
        return
    me = find_identity(os.environ, known=workspaces.recipients(workspace))
    for at, keyring in enumerate(keyrings):
        output.echo(([""] if at else []) + text_keys.readers(keyring, me=me.read.recipient if me else ""))


@command.command(
    "audit",
    short_help="Stale seals; what a key could ever open",
    examples=("sealpipe keys audit", "sealpipe keys audit --ever ben"),
)
@options.target_argument(required=False)
@options.option("--ever", metavar="NAME", help="Every secret that this reader could ever open.")
@options.option("--exit-code", is_flag=True, help="End with 3 when something is found.")
@options.common(formats=("text", "json"))
def audit(opts: Common, *, target: Target | None, ever: str | None, exit_code: bool) -> int:
    """Values sealed for old keys, machines that lack a box; with --ever, what a reader could ever open."""
    from sealpipe.cli.render import text_keys
    from sealpipe.membership.exposure import exposure, stale
    from sealpipe.membership.keyring_edit import missing_boxes

    workspace = workspaces.read_workspace(opts)
    chosen = set(_environments(workspace, (target,) if target else ()))
    rows = exposure(workspace, ever) if ever else stale(workspace)
    rows = tuple(row for row in rows if row.document.environment in chosen)
    lacking = [
        (environment, name, document)
        for environment, keyring in sorted(workspace.keyrings.items())
        if environment in chosen and not ever
        for name, document in missing_boxes(workspace.project, keyring)
    ]
    if opts.format == "json":
        output.echo(json.dumps({"schema_version": 1, "secrets": _rows(rows), "lacking": lacking}))
    else:
        output.echo(text_keys.exposed(rows))
        said = "could ever be opened" if ever else "sealed for an old key"
        output.note(opts, f"{_secrets(len(rows))} {said}")
        for environment, name, document in lacking:
            output.note(opts, f"{name} cannot open {environment}/{document}, which its service inherits")
            output.note(opts, f"  hint: sealpipe keys grant {name} {environment}")
        if rows and not ever:
            names = sorted({str(row.document) for row in rows})
            output.note(opts, [f"  hint: sealpipe seal {name}" for name in names])
    return 3 if exit_code and (rows or lacking) else 0


def _rows(rows: tuple[Exposed, ...]) -> list[dict[str, object]]:
    return [{"document": str(row.document), "path": row.path, "present": row.present} for row in rows]


def _secrets(count: int) -> str:
    return "1 secret" if count == 1 else f"{count} secrets"


def _environments(workspace: Workspace, targets: tuple[Target, ...]) -> list[str]:
    for target in targets:
        workspaces.need_environment(workspace, target.environment)
    return [target.environment for target in targets] or list(workspace.project.environments)


# ---- grant


@command.command(
    "grant",
    short_help="Let a person read environments",
    examples=("sealpipe keys grant ben dev staging --card 'sealpipe-card-1 ben age1… ed25519:…'",),
)
@options.argument("name", metavar="NAME")
@options.argument("environments", metavar="ENV…", nargs=-1, required=True)
@options.option(
    "--card", "card", metavar="CARD", help="Their card, the line that `keys new` printed for them."
)
@options.option(
    "--recovery-to", metavar="FILE", help="Where a new recovery root key goes (else: the terminal)."
)
@options.common(writes=True)
def grant(
    opts: Common, *, name: str, environments: tuple[str, ...], card: str | None, recovery_to: str | None
) -> None:
    """Let a person read environments: all their secrets, from now on and as they are.

    A name that is new is registered in trust.yaml from its card. Values are not sealed again.
    """
    from sealpipe.cli.keeping import keep_recovery
    from sealpipe.membership.cards import parse_card
    from sealpipe.membership.keyring_edit import grant as grant_reading
    from sealpipe.membership.keyring_edit import keyring_files
    from sealpipe.membership.trust_edit import trust_files

    workspace = workspaces.read_workspace(opts)
    workspaces.trusted_pins(opts, workspace)
    done = grant_reading(
        workspace,
        name,
        environments,
        identity=workspaces.my_identity(workspace),
        keys=workspaces.signing_keys(workspace),
        card=parse_card(card) if card else None,
    )
    keep_recovery(opts, done.trust, recovery_to)
    edits = keyring_files(workspace.root, done.keyrings)
    if done.trust is not None:
        edits = (*trust_files(workspace.root, done.trust.data, done.trust.chain), *edits)
    workspaces.write(opts, workspace.root, edits)
    if opts.dry_run:
        return
    for environment in done.already:
        output.note(opts, f"already    {name} reads {environment}")
    for edit in done.keyrings:
        output.note(opts, f"granted    {edit.keyring.environment}: {', '.join(sorted(edit.keyring.keys))}")
    waiting = [e.keyring.environment for e in done.keyrings if not e.complete]
    tell_written(opts, [e.file for e in edits], waiting=bool(waiting) or _waits(done.trust))


def _waits(edit: object) -> bool:
    return edit is not None and not getattr(edit, "complete", True)


def tell_written(opts: Common, files: list[str], *, waiting: bool) -> None:
    """What was written, and what is next: committing, or a second signature."""
    if files:
        output.note(opts, f"wrote      {' '.join(files)}   (commit {'it' if len(files) == 1 else 'them'})")
    if waiting:
        output.note(opts, "waits      for more signatures; the others run: sealpipe trust sign")


# ---- revoke and renew


@command.command(
    "revoke",
    short_help="Take reading away, with new keys",
    examples=("sealpipe keys revoke ben", "sealpipe keys revoke checkout-1 production --checklist leaked.md"),
)
@options.argument("name", metavar="NAME")
@options.target_argument("targets", required=False, many=True)
@options.option("--checklist", metavar="FILE", help="Write the list of what it could open as Markdown.")
@options.common(formats=("text", "json"), writes=True)
def revoke(opts: Common, *, name: str, targets: tuple[Target, ...], checklist: str | None) -> None:
    """Take reading away, everywhere by default: new keys for all it could open, every value sealed again.

    What was read cannot be taken back: each secret that it could ever open is listed, to be changed at
    its source. A person may still sign until `trust remove`.
    """
    from sealpipe.cli.render import text_keys
    from sealpipe.membership.exposure import exposure
    from sealpipe.membership.revoke import revoke as revoke_reading

    workspace = workspaces.read_workspace(opts)
    workspaces.trusted_pins(opts, workspace)
    chosen = tuple(dict.fromkeys(_environments(workspace, targets))) if targets else ()
    rotations = revoke_reading(
        workspace,
        name,
        chosen,
        identity=workspaces.my_identity(workspace),
        keys=workspaces.signing_keys(workspace),
    )
    left_alone = {r.keyring.keyring.environment for r in rotations}
    rows = tuple(row for row in exposure(workspace, name) if row.document.environment in left_alone)
    _write_rotations(opts, workspace, rotations)
    if checklist and not opts.dry_run:
        Path(checklist).write_text("\n".join(text_keys.checklist(name, rows)) + "\n")
        output.note(opts, f"checklist  {checklist}")
    if opts.format == "json":
        output.echo(json.dumps({"schema_version": 1, "secrets": _rows(rows)}))
    else:
        then = "; change each at its source, then set it:" if rows else ""
        output.note(opts, f"{name} could open {_secrets(len(rows))}{then}")
        output.echo(text_keys.exposed(rows))
    if workspace.trust and name in workspace.trust.keys:
        output.note(opts, f"still signs: sealpipe trust remove {name}")


@command.command(
    "renew",
    short_help="New keys, nobody removed",
    examples=("sealpipe keys renew production", "sealpipe keys renew dev/checkout"),
)
@options.target_argument()
@options.common(writes=True)
def renew(opts: Common, *, target: Target) -> None:
    """New keys with the same readers, and every value sealed again; a first key for a new document."""
    from sealpipe.membership.revoke import renew as renew_keys

    workspace = workspaces.read_workspace(opts)
    workspaces.trusted_pins(opts, workspace)
    rotation = renew_keys(
        workspace,
        target.environment,
        target.service,
        identity=workspaces.my_identity(workspace),
        keys=workspaces.signing_keys(workspace),
    )
    _write_rotations(opts, workspace, (rotation,))


def _write_rotations(opts: Common, workspace: Workspace, rotations: tuple[Rotation, ...]) -> None:
    from sealpipe.membership.keyring_edit import keyring_files

    problems = [finding for rotation in rotations for finding in rotation.findings]
    # Keyrings first: what is still sealed for an old key can be opened with the new one, not vice versa.
    edits = [*keyring_files(workspace.root, [rotation.keyring for rotation in rotations])]
    edits += [edit for rotation in rotations for edit in rotation.files]
    if not edits:
        raise RefusedError("nothing-to-do", "there is nothing to renew")
    workspaces.write(opts, workspace.root, edits)
    output.show_findings(problems, given_folder=opts.given_folder)
    if opts.dry_run:
        return
    for rotation in rotations:
        environment = rotation.keyring.keyring.environment
        output.note(
            opts,
            f"new keys   {environment}: {', '.join(rotation.documents)}; "
            f"{_secrets(rotation.resealed)} sealed again",
        )
    waiting = not all(rotation.keyring.complete for rotation in rotations)
    tell_written(opts, [edit.file for edit in edits], waiting=waiting)
