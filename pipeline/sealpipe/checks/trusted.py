"""Whether trust.yaml and the keyrings of a repository are the ones to act on.

Signed, of this project, under a pinned root, and neither older than nor forked from what the target
branch has. Needs no key, reads git, writes nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sealpipe import git
from sealpipe.checks.trust_files import HasTrust, TrustFiles, foreign, read_trust
from sealpipe.checks.trust_history import history_findings
from sealpipe.crypto.signing import verify as verify_signature
from sealpipe.errors import Finding, TrustError, Where
from sealpipe.keyrings import Keyring, check_keyring, keyring_file
from sealpipe.model import Workspace
from sealpipe.pins import no_pin
from sealpipe.roots import root_digest
from sealpipe.trees import CommitTree, WorkTree
from sealpipe.trust import (
    TRUST_FILE,
    Pin,
    RootChain,
    Trust,
    Verify,
    chain_for,
    chain_matches,
    check_signed,
    check_version,
)

# ---- the whole check


def trusted_findings(
    workspace: Workspace, *, pins: Sequence[Pin], verify: Verify = verify_signature
) -> list[Finding]:
    """All of it, with the target branch and history looked up in git. See `trust_findings`."""
    refs = target_refs(workspace)
    target = _files_at(workspace, refs[0])
    findings = trust_findings(workspace, pins=pins, target=target, verify=verify)
    if workspace.trust is not None and not any(f.severity == "error" for f in findings):
        told = {f.where for f in findings}  # a branch that only lies behind was told of already
        older = history_findings(workspace, refs, verify=verify)
        findings += [f for f in older if f.where not in told or f.where is None]
        told |= {f.where for f in older}
        findings += [f for f in _below_own_history(workspace, refs[0], target, verify) if f.where not in told]
    return findings


def require_trusted(workspace: Workspace, *, pins: Sequence[Pin], verify: Verify = verify_signature) -> None:
    """For what writes or publishes: raises TrustError for the first finding, a missing pin included."""
    for finding in trusted_findings(workspace, pins=pins, verify=verify):
        if finding.severity == "error" or finding.word in ("no-pin", "older-trust", "older-keyring"):
            raise TrustError(
                finding.word, finding.what, where=finding.where, why=finding.why, hint=finding.hint
            )


def trust_findings(
    workspace: Workspace,
    *,
    pins: Sequence[Pin],
    target: HasTrust | None = None,
    verify: Verify = verify_signature,
) -> list[Finding]:
    """Signatures, versions and pins; `target` is what the target branch has, None where there is none.

    Without pins there is one warning [no-pin]. Does not look into history: `history_findings` does.
    """
    findings = [f for f in workspace.findings if f.where is not None and f.where.file.startswith("trust/")]
    trust = workspace.trust
    if trust is None:
        if not findings:
            findings.append(
                Finding(
                    "no-trust",
                    f"there is no {TRUST_FILE}",
                    Where(TRUST_FILE),
                    why=("it says who may publish; without it nothing is trusted",),
                    hint=(f"git checkout HEAD -- {TRUST_FILE}",),
                )
            )
        return findings
    findings += _trust_rules(workspace, trust, pins, verify)
    findings += [
        f for env in sorted(workspace.keyrings) for f in _keyring_rules(workspace, env, trust, verify)
    ]
    if target is not None:
        # One finding a cause: what is not even signed is not compared as well.
        bad = {f.where.file for f in findings if f.where is not None and f.severity == "error"}
        compared = _against_target(workspace, target)
        findings += [f for f in compared if f.where is None or f.where.file not in bad]
    return findings


def _trust_rules(
    workspace: Workspace, trust: Trust, pins: Sequence[Pin], verify: Verify
) -> Iterator[Finding]:
    if trust.project != workspace.project.id:
        yield foreign(TRUST_FILE, "trust.yaml belongs to another project than sealpipe.yaml")
        return
    chain = chain_for(trust, workspace.roots)
    if not pins:
        yield no_pin().finding._replace(severity="warning", where=Where(TRUST_FILE))
    try:
        if pins:
            check_version(trust, chain_matches(trust.project, chain, pins, verify))
        else:
            # Each link still has to carry: a broken chain needs no pin to be seen.
            chain_matches(trust.project, chain, (_own_pin(trust.project, chain),), verify)
        check_signed(trust, chain, verify)
    except TrustError as error:
        yield _told(error.finding)
    yield from _unpublishable(trust)


def _unpublishable(trust: Trust) -> Iterator[Finding]:
    """Roles that ask for more signatures than a publish makes: services would refuse every release."""
    for name, entry in trust.environments.items():
        for role, need in (("publishers", entry.publishers.need), ("break_glass", entry.break_glass.need)):
            if need > 1:
                yield Finding(
                    "publishers-need",
                    f"environments.{name}.{role} asks for {need} signatures; one command signs with one key",
                    Where(TRUST_FILE),
                    why=("nothing could be published there; the second person is who approves",),
                    hint=(
                        f"git checkout HEAD~1 -- {TRUST_FILE}",
                        f"then: sealpipe trust admins {name} --approvals {need - 1}",
                    ),
                )


def _told(finding: Finding) -> Finding:
    """What the rules shared with services say, with the file and what to do about it."""
    if finding.word != "bad-signature":
        return finding._replace(where=finding.where or Where(TRUST_FILE))
    return finding._replace(
        what="the signature is not over what stands here: the file was changed by hand",
        where=Where(TRUST_FILE),
        why=("only commands change it, and root signs the whole",),
        hint=(f"git checkout HEAD -- {TRUST_FILE}", "then the change by a command: sealpipe trust --help"),
    )


def _own_pin(project: str, chain: RootChain) -> Pin:
    return Pin(root_digest(project, chain.roots[0]), 0, "")


def _keyring_rules(workspace: Workspace, environment: str, trust: Trust, verify: Verify) -> Iterator[Finding]:
    try:
        check_keyring(workspace.keyrings[environment], trust, verify, environment=environment)
    except TrustError as error:
        yield error.finding


def settled_version(workspace: Workspace) -> int:
    """The version of trust.yaml that the target branch has and ours follows; 0 when there is none.

    A version is worth remembering only from there on: a branch may be given up.
    """
    target = target_of(workspace)
    ours = workspace.trust
    if target is None or target.trust is None or ours is None:
        return 0
    follows = target.trust.digest == ours.digest or target.trust.digest in ours.past
    return target.trust.version if follows else 0


# ---- the target branch


def target_ref(workspace: Workspace, branch: str) -> str | None:
    """The remote's branch as last fetched, else the local one, else None (a new repository, no git)."""
    if not workspace.commit.commit:
        return None
    for ref in (f"refs/remotes/origin/{branch}", f"refs/heads/{branch}"):
        if git.resolve(workspace.root, ref) is not None:
            return ref
    return None


