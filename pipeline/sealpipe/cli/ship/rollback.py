"""`sealpipe rollback`: publish the release before, and hold."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from sealpipe.cli import options, output
from sealpipe.cli.options import Common, Target

if TYPE_CHECKING:
    from sealpipe.flows.rolling import Undoing
    from sealpipe.model import Publication

_EXAMPLES = (
    "sealpipe rollback dev/checkout",
    'sealpipe rollback production/checkout --break-glass "pool exhausts postgres"',
    "sealpipe rollback production --batch 01JD8    one whole publish",
    "sealpipe rollback production/checkout --to 40",
)


@options.command("rollback", examples=_EXAMPLES)
@options.target_argument()
@options.option(
    "--to", metavar="NUMBER|DIGEST|COMMIT", default="", help="Which release; default: the one before."
)
@options.option("--batch", metavar="ID", default="", help="Undo everything that one publish changed.")
@options.option("--with-secrets", is_flag=True, help="Take the old secrets as well.")
@options.option("--no-hold", is_flag=True, help="Let the next publish bring the value back.")
@options.option("--reason", metavar="TEXT", help="Recorded with the hold.")
@options.option("--break-glass", metavar="REASON", help="Without CI and approvals; recorded for everybody.")
@options.common(formats=("text", "json"), writes=True)
def command(
    opts: Common,
    *,
    target: Target,
    to: str,
    batch: str,
    with_secrets: bool,
    no_hold: bool,
    reason: str | None,
    break_glass: str | None,
) -> int:
    """Publish older content as a new release. Secrets stay the current ones.

    Until git no longer has the values that were rolled back, `publish` leaves the service alone; changing
    them, or `sealpipe adopt`, ends that. The old content must fit today's schema.
    """
    from sealpipe.cli.ship.publish import check_reason
    from sealpipe.cli.workspaces import read_workspace, recipients, trusted_pins
    from sealpipe.errors import UsageError
    from sealpipe.flows.rolling import Wish, prepare_rollback, undo
    from sealpipe.keysource import find_signing_keys

    if to and batch:
        raise UsageError("usage", "--to and --batch exclude each other")
    for text in (break_glass, reason or None):
        check_reason(text, f'sealpipe rollback {target} --break-glass "why"')
    started = time.monotonic()
    workspace = read_workspace(opts)
    pins = trusted_pins(opts, workspace)
    keys = find_signing_keys(os.environ, known=recipients(workspace))
    wish = Wish(
        target.environment,
        target.service,
        to=to,
        batch=batch,
        with_secrets=with_secrets,
        hold=not no_hold,
        reason=reason or break_glass or "",
        break_glass=break_glass,
    )
    with output.progress(opts, f"looking for what was there before in {target}"):
        prepared = prepare_rollback(workspace, wish, pins=pins, keys=keys)
    _ask(opts, prepared)
    if opts.dry_run:
        return 0
    with output.progress(opts, f"rolling back {target}") as say:
        done = undo(prepared, now_ms=time.time_ns() // 1_000_000, say=say)
    return _end(opts, prepared, done, time.monotonic() - started)


def _ask(opts: Common, prepared: Undoing) -> None:
    from sealpipe.cli.render.ship_json import rollback as as_json
    from sealpipe.cli.render.ship_text import rollback

    if opts.format == "text":
        output.echo(rollback(prepared, color=opts.color))
    elif opts.dry_run:
        output.echo(as_json(prepared, None))
    output.show_findings(prepared.skipped, given_folder=opts.given_folder)
    if prepared.protected and not opts.dry_run:
        output.confirm(opts, "Publish?")


def _end(opts: Common, prepared: Undoing, done: Publication, seconds: float) -> int:
    from sealpipe.cli.render.ship_json import rollback as as_json
    from sealpipe.cli.render.ship_text import rolled_back
    from sealpipe.cli.ship.publish import FAILED, REFUSED, behind

    if opts.format == "json":
        output.echo(as_json(prepared, done))
    else:
        output.echo(rolled_back(prepared, done, seconds=seconds, given_folder=opts.given_folder))
    notes = [note for note in done.notes if note not in prepared.skipped]
    tree = done.tree.findings if done.tree is not None else ()
    output.show_findings([*notes, *tree], given_folder=opts.given_folder)
    outcomes = {receipt.outcome for receipt in done.receipts}
    if outcomes & set(FAILED) or any(note.severity == "error" for note in notes):
        return 1
    if outcomes & set(REFUSED):
        return 5
    return 1 if behind(done) else 0
