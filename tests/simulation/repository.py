"""Five commits of one repository, as real workspaces: what the simulated publishers publish.

Made once a process and only read: commits, trust and drafts are the same in every run.
"""

from __future__ import annotations

import atexit
import functools
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from sealpipe import caches
from sealpipe.crypto.keys import SigningKey, format_public
from sealpipe.documents.write import dump_yaml
from sealpipe.flows.drafts import Rendered, render
from sealpipe.membership.signed_files import add_signatures
from sealpipe.model import Workspace
from sealpipe.released import Unit
from sealpipe.stages.inputs import Inputs
from sealpipe.stages.load import load, units
from sealpipe.trees import CommitTree
from sealpipe.trust import TRUST_FILE, Pin, Trust, parse_pins, parse_trust, pin_text, root_of

PROJECT = "5b0c7a1e9f2d4c6688aa01d3e7f4b912"
ENVIRONMENT = "dev"
A, B = Unit(ENVIRONMENT, "a"), Unit(ENVIRONMENT, "b")
NAMES = ("anna", "one", "two", "three", "stranger")
KEYS = {name: SigningKey(bytes([number]) * 32) for number, name in enumerate(NAMES, 1)}

LARGE = "x" * 2600  # needs chunks, at the size that the simulation gives them
# An older commit changes what a newer one does not touch, and the other way round.
COMMITS: tuple[tuple[Mapping[str, Any], Mapping[str, Any]], ...] = (
    ({"n": 0}, {"n": 0}),
    ({"n": 0}, {"n": 1, "text": LARGE}),
    ({"n": 0}, {"n": 0}),  # takes it back
    ({"n": 1, "text": LARGE}, {"n": 0}),
    ({"n": 2, "text": LARGE[1:]}, {"n": 2}),
)

SCHEMA = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "properties": {"n": {"type": "integer"}, "text": {"type": "string"}},
    "additionalProperties": False,
}


class Repository(NamedTuple):
    """Commits oldest first; each contains those before it."""

    root: str
    workspaces: tuple[Workspace, ...]
    rendered: tuple[Rendered, ...]
    trust: Trust
    pins: tuple[Pin, ...]

    @property
    def commits(self) -> tuple[str, ...]:
        return tuple(workspace.commit.commit for workspace in self.workspaces)

    def inputs(self, number: int) -> Inputs:
        """As `stages.inputs` has them of files."""
        return _Known(self.workspaces[number])

    def draft_digest(self, number: int, unit: Unit) -> str:
        return self.rendered[number].drafted[unit].digest


class _Known(Inputs):
    """Of a workspace that is there."""

    def __init__(self, workspace: Workspace) -> None:
        super().__init__(None, "all", {})  # type: ignore[arg-type]  # there is no tree to read
        documents = workspace.documents
        self._digests = {one.name: caches.digest(documents[one].text.encode()) for one in documents}


@functools.cache
def repository() -> Repository:
    """The repository, made at the first call."""
    root = Path(tempfile.mkdtemp(prefix="sealpipe-simulation-"))
    atexit.register(shutil.rmtree, root, ignore_errors=True)
    trust = _trust()
    _write(root, TRUST_FILE, dump_yaml(trust))
    _write(root, "sealpipe.yaml", _PROJECT_TEXT)
    for name in ("a", "b"):
        _write(root, f"schemas/{name}.schema.json", json.dumps(SCHEMA) + "\n")
    _git(root, "init", "-q", "-b", "main")
    _git(root, "remote", "add", "origin", str(root))
    workspaces = []
    for number, (a, b) in enumerate(COMMITS):
        _write(root, f"environments/{ENVIRONMENT}/a.yaml", json.dumps(a) + "\n")
        _write(root, f"environments/{ENVIRONMENT}/b.yaml", json.dumps(b) + "\n")
        _git(root, "add", "-A")
        _git(root, "commit", "-q", "-m", f"commit {number}")
        _git(root, "update-ref", "refs/remotes/origin/main", "HEAD")
        workspaces.append(load(CommitTree(str(root), "HEAD")))
    parsed = parse_trust(trust)
    return Repository(
        str(root),
        tuple(workspaces),
        tuple(render(workspace, units(workspace)) for workspace in workspaces),
        parsed,
        parse_pins(pin_text(PROJECT, root_of(parsed))),
    )


_PROJECT_TEXT = f"""\
format: 1
project: {PROJECT}
environments:
  {ENVIRONMENT}: {{publish_to: "file:.sealpipe/store"}}
"""


def _trust() -> dict[str, Any]:
    publishers = ["one", "two", "three"]
    data: dict[str, Any] = {
        "format": 1,
        "project": PROJECT,
        "version": 1,
        "root": ["anna"],
        "keys": {
            name: {"sign": format_public("ed25519", KEYS[name].public), "kind": "machine"} for name in NAMES
        },
        "environments": {
            ENVIRONMENT: {
                "admins": ["anna"],
                "publishers": publishers,
                "protected": True,
                "branch": "main",
            }
        },
    }
    return add_signatures(data, "TRUST", {"anna": KEYS["anna"].public}, [KEYS["anna"]])


def _write(root: Path, name: str, text: str) -> None:
    file = root / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text, encoding="utf-8")


def _git(root: Path, *args: str) -> None:
    who = ["-c", "user.name=Anna Example", "-c", "user.email=anna@example.org"]
    # Fixed times: the same commits in every process, so that a seed is the same run everywhere.
    when = "2026-05-04T00:00:00+00:00"
    dates = {"GIT_AUTHOR_DATE": when, "GIT_COMMITTER_DATE": when}
    subprocess.run(
        ["git", *who, *args], cwd=root, check=True, capture_output=True, env={**os.environ, **dates}
    )
