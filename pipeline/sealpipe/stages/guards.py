"""Limits that need a person's word, and what deserves a second look. Pure; reads two drafts."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from sealpipe.canonical import canonical
from sealpipe.errors import Finding
from sealpipe.model import Change, Drafted, Guard
from sealpipe.paths import show_path
from sealpipe.project import Limits
from sealpipe.released import Draft, Release, Unit
from sealpipe.stages.changes import EMPTY, leaves

SMALL = 4096
"""Bytes below which growth is no alarm: a young service doubles with three settings."""


def guards(unit: Unit, old: Draft | None, new: Drafted, limits: Limits) -> tuple[Guard, ...]:
    """The limits that publishing `new` over `old` runs into.

    One removed key is never a mass deletion, whatever its share: it stands in the plan by name.
    """
    if old is None:
        return ()
    found: list[Guard] = []
    before, after = leaves(old), leaves(new.draft)
    gone = sum(1 for path in before if path not in after)
    if gone > 1 and gone > limits.removed_keys * len(before):
        share = round(100 * gone / len(before))
        what = (
            f"{unit} loses {gone} of {len(before)} keys ({share} %); "
            f"the limit is {round(100 * limits.removed_keys)} %"
        )
        found.append(Guard("removed-keys", what, "--allow-removal"))
    size, was = len(canonical(new.draft.values)), len(canonical(old.values))
    if size > SMALL and size > limits.growth * was:
        what = f"{unit} grows from {was:,} to {size:,} bytes; the limit is {limits.growth:g} times"
        found.append(Guard("growth", what, "--allow-growth"))
    return tuple(found)


def vanished(unit: Unit) -> Guard:
    """A unit that is published and no longer in the repository."""
    what = f"{unit} is published and no file here makes it any more"
    return Guard("vanished", what, f"--retire {unit}")


def look_twice(
    old: Draft | None, new: Draft, changed: Sequence[Change], defaults: frozenset[str] = frozenset()
) -> tuple[Finding, ...]:
    """Notes for the reader of a plan; none of them refuses anything.

    `defaults` are the removed pointers for which the schema has a default: it will stand instead.
    """
    if old is None:
        return ()
    return (*_removed(changed, defaults), *_beside_secrets(new, changed), *_secrets(old, new, changed))


def _removed(changed: Sequence[Change], defaults: frozenset[str]) -> list[Finding]:
    found = []
    for change in changed:
        if change.kind not in ("removed", "secret-removed"):
            continue
        if change.pointer in defaults:
            what = f"{change.path} is removed; the schema's default will stand"
        else:
            what = f"{change.path} is removed; no other layer sets it"
        found.append(Finding("removed", what, path=change.path, severity="warning"))
    return found


def _beside_secrets(new: Draft, changed: Sequence[Change]) -> list[Finding]:
    # A changed host beside an unchanged password sends the password to the new host.
    secret_maps = {pointer.rsplit("/", 1)[0]: pointer for pointer in new.sealed}
    touched = {c.pointer for c in changed if c.kind.startswith("secret-")}
    by_pointer = {leaf.pointer: path for path, leaf in leaves(new).items()}
    found = []
    for change in changed:
        beside = secret_maps.get(change.pointer.rsplit("/", 1)[0])
        if change.kind not in ("changed", "added") or beside is None or beside in touched:
            continue
        secret = show_path(by_pointer[beside]) if beside in by_pointer else beside
        what = f"{change.path} changes beside {secret}, which stays: does it still go to the right place?"
        found.append(Finding("beside-a-secret", what, path=change.path, severity="warning"))
    return found


def _secrets(old: Draft, new: Draft, changed: Sequence[Change]) -> list[Finding]:
    kinds = [c.kind for c in changed]
    touched = {k: kinds.count(f"secret-{k}") for k in ("added", "changed", "removed", "resealed")}
    readers = readers_changed(old, new)
    if not any(touched.values()) and not readers:
        return []
    total = sum(touched.values())
    same = len(old.sealed) - touched["changed"] - touched["removed"] - touched["resealed"]
    parts = [f"{touched[k]} {k}" for k in ("added", "changed", "removed") if touched[k]]
    parts += [f"{max(same, 0)} same", f"{touched['resealed']} sealed again for a new key"]
    what = f"secrets: {', '.join(parts)}; {readers or 'readers unchanged'}"
    if total and touched["resealed"]:
        what += " (whether a value sealed again also changed cannot be seen without a key)"
    return [Finding("secrets", what, severity="warning")]


def readers_changed(old: Draft, new: Draft) -> str:
    """Which way the set of machine keys that can open something changed, "" when it did not."""
    before, after = _readers(old), _readers(new)
    parts = []
    if after - before:
        parts.append(f"{len(after - before)} machine reader(s) added")
    if before - after:
        parts.append(f"{len(before - after)} machine reader(s) removed")
    return ", ".join(parts)


def _readers(draft: Draft | None) -> set[str]:
    stanzas = (draft or EMPTY).stanzas
    return {reader for keys in stanzas.values() for boxes in keys.values() for reader in boxes}


def departed(base: Release, publishers: Collection[str]) -> Guard | None:
    """A held release is signed again as it stands. Nobody does that for who may not publish any more: it
    may be what they were sent away for."""
    if not publishers or not set(publishers).isdisjoint(base.publishers):
        return None
    names = ", ".join(base.publishers)
    what = f"{base.unit} is held at what {names} published, who may not any more: it is not signed again"
    return Guard("departed-hold", what, "--lift-hold")
