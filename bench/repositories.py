"""Repositories to measure on, made with the program itself in a folder that is thrown away."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

FIELDS = 50
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


def values() -> dict[str, Any]:
    """A service's configuration: ten groups of fields, and a secret in each of five groups."""
    groups: dict[str, Any] = {}
    for at in range(FIELDS):
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


def published_service(bench: Bench) -> tuple[Path, dict[str, str]]:
    """A published service and the variables that start it. Also writes the same values as plain JSON."""
    repository = bench.folder / "one"
    repository.mkdir()
    bench.sealpipe(repository, "init")
    bench.sealpipe(repository, "add", "service", "orders", "--in", "dev")
    (repository / "schemas" / "orders.schema.json").write_text(json.dumps(schema(values()), indent=2))
    (repository / "environments" / "dev" / "orders.yaml").write_text(as_yaml(values()))
    bench.sealpipe(repository, "seal", "dev/orders")
    told = json.loads(bench.sealpipe(repository, "connect", "dev/orders", "--format", "json"))
    bench.sealpipe(repository, "publish", "dev")
    (bench.folder / "plain.json").write_text(json.dumps(values()))
    return repository, {**told["env"], "SEALPIPE_KEY_FILE": told["key_file"]}


def many_services(bench: Bench, count: int) -> Path:
    """A repository of `count` services with two documents each: base and dev."""
    repository = bench.folder / "many"
    repository.mkdir()
    bench.sealpipe(repository, "init")
    plain = {name: {k: v for k, v in group.items() if k != "secret"} for name, group in values().items()}
    text, rules = as_yaml(plain), json.dumps(schema(plain))
    for at in range(count):
        name = f"service-{at:04}"
        (repository / "schemas" / f"{name}.schema.json").write_text(rules)
        for environment in ("base", "dev"):
            (repository / "environments" / environment / f"{name}.yaml").write_text(text)
    (bench.folder / "rules.json").write_text(rules)
    return repository


def as_yaml(of: Mapping[str, Any]) -> str:
    lines = []
    for group, fields in of.items():
        lines.append(f"{group}:")
        lines += [f"  {name}: {json.dumps(value)}" for name, value in fields.items()]
    return "\n".join(lines) + "\n"
