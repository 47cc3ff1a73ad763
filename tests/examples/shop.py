"""The repository's own example, published to a store that a test names, with keys made for the test."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).parents[2]


def _maker() -> ModuleType:
    spec = importlib.util.spec_from_file_location("make_example", ROOT / "scripts/make_example.py")
    assert spec is not None
    assert spec.loader is not None
    found = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(found)
    return found


@dataclass
class Shop:
    """A repository in which `dev` is published; its owner is Anna."""

    made: object
    root: Path
    home: Path
    environ: dict[str, str]
    known: dict[str, dict[str, str]] = field(default_factory=dict)

    def run(self, *words: str, stdin: str = "") -> str:
        return self.made.run(*words, stdin=stdin.encode()).decode()  # type: ignore[attr-defined, no-any-return]

    def service(self, name: str) -> dict[str, str]:
        """The variables that start a service, and nothing of Anna's."""
        key = self.home / f"{name}.key"
        if name in self.known:
            return self.known[name]
        told = self.run("connect", f"dev/{name}", "--key-to", str(key), "--format", "json")
        self.run("publish", "dev")
        given = json.loads(told)["env"]
        kept = {n: v for n, v in os.environ.items() if not n.startswith("SEALPIPE_")}
        self.known[name] = {**kept, **self.environ, **given, "SEALPIPE_KEY_FILE": str(key)}
        return self.known[name]

    def change(self, service: str, path: str, value: str) -> None:
        self.run("set", f"dev/{service}", path, value)
        self.run("publish", f"dev/{service}")


def make_shop(folder: Path, url: str, environ: dict[str, str]) -> Shop:
    """Copied, with trust made anew and the secrets of dev sealed to it."""
    maker = _maker()
    made = maker.Shop(folder / "shop", folder / "home")
    made.home.mkdir(mode=0o700)
    made.environ.update(environ)
    for part in ("schemas", "environments"):
        shutil.copytree(ROOT / part, made.root / part)
    for other in ("staging", "production", "production-eu"):
        shutil.rmtree(made.root / "environments" / other)
    project = (ROOT / "sealpipe.yaml").read_text()
    project = re.sub(r"(?s)  staging:.*?(?=\nservices:)", "", project)
    project = project.replace("publish_to: file:.sealpipe/store", f"publish_to: {url}", 1)
    (made.root / "sealpipe.yaml").write_text(project)
    anna = made.person("anna")
    maker.first_signatures(made, anna)
    maker.SECRETS = {name: paths for name, paths in maker.SECRETS.items() if name.startswith("dev/")}
    maker.seal_secrets(made)
    shop = Shop(made, made.root, made.home, environ)
    shop.run("publish", "dev")
    return shop
