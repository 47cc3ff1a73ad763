"""The fence of an environment: the commit that published last. An older commit does not pass it.

Not a lock: whoever comes with a newer commit moves it on, and a publisher that was overtaken finds out
before its flip. It is what stops two publishers who each touch another unit from undoing one another.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence

from sealpipe.canonical import canonical, strict_json
from sealpipe.crypto.keys import SigningKey
from sealpipe.crypto.signing import sign, verify
from sealpipe.errors import ConflictError, Finding, OutcomeUnknownError, RefusedError, StoreError, TrustError
from sealpipe.frozen import NamedTuple
from sealpipe.model import Head
from sealpipe.released import Unit
from sealpipe.releases.check import still_listed
from sealpipe.releases.keys import state_key
from sealpipe.releases.wire import encode_state, split_state
from sealpipe.stores.base import ABSENT, Entry, Put, Store
from sealpipe.trust import EnvironmentTrust, Trust, signers

ATTEMPTS = 5
_COMMIT = re.compile(r"(?:[0-9a-f]{40}|[0-9a-f]{64})?")

Ancestry = Callable[[str, str], bool | None]
"""(older, newer) -> whether the newer commit contains the older; None: cannot be told."""


class State(NamedTuple):
    """What stands at `<env>/state`."""

    commit: str  # "" when published outside git
    batch: str
    publisher: str
    at: str  # RFC 3339, UTC
    superseded: str = ""  # a commit that --supersede passed


class Fence(NamedTuple):
    """A commit that ours must contain."""

    commit: str
    what: str  # who put it there, for people


class Claim(NamedTuple):
    """The fence as it stands for this publish: each flip depends on `version`."""

    version: str
    raw: bytes  # the state
    joined: bool  # another publish of the same commit had it
    notes: tuple[Finding, ...]


def sign_state(project: str, environment: str, state: State, key: SigningKey) -> bytes:
    """The signed bytes of a state."""
    fields = {
        "project": project,
        "environment": environment,
        "commit": state.commit,
        "batch": state.batch,
        "publisher": state.publisher,
        "at": state.at,
    }
    if state.superseded:
        fields["superseded"] = state.superseded
    body = canonical(fields)
    return encode_state(((key.public, sign("STATE", body, key)),), body)


def read_state(raw: bytes, trust: Trust, environment: str) -> State | None:
    """The state, or None when it does not fence: not signed by a key that today's trust lets publish.

    A state that anybody could have written, or that a removed key left, must not stop anyone; without
    one the heads' commits fence.
    """
    try:
        block = split_state(raw)
        allowed = publishing_keys(trust, environment)
        if not signers("STATE", block.body, block.signatures, allowed, verify):
            return None
        data = strict_json(block.body, what="state")
    except TrustError:
        return None
    if not isinstance(data, dict):
        return None
    if data.get("project") != trust.project or data.get("environment") != environment:
        return None
    known = {name: data.get(name, "") for name in State._fields}
    if not all(isinstance(text, str) for text in known.values()):
        return None
    return State(**known) if _COMMIT.fullmatch(known["commit"]) else None


def publishing_keys(trust: Trust, environment: str) -> frozenset[bytes]:
    """The public keys that today's trust lets publish to an environment, emergencies included."""
    entry = trust.environments.get(environment)
    names = (*entry.publishers.of, *entry.break_glass.of) if entry else ()
    return frozenset(key for name in names if (key := trust.keys[name].sign) is not None)


def fences(state: State | None, heads: Mapping[Unit, Head], trust: Trust) -> tuple[Fence, ...]:
    """The commits that ours must contain: the state's, or where there is none the heads'."""
    if state is not None and state.commit:
        return (Fence(state.commit, f"{state.publisher}, {state.at}"),)
    found: dict[str, Fence] = {}
    for unit, head in sorted(heads.items()):
        commit = str((head.release.payload.git or {}).get("commit", ""))
        if commit and still_listed(head.release, trust):
            found.setdefault(commit, Fence(commit, f"{unit} #{head.release.payload.number}"))
    return tuple(found.values())


