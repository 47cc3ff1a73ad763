"""The files under trust/ of a working copy or a commit, as values. Proves nothing."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Protocol

from sealpipe.errors import Finding, InputError, SealpipeError, TrustError, Where
from sealpipe.frozen import frozen
from sealpipe.keyrings import Keyring, parse_keyring
from sealpipe.roots import ROOTS_FILE
from sealpipe.trees import Tree
from sealpipe.trust import TRUST_FILE, RootChain, Trust, parse_roots, parse_trust

_KEYRING = re.compile(r"([a-z0-9](?:[a-z0-9_-]*[a-z0-9])?)\.keyring\.yaml")


class HasTrust(Protocol):
    """A Workspace, or the trust files of another commit."""

    @property
    def trust(self) -> Trust | None: ...
    @property
    def roots(self) -> RootChain | None: ...
    @property
    def keyrings(self) -> Mapping[str, Keyring]: ...


@frozen
class TrustFiles:
    """Made by `read_trust`: the files under trust/ as values; `findings` are those that could not be read."""

    trust: Trust | None
    roots: RootChain | None
    keyrings: Mapping[str, Keyring]  # by the environment that the file is named for
    findings: tuple[Finding, ...]


def read_trust(tree: Tree) -> TrustFiles:
    """The trust files of a working copy or commit. Proves nothing; never raises for a bad file."""
    findings: list[Finding] = []
    trust = roots = None
    keyrings: dict[str, Keyring] = {}

    def data(path: str) -> dict[str, Any] | None:
        try:
            return _yaml(tree, path)
        except InputError as error:
            findings.extend(error.findings)
        except SealpipeError as error:
            findings.append(error.finding)
        return None

    def parsed(path: str, parse: Any) -> Any:
        found = data(path)
        try:
            return None if found is None else parse(found, path)
        except TrustError as error:
            findings.append(error.finding)
        return None

    trust = parsed(TRUST_FILE, parse_trust)
    chain = parsed(ROOTS_FILE, parse_roots)
    if chain is not None:
        project, roots = chain
        if trust is not None and project != trust.project:
            findings.append(foreign(ROOTS_FILE, "the chain of roots belongs to another project"))
    for name in tree.list("trust"):
        match = _KEYRING.fullmatch(name)
        keyring = parsed(f"trust/{name}", parse_keyring) if match else None
        if match and keyring is not None:
            keyrings[match[1]] = keyring
    return TrustFiles(trust, roots, keyrings, tuple(findings))


def _yaml(tree: Tree, path: str) -> dict[str, Any] | None:
    from sealpipe.documents.read import read_yaml

    text = tree.read(path)
    return None if text is None else read_yaml(text, file=path)


def foreign(file: str, what: str) -> Finding:
    return Finding("foreign-trust", what, Where(file), why=("its signatures say nothing about this project",))
