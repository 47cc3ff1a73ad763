"""The shipped workflows at work: their steps are run in bash against a bare repository and a folder store."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from sealpipe.github.workflows import workflow_files
from sealpipe.stages.load import load
from sealpipe.trees import WorkTree

from .runner import Event, Job, run_workflow


@dataclass
class Shop:
    """A clone of somebody's repository, its bare remote, a folder store, and what GitHub was told."""

    clone: Path
    remote: Path
    store: Path
    runs: Path
    trust: str = ""
    signing_key: str = ""

    def sealpipe(self, *arguments: str, stdin: str = "", code: int = 0) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "sealpipe", *arguments],
            cwd=self.clone,
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout

    def git(self, *arguments: str) -> str:
        done = subprocess.run(
            ["git", *arguments], cwd=self.clone, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout.strip()

    def commit(self, message: str) -> None:
        self.git("add", "-A")
        self.git("commit", "-q", "-m", message)

    def merge_to_main(self) -> None:
        self.git("push", "-q", "origin", "HEAD:main")

    def open_pull_request(self, number: int) -> None:
        """A merge commit of main and this branch, as GitHub makes one for each pull request."""
        branch = self.git("rev-parse", "--abbrev-ref", "HEAD")
        self.git("checkout", "-q", "--detach", "origin/main")
        self.git("merge", "-q", "--no-ff", "-m", "merge", branch)
        self.git("push", "-q", "origin", f"HEAD:refs/pull/{number}/merge")
        self.git("checkout", "-q", branch)

    def run(self, name: str, ref: str, **contexts: Mapping[str, Any]) -> list[Job]:
        project = load(WorkTree(str(self.clone))).project
        text = workflow_files(project)[f".github/workflows/{name}.yml"]
        everything = {"vars": {"SEALPIPE_TRUST": self.trust}, "github": {}, **contexts}
        secrets = {"dev": {"SEALPIPE_SIGNING_KEY": self.signing_key}}
        return run_workflow(text, Event(self.remote, ref, everything, secrets), self.runs)

    def head(self) -> bytes:
        return (self.store / "dev" / "heads" / "checkout").read_bytes()


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Shop:
    """The repository as it is before anything is published; made once, copied for each test."""
    root = tmp_path_factory.mktemp("template")
    made = Shop(root / "clone", root / "remote.git", root / "store", root / "runs")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HOME", str(root / "home"))
        patch.setenv("XDG_CONFIG_HOME", str(root / "home" / ".config"))
        for name in [name for name in os.environ if name.startswith(("SEALPIPE_", "SOPS_", "GIT_"))]:
            patch.delenv(name)
        for role in ("AUTHOR", "COMMITTER"):
            patch.setenv(f"GIT_{role}_NAME", "Anna Example")
            patch.setenv(f"GIT_{role}_EMAIL", "anna@example.org")
        _build(made)
    return made


def _build(made: Shop) -> None:
    subprocess.run(["git", "init", "-q", "--bare", "-b", "main", str(made.remote)], check=True)
    subprocess.run(["git", "init", "-q", "-b", "main", str(made.clone)], check=True)
    made.git("remote", "add", "origin", str(made.remote))
    made.sealpipe("init", "--github", "--name", "anna")
    file = made.clone / "sealpipe.yaml"
    file.write_text(file.read_text().replace("file:.sealpipe/store", f"file:{made.store}"))
    made.sealpipe("add", "service", "checkout", "--in", "dev")
    made.sealpipe("set", "dev/checkout", "db.pool_max", "10")
    made.sealpipe(
        "set", "dev/checkout", "db.password", "--secret", "--file", "-", stdin="correct horse battery"
    )
    made.signing_key = made.sealpipe("trust", "add", "ci-dev", "--new", "--publishes", "dev").strip()
    made.trust = json.loads(made.sealpipe("trust", "show", "--format", "json"))["pin"]
    made.commit("shop: first configuration")
    made.merge_to_main()
    made.git("fetch", "-q", "origin")


@pytest.fixture
def shop(template: Shop, tmp_path: Path, clean_surroundings: Path) -> Iterator[Shop]:
    mine = Shop(tmp_path / "clone", tmp_path / "remote.git", template.store, tmp_path / "runs")
    mine.trust, mine.signing_key = template.trust, template.signing_key
    mine.runs.mkdir()
    shutil.copytree(template.clone, mine.clone)
    shutil.copytree(template.remote, mine.remote)
    shutil.copytree(template.clone.parent / "home", clean_surroundings, dirs_exist_ok=True)
    mine.git("remote", "set-url", "origin", str(mine.remote))
    yield mine
    # The store's address is in the commits, so all tests of this file share the folder.
    shutil.rmtree(template.store, ignore_errors=True)


def all_output(jobs: list[Job]) -> str:
    return "".join(job.output + job.summary for job in jobs)


def test_init_writes_the_files_that_run_here(shop: Shop) -> None:
    project = load(WorkTree(str(shop.clone))).project
    for path, text in workflow_files(project).items():
        if path.endswith("config-publish.yml"):
            continue  # the list of environments follows publish_to, which this test changed after init
        assert (shop.clone / path).read_text() == text


def test_publish_signs_with_the_environments_key_and_reads_back(shop: Shop) -> None:
    jobs = shop.run("config-publish", "refs/heads/main")
    assert [job.name for job in jobs] == ["publish dev"]
    assert jobs[0].ok, jobs[0].output
    assert "db.pool_max" in jobs[0].summary
    assert shop.head().startswith(b"SEALPIPE-RELEASE-1\n")
    assert "ci-dev" in jobs[0].step("Publish").output
    assert "correct horse" not in all_output(jobs)
    assert shop.signing_key not in all_output(jobs)


def test_publish_again_changes_nothing(shop: Shop) -> None:
    shop.run("config-publish", "refs/heads/main")
    before = shop.head()
    [job] = shop.run("config-publish", "refs/heads/main")
    assert job.ok, job.output
    assert shop.head() == before


def test_publish_without_the_secret_fails_and_publishes_nothing(shop: Shop) -> None:
    shop.signing_key = ""
    [job] = shop.run("config-publish", "refs/heads/main")
    assert job.step("Publish").code == 6, job.output
    assert "error[" in job.output
    assert not (shop.store / "dev" / "heads").exists()


def test_publish_with_a_foreign_pin_fails(shop: Shop) -> None:
    shop.trust = shop.trust[:-1] + ("q" if shop.trust[-1] != "q" else "p")
    [job] = shop.run("config-publish", "refs/heads/main")
    assert not job.ok
    assert not (shop.store / "dev" / "heads").exists()


def test_check_shows_what_a_pull_request_changes_without_any_secret(shop: Shop) -> None:
    shop.git("checkout", "-q", "-b", "more-pool")
    shop.sealpipe("set", "dev/checkout", "db.pool_max", "20")
    shop.sealpipe("set", "dev/checkout", "db.password", "--random", "30")
    shop.commit("checkout: more connections")
    shop.open_pull_request(7)
    shop.signing_key = "not to be seen"
    [job] = shop.run("config-check", "refs/pull/7/merge")
    assert job.ok, job.output
    assert "db.pool_max" in job.summary
    assert "20" in job.summary
    assert "db.password" in job.summary
    assert job.annotations == []
    assert "ENC[" not in job.summary


def test_check_annotates_what_is_wrong_and_fails(shop: Shop) -> None:
    shop.git("checkout", "-q", "-b", "wrong")
    file = shop.clone / "environments" / "dev" / "checkout.yaml"
    file.write_text(file.read_text().replace("pool_max: 10", "pool_max: ten"))
    shop.git("add", "-A")
    shop.git("commit", "-q", "--no-verify", "-m", "checkout: in words")
    shop.open_pull_request(8)
    [job] = shop.run("config-check", "refs/pull/8/merge")
    assert job.step("Validate").code == 4
    [annotation] = job.annotations
    assert annotation.startswith("::error file=environments/dev/checkout.yaml,line=")
    assert "db.pool_max" in annotation


def test_check_finds_a_plaintext_secret_and_does_not_repeat_it(shop: Shop) -> None:
    shop.git("checkout", "-q", "-b", "leak")
    file = shop.clone / "environments" / "dev" / "checkout.yaml"
    lines = file.read_text().splitlines()
    plain = ["  password: hunter2-hunter2" if "password:" in line else line for line in lines]
    file.write_text("\n".join(plain) + "\n")
    shop.git("add", "-A")
    shop.git("commit", "-q", "--no-verify", "-m", "checkout: in clear")
    shop.open_pull_request(9)
    jobs = shop.run("config-check", "refs/pull/9/merge")
    assert not jobs[0].ok
    assert "plaintext-secret" in jobs[0].output
    assert "hunter2" not in all_output(jobs)


def test_check_in_a_merge_queue_compares_with_the_groups_base(shop: Shop) -> None:
    base = shop.git("rev-parse", "HEAD")
    shop.git("checkout", "-q", "-b", "queued")
    for value in ("15", "16"):
        shop.sealpipe("set", "dev/checkout", "db.pool_max", value)
        shop.commit(f"checkout: {value}")
    shop.git("push", "-q", "origin", "HEAD:refs/heads/gh-readonly-queue/main/pr-7-abc")
    ref = "refs/heads/gh-readonly-queue/main/pr-7-abc"
    [job] = shop.run("config-check", ref, github={"event": {"merge_group": {"base_sha": base}}})
    assert job.ok, job.output
    assert "10" in job.summary, "two commits back, not one"
    assert "16" in job.summary


def test_rollback_publishes_the_release_before_and_holds(shop: Shop) -> None:
    shop.run("config-publish", "refs/heads/main")
    shop.sealpipe("set", "dev/checkout", "db.pool_max", "99")
    shop.commit("checkout: too many")
    shop.merge_to_main()
    shop.run("config-publish", "refs/heads/main")
    assert b'"pool_max":99' in shop.head()
    reason = 'pool $(touch pwned) exhausts; `true` "quoted"'
    inputs = {"environment": "dev", "service": "checkout", "reason": reason}
    [job] = shop.run("config-rollback", "refs/heads/main", inputs=inputs)
    assert job.ok, job.output
    assert b'"pool_max":10' in shop.head()
    assert not (job.folder / "pwned").exists()
    assert reason in shop.sealpipe("status", "dev", "--format", "json").replace('\\"', '"')
    [again] = shop.run("config-publish", "refs/heads/main")
    assert again.ok, again.output
    assert b'"pool_max":10' in shop.head(), "the hold keeps the bad value out"


def test_rollback_in_an_emergency_waives_approvals(shop: Shop) -> None:
    shop.run("config-publish", "refs/heads/main")
    shop.sealpipe("set", "dev/checkout", "db.pool_max", "99")
    recovery = ("--recovery-to", str(shop.runs / "recovery"))
    shop.sealpipe("trust", "add", "ci-dev", "--break-glass", "dev")
    shop.commit("checkout: too many")
    shop.merge_to_main()
    shop.run("config-publish", "refs/heads/main")
    shop.sealpipe("trust", "add", "anna", "--approves", "dev", *recovery)
    shop.sealpipe("trust", "admins", "dev", "--protected", "--approvals", "1", *recovery)
    shop.commit("trust: approvals")
    shop.merge_to_main()
    inputs = {"environment": "dev", "service": "checkout", "reason": "pool exhausts", "emergency": False}
    [job] = shop.run("config-rollback", "refs/heads/main", inputs=inputs)
    assert job.step("Roll back").code == 5, job.output
    assert "approval" in job.output
    [job] = shop.run("config-rollback", "refs/heads/main", inputs={**inputs, "emergency": True})
    assert job.ok, job.output
    assert b'"pool_max":10' in shop.head()


def test_rollback_of_nothing_fails(shop: Shop) -> None:
    inputs = {"environment": "dev", "service": "search", "reason": "x"}
    [job] = shop.run("config-rollback", "refs/heads/main", inputs=inputs)
    assert not job.ok
    assert "error[" in job.output


def test_a_job_run_again_cannot_bring_an_older_commit_back(shop: Shop) -> None:
    shop.sealpipe("trust", "admins", "dev", "--protected", "--recovery-to", str(shop.runs / "recovery"))
    shop.commit("trust: dev is protected")
    old = shop.git("rev-parse", "HEAD")
    shop.sealpipe("set", "dev/checkout", "db.pool_max", "20")
    shop.commit("checkout: 20")
    shop.merge_to_main()
    [new] = shop.run("config-publish", "refs/heads/main")
    assert new.ok, new.output
    shop.git("push", "-q", "origin", f"{old}:refs/heads/rerun")
    [rerun] = shop.run("config-publish", "refs/heads/rerun")
    assert rerun.step("Publish").code == 5, rerun.output
    assert b'"pool_max":20' in shop.head()


def test_the_runner_refuses_what_it_does_not_know() -> None:
    from .runner import evaluate

    with pytest.raises(NotImplementedError):
        evaluate("${{ hashFiles('x') }}", {})
    assert evaluate("${{ a.b || 'c' }}", {"a": {}}) == "c"
    assert evaluate("${{ a.b && 'x' || 'y' }}", {"a": {"b": True}}) == "x"
    assert evaluate("${{ a.b && 'x' || 'y' }}", {"a": {"b": False}}) == "y"