def check_fences(
    found: Sequence[Fence],
    commit: str,
    ancestry: Ancestry,
    *,
    environment: str,
    enforced: bool,
    supersede: str = "",
) -> tuple[Finding, ...]:
    """Raises RefusedError [older-commit] or [unknown-commit] where a fence is not behind `commit`.

    Without `enforced` (an unprotected environment, where a laptop amends commits or has no git) each is
    a warning in the result. `supersede` passes exactly the fence of that commit, and no other.
    """
    notes: list[Finding] = []
    for fence in found:
        if fence.commit == commit or (len(supersede) >= 7 and fence.commit.startswith(supersede)):
            continue
        contained = ancestry(fence.commit, commit) if commit else None
        if contained:
            continue
        finding = _passed_by(fence, commit, contained, environment)
        if enforced:
            raise RefusedError(finding.word, finding.what, why=finding.why, hint=finding.hint)
        notes.append(finding._replace(severity="warning", hint=()))
    return tuple(notes)


def _passed_by(fence: Fence, commit: str, contained: bool | None, environment: str) -> Finding:
    ours, theirs = commit[:7] or "no commit", fence.commit[:7]
    supersede = f"sealpipe publish {environment} --supersede {fence.commit[:12]}"
    if contained is None:
        return Finding(
            "unknown-commit",
            f"{environment} was published from {theirs}; this clone cannot tell whether {ours} contains it",
            why=(f"it was put there by {fence.what}",),
            hint=(
                "git fetch --unshallow || git fetch --all, then repeat the command",
                f"if that commit is gone for good (squashed away): {supersede}",
            ),
        )
    return Finding(
        "older-commit",
        f"{environment} was published from {theirs}, which {ours} does not contain: it would be undone",
        why=(f"it was put there by {fence.what}",),
        hint=("git pull, then repeat the command", f"if that commit is meant to go: {supersede}"),
    )


def claim(
    store: Store,
    prefix: str,
    heads: Callable[[], Mapping[Unit, Head]],
    state: State,
    *,
    trust: Trust,
    environment: str,
    key: SigningKey,
    ancestry: Ancestry,
    enforced: bool,
    supersede: str = "",
    timeout: float = 10.0,
) -> Claim:
    """Read the fence fresh, check it, and move it to our commit, also when nothing will change.

    Raises RefusedError (see `check_fences`), RefusedError [fence-contended] when it moves faster than
    we can follow, StoreError's kinds. `heads` is called only where no state fences.
    """
    name = state_key(prefix, environment)
    for _ in range(ATTEMPTS):
        entry = store.get(name, fresh=True, timeout=timeout)
        current = read_state(entry.value, trust, environment) if entry else None
        known: Mapping[Unit, Head] = heads() if current is None or not current.commit else {}
        found = fences(current, known, trust)
        notes = check_fences(
            found, state.commit, ancestry, environment=environment, enforced=enforced, supersede=supersede
        )
        if entry and current and current.commit == state.commit != "":
            return Claim(entry.version, entry.value, joined=True, notes=notes)
        passed = [f.commit for f in found if len(supersede) >= 7 and f.commit.startswith(supersede)]
        ours = state._replace(superseded=passed[0] if passed else "")
        raw = sign_state(trust.project, environment, ours, key)
        version = _swap(store, name, raw, entry, timeout)
        if version:
            return Claim(version, raw, joined=False, notes=notes)
    raise RefusedError(
        "fence-contended",
        f"other publishers move {environment} at the same time; nothing was published",
        hint=[f"sealpipe publish {environment}"],
    )


def _swap(store: Store, name: str, raw: bytes, entry: Entry | None, timeout: float) -> str:
    """The version of our state, "" when somebody else's stands there (a swap that may have been lost
    is settled by looking, never by believing the reply)."""
    failure: StoreError | None = None
    try:
        store.write([Put(name, raw, entry.version if entry else ABSENT)], timeout=timeout)
    except (ConflictError, OutcomeUnknownError) as error:
        failure = error
    now = store.get(name, fresh=True, timeout=timeout)
    if now is not None and now.value == raw:
        return now.version
    if isinstance(failure, OutcomeUnknownError) and now == entry:
        raise failure
    return ""


def protected(entry: EnvironmentTrust | None) -> bool:
    """Whether an environment refuses what an unprotected one only warns of."""
    return entry is not None and entry.protected
