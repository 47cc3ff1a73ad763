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
}
_PLACES = {
    "sops": CACHE / f"sops-{SOPS}",
    "ajv": CACHE / "ajv" / "node_modules" / ".bin",
    "check-jsonschema": CACHE / "check-jsonschema" / "bin",
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
