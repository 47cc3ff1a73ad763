"""A shop that publishes: two people, a CI key, a protected environment with approvals, git with a remote."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from sealpipe.cli.main import main
from sealpipe.crypto import bech32
from sealpipe.crypto.keys import IDENTITY_PREFIX, SIGNING_PREFIX, format_public
from sealpipe.editing.writing import apply
from sealpipe.membership.signed_files import add_signatures
from sealpipe.membership.trust_edit import new_trust, trust_files
from sealpipe.trust import parse_trust
from team import ANNA, BEN, CI, PROJECT, Team, git

SECRETS = {"anna": bytes([1]) * 32, "ben": bytes([2]) * 32, "ci": bytes([9]) * 32}
PROJECT_TEXT = f"""\
format: 1
project: {PROJECT}
environments:
  base: {{}}
  dev: {{publish_to: "file:.sealpipe/store"}}
  production: {{publish_to: "file:.sealpipe/store", mirrors: ["file:.sealpipe/mirror"]}}
"""


def schema(**top: Any) -> dict[str, Any]:
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "properties": top,
        "additionalProperties": False,
    }


def closed(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "additionalProperties": False}


CHECKOUT = schema(
    http=closed(timeout_s={"type": "integer", "minimum": 1}, port={"type": "integer", "default": 8080}),
    db=closed(
        pool_max={"type": "integer", "minimum": 1, "maximum": 100},
        host={"type": "string"},
        password={"type": "string", "writeOnly": True},
    ),
    features={"type": "object", "additionalProperties": {"type": "boolean"}},
)
MAILER = schema(
    smtp=closed(
        host={"type": "string", "x-restart": True},
        password={"type": "string", "writeOnly": True},
    )
)


class Done(NamedTuple):
    """How a command ended."""

    code: int
    out: str
    err: str


class Shop(Team):
    """`run` is the command line, in this process; `become` changes whose keys it finds."""

    def __init__(
        self, root: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        super().__init__(root, environments=("dev", "production"))
        self.patch, self._capsys = monkeypatch, capsys
        self.screen = False  # whether stdout is a terminal to the command
        self._trust_data: dict[str, Any] = {}
        self.write("sealpipe.yaml", PROJECT_TEXT)
        for name in ("mailer", "_payments"):
            Path(root, f"environments/production/{name}.yaml").unlink()
        for name, content in {"checkout": CHECKOUT, "mailer": MAILER}.items():
            self.write(f"schemas/{name}.schema.json", json.dumps(content, indent=2) + "\n")
        self.write("environments/base/checkout.yaml", "features:\n  one_click: false\n")
        for environment in ("dev", "production"):
            keyring = self.load().keyrings[environment]
            self.seal(keyring, "checkout", {("db", "password"): f"pw-{environment}"})
            self.set(
                f"environments/{environment}/checkout.yaml",
                "  pool: 10",
                "  pool_max: 20\nhttp:\n  timeout_s: 5",
            )
        self.write("environments/production/mailer.yaml", "smtp:\n  host: smtp.old\n")
        self.write(".gitignore", ".sealpipe/\n")
        monkeypatch.chdir(root)
        self.trust_now()
        self.commit("shop")
        self.remote()

    def set(self, file: str, old: str, new: str) -> None:
        """Replace text that stands in a file once."""
        text = Path(self.root, file).read_text()
        assert text.count(old) == 1, (file, old)
        self.write(file, text.replace(old, new))

    def seal_again(self, environment: str, plain: str) -> None:
        """checkout's file with its password sealed anew and these plain values."""
        keyring = self.load().keyrings[environment]
        self.seal(keyring, "checkout", {("db", "password"): f"another-{environment}"})
        self.set(f"environments/{environment}/checkout.yaml", "pool: 10", plain)

    def trust_now(self, change: Callable[[dict[str, Any]], None] = lambda _: None, version: int = 2) -> None:
        """A signed trust.yaml: ci publishes to production, anna and ben approve and break the glass."""
        data = new_trust(PROJECT, "anna", ANNA, ["dev", "production"], since="2026-05-04")
        data["version"] = version
        data["past"] = [parse_trust(self._trust_data).digest] if version > 2 else [self.trust.digest]
        data["keys"]["ben"] = {
            "sign": format_public("ed25519", BEN.sign.public),
            "read": BEN.read.recipient,
            "kind": "person",
        }
        data["keys"]["ci"] = {"sign": format_public("ed25519", CI.public), "kind": "machine"}
        data["environments"]["dev"].update(publishers=["anna", "ben", "ci"])
        data["environments"]["production"].update(
            publishers=["ci"], break_glass=["anna", "ben"], protected=True, branch="main"
        )
        change(data)
        registry = {"anna": ANNA.sign.public}
        data = add_signatures(
            {k: v for k, v in data.items() if k != "signatures"}, "TRUST", registry, [ANNA.sign]
        )
        self._trust_data = data
        apply(str(self.root), trust_files(str(self.root), data))
        self.pin(os.environ)

    def approvals(self, need: int = 1) -> None:
        """From now on production asks for approvals; committed and pushed."""

        def ask(data: dict[str, Any]) -> None:
            data["environments"]["production"]["approvals"] = {"need": need, "of": ["anna", "ben"]}

        self.trust_now(ask, version=3)
        self.push("approvals")

    def remote(self) -> None:
        bare = self.root.parent / "origin.git"
        git(self.root, "clone", "-q", "--bare", str(self.root), str(bare))
        git(self.root, "remote", "add", "origin", str(bare))
        git(self.root, "fetch", "-q", "origin")
        git(self.root, "branch", "-q", "--set-upstream-to=origin/main")

    def push(self, message: str = "change") -> str:
        commit = self.commit(message)
        git(self.root, "push", "-q", "origin", "HEAD:main")
        return commit

    def become(self, name: str) -> None:
        """Whose keys the next commands find; "" for nobody."""
        for variable in ("SEALPIPE_KEY", "SEALPIPE_SIGNING_KEY"):
            self.patch.delenv(variable, raising=False)
        if name == "ci":
            self.patch.setenv("SEALPIPE_SIGNING_KEY", bech32.encode(SIGNING_PREFIX, SECRETS[name]).upper())
        elif name:
            self.patch.setenv("SEALPIPE_KEY", bech32.encode(IDENTITY_PREFIX, SECRETS[name]).upper())

    def run(self, *words: str, by: str | None = None) -> Done:
        if by is not None:
            self.become(by)
        self._capsys.readouterr()
        if self.screen:
            self.patch.setattr(sys.stdout, "isatty", lambda: True)
        code = main(list(words))
        out, err = self._capsys.readouterr()
        return Done(code, out, err)

    def ok(self, *words: str, by: str | None = None) -> Done:
        done = self.run(*words, by=by)
        assert done.code == 0, done
        return done

    def json(self, *words: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.run(*words, "--format", "json").out)
        return found

    def head(self, environment: str, service: str, store: str = "store") -> Path:
        return Path(self.root, ".sealpipe", store, environment, "heads", service)