def target_refs(workspace: Workspace) -> list[str]:
    """Where to look for what must not be undone: the target branch, or HEAD where there is none."""
    found = next((ref for b in _branches(workspace) if (ref := target_ref(workspace, b))), None)
    return [found or "HEAD"]


def target_of(workspace: Workspace) -> TrustFiles | None:
    """The trust files of the target branch (trust.yaml's `branch` of the environments; `main` mostly)."""
    return _files_at(workspace, target_refs(workspace)[0])


def _files_at(workspace: Workspace, ref: str) -> TrustFiles | None:
    return None if ref == "HEAD" else read_trust(CommitTree(workspace.root, ref))


def _branches(workspace: Workspace) -> list[str]:
    environments = workspace.trust.environments.values() if workspace.trust else ()
    named = [entry.branch for entry in sorted(environments, key=lambda entry: not entry.protected)]
    return list(dict.fromkeys([*named, "main"]))


def _against_target(workspace: Workspace, target: HasTrust) -> Iterator[Finding]:
    if target.trust is not None and workspace.trust is not None:
        yield from _compare(workspace, TRUST_FILE, "trust", workspace.trust, target.trust)
    for environment, theirs in target.keyrings.items():
        ours = workspace.keyrings.get(environment)
        file = keyring_file(environment)
        if ours is not None:
            yield from _compare(workspace, file, "keyring", ours, theirs)
        elif environment in workspace.project.environments and not _unread(workspace, file):
            yield Finding(
                "forked-keyring",
                f"the keyring of {environment} is gone; the target branch has it",
                Where(file),
                hint=(_take(workspace, file),),
            )


def _below_own_history(
    workspace: Workspace, ref: str, target: HasTrust | None, verify: Verify
) -> list[Finding]:
    """Files below what the branch itself has had, unless they are the target's: to repeat a change on
    those, a branch goes back on purpose."""
    if target is None or git.resolve(workspace.root, "HEAD") == git.resolve(workspace.root, ref):
        return []
    taken = _as_target(workspace, target)
    older = history_findings(workspace, ["HEAD"], verify=verify)
    return [f for f in older if f.where is None or f.where.file not in taken]


def _as_target(workspace: Workspace, target: HasTrust) -> set[str]:
    """The files under trust/ that are the target branch's own."""
    pairs: list[tuple[str, Trust | Keyring | None, Trust | Keyring | None]] = [
        (keyring_file(name), ours, target.keyrings.get(name)) for name, ours in workspace.keyrings.items()
    ]
    pairs.append((TRUST_FILE, workspace.trust, target.trust))
    return {file for file, ours, theirs in pairs if ours and theirs and ours.digest == theirs.digest}


def _unread(workspace: Workspace, file: str) -> bool:
    return any(f.where is not None and f.where.file == file for f in workspace.findings)


def _compare(
    workspace: Workspace, file: str, kind: str, ours: Trust | Keyring, theirs: Trust | Keyring
) -> Iterator[Finding]:
    if ours.digest == theirs.digest or theirs.digest in ours.past:
        return
    if ours.digest in theirs.past:
        untouched = _untouched(workspace, file)
        yield Finding(
            f"older-{kind}",
            f"this is version {ours.version}; the target branch has version {theirs.version}",
            Where(file),
            why=("an old one would give back what was revoked since",),
            hint=(_take(workspace, file),),
            severity="warning" if untouched else "error",
        )
        return
    yield Finding(
        f"forked-{kind}",
        f"this version {ours.version} does not follow the target branch's version {theirs.version}",
        Where(file),
        why=("both were changed since they parted; taking one side would undo the other's change",),
        hint=(_take(workspace, file), "then repeat the command that made your change"),
    )


def _take(workspace: Workspace, file: str) -> str:
    ref = target_refs(workspace)[0]
    return f"git checkout {ref.removeprefix('refs/remotes/').removeprefix('refs/heads/')} -- {file}"


def _untouched(workspace: Workspace, file: str) -> bool:
    # A branch that only lies behind gets the target's file when it is merged.
    ref = target_refs(workspace)[0]
    base = git.merge_base(workspace.root, "HEAD", ref)
    if base is None or base == git.resolve(workspace.root, ref):
        return False
    return git.file_at(workspace.root, base, file) == WorkTree(workspace.root).read(file)
