"""A real repository of two people: keys, trust, keyrings, sealed values, git. Shared by tests of trust."""

from __future__ import annotations

import atexit
import functools
import json
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from sealpipe.checks.trusted import trusted_findings
from sealpipe.crypto.keys import Identity, SigningKey
from sealpipe.crypto.sealing import Sealer
from sealpipe.documents.read import read_yaml
from sealpipe.editing.writing import apply
from sealpipe.keyrings import Keyring, keyring_data
from sealpipe.membership.keyring_edit import KeyringEdit, keyring_files, new_keyring, signed_keyring
from sealpipe.membership.trust_edit import TrustEdit, new_trust, trust_files
from sealpipe.model import Workspace
from sealpipe.paths import Path as SettingPath
from sealpipe.pins import find_pins, store_pin
from sealpipe.stages.load import load
from sealpipe.tokens import place
from sealpipe.trees import WorkTree
from sealpipe.trust import TRUST_FILE, Pin, parse_pins, parse_trust, pin_text, root_of

PROJECT = "5b0c7a1e9f2d4c6688aa01d3e7f4b912"
ANNA, BEN, CARL = (Identity(bytes([number]) * 32) for number in (1, 2, 3))
CI = SigningKey(bytes([9]) * 32)

PROJECT_TEXT = f"""\
format: 1
project: {PROJECT}
environments:
  base: {{}}
  dev: {{publish_to: file:.sealpipe/store}}
  production: {{publish_to: file:.sealpipe/store}}
  production-eu: {{publish_to: file:.sealpipe/store, extends: production, services: inherit}}
services:
  checkout: {{layers: [_payments]}}
"""


def git(root: Path, *args: str) -> str:
    done = subprocess.run(["git", *args], cwd=root, check=True, capture_output=True, text=True)
    return done.stdout.strip()


def _schema(*groups: tuple[str, str]) -> str:
    """A closed schema of maps that hold a pool size and one secret each."""
    inner = {
        name: {
            "type": "object",
            "additionalProperties": False,
            "properties": {"pool": {"type": "integer"}, secret: {"type": "string", "writeOnly": True}},
        }
        for name, secret in groups
    }
    return json.dumps({"type": "object", "additionalProperties": False, "properties": inner}, indent=2) + "\n"


@functools.cache
def _template(environments: tuple[str, ...]) -> Path:
    folder = Path(tempfile.mkdtemp(prefix="sealpipe-team-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    Team.make(folder, environments)
    return folder


class Team:
    """A repository in a folder; `anna` is everything at first."""

    def __init__(
        self, root: Path, environments: Iterable[str] = ("dev", "production", "production-eu")
    ) -> None:
        self.root = root
        self.sealer = Sealer()
        shutil.copytree(_template(tuple(environments)), root, dirs_exist_ok=True, symlinks=True)
        self.trust = parse_trust(read_yaml((root / TRUST_FILE).read_text(), file=TRUST_FILE))

    @classmethod
    def make(cls, root: Path, environments: tuple[str, ...]) -> None:
        """The repository as every test finds it; made once for each set of environments."""
        self = cls.__new__(cls)
        self.root, self.sealer = root, Sealer()
        self.write("sealpipe.yaml", PROJECT_TEXT)
        self.write("schemas/checkout.schema.json", _schema(("db", "password")))
        self.write("schemas/mailer.schema.json", _schema(("smtp", "password")))
        self.write("schemas/_payments.schema.json", _schema(("psp", "token")))
        data = new_trust(PROJECT, "anna", ANNA, list(environments), since="2026-05-04")
        self.trust = parse_trust(data)
        apply(str(root), trust_files(str(root), data))
        people = {"anna": ANNA.read.recipient}
        documents = {
            "dev": ["_all", "checkout"],
            "production": ["_all", "_payments", "checkout", "mailer"],
            "production-eu": ["checkout"],
        }
        for environment in environments:
            keyring = new_keyring(PROJECT, environment, documents[environment], people, since="2026-05-04")
            edit = signed_keyring(keyring_data(keyring), self.trust, [ANNA.sign])
            apply(str(root), keyring_files(str(root), [edit]))
        keyrings = self.load().keyrings
        for environment in environments:
            self.seal(keyrings[environment], "checkout", {("db", "password"): f"pw-{environment}"})
        if "production" in environments:
            self.seal(keyrings["production"], "_payments", {("psp", "token"): "tok"})
            self.seal(keyrings["production"], "mailer", {("smtp", "password"): "mail"})
        git(root, "init", "-q", "-b", "main", "--template=")
        self.commit("start")

    def write(self, file: str, text: str) -> None:
        path = self.root / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    def seal(self, keyring: Keyring, document: str, secrets: Mapping[SettingPath, Any]) -> None:
        """A document of nested maps with these secrets, a comment and a plain value beside them."""
        lines = ["# kept as it is"]
        for path, value in secrets.items():
            at = place(keyring.environment, document, path)
            token = self.sealer.seal(value, "str", at, keyring.keys[document].public)
            lines += [f"{path[0]}:", f"  {path[1]}: {token}   # secret", "  pool: 10"]
        self.write(f"environments/{keyring.environment}/{document}.yaml", "\n".join(lines) + "\n")

    def load(self) -> Workspace:
        return load(WorkTree(self.root))

    def commit(self, message: str = "change") -> str:
        git(self.root, "add", "-A")
        git(self.root, "commit", "-q", "--allow-empty", "-m", message)
        return git(self.root, "rev-parse", "HEAD")

    def take(self, *edits: TrustEdit | KeyringEdit) -> Workspace:
        """Write edits of trust and keyrings, and read the repository again."""
        for edit in edits:
            if isinstance(edit, TrustEdit):
                apply(str(self.root), trust_files(str(self.root), edit.data, edit.chain))
            else:
                apply(str(self.root), keyring_files(str(self.root), [edit]))
        return self.load()

    def pins(self) -> tuple[Pin, ...]:
        return parse_pins(pin_text(PROJECT, root_of(self.trust)))

    def words(self, workspace: Workspace | None = None, pins: tuple[Pin, ...] | None = None) -> list[str]:
        """The words of what is wrong with trust and keyrings."""
        chosen = self.pins() if pins is None else pins
        return [finding.word for finding in trusted_findings(workspace or self.load(), pins=chosen)]

    def pin(self, environ: Mapping[str, str]) -> tuple[Pin, ...]:
        store_pin(environ, self.trust)
        return find_pins(environ, PROJECT)
