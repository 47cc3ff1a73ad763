"""Rolling back: which release, what it would change, and publishing it. Asks git nothing.

Neither checks ancestry nor moves the fence: what goes back is content, not a commit. The new release
keeps the commit of the head it replaces, so the fence of heads stays where it was.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from sealpipe.crypto.keys import SigningKey
from sealpipe.errors import Finding, RefusedError, TrustError
from sealpipe.flows.deliver import Say, deliver
from sealpipe.flows.drafts import need_published_environment, schema_of
from sealpipe.flows.permission import Signer, approvals_for, entry_of, not_approved, signer_for
from sealpipe.flows.ship import check_trust_version, need_trust
from sealpipe.flows.targets import Target, primary, reader_of
from sealpipe.frozen import NamedTuple, field, frozen
from sealpipe.model import Broken, Head, Publication, Workspace
from sealpipe.paths import show_path
from sealpipe.publishing.approvals import Missing
from sealpipe.publishing.heads import Reader, archives, chain, find, heads
from sealpipe.publishing.rollback import RolledBack, roll_back
from sealpipe.publishing.sign import Content, Signing, batch_id, of_drafted, sign
from sealpipe.released import Release, Unit
from sealpipe.schemas.compile import Effective
from sealpipe.schemas.telling.explain import explain
from sealpipe.stages.changes import changes
from sealpipe.stages.hold import still_rendered
from sealpipe.stages.layer import sealed_strings
from sealpipe.tokens import parse_token
from sealpipe.trust import Pairs, Pin, Trust, chain_for


class Wish(NamedTuple):
    """What somebody wants rolled back. Without `to` and `batch`: to what was there before."""

    environment: str
    service: str | None
    to: str = ""  # number, digest or commit
    batch: str = ""
    with_secrets: bool = False
    hold: bool = True
    reason: str = ""
    break_glass: str | None = None

    @property
    def target(self) -> str:
        return f"{self.environment}/{self.service}" if self.service else self.environment


class Undo(NamedTuple):
    """One unit's way back."""

    head: Head
    target: Release
    result: RolledBack


@frozen
class Undoing:
    """What a rollback would publish, and that it may."""

    wish: Wish
    workspace: Workspace = field(repr=False)
    undos: tuple[Undo, ...]
    skipped: tuple[Finding, ...]  # units of a batch that moved on, or have nothing before it
    signer: Signer
    trust: Trust = field(repr=False)
    pins: tuple[Pin, ...]
    url: str
    protected: bool
    approved: Mapping[Unit, Pairs] = field(repr=False)
    waiting: tuple[Missing, ...]


def prepare_rollback(
    workspace: Workspace, wish: Wish, *, pins: tuple[Pin, ...], keys: Sequence[SigningKey]
) -> Undoing:
    """Find the release to go back to and make its draft over the head. Writes nothing.

    The trust files must have been checked. Raises RefusedError (not a publisher, nothing before, moved
    secrets), InputError when the old content does not fit today's schema, TrustError, StoreError.
    """
    need_published_environment(workspace, wish.environment)
    trust = need_trust(workspace)
    entry = entry_of(trust, wish.environment)
    command = f"sealpipe rollback {wish.target}" + (f" --batch {wish.batch}" if wish.batch else "")
    signer = signer_for(trust, wish.environment, keys, wish.break_glass, command)
    reader = reader_of(workspace, pins)
    with primary(workspace, wish.environment) as target:
        found = heads(target.store, target.prefix, wish.environment, reader)
        check_trust_version(found, trust)
        pairs, skipped = _chosen(wish, found, target, reader)
        undos = tuple(_undo(workspace, wish, head, to) for head, to in pairs)
        url = target.url
    wanted = {u.head.release.unit: (u.result.drafted.digest, u.target) for u in undos}
    approved, waiting = approvals_for(workspace, trust, wanted)
    return Undoing(
        wish,
        workspace,
        undos,
        tuple(skipped),
        signer,
        trust,
        pins,
        url,
        entry.protected,
        approved,
        () if signer.waives else waiting,
    )


