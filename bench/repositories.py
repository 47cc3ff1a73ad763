"""Repositories to measure on, made with the program itself in a folder that is thrown away."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

FIELDS = 50
LONG = 100  # fields of a document of 2 KB
SECRETS = 5


class Bench:
    """A folder with a home of its own, and the Python whose sealpipe is measured."""

    def __init__(self, folder: Path, python: Path) -> None:
        self.folder = folder
        self.python = str(python)
        kept = {name: os.environ[name] for name in ("PATH", "LANG", "TMPDIR") if name in os.environ}
        self.environ = {**kept, "HOME": str(folder), "XDG_CONFIG_HOME": str(folder / "config")}

    def sealpipe(self, repository: Path, *arguments: str) -> str:
        done = subprocess.run(
            [self.python, "-m", "sealpipe", *arguments],
            cwd=repository,
            env=self.environ,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise SystemExit(f"sealpipe {' '.join(arguments)}:\n{done.stderr}")
        return done.stdout


def values(fields: int = FIELDS) -> dict[str, Any]:
    """A service's configuration: ten groups of fields, and a secret in each of five groups."""
    groups: dict[str, Any] = {}
    for at in range(fields):
        group = groups.setdefault(f"group_{at % 10}", {})
        group[f"field_{at}"] = at if at % 2 else f"value {at}"
    for at in range(SECRETS):
        groups[f"group_{at}"]["secret"] = f"not so secret {at} in a benchmark"
    return groups


def schema(of: Mapping[str, Any]) -> dict[str, Any]:
    """A closed schema that these values fit; the fields called `secret` are marked so."""
    properties = {}
    for name, value in of.items():
        if isinstance(value, Mapping):
            properties[name] = schema(value)
        elif isinstance(value, int):
            properties[name] = {"type": "integer"}
        else:
            properties[name] = {"type": "string", **({"writeOnly": True} if name == "secret" else {})}
    return {"type": "object", "additionalProperties": False, "properties": properties}


def published_service(
    bench: Bench, name: str = "one", url: str = "file:.sealpipe/store"
) -> tuple[Path, dict[str, str]]:
    """A published service and the variables that start it. Also writes the same values as plain JSON."""
    repository = new(bench, name)
    publish_to(repository, url)
    bench.sealpipe(repository, "add", "service", "orders", "--in", "dev")
    (repository / "schemas" / "orders.schema.json").write_text(json.dumps(schema(values()), indent=2))
    (repository / "environments" / "dev" / "orders.yaml").write_text(as_yaml(values()))
    bench.sealpipe(repository, "seal", "dev/orders")
    told = json.loads(bench.sealpipe(repository, "connect", "dev/orders", "--format", "json"))
    bench.sealpipe(repository, "publish", "dev")
    (bench.folder / "plain.json").write_text(json.dumps(values()))
    return repository, {**told["env"], "SEALPIPE_KEY_FILE": told["key_file"]}


def many_documents(bench: Bench, services: int, environments: int) -> Path:
    """Services in `environments` environments (base is one of them), a document of 2 KB for each pair."""
    repository = new(bench, "many")
    plain = {n: {k: v for k, v in g.items() if k != "secret"} for n, g in values(LONG).items()}
    text, rules = as_yaml(plain), json.dumps(schema(plain))
    names = ["base", "dev", *(f"region-{at:02}" for at in range(environments - 2))]
    project = repository / "sealpipe.yaml"
    added = "".join(f"  {name}: {{publish_to: file:.sealpipe/store}}\n" for name in names[2:])
    project.write_text(project.read_text().rstrip("\n") + "\n" + added)
    for at in range(services):
        name = f"service-{at:04}"
        (repository / "schemas" / f"{name}.schema.json").write_text(rules)
        for environment in names:
            file = repository / "environments" / environment / f"{name}.yaml"
            file.parent.mkdir(exist_ok=True)
            file.write_text(text)
    (bench.folder / "rules.json").write_text(rules)
    return repository


def new(bench: Bench, name: str) -> Path:
    """A repository fresh from `init`, with the keys that go with it."""
    repository = bench.folder / name
    repository.mkdir()
    bench.sealpipe(repository, "init")
    return repository


def publish_to(repository: Path, url: str) -> None:
    """Let dev be published somewhere else than in a folder."""
    project = repository / "sealpipe.yaml"
    project.write_text(project.read_text().replace("file:.sealpipe/store}", f"{json.dumps(url)}}}"))


def git(bench: Bench, repository: Path, *words: str) -> None:
    who = ["-c", "user.name=bench", "-c", "user.email=bench@example.org", "-c", "gc.auto=0"]
    subprocess.run(["git", *who, *words], cwd=repository, env=bench.environ, check=True, capture_output=True)


def commit(bench: Bench, repository: Path) -> None:
    """Commit everything as it is."""
    git(bench, repository, "add", "--all")
    git(bench, repository, "commit", "--quiet", "--message", "change")


def sealed_services(bench: Bench, name: str, count: int, secrets: int) -> Path:
    """A repository of `count` services in dev with `secrets` sealed values each; the values in a file too."""
    repository = new(bench, name)
    of = {"s": {f"secret_{at:04}": f"value {at} of a benchmark" for at in range(secrets)}}
    rules = schema(of)
    for field in rules["properties"]["s"]["properties"].values():
        field["writeOnly"] = True
    for at in range(count):
        (repository / "schemas" / f"service-{at:04}.schema.json").write_text(json.dumps(rules))
        (repository / "environments" / "dev" / f"service-{at:04}.yaml").write_text(as_yaml(of))
    bench.sealpipe(repository, "seal")
    (bench.folder / f"{name}.plain.yaml").write_text(as_yaml(of))
    return repository


def plain_services(bench: Bench, name: str, count: int) -> Path:
    """A repository of `count` services in dev without secrets, 50 fields each."""
    repository = new(bench, name)
    plain = {n: {k: v for k, v in g.items() if k != "secret"} for n, g in values().items()}
    text, rules = as_yaml(plain), json.dumps(schema(plain))
    for at in range(count):
        (repository / "schemas" / f"service-{at:04}.schema.json").write_text(rules)
        (repository / "environments" / "dev" / f"service-{at:04}.yaml").write_text(text)
    return repository


def as_yaml(of: Mapping[str, Any]) -> str:
    lines = []
    for group, fields in of.items():
        lines.append(f"{group}:")
        lines += [f"  {name}: {json.dumps(value)}" for name, value in fields.items()]
    return "\n".join(lines) + "\n"
