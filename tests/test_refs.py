"""What history depends on, read without running git: it changes whenever git's own answer does."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from sealpipe import git
from sealpipe import refs as module
from sealpipe.refs import refs


def run(folder: Path, *words: str) -> str:
    identity = ["-c", "user.name=A", "-c", "user.email=a@example.org", "-c", "commit.gpgsign=false"]
    command = ["git", *identity, *words]
    return subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    folder = tmp_path / "repository"
    folder.mkdir()
    run(folder, "init", "-q", "-b", "main")
    for n in (1, 2, 3):
        (folder / "file").write_text(str(n))
        run(folder, "add", ".")
        run(folder, "commit", "-q", "-m", str(n))
    return folder


@pytest.fixture
def no_git(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module.git, "refs", lambda _: pytest.fail("git was run"))


CHANGES: dict[str, Callable[[Path], object]] = {
    "commit": lambda folder: run(folder, "commit", "-q", "--allow-empty", "-m", "more"),
    "branch": lambda folder: run(folder, "branch", "other"),
    "nested branch": lambda folder: run(folder, "branch", "a/b/c"),
    "tag": lambda folder: run(folder, "tag", "v1"),
    "annotated tag": lambda folder: run(folder, "tag", "-m", "x", "v1"),
    "rename": lambda folder: run(folder, "branch", "-m", "main", "trunk"),
    "detached": lambda folder: run(folder, "checkout", "-q", "--detach"),
    "reset": lambda folder: run(folder, "reset", "-q", "--hard", "HEAD~1"),
    "remote": lambda folder: run(folder, "update-ref", "refs/remotes/origin/main", "HEAD"),
    "any ref": lambda folder: run(folder, "update-ref", "refs/of/ours", "HEAD~1"),
    "shallow": lambda folder: (folder / ".git/shallow").write_text(run(folder, "rev-parse", "HEAD~1") + "\n"),
    "grafts": lambda folder: (folder / ".git/info/grafts").write_text(
        run(folder, "rev-parse", "HEAD") + "\n"
    ),
}


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.usefixtures("no_git")
def test_every_change_is_seen(repository: Path, change: str, *, packed: bool) -> None:
    if packed:
        run(repository, "pack-refs", "--all")
    (repository / ".git/info").mkdir(exist_ok=True)
    below = repository / "deep" / "below"
    below.mkdir(parents=True)
    before = refs(str(below))
    assert before
    assert refs(str(below)) == before == refs(str(repository))
    CHANGES[change](repository)
    after = refs(str(below))
    assert after != before
    run(repository, "pack-refs", "--all")
    assert refs(str(below)) != before


@pytest.mark.usefixtures("no_git")
def test_a_branch_that_goes_is_seen_packed_or_not(repository: Path) -> None:
    run(repository, "branch", "other")
    seen = [refs(str(repository))]
    run(repository, "pack-refs", "--all")
    run(repository, "branch", "-D", "other")
    seen.append(refs(str(repository)))
    assert seen[0] != seen[1]


@pytest.mark.usefixtures("no_git")
def test_outside_git_there_is_nothing(tmp_path: Path) -> None:
    assert refs(str(tmp_path)) == [] == git_refs(tmp_path)


git_refs = git.refs


def test_what_is_unusual_is_gits_to_tell(
    repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def told_by_git(folder: Path) -> bool:
        asked: list[str] = []
        with monkeypatch.context() as patch:
            patch.setattr(module.git, "refs", lambda folder: asked.append(folder) or [b"told"])
            return refs(str(folder)) == [b"told"] and bool(asked)

    run(repository, "worktree", "add", "-q", str(tmp_path / "tree"), "-b", "tree")
    assert told_by_git(tmp_path / "tree")  # .git is a file
    assert git_refs(tmp_path / "tree")
    inner = repository / "inner"
    inner.mkdir()
    (inner / ".git").mkdir()  # no repository: git goes on to the one above
    assert told_by_git(inner)
    (inner / ".git").rmdir()
    (inner / ".git").symlink_to(repository / ".git")
    assert told_by_git(inner)
    (inner / ".git").unlink()
    assert not told_by_git(inner)
    bare = tmp_path / "bare"
    run(tmp_path, "init", "-q", "--bare", str(bare))
    assert told_by_git(bare / "objects")
    (repository / ".git/HEAD").write_text("nonsense\n")
    assert told_by_git(repository)
    (repository / ".git/HEAD").write_text("ref: refs/heads/main\n")
    (repository / ".git/reftable").mkdir()
    assert told_by_git(repository)
    (repository / ".git/reftable").rmdir()
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path))
    assert told_by_git(repository)
    monkeypatch.delenv("GIT_CEILING_DIRECTORIES")
    if os.geteuid() == 0:
        os.chown(repository / ".git", 65534, -1)
        assert told_by_git(repository)


def test_only_where_nothing_is_found_up_to_the_root_is_outside(repository: Path, tmp_path: Path) -> None:
    assert module.outside(str(tmp_path))
    assert not module.outside(str(repository))
    below = repository / "a" / "b"
    below.mkdir(parents=True)
    assert not module.outside(str(below))
    (tmp_path / "other" / "below").mkdir(parents=True)
    (tmp_path / "other" / "HEAD").write_text("of something")  # git is asked what that is
    assert not module.outside(str(tmp_path / "other" / "below"))