def undo(prepared: Undoing, *, now_ms: int, say: Say = lambda _: None) -> Publication:
    """Sign and publish what was prepared. Raises RefusedError for missing approvals, StoreError.

    A head that moved meanwhile is a `conflict` in the receipts: nothing of it was written.
    """
    if prepared.waiting:
        raise not_approved(prepared.waiting)
    wish, workspace, trust = prepared.wish, prepared.workspace, prepared.trust
    reader = reader_of(workspace, prepared.pins)
    how = Signing(
        environment=wish.environment,
        trust=trust,
        chain=chain_for(trust, workspace.roots),
        pins=reader.pins,
        key=prepared.signer.key,
        now_ms=now_ms,
        batch=batch_id(now_ms),
        break_glass=wish.break_glass,
    )
    contents = [_content(prepared, one) for one in prepared.undos]
    signed = sign(contents, {u.head.release.unit: u.head for u in prepared.undos}, how)
    with primary(workspace, wish.environment) as target:
        done = deliver(signed, workspace, target, reader, fence=None, removal=True, now_ms=now_ms, say=say)
    notes = (*prepared.skipped, *done.notes)
    return Publication(
        how.batch, wish.environment, prepared.url, done.receipts, done.mirrors, notes, done.tree
    )


def _content(prepared: Undoing, one: Undo) -> Content:
    release, wish = one.head.release, prepared.wish
    hold = None
    if wish.hold:
        hold = {
            "by": prepared.signer.name,
            "reason": wish.reason,
            "rejected": [*one.result.rejected, *_still_rejected(release, one)],
        }
    source = one.target.payload.rollback_of or one.target.digest
    pairs = prepared.approved.get(release.unit, ())
    return of_drafted(one.result.drafted, release.payload.git, pairs, hold=hold, rollback_of=source)


def _still_rejected(release: Release, one: Undo) -> Iterator[Mapping[str, Any]]:
    """What an earlier rollback rejected stays so, as far as the content now published does not have it."""
    for entry in (release.payload.hold or {}).get("rejected", ()):
        single = {"rejected": [entry]}
        if entry not in one.result.rejected and not still_rendered(single, one.result.drafted.draft):
            yield entry


# ---- which release


def _chosen(
    wish: Wish, found: Mapping[Unit, Head | Broken], target: Target, reader: Reader
) -> tuple[list[tuple[Head, Release]], list[Finding]]:
    if wish.service is None and not wish.batch:
        raise RefusedError(
            "whole-environment",
            "a whole environment is rolled back by the batch that was published",
            hint=[
                f"sealpipe rollback {wish.environment}/SERVICE",
                f"sealpipe history {wish.environment}/SERVICE",
            ],
        )
    if wish.service is not None:
        head = _need_head(found, Unit(wish.environment, wish.service))
        before = _named(head.release, wish.to, target, reader) if wish.to else None
        return [(head, before or _before(head.release, target, reader, with_secrets=wish.with_secrets))], []
    return _of_batch(wish, found, target, reader)


def _need_head(found: Mapping[Unit, Head | Broken], unit: Unit) -> Head:
    one = found.get(unit)
    if one is None:
        raise RefusedError("not-published", f"{unit} was never published", hint=[f"sealpipe plan {unit}"])
    if isinstance(one, Broken):
        raise TrustError(
            "broken-head",
            f"what the store has as {unit}'s release is not one: {one.what} [{one.word}]",
            hint=[f"sealpipe publish {unit} --repair-head"],
        )
    return one


def _before(head: Release, target: Target, reader: Reader, *, with_secrets: bool) -> Release:
    """The newest release before this one, by `prev`, whose content differs from it.

    After a rollback the way goes on from the release whose content it took: going back twice goes back
    two steps, and not to what was rejected.
    """
    start: Release | None = head
    if head.payload.rollback_of:
        start = find(target.store, target.prefix, head.unit, head.payload.rollback_of, reader)
    if start is not None:
        for release in chain(target.store, target.prefix, start, reader):
            if release.payload.retired is None and _differs(head, release, with_secrets=with_secrets):
                return release
    raise RefusedError(
        "nothing-before",
        f"{head.unit} #{head.payload.number}: the store keeps no earlier release with other content",
        hint=[f"sealpipe history {head.unit}", "git revert, then publish"],
    )


def _differs(head: Release, release: Release, *, with_secrets: bool) -> bool:
    found = changes(head.draft, release.draft)
    return any(with_secrets or not change.kind.startswith("secret-") for change in found)


