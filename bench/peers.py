"""The programs measured beside ours. One that is missing is named with the command that brings it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

SOPS = "3.13.3"
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "sealpipe-bench"
BRING = {
    "sops": f"GOBIN={CACHE}/sops-{SOPS} go install github.com/getsops/sops/v3/cmd/sops@v{SOPS}",
    "ajv": f"npm install --prefix {CACHE}/ajv ajv-cli@5.0.0",
    # ruamel.yaml 0.19 leaves its C parser out: without it this peer takes three times as long.
    "check-jsonschema": f"python3 -m venv {CACHE}/check-jsonschema && "
    f"{CACHE}/check-jsonschema/bin/pip install check-jsonschema==0.39.0 ruamel.yaml.clib==0.2.15",
    "dynaconf": f"python3 -m venv {CACHE}/dynaconf && "
    f"{CACHE}/dynaconf/bin/pip install dynaconf==3.3.5 redis==8.1.0",
    "py-consul": f"python3 -m venv {CACHE}/py-consul && "
    f"{CACHE}/py-consul/bin/pip install py-consul==1.6.0 pydantic==2.14.4",
    "pydantic-settings-aws": f"python3 -m venv {CACHE}/aws && "
    f"{CACHE}/aws/bin/pip install 'pydantic-settings[aws-secrets-manager]==2.16.3' pydantic==2.14.4",
    "redis-server": "apt-get install redis-server",
}
_PLACES = {
    "sops": CACHE / f"sops-{SOPS}",
    "ajv": CACHE / "ajv" / "node_modules" / ".bin",
    "check-jsonschema": CACHE / "check-jsonschema" / "bin",
}
# Peers that are libraries: where their Python is, and what it must be able to import.
_LIBRARIES = {
    "dynaconf": ("dynaconf", "dynaconf, redis"),
    "py-consul": ("py-consul", "consul, pydantic"),
    "pydantic-settings-aws": ("aws", "boto3, pydantic_settings"),
}


def peer(name: str) -> str | None:
    """Where a peer is; None, said loudly, where it is not."""
    folder = _PLACES[name]
    found = shutil.which(name, path=str(folder))
    if found is not None and name == "check-jsonschema" and not _parses_in_c(folder / "python"):
        found = None
    if found is None:
        print(f"SKIPPED: {name} is not in {folder}. To have it:\n    {BRING[name]}", file=sys.stderr)
    return found


def python_with(name: str) -> str | None:
    """The Python that has a peer which is a library; None, said loudly, where there is none."""
    folder, modules = _LIBRARIES[name]
    python = CACHE / folder / "bin" / "python"
    done = python.exists() and subprocess.run(
        [str(python), "-c", f"import {modules}"], check=False, capture_output=True
    )
    if done and not done.returncode:
        return str(python)
    print(f"SKIPPED: {name} is not in {python.parent}. To have it:\n    {BRING[name]}", file=sys.stderr)
    return None


def server(name: str) -> str | None:
    """A peer's server from the search path; None, said loudly, where there is none."""
    found = shutil.which(name)
    if found is None:
        print(f"SKIPPED: {name} is not here. To have it:\n    {BRING[name]}", file=sys.stderr)
    return found


def _parses_in_c(python: Path) -> bool:
    """A peer on a pure Python parser would make us look three times better than we are."""
    asked = "import sys, ruamel.yaml as r; sys.exit(not r.__with_libyaml__)"
    return subprocess.run([str(python), "-c", asked], check=False).returncode == 0


def sops_files(sops: str, key: Path, plain: Path, folder: Path, count: int = 1) -> list[str]:
    """`count` files as sops encrypts `plain` for the age key in `key`."""
    public = next(line.split()[-1] for line in key.read_text().splitlines() if "age1" in line)
    command = [sops, "--disable-version-check", "encrypt", "--age", public, str(plain)]
    done = subprocess.run(command, capture_output=True, check=True)
    folder.mkdir()
    files = [folder / f"{at:04}.yaml" for at in range(count)]
    for file in files:
        file.write_bytes(done.stdout)
    return [str(file) for file in files]
