"""Who may publish here and now: role, protected environments, approvals. Decides; changes nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sealpipe import git
from sealpipe.crypto.keys import SigningKey
from sealpipe.errors import RefusedError, TrustError, Where
from sealpipe.frozen import NamedTuple
from sealpipe.model import Workspace
from sealpipe.publishing.approvals import Missing, approvals, missing
from sealpipe.released import Release, Unit
from sealpipe.trees import WorkTree
from sealpipe.trust import TRUST_FILE, EnvironmentTrust, Pairs, Trust


class Signer(NamedTuple):
    """The key that signs, its name, and whether it may waive role, pushed and approvals."""

    name: str
    key: SigningKey
    waives: bool  # a break-glass key, with a reason


def signer_for(
    trust: Trust, environment: str, keys: Sequence[SigningKey], break_glass: str | None, command: str
) -> Signer:
    """The key to publish with. Raises TrustError [no-key], RefusedError [not-a-publisher].

    `command` is what was typed, for the hint.
    """
    entry = entry_of(trust, environment)
    if not keys:
        raise TrustError(
            "no-key",
            "nothing to sign with: there is no signing key here",
            why=[
                "looked at SEALPIPE_SIGNING_KEY, SEALPIPE_KEY, SOPS_AGE_KEY (also _FILE, _CMD) and key files"
            ],
            hint=["sealpipe keys new"],
        )
    names = {key.sign: name for name, key in trust.keys.items() if key.sign is not None}
    mine = [(names[key.public], key) for key in keys if key.public in names]
    if break_glass is not None:
        for name, key in mine:
            if name in entry.break_glass.of:
                return Signer(name, key, waives=True)
    for name, key in mine:
        if name in entry.publishers.of:
            return Signer(name, key, waives=False)
    raise _not_a_publisher(entry, environment, [name for name, _ in mine], command)


def _not_a_publisher(
    entry: EnvironmentTrust, environment: str, mine: Sequence[str], command: str
) -> RefusedError:
    emergency = next((name for name in mine if name in entry.break_glass.of), None)
    publishers = ", ".join(entry.publishers.of) or "nobody"
    why = [f"environments.{environment}.publishers: {publishers}"]
    if emergency:
        what = f'{emergency} may publish to {environment} only with --break-glass "REASON"'
        hint = [f'merge to {entry.branch} and CI publishes; in an emergency: {command} --break-glass "why"']
    elif mine:
        what = f"{mine[0]} may not publish to {environment}"
        hint = [
            f"merge to {entry.branch} and CI publishes, or ask a root holder:"
            f" sealpipe trust add {mine[0]} --publishes {environment}"
        ]
    else:
        what = f"your key is not among the project's keys, so it may not publish to {environment}"
        hint = ["send your card to an admin: sealpipe keys new"]
    return RefusedError("not-a-publisher", what, where=Where(TRUST_FILE), why=why, hint=hint)


def entry_of(trust: Trust, environment: str) -> EnvironmentTrust:
    """The environment's roles. Raises RefusedError [unknown-to-trust]."""
    entry = trust.environments.get(environment)
    if entry is None:
        raise RefusedError(
            "unknown-to-trust",
            f"nobody may publish to {environment}: the trust document does not have it",
            where=Where(TRUST_FILE),
            hint=[f"sealpipe trust add NAME --publishes {environment}"],
        )
    return entry


def check_protected(workspace: Workspace, entry: EnvironmentTrust, environment: str, signer: Signer) -> None:
    """In a protected environment only a clean, pushed commit of its branch is published.

    Raises RefusedError [no-commit, uncommitted, not-pushed]. A break-glass signer need not have pushed;
    the tree must be clean all the same.
    """
    if not entry.protected:
        return
    commit = workspace.commit
    if not commit.commit:
        raise RefusedError(
            "no-commit",
            f"{environment} is protected: only a commit is published there, and this is none",
            hint=["git commit"],
        )
    if commit.dirty:
        raise RefusedError(
            "uncommitted",
            f"{environment} is protected and files here differ from the commit: only clean trees go there",
            hint=["git status", "commit and push what belongs to it, then repeat the command"],
        )
    if not signer.waives and not git.is_pushed(workspace.root, commit.commit, entry.branch):
        raise RefusedError(
            "not-pushed",
            f"{environment} is protected: commit {commit.commit[:7]} is not on the remote's {entry.branch}",
            hint=[f"git fetch, or merge and push to {entry.branch}"],
        )


def approvals_for(
    workspace: Workspace, trust: Trust, wanted: Mapping[Unit, tuple[str, Release | None]]
) -> tuple[dict[Unit, Pairs], tuple[Missing, ...]]:
    """The good approvals of each unit (draft digest, what is published), and what is still missing."""
    tree = WorkTree(workspace.root)
    found: dict[Unit, Pairs] = {}
    waiting: list[Missing] = []
    for unit, (digest, published) in wanted.items():
        pairs = approvals(tree, trust, unit, digest, published)
        found[unit] = pairs
        gap = missing(trust, unit, digest, pairs)
        if gap is not None:
            waiting.append(gap)
    return found, tuple(waiting)


def not_approved(waiting: Sequence[Missing], plan: str = "") -> RefusedError:
    """The refusal for units that wait for approvals."""
    first = waiting[0]
    environment = first.unit.environment
    need = first.role.need - len(first.have)
    others = [name for name in first.role.of if name not in first.have]
    units = ", ".join(gap.unit.service for gap in waiting)
    many = "approvals" if need > 1 else "approval"
    return RefusedError(
        "approval-missing",
        f"{environment} asks for {need} more {many} of {', '.join(others)}: {units}",
        hint=[f"sealpipe approve {environment}" + (f" --plan {plan}" if plan else "")],
    )
