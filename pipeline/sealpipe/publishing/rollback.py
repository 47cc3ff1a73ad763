"""Older content over a newer head, as a draft. Pure: nothing is opened, read or written.

Plain values go back. Secrets do not, unless asked: a password that was changed at its source must not
return with an unrelated rollback.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from typing import Any

from sealpipe.errors import Finding, InputError, RefusedError, TrustError
from sealpipe.frozen import NamedTuple
from sealpipe.keyrings import Keyring, stanzas_for
from sealpipe.model import Change, Drafted
from sealpipe.paths import from_pointer, lookup, settle, show_path
from sealpipe.released import Draft, Release, SealedAt, Stanzas
from sealpipe.stages.changes import changes, leaves
from sealpipe.stages.draft import drafted, versions_of
from sealpipe.stages.hold import rejected
from sealpipe.tokens import key_id, parse_token, place, place_tag

Check = Callable[[Mapping[str, Any]], Sequence[Finding]]
"""Today's schema over merged values with tokens in place."""


class RolledBack(NamedTuple):
    """What a rollback would publish."""

    drafted: Drafted
    rejected: tuple[Mapping[str, Any], ...]  # for the hold
    changes: tuple[Change, ...]  # against the head
    kept: tuple[str, ...]  # secrets that stay the current ones although the old release had others


def roll_back(
    head: Release,
    target: Release,
    *,
    keyrings: Mapping[str, Keyring],
    check: Check,
    schema_digest: str,
    with_secrets: bool = False,
) -> RolledBack:
    """The draft that publishes the content of `target` over `head`.

    Raises InputError when it does not fit today's schema, RefusedError [stale-secret] naming each
    secret that would have to come from the old release although its key is no longer the document's,
    RefusedError [nothing-to-roll-back] when nothing would change. Checks no role and no approval.
    """
    values, sealed, kept = _compose(head.draft, target.draft, keyrings, with_secrets=with_secrets)
    content = Draft(
        values=values,
        sealed=sealed,
        merge_keys=dict(target.draft.merge_keys),
        locked=target.draft.locked,
        stanzas=_stanzas(head, values, sealed, keyrings),
    )
    _check_places(content)
    findings = [finding for finding in check(values) if finding.severity == "error"]
    if findings:
        raise InputError(findings)
    new = drafted(
        head.unit,
        content,
        schema_digest=schema_digest,
        keyring_versions=versions_of(content, keyrings),
        origins=target.payload.origins,
    )
    changed = changes(
        head.draft, content, old_origins=head.payload.origins, new_origins=target.payload.origins
    )
    if not changed:
        raise RefusedError(
            "nothing-to-roll-back",
            f"{head.unit} #{target.payload.number} says the same as #{head.payload.number}",
            why=["only secrets differ, and they stay the current ones"] if kept else (),
            hint=[
                f"sealpipe rollback {head.unit} --with-secrets"
                if kept
                else f"sealpipe history {head.unit}     (then --to an earlier number)"
            ],
        )
    return RolledBack(new, tuple(rejected(head.draft, content, with_secrets=with_secrets)), changed, kept)


def _compose(
    head: Draft, target: Draft, keyrings: Mapping[str, Keyring], *, with_secrets: bool
) -> tuple[dict[str, Any], dict[str, SealedAt], tuple[str, ...]]:
    current = {path: leaf for path, leaf in leaves(head).items() if leaf.sealed}
    values: dict[str, Any] = deepcopy(dict(target.values))
    sealed: dict[str, SealedAt] = {}
    kept: list[str] = []
    stale: list[str] = []
    for path, leaf in leaves(target).items():
        if not leaf.sealed:
            continue
        at = target.sealed[leaf.pointer]
        now = current.get(path)
        if now is not None and not with_secrets:
            if now.value != leaf.value:
                kept.append(show_path(path))
            at = head.sealed[now.pointer]
            _put(values, leaf.pointer, now.value)
        elif not _is_current(leaf.value, at, keyrings):
            stale.append(show_path(path))
        sealed[leaf.pointer] = at
    if stale:
        raise RefusedError(
            "stale-secret",
            f"the old release's {', '.join(stale)} was sealed with a key that is no longer in use",
            why=["its readers of today could not open it"],
            hint=["set it again, then publish: sealpipe set ENV/SERVICE PATH"],
        )
    return values, sealed, tuple(kept)


def _stanzas(
    head: Release, values: Mapping[str, Any], sealed: Mapping[str, SealedAt], keyrings: Mapping[str, Keyring]
) -> Stanzas:
    """Boxes for today's machines. Where the head's secret has an older key than the keyring, as after a
    renewal that is not published yet, the head's own boxes of machines that are still readers."""
    found = {
        document: {key: dict(boxes) for key, boxes in keys.items()}
        for document, keys in stanzas_for(keyrings, head.unit, sorted({*sealed.values()})).items()
    }
    for pointer, at in sealed.items():
        path = settle(values, from_pointer(pointer)) or ()
        key = parse_token(lookup(values, path)).key_id.hex()
        document = str(at)
        keyring = keyrings.get(at.environment)
        if keyring is None or key in found.get(document, {}):
            continue
        today = {key_id(r.public).hex() for r in keyring.readers.values() if r.unit == head.unit}
        old = head.draft.stanzas.get(document, {}).get(key, {})
        boxes = {reader: box for reader, box in old.items() if reader in today}
        if boxes:
            found.setdefault(document, {})[key] = boxes
    return found


def _put(values: dict[str, Any], pointer: str, value: Any) -> None:
    path = settle(values, from_pointer(pointer)) or ()
    node: Any = values
    for segment in path[:-1]:
        node = node[segment]
    node[path[-1]] = value


def _is_current(token: str, at: SealedAt, keyrings: Mapping[str, Keyring]) -> bool:
    keyring = keyrings.get(at.environment)
    key = keyring.keys.get(at.document) if keyring else None
    try:
        return key is not None and parse_token(token).key_id == key_id(key.public)
    except TrustError:
        return False


def _check_places(content: Draft) -> None:
    # What `validate` proves of a sealed value without any key.
    for path, leaf in leaves(content).items():
        if leaf.sealed:
            at = content.sealed[leaf.pointer]
            if parse_token(leaf.value).place_tag != place_tag(place(at.environment, at.document, path)):
                raise RefusedError("moved-secret", f"{show_path(path)} was sealed for another place")
