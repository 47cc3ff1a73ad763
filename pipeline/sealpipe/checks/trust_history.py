"""The highest validly signed version of a trust file that git still has.

A restored older file is signed as well as the newer one; only the history tells. A shallow clone knows
only its part.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from sealpipe import git
from sealpipe.crypto.signing import verify as verify_signature
from sealpipe.errors import Finding, SealpipeError, TrustError, Where
from sealpipe.keyrings import check_keyring, keyring_file, parse_keyring
from sealpipe.model import Workspace
from sealpipe.trust import (
    TRUST_FILE,
    Trust,
    Verify,
    chain_for,
    check_root_signed,
    named_pairs,
    parse_trust,
)

_VERSION = re.compile(rb"^version:[ \t]*([0-9]{1,10})[ \t]*(?:#.*)?$", re.MULTILINE)


def history_findings(
    workspace: Workspace, refs: Sequence[str], *, verify: Verify = verify_signature
) -> list[Finding]:
    """A finding for each trust file below the highest validly signed version in the history of `refs`."""
    trust = workspace.trust
    if trust is None or not workspace.commit.commit:
        return []
    findings = []
    texts = _histories(workspace, refs)
    highest = _highest_trust(workspace, texts, verify)
    if highest > trust.version:
        findings.append(_older(TRUST_FILE, "trust", trust.version, highest))
    for environment, keyring in sorted(workspace.keyrings.items()):
        highest = _highest_keyring(workspace, environment, texts, verify)
        if highest > keyring.version:
            findings.append(_older(keyring_file(environment), "keyring", keyring.version, highest))
    return findings


def _older(file: str, kind: str, have: int, highest: int) -> Finding:
    return Finding(
        f"older-{kind}",
        f"this is version {have}; version {highest}, validly signed, is in the history",
        Where(file),
        why=("an old one would give back what was revoked since",),
        hint=(f"git log --oneline -- {file}",),
    )


def highest_trust(workspace: Workspace, refs: Sequence[str], *, verify: Verify = verify_signature) -> int:
    """The highest version of trust.yaml, ours included, that one of the chain's roots signed; 0 for none."""
    return _highest_trust(workspace, _histories(workspace, refs), verify)


Texts = Mapping[str, Sequence[bytes]]


def _histories(workspace: Workspace, refs: Sequence[str]) -> Texts:
    """All that the files under trust/ ever were; empty outside git."""
    return git.histories(workspace.root, refs, "trust") if workspace.commit.commit else {}


def _highest_trust(workspace: Workspace, texts: Texts, verify: Verify) -> int:
    trust = workspace.trust
    if trust is None:
        return 0
    highest = trust.version
    for text in _newer(texts, TRUST_FILE, trust.version):
        found: Trust | None = _quietly(lambda data: parse_trust(data, TRUST_FILE), text, TRUST_FILE)
        if found is not None and found.project == trust.project and _signed(found, workspace, verify):
            highest = max(highest, found.version)
    return highest


def _signed(found: Trust, workspace: Workspace, verify: Verify) -> bool:
    pairs = named_pairs(found.keys, found.signatures)
    for root in chain_for(workspace.trust or found, workspace.roots).roots:
        try:
            check_root_signed(root, found.body, pairs, verify)
        except TrustError:
            continue
        return True
    return False


def highest_keyring(
    workspace: Workspace, environment: str, refs: Sequence[str], *, verify: Verify = verify_signature
) -> int:
    """The highest version of a keyring, ours included, that today's admins signed; 0 for none."""
    return _highest_keyring(workspace, environment, _histories(workspace, refs), verify)


def _highest_keyring(workspace: Workspace, environment: str, texts: Texts, verify: Verify) -> int:
    ours = workspace.keyrings.get(environment)
    highest = ours.version if ours else 0
    if workspace.trust is None:
        return highest
    file = keyring_file(environment)
    for text in _newer(texts, file, highest):
        found = _quietly(lambda data: parse_keyring(data, file), text, file)
        if found is None:
            continue
        try:
            check_keyring(found, workspace.trust, verify, environment=environment)
        except TrustError:
            continue
        highest = max(highest, found.version)
    return highest


def _newer(texts: Texts, file: str, above: int) -> Iterator[bytes]:
    for text in texts.get(file, ()):
        stated = _VERSION.search(text)
        if stated is None or int(stated[1]) > above:
            yield text


def _quietly(parse: Callable[[Any], Any], text: bytes, file: str) -> Any:
    from sealpipe.documents.read import read_yaml

    try:
        return parse(read_yaml(text, file=file))
    except SealpipeError:
        return None
