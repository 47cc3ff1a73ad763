"""The example repository at top level: valid as it stands, plannable without a key, and rich enough."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from sealpipe.model import Workspace
from sealpipe.stages.load import load, units
from sealpipe.tokens import looks_sealed, parse_token
from sealpipe.trees import WorkTree

ROOT = Path(__file__).parent.parent
PARTS = ("sealpipe.yaml", "trust", "schemas", "environments")


@pytest.fixture
def shop(tmp_path: Path) -> Path:
    """A copy: what commands write beside it stays out of the tree."""
    for part in PARTS:
        source = ROOT / part
        if source.is_dir():
            shutil.copytree(source, tmp_path / "shop" / part)
        else:
            (tmp_path / "shop").mkdir(exist_ok=True)
            shutil.copy(source, tmp_path / "shop" / part)
    return tmp_path / "shop"


@pytest.fixture
def workspace(shop: Path) -> Workspace:
    return load(WorkTree(str(shop)))


def sealpipe(shop: Path, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "sealpipe", *arguments],
        cwd=shop,
        env={**os.environ, **environ},
        capture_output=True,
        text=True,
        check=False,
    )


def pin(workspace: Workspace) -> str:
    from sealpipe.roots import pin_text
    from sealpipe.trust import root_of

    assert workspace.trust is not None
    return pin_text(workspace.project.id, root_of(workspace.trust))


def test_nothing_is_found_in_it(shop: Path, workspace: Workspace) -> None:
    done = sealpipe(shop, "validate", "--format", "json", SEALPIPE_TRUST=pin(workspace))
    assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(done.stdout)["findings"] == []


def test_every_environment_can_be_planned_without_a_key(shop: Path, workspace: Workspace) -> None:
    done = sealpipe(shop, "plan", "--format", "json", SEALPIPE_TRUST=pin(workspace))
    assert done.returncode == 0, done.stdout + done.stderr
    for service in ("checkout", "search", "mailer", "gateway", "payments-worker"):
        assert service in done.stdout


def test_it_shows_what_the_product_can_do(workspace: Workspace) -> None:
    texts = {name: json.dumps(schema.schema) for name, schema in workspace.schemas.items()}
    assert {"checkout", "search", "mailer", "gateway", "payments-worker", "_all", "_payments"} == set(texts)
    everything = "".join(texts.values())
    for word in ("oneOf", "x-merge-key", "format", "writeOnly", "$ref", "pattern", "dependentRequired"):
        assert f'"{word}"' in everything
    assert list(workspace.project.environments) == ["base", "dev", "staging", "production", "production-eu"]
    assert workspace.project.environments["production-eu"].inherit_services
    eu = {unit.service for unit in units(workspace) if unit.environment == "production-eu"}
    assert eu == {"checkout", "search", "mailer", "gateway", "payments-worker"}
    assert workspace.project.abstract("base")


def test_its_secrets_are_sealed_and_of_several_types(workspace: Workspace) -> None:
    def tokens(node: object) -> list[str]:
        if isinstance(node, dict):
            return [token for value in node.values() for token in tokens(value)]
        if isinstance(node, list):
            return [token for value in node for token in tokens(value)]
        return [node] if isinstance(node, str) and looks_sealed(node) else []

    found = [token for document in workspace.documents.values() for token in tokens(document.values)]
    assert len(found) == len(set(found)) > 15
    assert {parse_token(token).type for token in found} == {"str", "int", "array", "object", "bytes"}


def test_no_private_key_is_committed() -> None:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True).stdout
    for name in listed.decode().split("\0"):
        file = ROOT / name
        if not name or name.startswith("tests/") or not file.is_file():
            continue
        found = re.search(rb"(AGE-SECRET-KEY-1|SEALPIPE-SIGNING-KEY-1)[A-Z0-9]{20}", file.read_bytes())
        assert found is None, f"{name} holds what looks like a private key"


def test_this_repositorys_workflows_are_the_shipped_ones() -> None:
    sys.path.insert(0, str(ROOT / "scripts"))
    try:
        from own_workflows import INSTALL, PUBLISH, own_workflows
    finally:
        sys.path.pop(0)
    from sealpipe.github.workflows import workflow_files

    shipped = workflow_files(load(WorkTree(str(ROOT))).project)
    for path, text in own_workflows().items():
        assert (ROOT / path).read_text(encoding="utf-8") == text, "run scripts/own_workflows.py"
        assert INSTALL in shipped[path]
    assert PUBLISH in shipped[".github/workflows/config-publish.yml"]