def _named(head: Release, to: str, target: Target, reader: Reader) -> Release:
    text = to.removeprefix("#").lower()
    for release in archives(target.store, target.prefix, head.unit, reader):
        payload = release.payload
        commit = str((payload.git or {}).get("commit", ""))
        by_number = re.fullmatch(r"[0-9]{1,6}", text) and payload.number == int(text)
        by_name = len(text) >= 6 and (release.digest.startswith(text) or commit.startswith(text))
        if (by_number or by_name) and payload.retired is None:
            return release
    raise RefusedError(
        "no-such-release",
        f"the store keeps no release of {head.unit} that is named by this number, digest or commit",
        hint=[f"sealpipe history {head.unit}"],
    )


def _of_batch(
    wish: Wish, found: Mapping[Unit, Head | Broken], target: Target, reader: Reader
) -> tuple[list[tuple[Head, Release]], list[Finding]]:
    chains = {
        unit: list(chain(target.store, target.prefix, one.release, reader))
        for unit, one in sorted(found.items())
        if isinstance(one, Head)
    }
    batch = _one_batch(wish, chains)
    pairs: list[tuple[Head, Release]] = []
    skipped: list[Finding] = []
    for unit, releases in chains.items():
        one = _need_head(found, unit)
        if all(r.payload.batch != batch for r in releases):
            continue
        if one.release.payload.batch != batch:
            what = f"{unit} was published again since; it is left as it is"
            skipped.append(Finding("moved-on", what, hint=(f"sealpipe rollback {unit}",), severity="warning"))
            continue
        before = next((r for r in releases if r.payload.batch != batch), None)
        if before is None or before.payload.retired is not None:
            what = f"{unit}: this batch has its first release; there is nothing to go back to"
            skipped.append(Finding("nothing-before", what, severity="warning"))
        elif _differs(one.release, before, with_secrets=wish.with_secrets):
            pairs.append((one, before))
    if not pairs:
        raise RefusedError(
            "no-such-batch",
            f"no service of {wish.environment} can be rolled back by a batch with this name",
            why=[finding.what for finding in skipped],
            hint=[f"sealpipe status {wish.environment}"],
        )
    return pairs, skipped


def _one_batch(wish: Wish, chains: Mapping[Unit, Sequence[Release]]) -> str:
    """The one batch whose id begins as asked, "" where none does. Raises RefusedError [ambiguous-batch]."""
    known = {r.payload.batch for releases in chains.values() for r in releases}
    named = sorted(batch for batch in known if batch.startswith(wish.batch.upper()))
    if len(named) > 1:
        raise RefusedError(
            "ambiguous-batch",
            f"{len(named)} batches begin with these characters",
            why=named[:5],
            hint=[f"sealpipe rollback {wish.environment} --batch {named[-1]}"],
        )
    return named[0] if named else ""


# ---- today's schema


def _undo(workspace: Workspace, wish: Wish, head: Head, to: Release) -> Undo:
    schema = schema_of(workspace, head.release.unit.service)
    result = roll_back(
        head.release,
        to,
        keyrings=workspace.keyrings,
        check=lambda values: schema_findings(schema, values, to),
        schema_digest=schema.digest,
        with_secrets=wish.with_secrets,
    )
    return Undo(head, to, result)


def schema_findings(schema: Effective, values: Mapping[str, Any], release: Release) -> list[Finding]:
    """Where the content of an old release does not fit today's schema; no value is shown."""
    origin = f"release #{release.payload.number} does not fit today's {schema.file}"
    found = [
        Finding(
            "plaintext-secret",
            "the schema calls it secret now, and the old value is plain",
            path=show_path(path),
            why=(origin,),
        )
        for path in schema.plaintext(values)
    ]
    causes = [cause for problem in schema.problems(values) for cause in explain(problem, schema, values)]
    found += [
        Finding(cause.word, cause.what, path=show_path(cause.path), why=(*cause.why, origin))
        for cause in causes
    ]
    for path, text in sealed_strings(values):
        allowed = schema.walk.at(path).secret
        if allowed is None:
            what = "the old value is sealed, and the schema does not call it a secret any more"
            found.append(Finding("sealed-not-secret", what, path=show_path(path), why=(origin,)))
        elif parse_token(text).type not in allowed:
            what = f"the old value is sealed as {parse_token(text).type}; the schema wants another type now"
            found.append(Finding("wrong-secret-type", what, path=show_path(path), why=(origin,)))
    return found
