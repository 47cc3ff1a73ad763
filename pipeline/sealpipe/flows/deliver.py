"""A signed batch to where it is read: the primary, a look back as a reader, the mirrors, collection."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress

from sealpipe.errors import Finding, RefusedError, SealpipeError, StoreError
from sealpipe.flows.targets import Target, mirrors_of, opened
from sealpipe.frozen import NamedTuple
from sealpipe.model import Batch, Broken, Head, Receipt, TreeReport, Workspace
from sealpipe.publishing.collect import MANY, collect
from sealpipe.publishing.heads import Reader, digests, head, heads, needs
from sealpipe.publishing.mirror import mirror
from sealpipe.publishing.publish import StateCheck, publish, release_of
from sealpipe.released import Unit
from sealpipe.views.environment import write_trees
from sealpipe.views.place import Source
from sealpipe.views.write import Rules

Say = Callable[[str], None]


class Delivered(NamedTuple):
    """What became of a batch."""

    receipts: tuple[Receipt, ...]
    mirrors: Mapping[str, str]  # url -> "" or why it failed
    notes: tuple[Finding, ...]
    tree: TreeReport | None
    heads: Mapping[Unit, Head]  # of what was published, as read back


def deliver(
    batch: Batch,
    workspace: Workspace,
    target: Target,
    reader: Reader,
    *,
    fence: StateCheck | None,
    repair: bool = False,
    removal: bool = False,
    now_ms: int,
    say: Say = lambda _: None,
) -> Delivered:
    """Publish a batch and see to it that readers have it. Raises StoreError before the first flip only.

    `removal`: the plain tree may lose any number of keys, as a person has seen the plan.
    """

    def past(unit: Unit) -> Iterable[str]:
        return digests(target.store, target.prefix, unit, reader)

    say("publishing")
    receipts = publish(batch, target.store, target.prefix, fence=fence, past=past)
    say("reading back")
    seen, problems = read_back(batch, receipts, target, reader)
    notes = [*problems]
    copied: Mapping[str, str] = {}
    tree: TreeReport | None = None
    if not notes and all(r.outcome in ("published", "already") for r in receipts):
        say("copying to mirrors")
        copied = to_mirrors(workspace, batch.environment, target, reader, repair=repair, now_ms=now_ms)
        tree = to_tree(workspace, batch.environment, target, reader, removal=removal)
    notes += _not_archived(receipts)
    say("collecting")
    done = [signed.unit for signed in release_of(receipts, batch)]
    notes += collected(target, done, now_ms=now_ms)
    return Delivered(receipts, copied, tuple(notes), tree, seen)


def _not_archived(receipts: Sequence[Receipt]) -> Iterable[Finding]:
    """What is head now and has no archive: nothing to roll back to, and in the way of the next publish."""
    for receipt in receipts:
        if receipt.outcome in ("published", "already", "overtaken") and receipt.detail:
            yield Finding(
                "not-archived",
                f"{receipt.unit}: published, and its archive could not be written: {receipt.detail}",
                why=("nobody can roll back to it; the next publish writes it, or is refused",),
                hint=("sealpipe doctor",),
                severity="warning",
            )


def to_tree(
    workspace: Workspace,
    environment: str,
    target: Target,
    reader: Reader,
    *,
    removal: bool = False,
    repair: bool = False,
    only: Unit | None = None,
) -> TreeReport | None:
    """Write the plain tree of an environment from its heads as they are now; None where it has none."""
    source = Source(target.store, target.prefix, reader)
    rules = Rules(workspace.project.limits, removal=removal, repair=repair)
    return write_trees(workspace, environment, source, rules, only=only)


def read_back(
    batch: Batch, receipts: Sequence[Receipt], target: Target, reader: Reader
) -> tuple[dict[Unit, Head], list[Finding]]:
    """Each published unit as a reader gets it, our release or one above it, and who does not get that."""
    seen: dict[Unit, Head] = {}
    problems: list[Finding] = []
    done = release_of(receipts, batch)
    listed: Mapping[Unit, Head | Broken] = {}
    if len(done) >= MANY:
        with suppress(SealpipeError):  # then each for itself, which says what is wrong with it
            listed = heads(target.store, target.prefix, batch.environment, reader)
    for signed in done:
        problem = ""
        try:
            now = listed.get(signed.unit) or head(target.store, target.prefix, signed.unit, reader)
        except SealpipeError as error:
            problem = error.finding.what
        else:
            if isinstance(now, Broken):
                problem = now.what
            elif now is None or now.release.order < signed.release.order:
                problem = "the store gives an older release than the one it took"
            else:
                seen[signed.unit] = now
        if problem:
            what = f"{signed.unit}: published, and what is read back is not it: {problem}"
            problems.append(Finding("read-back", what, hint=(f"sealpipe verify {signed.unit}",)))
    return seen, problems


NO_RELEASE = "what stands there is no release"  # of a mirror: replaced by a repair only


def to_mirrors(
    workspace: Workspace,
    environment: str,
    target: Target,
    reader: Reader,
    *,
    repair: bool = False,
    now_ms: int = 0,
) -> dict[str, str]:
    """Copy the environment's heads to every mirror; each URL with "" or why it does not have them all.

    `now_ms` given, old chunks are collected there as well.
    """
    urls = mirrors_of(workspace, environment)
    if not urls:
        return {}
    known = heads(target.store, target.prefix, environment, reader)
    if not known:
        return dict.fromkeys(urls, "")
    return {
        url: _copy(url, workspace, environment, known, reader, repair=repair, now_ms=now_ms) for url in urls
    }


def _copy(
    url: str,
    workspace: Workspace,
    environment: str,
    known: Mapping[Unit, Head | Broken],
    reader: Reader,
    *,
    repair: bool,
    now_ms: int,
) -> str:
    good = {unit: one for unit, one in known.items() if isinstance(one, Head)}
    try:
        with opened(url, workspace.root) as there:
            found = mirror(good, there.store, there.prefix, environment, reader, repair=repair)
            if now_ms:
                collected(there, [unit for unit, what in found.items() if what == "copied"], now_ms=now_ms)
    except (StoreError, RefusedError) as error:
        return error.finding.what
    broken = sorted(str(unit) for unit, what in found.items() if what == "broken")
    ahead = sorted(str(unit) for unit, what in found.items() if what == "newer")
    missing = sorted(str(unit) for unit in known if unit not in good)
    parts = [f"{', '.join(missing)}: not copied, since the primary's own is no release"] if missing else []
    parts += [f"{', '.join(broken)}: {NO_RELEASE}"] if broken else []
    parts += [f"{', '.join(ahead)}: the mirror has a newer release than the primary"] if ahead else []
    return "; ".join(parts)


def collected(target: Target, units: Sequence[Unit], *, now_ms: int) -> list[Finding]:
    """Collect old archives and chunks of these units; a store that fails at it is a note, no failure."""
    locked: list[str] = []
    what = ""
    try:
        collect(target.store, target.prefix, units, needs=needs, now_ms=now_ms, locked=locked.append)
    except StoreError as error:
        what = f"old releases were not collected: {error.finding.what}"
    if locked and not what:
        what = f"old releases are locked in the store and stay for now: {len(locked)} keys"
    return [Finding("not-collected", what, severity="warning")] if what else []
