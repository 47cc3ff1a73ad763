"""The shipped workflow files: what the linters of the field say, and what each must and must not hold."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from sealpipe.github.workflows import NAMES, published_by_workflow, workflow_files
from sealpipe.project import EnvironmentSpec, Project, ServiceSpec
from sealpipe.version import VERSION

ROOT = Path(__file__).parent.parent.parent
BIN = Path(sys.executable).parent
OWN = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


def project(**stores: str | None) -> Project:
    environments = {name: EnvironmentSpec(name, publish_to=store) for name, store in stores.items()}
    services = {"checkout": ServiceSpec("checkout", owners=("@shop/payments", "@shop/edge"))}
    return Project("0" * 32, environments, services)


SHOP = project(
    base=None, dev="file:.sealpipe/store", staging="file:/mnt/config", production="consul://c:8500/config"
)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the files as `init --github` writes them."""
    root = tmp_path_factory.mktemp("repository")
    for path, text in workflow_files(SHOP).items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text, encoding="utf-8")
    return root


def run(*command: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_files(written: Path) -> None:
    found = sorted(str(file.relative_to(written)) for file in written.rglob("*") if file.is_file())
    assert found == [
        ".github/CODEOWNERS",
        ".github/sealpipe.txt",
        ".github/workflows/config-check.yml",
        ".github/workflows/config-publish.yml",
        ".github/workflows/config-rollback.yml",
    ]
    assert f"\nsealpipe=={VERSION}\n" in (written / ".github/sealpipe.txt").read_text()
    for file in written.rglob("*"):
        assert not file.is_file() or "__" not in file.read_text(), f"a template word is left in {file}"


def test_templates_are_packaged() -> None:
    """hatchling takes the whole package folder; what is read at run time must be in it."""
    folder = ROOT / "pipeline" / "sealpipe" / "github" / "templates"
    assert {file.name for file in folder.iterdir()} == {*NAMES, "sealpipe.txt", "CODEOWNERS"}


def test_which_environments_a_workflow_publishes() -> None:
    assert published_by_workflow(SHOP) == ("staging", "production")
    assert published_by_workflow(project(base=None, dev="file:.sealpipe/store")) == ("dev",)
    text = workflow_files(SHOP)[".github/workflows/config-publish.yml"]
    assert yaml.safe_load(text)["jobs"]["publish"]["strategy"] == {
        "max-parallel": 1,
        "matrix": {"environment": ["staging", "production"]},
    }


def test_branch_cannot_break_the_file() -> None:
    text = workflow_files(SHOP, branch="release/2.x # not: a comment")[".github/workflows/config-publish.yml"]
    assert yaml.safe_load(text)[True]["push"]["branches"] == ["release/2.x # not: a comment"]


def test_owners_of_services() -> None:
    owners = workflow_files(SHOP)[".github/CODEOWNERS"]
    assert "/environments/*/checkout.yaml @shop/payments @shop/edge\n" in owners
    assert not re.search(r"^[^#].*@your-org", owners, re.MULTILINE)


def test_schema_of_workflows(written: Path) -> None:
    files = [*OWN, *sorted((written / ".github" / "workflows").glob("*.yml"))]
    assert len(files) == 7
    done = run(BIN / "check-jsonschema", "--builtin-schema", "vendor.github-workflows", *files)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("where", ["written", "own"])
def test_auditor_finds_nothing(written: Path, where: str) -> None:
    folder = (written if where == "written" else ROOT) / ".github"
    done = run(BIN / "zizmor", "--offline", "--no-progress", "--persona", "auditor", folder)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "No findings" in done.stdout + done.stderr


def test_the_auditor_would_find_something(tmp_path: Path) -> None:
    """The check above can fail: the same file with its care taken out is full of findings."""
    text = workflow_files(SHOP)[".github/workflows/config-publish.yml"]
    text = re.sub(r"@[0-9a-f]{40} # v[0-9.]+", "@v5", text).replace("persist-credentials: false", "")
    text = text.replace("permissions: {}", "permissions: write-all")
    text = text.replace('"$ENVIRONMENT"', "${{ matrix.environment }}")
    bad = tmp_path / ".github" / "workflows" / "bad.yml"
    bad.parent.mkdir(parents=True)
    bad.write_text(text)
    done = run(BIN / "zizmor", "--offline", "--no-progress", "--persona", "auditor", tmp_path)
    assert done.returncode != 0
    for audit in ("unpinned-uses", "artipacked", "excessive-permissions", "template-injection"):
        assert audit in done.stdout


def test_actionlint(written: Path) -> None:
    program = BIN / "actionlint"
    if not program.exists():
        pytest.skip("actionlint is not installed")
    done = run(program, "-no-color", *OWN, *sorted((written / ".github" / "workflows").glob("*.yml")))
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_check_needs_no_secret() -> None:
    text = workflow_files(SHOP)[".github/workflows/config-check.yml"]
    assert "secrets." not in text
    assert "environment:" not in text
    triggers = yaml.safe_load(text)[True]
    assert triggers == {"pull_request": None, "merge_group": None}, "no paths filter, no pull_request_target"


@pytest.mark.parametrize("name", NAMES)
def test_rights_are_the_least(name: str) -> None:
    workflow = yaml.safe_load(workflow_files(SHOP)[f".github/workflows/{name}"])
    assert workflow["permissions"] == {}
    for job in workflow["jobs"].values():
        assert job["permissions"] == {"contents": "read"}
        assert "timeout-minutes" in job
        for step in job["steps"]:
            assert "${{" not in step.get("run", "")
            if "uses" in step:
                assert re.fullmatch(r"[a-z-]+/[a-z-]+@[0-9a-f]{40}", step["uses"])


def test_publishing_waits_and_is_never_cancelled() -> None:
    for name in ("config-publish.yml", "config-rollback.yml"):
        [job] = yaml.safe_load(workflow_files(SHOP)[f".github/workflows/{name}"])["jobs"].values()
        assert job["environment"]
        assert job["concurrency"]["cancel-in-progress"] is False
        assert job["concurrency"]["queue"] == "max"
        assert job["concurrency"]["group"].startswith("config-${{")


def test_only_steps_that_sign_see_the_key() -> None:
    for name in ("config-publish.yml", "config-rollback.yml"):
        [job] = yaml.safe_load(workflow_files(SHOP)[f".github/workflows/{name}"])["jobs"].values()
        with_key = [step["name"] for step in job["steps"] if "SEALPIPE_SIGNING_KEY" in step.get("env", {})]
        assert with_key in (["Publish"], ["Roll back"])
        assert "SEALPIPE_SIGNING_KEY" not in job["env"]
